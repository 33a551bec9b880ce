"""Options of all tasks.

Names and defaults are those of the original's command lines wherever it had them. fairseq turns the
fields into command-line options and into hydra nodes.
"""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II

PROMPT_TYPES = ChoiceEnum(["none", "src", "prev_output"])
INFERENCE_TYPES = ChoiceEnum(["allcand", "beamsearch"])
BAD_ROW_POLICIES = ChoiceEnum(["raise", "skip"])
UNKNOWN_ANSWER_POLICIES = ChoiceEnum(["raise", "drop", "extend"])
IMAGE_COLUMN_KINDS = ChoiceEnum(["auto", "base64", "path"])
BAD_LOSS_POLICIES = ChoiceEnum(["stop", "skip", "rewind"])
AUGMENTATIONS = ChoiceEnum(["released", "gentle", "laterality-safe", "none"])


@dataclass
class TaskOptions(FairseqDataclass):
    """Options that every task has."""

    data: Optional[str] = field(
        default=None,
        metadata={"help": "comma-separated TSV files: training files, then the validation file"},
    )
    selected_cols: Optional[str] = field(
        default=None, metadata={"help": "comma-separated column indices, in the task's order"}
    )
    bpe_dir: Optional[str] = field(
        default=None, metadata={"help": "folder with the vocabulary (see docs/vocabulary.md)"}
    )
    max_source_positions: int = field(default=1024, metadata={"help": "longest source, in tokens"})
    max_target_positions: int = field(default=1024, metadata={"help": "longest target, in tokens"})
    max_src_length: int = field(
        default=128, metadata={"help": "words of the source text that are kept (per task)"}
    )
    max_tgt_length: int = field(
        default=30, metadata={"help": "words or tokens of the target that are kept (per task)"}
    )
    code_dict_size: int = field(default=8192, metadata={"help": "number of image codes"})
    num_bins: int = field(default=1000, metadata={"help": "number of location bins"})
    patch_image_size: int = field(default=480, metadata={"help": "side of the square input image"})
    orig_patch_image_size: int = field(
        default=256, metadata={"help": "image side whose positions --interpolate-position resizes"}
    )
    imagenet_default_mean_and_std: bool = field(
        default=False, metadata={"help": "normalise with ImageNet's mean and deviation, not 0.5"}
    )
    constraint_range: Optional[str] = field(
        default=None, metadata={"help": "'start,end': only these vocabulary ids can be generated"}
    )
    image_column: IMAGE_COLUMN_KINDS = field(
        default="auto", metadata={"help": "whether the image column holds base64 or a file path"}
    )
    image_root: Optional[str] = field(
        default=None, metadata={"help": "folder of the image paths (default: the TSV's folder)"}
    )
    on_bad_row: BAD_ROW_POLICIES = field(
        default="raise",
        metadata={"help": "what to do with an unreadable row: stop, or log, count and replace it"},
    )
    on_bad_loss: BAD_LOSS_POLICIES = field(
        default="stop",
        metadata={
            "help": "after an update with a bad loss or gradient: stop, drop the update, or go "
            "back to the last checkpoint and on behind its rows"
        },
    )
    gradient_spike_factor: float = field(
        default=0.0,
        metadata={"help": "a gradient norm of so many times the usual is bad, too (0: none is)"},
    )
    on_unknown_answer: UNKNOWN_ANSWER_POLICIES = field(
        default="raise",
        metadata={"help": "what to do with training answers outside the closed answer set"},
    )
    uses_ema: bool = field(
        default=False, metadata={"help": "validate with the averaged weights (needs --store-ema)"}
    )
    use_ema_weights_to_init_param: bool = field(
        default=False, metadata={"help": "start from the averaged weights of --restore-file"}
    )
    use_latest_weights_to_init_ema: bool = field(
        default=False, metadata={"help": "start averaging from the plain weights of --restore-file"}
    )
    deterministic: bool = field(
        default=False,
        metadata={
            "help": "only algorithms that give the same bits each time on the same GPU: slower; an "
            "operation that has none ends the run"
        },
    )
    seed: int = II("common.seed")


