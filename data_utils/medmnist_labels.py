"""The two-dimensional subsets of MedMNIST: names of their classes, published sizes."""

from __future__ import annotations

from dataclasses import dataclass

_ORGANS = (
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
)


@dataclass(frozen=True)
class Subset:
    """Class names in the order of their numbers; images in train, validation and test."""

    labels: tuple[str, ...]
    sizes: tuple[int, int, int]
    is_multi_label: bool = False


SUBSETS: dict[str, Subset] = {
    "pathmnist": Subset(
        (
            "adipose",
            "background",
            "debris",
            "lymphocytes",
            "mucus",
            "smooth muscle",
            "normal colon mucosa",
            "cancer-associated stroma",
            "colorectal adenocarcinoma epithelium",
        ),
        (89996, 10004, 7180),
    ),
    "chestmnist": Subset(
        (
            "atelectasis",
            "cardiomegaly",
            "effusion",
            "infiltration",
            "mass",
            "nodule",
            "pneumonia",
            "pneumothorax",
            "consolidation",
            "edema",
            "emphysema",
            "fibrosis",
            "pleural",
            "hernia",
        ),
        (78468, 11219, 22433),
        is_multi_label=True,
    ),
    "dermamnist": Subset(
        (
            "actinic keratoses and intraepithelial carcinoma",
            "basal cell carcinoma",
            "benign keratosis-like lesions",
            "dermatofibroma",
            "melanoma",
            "melanocytic nevi",
            "vascular lesions",
        ),
        (7007, 1003, 2005),
    ),
    "octmnist": Subset(
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
        (97477, 10832, 1000),
    ),
    "pneumoniamnist": Subset(("normal", "pneumonia"), (4708, 524, 624)),
    "retinamnist": Subset(("0", "1", "2", "3", "4"), (1080, 120, 400)),
    "breastmnist": Subset(("malignant", "normal, benign"), (546, 78, 156)),
    "bloodmnist": Subset(
        (
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        ),
        (11959, 1712, 3421),
    ),
    "tissuemnist": Subset(
        (
            "Collecting Duct, Connecting Tubule",
            "Distal Convoluted Tubule",
            "Glomerular endothelial cells",
            "Interstitial endothelial cells",
            "Leukocytes",
            "Podocytes",
            "Proximal Tubule Segments",
            "Thick Ascending Limb",
        ),
        (165466, 23640, 47280),
    ),
    "organamnist": Subset(_ORGANS, (34581, 6491, 17778)),
    "organcmnist": Subset(_ORGANS, (13000, 2392, 8268)),
    "organsmnist": Subset(_ORGANS, (13940, 2452, 8829)),
}
