"""What all tasks share: vocabulary, rows, generator and the steps that the trainer calls."""

import json
import logging
from argparse import Namespace
from pathlib import Path
from typing import Any, ClassVar, Dict, List, NamedTuple, Optional, Sequence, TypeAlias, cast

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.tasks import FairseqTask
from torch import Tensor

from biomedgpt_fairseq.criterions.label_smoothed import parse_range
from biomedgpt_fairseq.data.collate import dense_allowed
from biomedgpt_fairseq.data.composition import PromptType
from biomedgpt_fairseq.data.examples import Example, RowOptions, RowTools
from biomedgpt_fairseq.data.fairseq_dataset import OnBadRow, RowDataset
from biomedgpt_fairseq.data.fairseq_iterator import RowBatchIterator
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
from biomedgpt_fairseq.decoding.fairseq_generator import BeamGenerator, build_generator
from biomedgpt_fairseq.tasks.dictionary import build_dictionary
from biomedgpt_fairseq.tasks.options import TaskOptions
from biomedgpt_fairseq.text.instructions import get_instruction
from biomedgpt_fairseq.text.tokenizer import Tokenizer, load_tokenizer

logger = logging.getLogger(__name__)

TRAIN = "train"
RowBuilder: TypeAlias = (
    "staticmethod[[Sequence[str], int, RowTools, RowOptions, np.random.Generator], Example]"
)


class Prediction(NamedTuple):
    """Answer to one row.

    score: log-probability of the answer (normalised as the generator was told).
    probabilities: of all answers of the closed set, in their order, when they were all scored.
    """

    row_id: str
    answer: str
    score: float
    gold: str
    references: Dict[str, float]
    probabilities: Optional[List[float]] = None


