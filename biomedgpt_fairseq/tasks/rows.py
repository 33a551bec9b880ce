"""What all tasks share before a model comes in: vocabulary, rows and their order."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    List,
    Optional,
    Sequence,
    TypeAlias,
    cast,
)

import numpy as np
from fairseq.data import Dictionary
from fairseq.tasks import FairseqTask
from torch import Tensor

from biomedgpt_fairseq.data.allowed import dense_allowed
from biomedgpt_fairseq.data.composition import PromptType
from biomedgpt_fairseq.data.examples import Example, RowOptions, RowTools
from biomedgpt_fairseq.data.fairseq_dataset import RowDataset
from biomedgpt_fairseq.data.fairseq_iterator import RowBatchIterator
from biomedgpt_fairseq.data.guarded_rows import OnBadRow
from biomedgpt_fairseq.data.image import (
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Augmentation,
    ImageColumn,
    ImageLoader,
    ImageSource,
    ImageTransform,
)
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.fairseq_determinism import use_deterministic_algorithms
from biomedgpt_fairseq.tasks.dictionary import build_dictionary
from biomedgpt_fairseq.tasks.options import TaskOptions
from biomedgpt_fairseq.text.instructions import get_instruction
from biomedgpt_fairseq.text.tokenizer import Tokenizer, load_tokenizer

logger = logging.getLogger(__name__)

TRAIN = "train"
RowBuilder: TypeAlias = (
    "staticmethod[[Sequence[str], int, RowTools, RowOptions, np.random.Generator], Example]"
)


@dataclass(frozen=True)
class BuildRow:
    """A row builder with its settings; worker processes may be sent one."""

    make_example: Callable[..., Example]
    tools: RowTools
    options: RowOptions

    def __call__(self, row: Sequence[str], rng: np.random.Generator, index: int) -> Example:
        return self.make_example(row, index, self.tools, self.options, rng)


class RowsTask(FairseqTask):
    """Vocabulary and rows: a row of the instruction registry and a row builder."""

    instruction: ClassVar[str]
    make_example: ClassVar["RowBuilder"]

    def __init__(self, cfg: TaskOptions, tokenizer: Tokenizer) -> None:
        super().__init__(cfg)
        self.tokenizer = tokenizer
        self.bpe = tokenizer.bpe
        self.dictionary = build_dictionary(tokenizer.vocab)
        self.trie: Any = None
        self.answers: Optional[List[str]] = None
        self.uses_ema = cfg.uses_ema
        imagenet = cfg.imagenet_default_mean_and_std
        self.image_mean = IMAGENET_MEAN if imagenet else HALF
        self.image_std = IMAGENET_STD if imagenet else HALF
        self._iterators: Dict[str, RowBatchIterator] = {}

    @classmethod
    def setup_task(cls, cfg: TaskOptions, **kwargs: Any) -> "RowsTask":
        """The task with its vocabulary; needs neither data nor a model."""
        if cfg.deterministic:
            use_deterministic_algorithms()
        if not cfg.bpe_dir:
            raise ValueError(
                "--bpe-dir must name the folder of the vocabulary; "
                "'biomedgpt vocab --help' tells how to get or train one"
            )
        return cls(cfg, load_tokenizer(cfg.bpe_dir, cfg.code_dict_size, cfg.num_bins))

    # Vocabulary, in the form fairseq's programs ask for.

    @property
    def source_dictionary(self) -> Dictionary:
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        return self.dictionary

    def build_bpe(self, args: Any) -> Any:
        """The vocabulary's own byte-pair encoding, whatever --bpe says."""
        return self.bpe

    def build_tokenizer(self, args: Any) -> None:
        return None

    def max_positions(self) -> tuple[int, int]:
        return self.cfg.max_source_positions, self.cfg.max_target_positions

    # Rows.

    def data_path(self, split: str, epoch: int = 1) -> str:
        """The file of a split: the last one, or in training one of the others per epoch."""
        paths = [path for path in (self.cfg.data or "").split(",") if path]
        if not paths:
            raise ValueError("no data: give comma-separated TSV files, the validation file last")
        if split != TRAIN or len(paths) == 1:
            return paths[-1]
        return paths[(epoch - 1) % (len(paths) - 1)]

    def has_sharded_data(self, split: str) -> bool:
        """Whether each epoch reads another file."""
        return split == TRAIN and len((self.cfg.data or "").split(",")) > 2

    def load_dataset(
        self, split: str, combine: bool = False, epoch: int = 1, **kwargs: Any
    ) -> None:
        """Open the rows of a split."""
        path = self.data_path(split, epoch)
        reader = self.check_rows(TsvReader(path, self.cfg.selected_cols), split)
        folder = Path(self.cfg.image_root) if self.cfg.image_root else Path(path).resolve().parent
        tools = self.row_tools(split, folder)
        self.datasets[split] = RowDataset(
            reader,
            BuildRow(self.make_example, tools, self.row_options(split)),
            pad=self.dictionary.pad(),
            seed=self.cfg.seed,
            shuffle=split == TRAIN,
            with_constraints=self.trie is not None,
            on_bad_row=cast(OnBadRow, str(self.cfg.on_bad_row)),
        )

    def check_rows(self, reader: TsvReader, split: str) -> TsvReader:
        """Hook: refuse or change rows before training starts."""
        return reader

    def row_options(self, split: str) -> RowOptions:
        """Text limits of the row builder."""
        return RowOptions(
            max_src_length=self.cfg.max_src_length,
            max_tgt_length=self.cfg.max_tgt_length,
            max_source_positions=self.cfg.max_source_positions,
            max_target_positions=self.cfg.max_target_positions,
            prompt_type=cast(PromptType, str(getattr(self.cfg, "prompt_type", "none"))),
            require_known=split == TRAIN,
        )

    def row_tools(self, split: str, folder: Optional[Path] = None) -> RowTools:
        """Tokenizer, instruction, image loader and trie of the row builder.

        folder: where image paths start.
        """
        instruction = get_instruction(self.instruction)
        image = self.image_loader(split, folder) if instruction.needs_image else None
        return RowTools(self.tokenizer, instruction, image, self.trie)

    def image_loader(self, split: str, folder: Optional[Path]) -> ImageLoader:
        """Pictures of the split at the size that the model takes."""
        transform = ImageTransform(self.cfg.patch_image_size, self.image_mean, self.image_std)
        source = ImageSource(column=cast(ImageColumn, str(self.cfg.image_column)), root=folder)
        return ImageLoader(transform, source, self.augmentation(split))

    def augmentation(self, split: str) -> Optional[Augmentation]:
        """Hook: random changes of training images."""
        return None

    def get_batch_iterator(self, dataset: RowDataset, **kwargs: Any) -> RowBatchIterator:
        """Batches in the dataset's own order, from workers that live as long as the dataset."""
        return RowBatchIterator.build(dataset, self._iterators, **kwargs)

    def dense_constraint_masks(self, sample: Dict[str, Any]) -> Tensor:
        """Allowed ids of the batch as a mask (B, T, V) bool."""
        return dense_allowed(sample["constraint_masks"], len(self.dictionary))
