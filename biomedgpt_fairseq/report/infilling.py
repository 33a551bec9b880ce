"""Filled pictures: how many codes are right, and a page that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from biomedgpt_fairseq.metrics.bootstrap import intervals, mean_metric
from biomedgpt_fairseq.report.examples import png_uri
from biomedgpt_fairseq.report.model import Measure


@dataclass(frozen=True)
class FilledPicture:
    """A picture whose middle was filled.

    codes: (n,) of the filling; truth: (n,) of the middle, None where unknown; views: pictures by
    title.
    """

    row_id: str
    codes: Sequence[int]
    score: float
    truth: Sequence[int] | None
    views: Mapping[str, Image.Image]

    @property
    def accuracy(self) -> float | None:
        """Share of codes that are the true ones."""
        return None if self.truth is None else _equal(self.codes, self.truth)


def code_measures(
    filled: Sequence[FilledPicture], training: NDArray[np.int64] | None, seed: int
) -> list[Measure]:
    """Mean share of right codes with its interval over pictures, and that of what frequent codes
    of training rows (N, n) would have had; nothing where no picture has known codes.
    """
    pairs = [(one.codes, one.truth) for one in filled if one.truth is not None]
    if not pairs:
        return []
    truths = [truth for _, truth in pairs]
    shares = {"code accuracy": [_equal(codes, truth) for codes, truth in pairs]}
    if training is not None:
        place, rows = constant_codes(training), f"{len(training)} training rows"
        overall = np.full_like(place, np.bincount(training.ravel()).argmax())
        shares[f"the most frequent code at each place of {rows}"] = [
            _equal(place, truth) for truth in truths
        ]
        shares[f"the most frequent code of {rows}"] = [_equal(overall, truth) for truth in truths]
    metrics = [mean_metric(name, values) for name, values in shares.items()]
    return [
        Measure(metric.name, *limits, count=len(truths))
        for metric, limits in zip(metrics, intervals(metrics, seed), strict=True)
    ]


def constant_codes(training: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most frequent code at each place (n,) of rows (N, n); of equals the lowest."""
    return np.array([np.bincount(place).argmax() for place in training.T])


def render_fillings(
    title: str, filled: Sequence[FilledPicture], measures: Sequence[Measure], notes: Sequence[str]
) -> str:
    """The page; text from rows is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = files("biomedgpt_fairseq.report").joinpath("infilling.html").read_text("utf-8")
    shown = [
        (one, {name: png_uri(picture) for name, picture in one.views.items()})
        for one in filled
        if one.views
    ]
    return environment.from_string(template).render(
        title=title, total=len(filled), shown=shown, measures=measures, notes=notes
    )


def _equal(codes: Sequence[int] | NDArray[np.int64], truth: Sequence[int]) -> float:
    return float(np.mean(np.asarray(codes) == np.asarray(truth)))