class BiomedTask(FairseqTask):
    """A task is a row of the instruction registry, a row builder and a metric."""

    instruction: ClassVar[str]
    make_example: ClassVar["RowBuilder"]
    metric_name: ClassVar[str]

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
        self._prompted: Optional[BeamGenerator] = None

    @classmethod
    def setup_task(cls, cfg: TaskOptions, **kwargs: Any) -> "BiomedTask":
        """The task with its vocabulary; needs neither data nor a model."""
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
        reader = self.check_rows(
            TsvReader(self.data_path(split, epoch), self.cfg.selected_cols), split
        )
        tools, options, make_example = (
            self.row_tools(split),
            self.row_options(split),
            self.make_example,
        )

        def build(row: Sequence[str], rng: np.random.Generator, index: int) -> Example:
            return make_example(row, index, tools, options, rng)

        self.datasets[split] = RowDataset(
            reader,
            build,
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

    def row_tools(self, split: str) -> RowTools:
        """Tokenizer, instruction, image loader and trie of the row builder."""
        instruction = get_instruction(self.instruction)
        image = self.image_loader(split) if instruction.needs_image else None
        return RowTools(self.tokenizer, instruction, image, self.trie)

    def image_loader(self, split: str) -> ImageLoader:
        size, root = self.cfg.patch_image_size, self.cfg.image_root
        transform = ImageTransform(size, self.image_mean, self.image_std)
        folder = Path(root) if root else Path(self.data_path(split)).resolve().parent
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

    # Steps.

    def train_step(
        self,
        sample: Any,
        model: Any,
        criterion: Any,
        optimizer: Any,
        update_num: int,
        ignore_grad: bool = False,
        **extra: Any,
    ) -> tuple[Tensor, Any, Dict[str, Any]]:
        """Forward and backward.  Unlike stock, the criterion is told the update number."""
        model.train()
        model.set_num_updates(update_num)
        with torch.autograd.profiler.record_function("forward"):
            loss, sample_size, log = criterion(model, sample, update_num=update_num)
        if ignore_grad:
            loss = loss * 0
        with torch.autograd.profiler.record_function("backward"):
            optimizer.backward(loss)
        return loss, sample_size, log

    def valid_step(
        self, sample: Any, model: Any, criterion: Any, ema_model: Any = None, **extra: Any
    ) -> tuple[Tensor, Any, Dict[str, Any]]:
        """Loss of the plain weights; scores of the averaged ones when --uses-ema."""
        model.eval()
        with torch.no_grad():
            loss, sample_size, log = criterion(model, sample)
            scorer = ema_model if ema_model is not None else model
            log.update(self.validation_scores(scorer.eval(), sample))
        return loss, sample_size, log

    def validation_scores(self, model: Any, sample: Dict[str, Any]) -> Dict[str, Any]:
        """Hook: sums and counts of the task's metric over a validation batch."""
        return {}

    # Generation.

    def build_generator(
        self,
        models: Sequence[Any],
        args: Any,
        seq_gen_cls: Any = None,
        extra_gen_cls_kwargs: Optional[Dict[str, Any]] = None,
        prefix_allowed_tokens_fn: Any = None,
    ) -> Any:
        """Beam search, or fairseq's scorer of given targets for --score-reference."""
        if getattr(args, "score_reference", False):
            return super().build_generator(models, args)
        if prefix_allowed_tokens_fn is not None:
            args = Namespace(**vars(args), prefix_allowed_tokens_fn=prefix_allowed_tokens_fn)
        generator = build_generator(
            self.tokenizer.vocab,
            args,
            trie=self.trie,
            constraint_range=parse_range(self.cfg.constraint_range),
        )
        # fairseq's own programs know nothing of decoder prompts: there the batch brings them.
        self._prompted = generator if hasattr(args, "prefix_size") else None
        return generator

    def inference_step(
        self,
        generator: Any,
        models: Sequence[Any],
        sample: Dict[str, Any],
        prefix_tokens: Optional[Tensor] = None,
        constraints: Any = None,
    ) -> List[List[Dict[str, Tensor]]]:
        """Hypotheses per sentence, best first."""
        if prefix_tokens is None and generator is self._prompted:
            prefix_tokens = sample.get("prefix_tokens")
        with torch.no_grad():
            return generator.generate(
                models, sample, prefix_tokens=prefix_tokens, constraints=constraints
            )

    def generate_texts(
        self, generator: BeamGenerator, models: Sequence[Any], sample: Dict[str, Any]
    ) -> List[tuple[str, float]]:
        """Text and score of the best hypothesis of each sentence, without its prompt."""
        prefix = sample.get("prefix_tokens")
        hypotheses = self.inference_step(generator, models, sample, prefix_tokens=prefix)
        forced = [0] * len(hypotheses)
        if prefix is not None:
            forced = prefix.ne(self.dictionary.pad()).sum(1).tolist()
        found = []
        for length, ranked in zip(forced, hypotheses, strict=True):
            text = self.tokenizer.decode(ranked[0]["tokens"][length:]).strip()
            found.append((text, float(ranked[0]["score"])))
        return found

    def predict(self, models: Sequence[Any], sample: Dict[str, Any]) -> List[Prediction]:
        """Answer of every row of the batch, in its order."""
        generator = self.build_generator(models, parse_generation_args(self.cfg.eval_args))
        texts = self.generate_texts(generator, models, sample)
        return [
            Prediction(str(row_id), text, score, gold, references)
            for row_id, (text, score), gold, references in zip(
                sample["id"], texts, sample["target_strs"], self._references(sample), strict=True
            )
        ]

    def _references(self, sample: Dict[str, Any]) -> List[Dict[str, float]]:
        return sample.get("ref_dict") or [{gold: 1.0} for gold in sample["target_strs"]]


def parse_generation_args(text: Optional[str]) -> Namespace:
    """Generation options from JSON."""
    try:
        options = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise ValueError(f"--eval-args must be JSON such as '{{\"beam\": 5}}': {error}") from error
    if not isinstance(options, dict):
        raise ValueError(f"--eval-args must be a JSON object, found {text!r}")
    return Namespace(**options)
