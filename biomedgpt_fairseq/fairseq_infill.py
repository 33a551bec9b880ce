"""Infilling: texts with gaps -> whole texts, pictures without their middle -> its image codes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Optional, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from biomedgpt_fairseq.data.collate import collate
from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import ImageSource
from biomedgpt_fairseq.data.infill_rows import (
    image_example,
    marked_tokens,
    text_example,
)
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.data.pixels import ImageScale, to_pixels
from biomedgpt_fairseq.data.pretrain_parts import Composer, PretrainTools
from biomedgpt_fairseq.data.text_infill import TextNoise
from biomedgpt_fairseq.decoding.constraints import Constraints
from biomedgpt_fairseq.decoding.fairseq_generator import BeamGenerator, build_generator
from biomedgpt_fairseq.decoding.gap_texts import GapTexts
from biomedgpt_fairseq.fairseq_loading import LoadRequest, load
from biomedgpt_fairseq.fairseq_placement import Placement
from biomedgpt_fairseq.tasks.base import parse_generation_args
from biomedgpt_fairseq.tasks.pretrain_sources import noise_options
from biomedgpt_fairseq.text.vocab import MASK_SYMBOL

T = TypeVar("T")


@dataclass(frozen=True)
class InfillRequest:
    """What fills the gaps.

    generation: options of the search as JSON; nbest: fillings of each row.
    rewrite: of texts, the model writes all words, as in training, and not only those in the gaps.
    """

    load: LoadRequest
    placement: Placement
    generation: Optional[str] = None
    nbest: int = 1
    rewrite: bool = False
    batch_size: int = 16


@dataclass(frozen=True)
class TextRow:
    """A text; the gaps are marked `<mask>`, or `noise` makes them.

    place: file and row, as errors name them; None for the command line.
    """

    row_id: str
    text: str
    noise: bool = False
    place: Optional[tuple[str, int]] = None


@dataclass(frozen=True)
class Filling:
    """One way to fill: ids (T,) without bos and eos, and the score of the search."""

    tokens: Tensor
    score: float


class Infiller:
    """A pretrained checkpoint that fills gaps."""

    def __init__(self, request: InfillRequest) -> None:
        if request.nbest < 1:
            raise ValueError(f"--nbest must be at least 1, found {request.nbest}")
        self.request = request
        loaded = load(request.load)
        if loaded.task_name != "unify_task":
            raise ValueError(f"--task must be unify_task, which infills, found {loaded.task_name}")
        task = loaded.task
        self.task = task
        self.models = request.placement.place(loaded.models)
        self.vocab = task.tokenizer.vocab
        self.options = task.pretrain_options(training=False)
        self.tools = PretrainTools(
            tokenizer=task.tokenizer,
            source=ImageSource(),
            scale=ImageScale(tuple(task.image_mean), tuple(task.image_std)),
            pairs=PairImages(task.cfg.patch_image_size, training=False),
            noise=TextNoise(task.tokenizer, noise_options(task.cfg)),
        )
        self._rng = np.random.default_rng(request.load.seed)

    def fill_texts(self, rows: Iterable[TextRow]) -> Iterator[dict[str, Any]]:
        """A record {"id", "masked", "answer", "score", "candidates"} per row, in order; of texts
        that were masked here also "original".

        Raises BadRow for a text that is empty, too long, or has nothing to fill.
        """
        words = (self.vocab.unk + 1, self.vocab.mask)
        if self.request.rewrite:
            # As long as the corrupted text and what may be missing in it.
            generator = self._generator({"max_len_a": 2.0, "max_len_b": 20}, {}, words)
        else:
            # Wider: hypotheses that leave a gap pay at once for the word that has to follow. Whole
            # sums: means per token would favour long gaps.
            wide = {"beam": max(10, self.request.nbest), "unnormalized": True}
            lengths = {"max_len_a": 0.0, "min_len": 1, "max_len_b": 0}
            generator = self._generator(wide, lengths, words)
        decode = self.task.tokenizer.decode
        for chunk in _chunks(rows, self.request.batch_size):
            noisy = [self._noisy(row) for row in chunk]
            if not self.request.rewrite:
                gaps = GapTexts(noisy, self.vocab.mask, words, self.vocab.eos)
                generator.constraints = Constraints(bounds=words, allowed_tokens=gaps)
                generator.settings = replace(generator.settings, max_len_b=gaps.max_len)
            examples = [
                text_example(self._composer(row.row_id), tokens, tokens, row.text)
                for row, tokens in zip(chunk, noisy, strict=True)
            ]
            for row, tokens, found in zip(
                chunk, noisy, self._search(generator, examples), strict=True
            ):
                candidates = [
                    {"answer": decode(one.tokens).strip(), "score": one.score} for one in found
                ]
                # A space before each mark, where the missing word had one.
                masked = decode(tokens).replace(MASK_SYMBOL, f" {MASK_SYMBOL}").strip()
                record = {"id": row.row_id, "masked": masked, **candidates[0]}
                if row.noise:
                    record["original"] = row.text.strip().lower()
                yield {**record, "candidates": candidates}

    def fill_pictures(
        self, rows: Iterable[tuple[str, Image.Image]], num_codes: int
    ) -> Iterator[list[tuple[list[int], float]]]:
        """Codes of the middle, row by row, with their score, best first, of each (id, RGB picture
        of `options.side` pixels).  num_codes: those below it are possible.
        """
        count, vocab = self.options.num_codes_per_image, self.vocab
        if vocab.num_codes < 1:
            raise ValueError("the checkpoint has no image codes: its code_dict_size is 0")
        limits = {"max_len_a": 0.0, "max_len_b": count, "min_len": count, "gen_code": True}
        codes = (vocab.first_code, vocab.first_code + num_codes)
        generator = self._generator({}, limits, codes)
        for chunk in _chunks(rows, self.request.batch_size):
            examples = [
                image_example(self._composer(row_id), self.tools.scale(to_pixels(picture)), [0])
                for row_id, picture in chunk
            ]
            for found in self._search(generator, examples):
                yield [((one.tokens - vocab.first_code).tolist(), one.score) for one in found]

    def _noisy(self, row: TextRow) -> list[int]:
        """Tokens of a text with masks."""
        vocab = self.vocab
        try:
            tokens = marked_tokens(row.text, self.task.tokenizer.encode, vocab.mask)
            if row.noise:
                if vocab.mask in tokens:
                    raise BadRow(f"a text with {MASK_SYMBOL} goes without --mask-ratio")
                tokens = self.tools.noise(np.array(tokens, dtype=np.int64), self._rng).tolist()
                if vocab.mask not in tokens and not self.request.rewrite:
                    raise BadRow("what was masked left no mark; the model finds it with --rewrite")
            elif vocab.mask not in tokens:
                raise BadRow(
                    f"nothing to fill: mark the gaps with {MASK_SYMBOL}, or give --mask-ratio"
                )
        except BadRow as error:
            raise error.at(*row.place) if row.place else error from None
        return tokens

    def _composer(self, row_id: str) -> Composer:
        return Composer(row_id, self.tools, self.options, self._rng)

    def _generator(
        self, defaults: Mapping[str, Any], fixed: Mapping[str, Any], bounds: tuple[int, int]
    ) -> BeamGenerator:
        """The search with the options of the user, which may not change what is fixed."""
        given = vars(parse_generation_args(self.request.generation))
        changed = sorted(given.keys() & fixed.keys())
        if changed:
            raise ValueError(f"--eval-args must leave {', '.join(changed)} to the size of the gap")
        settings = {"beam": max(5, self.request.nbest), **defaults, **given, **fixed}
        if settings.get("sampling"):
            settings.setdefault("sampling_seed", self.request.load.seed)
        if settings["beam"] < self.request.nbest:
            raise ValueError(
                f"--nbest {self.request.nbest} needs a beam of as many, found {settings['beam']}"
            )
        return build_generator(self.vocab, settings, constraint_range=bounds)

    def _search(self, generator: BeamGenerator, examples: Sequence[Example]) -> list[list[Filling]]:
        batch = collate(examples, pad=self.vocab.pad, with_constraints=False)
        with torch.inference_mode():
            hypotheses = generator.generate(self.models, self.request.placement.move(batch))
        return [
            [Filling(one["tokens"][:-1].cpu(), float(one["score"])) for one in ranked][
                : self.request.nbest
            ]
            for ranked in hypotheses
        ]


def _chunks(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(rows)
    while chunk := list(islice(left, size)):
        yield chunk