@dataclass
class ClosedSetOptions(TaskOptions):
    """Options of tasks whose answer comes from a closed set."""

    ans2label_dict: Optional[str] = field(
        default='{"no": 0, "yes":1}', metadata={"help": "answers as JSON; the key order counts"}
    )
    ans2label_file: Optional[str] = field(
        default=None, metadata={"help": "answers as a JSON map or list, or one answer a line"}
    )
    allow_test_answers: bool = field(
        default=False, metadata={"help": "use an answer set whose card says it holds test answers"}
    )
    valid_batch_size: int = field(
        default=20, metadata={"help": "candidate answers scored at a time"}
    )
    val_inference_type: INFERENCE_TYPES = field(
        default="allcand", metadata={"help": "score every candidate, or beam search on the trie"}
    )
    eval_args: Optional[str] = field(
        default='{"beam":5,"unnormalized":true,"temperature":1.0}',
        metadata={"help": "generation options as JSON"},
    )


@dataclass
class ImageClassifyOptions(ClosedSetOptions):
    """Image classification."""

    augmentation: AUGMENTATIONS = field(
        default="released", metadata={"help": "training augmentation (see docs/data.md)"}
    )


@dataclass
class VqaOptions(ClosedSetOptions):
    """Visual question answering."""

    max_object_length: int = field(default=30, metadata={"help": "objects kept in the source"})
    add_object: bool = field(default=False, metadata={"help": "append the row's objects"})
    prompt_type: PROMPT_TYPES = field(
        default="none", metadata={"help": "what the decoder reads before it answers"}
    )
    unconstrained_training: bool = field(
        default=False, metadata={"help": "free answers: no closed set in training and inference"}
    )


@dataclass
class MnliOptions(ClosedSetOptions):
    """Inference between two texts."""

    ans2label_dict: Optional[str] = field(
        default='{"maybe": 0, "yes": 1, "no": 2}',
        metadata={"help": "answer words as JSON; the key order counts"},
    )
    prompt_type: PROMPT_TYPES = field(
        default="none", metadata={"help": "what the decoder reads before it answers"}
    )


@dataclass
class GenerationTaskOptions(TaskOptions):
    """Options of tasks that write free text."""

    eval_args: Optional[str] = field(default="{}", metadata={"help": "generation options as JSON"})
    eval_print_samples: bool = field(
        default=False, metadata={"help": "log one hypothesis and reference per validation batch"}
    )


@dataclass
class SummaryOptions(GenerationTaskOptions):
    """Summarisation."""

    eval_rouge: bool = field(default=False, metadata={"help": "validate with ROUGE"})
    eval_detok: Optional[str] = field(default="space", metadata={"help": "kept for old scripts"})
    eval_detok_args: Optional[str] = field(default="{}", metadata={"help": "kept for old scripts"})
    noise_ratio: float = field(
        default=0.0, metadata={"help": "share of decoder input tokens replaced in training"}
    )


@dataclass
class CaptionOptions(GenerationTaskOptions):
    """Image captioning."""

    eval_cider: bool = field(default=False, metadata={"help": "validate with CIDEr-D"})
    eval_bleu: bool = field(default=False, metadata={"help": "validate with BLEU"})
    eval_cider_cached_tokens: Optional[str] = field(
        default=None, metadata={"help": "document frequencies as JSON (default: the references)"}
    )
    scst: bool = field(default=False, metadata={"help": "self-critical training"})
    scst_args: Optional[str] = field(
        default="{}", metadata={"help": "generation options of self-critical training, as JSON"}
    )


@dataclass
class BoxOptions(TaskOptions):
    """Options of tasks whose answers are boxes."""

    max_image_size: int = field(
        default=512, metadata={"help": "coordinate in pixels of the last location bin"}
    )


@dataclass
class DetectionOptions(BoxOptions):
    """Objects with their names."""

    ans2label_file: Optional[str] = field(
        default=None,
        metadata={
            "help": "names of objects as a JSON map or list, or one name a line (default: those of "
            "the training rows, which the checkpoint keeps)"
        },
    )
    random_views: bool = field(
        default=False, metadata={"help": "train with parts of the pictures, as pretraining does"}
    )
    detection_flip: float = field(
        default=0.0, metadata={"help": "probability that a training picture is mirrored"}
    )
    eval_args: Optional[str] = field(
        default='{"beam": 1, "max_len_b": 200}', metadata={"help": "generation options as JSON"}
    )


@dataclass
class GroundingOptions(BoxOptions):
    """The region of a text."""

    eval_args: Optional[str] = field(
        default='{"beam": 5, "min_len": 4, "max_len_a": 0, "max_len_b": 4}',
        metadata={"help": "generation options as JSON"},
    )
