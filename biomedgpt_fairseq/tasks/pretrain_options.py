"""Options of pretraining; names and defaults are those of the original wherever it had them."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum

from biomedgpt_fairseq.tasks.options import TaskOptions

MASK_LENGTHS = ChoiceEnum(["subword", "word", "span-poisson"])


@dataclass
class UnifyOptions(TaskOptions):
    """Pretraining on pairs of image and text, texts, images and boxes."""

    text_data: Optional[str] = field(
        default=None, metadata={"help": "comma-separated TSV files of texts"}
    )
    image_data: Optional[str] = field(
        default=None, metadata={"help": "comma-separated TSV files of images with image codes"}
    )
    detection_data: Optional[str] = field(
        default=None, metadata={"help": "comma-separated TSV files of images with boxes"}
    )
    valid_text_data: Optional[str] = field(
        default=None, metadata={"help": "texts of the validation split"}
    )
    valid_image_data: Optional[str] = field(
        default=None, metadata={"help": "images with image codes of the validation split"}
    )
    valid_detection_data: Optional[str] = field(
        default=None, metadata={"help": "images with boxes of the validation split"}
    )
    text_selected_cols: Optional[str] = field(
        default=None, metadata={"help": "columns of the id and the text"}
    )
    image_selected_cols: Optional[str] = field(
        default=None, metadata={"help": "columns of the id, the image and the codes"}
    )
    detection_selected_cols: Optional[str] = field(
        default=None, metadata={"help": "columns of the id, the image and the boxes"}
    )
    neg_sample_dir: Optional[str] = field(
        default=None, metadata={"help": "folder of wrong answers and captions (see docs/data.md)"}
    )
    max_image_size: int = field(
        default=512, metadata={"help": "coordinate in pixels of the last location bin"}
    )
    code_image_size: int = field(
        default=128, metadata={"help": "side in pixels of the picture that image codes describe"}
    )
    pretrain_seed: int = field(
        default=7, metadata={"help": "together with --seed: order, noise and crops of the rows"}
    )
    mask_ratio: float = field(default=0.3, metadata={"help": "share of the words that is masked"})
    random_ratio: float = field(
        default=0.0, metadata={"help": "share of the masks that become random tokens"}
    )
    keep_ratio: float = field(default=0.0, metadata={"help": "must be 0: it never had an effect"})
    mask_length: MASK_LENGTHS = field(  # type: ignore[valid-type]
        default="span-poisson", metadata={"help": "mask tokens, words, or spans of words"}
    )
    poisson_lambda: float = field(default=3.0, metadata={"help": "mean words of a masked span"})
    replace_length: int = field(
        default=1, metadata={"help": "masks of a span: 1, 0 for none, -1 for one for each token"}
    )
    instruction_variants: float = field(
        default=0.0, metadata={"help": "probability that a paraphrase replaces an instruction"}
    )
    detection_flip: float = field(
        default=0.5, metadata={"help": "probability that a detection picture is mirrored"}
    )
    mixture_weights: Optional[str] = field(
        default=None,
        metadata={"help": "share of each source as JSON, file name without suffix -> weight"},
    )
    mixture_temperature: Optional[float] = field(
        default=None, metadata={"help": "shares by size to the power of 1 / temperature"}
    )
    mixture_cap: Optional[int] = field(
        default=None, metadata={"help": "a source counts at most so many rows in its share"}
    )
    mixture_epoch_rows: Optional[int] = field(
        default=None, metadata={"help": "rows of an epoch of a free mixture (default: all rows)"}
    )
