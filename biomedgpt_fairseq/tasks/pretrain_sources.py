"""The files of pretraining as sources, and how much of each is in the mixture."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple, cast

import numpy as np

from biomedgpt_fairseq.data.detection import make_detection_examples
from biomedgpt_fairseq.data.guarded_rows import GuardedRows, OnBadRow
from biomedgpt_fairseq.data.image import ImageColumn, ImageSource, common_folder
from biomedgpt_fairseq.data.infill_rows import make_image_examples, make_text_examples
from biomedgpt_fairseq.data.mixture import Kind, Source, source_seed
from biomedgpt_fairseq.data.mixture_shares import shares_by_size
from biomedgpt_fairseq.data.negatives import load_negatives
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.data.pixels import ImageScale
from biomedgpt_fairseq.data.pretrain_parts import Examples, PretrainOptions, PretrainTools
from biomedgpt_fairseq.data.pretrain_rows import make_pair_examples
from biomedgpt_fairseq.data.text_infill import NoiseOptions, TextNoise
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.tasks.pretrain_options import UnifyOptions
from biomedgpt_fairseq.text.tokenizer import Tokenizer

MakeExamples = Callable[
    [Sequence[str], PretrainTools, PretrainOptions, np.random.Generator], Examples
]
MAKERS: Dict[Kind, MakeExamples] = {
    "image_text": make_pair_examples,
    "text": make_text_examples,
    "image": make_image_examples,
    "detection": make_detection_examples,
}
SIDE_KINDS: Tuple[Kind, ...] = ("text", "image", "detection")


@dataclass(frozen=True)
class Files:
    """Files that make one source."""

    name: str
    kind: Kind
    paths: str
    columns: Optional[str]

    def open(self) -> TsvReader:
        """The rows of the files."""
        return TsvReader(self.paths, self.columns)


@dataclass(frozen=True)
class BuildExamples:
    """A row builder with its settings; worker processes may be sent one."""

    make_examples: MakeExamples
    tools: PretrainTools
    options: PretrainOptions

    def __call__(self, row: Sequence[str], rng: np.random.Generator, index: int) -> Examples:
        return self.make_examples(row, self.tools, self.options, rng)


def side_files(cfg: UnifyOptions, training: bool) -> List[Files]:
    """Texts, images and boxes of the training or of the validation split, a source a kind."""
    prefix = "" if training else "valid_"
    given = {kind: getattr(cfg, f"{prefix}{kind}_data") for kind in SIDE_KINDS}
    return [
        Files(kind, kind, paths, getattr(cfg, f"{kind}_selected_cols"))
        for kind, paths in given.items()
        if paths
    ]


def single_files(files: Sequence[Files]) -> List[Files]:
    """Every file as a source of its own, by the name of the file.

    Raises ValueError when two have the same name.
    """
    found = [
        Files(Path(path.strip()).stem, group.kind, path.strip(), group.columns)
        for group in files
        for path in group.paths.split(",")
        if path.strip()
    ]
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"sources of a mixture go by the names of their files; {', '.join(twice)} is there "
            "twice: rename a file"
        )
    return found


def has_free_mixture(cfg: UnifyOptions) -> bool:
    """Whether another mixture than the released one is asked for.

    Raises ValueError for its epochs without its shares.
    """
    shares = (cfg.mixture_weights, cfg.mixture_temperature, cfg.mixture_cap)
    free = any(option is not None for option in shares)
    if cfg.mixture_epoch_rows is not None and not (free and cfg.mixture_epoch_rows > 0):
        raise ValueError(
            "--mixture-epoch-rows must be positive, and goes with --mixture-weights, "
            f"--mixture-temperature or --mixture-cap; found {cfg.mixture_epoch_rows}"
        )
    return free


def mixture_shares(cfg: UnifyOptions, sources: Sequence[Source]) -> List[float]:
    """The share of each source.  Raises ValueError for options that do not fit the sources."""
    if cfg.mixture_weights is None:
        rows = [source.rows for source in sources]
        temperature = 1.0 if cfg.mixture_temperature is None else cfg.mixture_temperature
        return shares_by_size(rows, temperature, cfg.mixture_cap)
    if cfg.mixture_temperature is not None or cfg.mixture_cap is not None:
        raise ValueError(
            "--mixture-weights goes without --mixture-temperature and --mixture-cap, "
            "which make weights from the sizes"
        )
    weights = _parse_weights(cfg.mixture_weights)
    names = [source.name for source in sources]
    if sorted(weights) != sorted(names):
        raise ValueError(
            f"--mixture-weights must give a weight to each of the sources {', '.join(names)} "
            f"(0 leaves one out), found {', '.join(weights)}"
        )
    return [weights[name] for name in names]


def _parse_weights(text: str) -> Dict[str, float]:
    try:
        content = json.loads(text)
        good = isinstance(content, dict) and all(
            isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
            for value in content.values()
        )
    except (ValueError, OverflowError, RecursionError):
        good = False
    if not good:
        raise ValueError(
            '--mixture-weights must be JSON such as {"pubmed": 2, "notes": 1}, with weights of 0 '
            f"or more, found {text!r}"
        )
    return cast(Dict[str, float], content)


class SourceOpener:
    """Opens the rows of sources with the row builder of their kind."""

    def __init__(
        self, cfg: UnifyOptions, tokenizer: Tokenizer, scale: ImageScale, options: PretrainOptions
    ) -> None:
        self.cfg = cfg
        self.tokenizer = tokenizer
        self.scale = scale
        self.options = options
        self.seeds = (cfg.seed, cfg.pretrain_seed)
        self._noise = TextNoise(tokenizer, noise_options(cfg))

    def open(self, files: Files) -> GuardedRows[Examples]:
        """The rows of one source."""
        reader = files.open()
        return GuardedRows(
            reader,
            BuildExamples(MAKERS[files.kind], self._tools(files, reader.paths), self.options),
            seed=source_seed(self.seeds, files.name),
            on_bad_row=cast(OnBadRow, str(self.cfg.on_bad_row)),
        )

    def _tools(self, files: Files, paths: List[str]) -> PretrainTools:
        root = Path(self.cfg.image_root) if self.cfg.image_root else common_folder(paths)
        column = cast(ImageColumn, str(self.cfg.image_column))
        training = self.options.training
        negatives = None
        if training and files.kind == "image_text":
            if not self.cfg.neg_sample_dir:
                raise ValueError(
                    "--neg-sample-dir must name the folder of wrong answers and captions that "
                    "pairs of image and text are trained with; see docs/data.md"
                )
            negatives = load_negatives(self.cfg.neg_sample_dir)
        return PretrainTools(
            tokenizer=self.tokenizer,
            source=ImageSource(column=column, root=root),
            scale=self.scale,
            pairs=PairImages(self.cfg.patch_image_size, training),
            noise=self._noise,
            negatives=negatives,
        )


def noise_options(cfg: UnifyOptions) -> NoiseOptions:
    """How text is corrupted.  Raises ValueError for values that are not possible."""
    if cfg.keep_ratio != 0:
        raise ValueError(f"--keep-ratio has no effect and must be 0, found {cfg.keep_ratio}")
    return NoiseOptions(
        mask_ratio=cfg.mask_ratio,
        random_ratio=cfg.random_ratio,
        mask_length=str(cfg.mask_length),  # type: ignore[arg-type]
        poisson_lambda=cfg.poisson_lambda,
        replace_length=cfg.replace_length,
    )
