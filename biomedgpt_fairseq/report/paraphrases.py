"""How much the result depends on the wording of the instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from biomedgpt_fairseq.metrics.answers import fold
from biomedgpt_fairseq.metrics.bootstrap import RowMetric, percentiles, resampled
from biomedgpt_fairseq.report.model import Measure, Row


@dataclass(frozen=True)
class Wording:
    """The result of one wording.

    template: the instruction with `{}` for its fields.  agreement: share of rows whose answer is
    that of the released wording, up to case and outer spaces; for free text, the whole text.
    """

    template: str
    released: bool
    agreement: float
    measures: Sequence[Measure]


class Spread(NamedTuple):
    """A metric over all wordings, the released one included.

    spread: distance between the best and the worst.
    """

    released: float
    mean: float
    worst: float
    spread: float


class SpreadLimits(NamedTuple):
    """Bootstrap 95 % intervals over rows: in each resample, every wording has the same rows.

    The worst and the spread of a resample are those of its own worst and best wordings, so noise
    lowers the one and raises the other.
    """

    mean: tuple[float, float]
    worst: tuple[float, float]
    spread: tuple[float, float]


@dataclass(frozen=True)
class Paraphrases:
    """The results of all wordings, the released one first.

    stable: share of rows that are answered the same in every wording.  limits: intervals of the
    spreads, of the metrics that have them.
    """

    instruction: str
    wordings: Sequence[Wording]
    stable: float
    limits: Mapping[str, SpreadLimits] = field(default_factory=dict)

    def spreads(self) -> dict[str, Spread]:
        """Of each metric that every wording has."""
        found = {}
        for place in self.wordings[0].measures:
            values = [
                m.value
                for wording in self.wordings
                for m in wording.measures
                if m.name == place.name
            ]
            if len(values) == len(self.wordings):
                mean, worst = sum(values) / len(values), min(values)
                found[place.name] = Spread(values[0], mean, worst, max(values) - worst)
        return found

    def as_dict(self) -> dict[str, Any]:
        """The entry `paraphrases` of metrics.json."""
        return {
            "instruction": self.instruction,
            "metrics": {name: self._entry(name, spread) for name, spread in self.spreads().items()},
            "same_answer_in_all": self.stable,
            "wordings": [
                {
                    "template": wording.template,
                    "released": wording.released,
                    "agreement": wording.agreement,
                    "metrics": {m.name: m.as_dict() for m in wording.measures},
                }
                for wording in self.wordings
            ],
        }

    def _entry(self, name: str, spread: Spread) -> dict[str, object]:
        found = self.limits[name]._asdict() if name in self.limits else {}
        return {
            **spread._asdict(),
            **{f"{key}_interval": list(pair) for key, pair in found.items()},
        }

    def line(self) -> str:
        """The result in one line."""
        name, spread = next(iter(self.spreads().items()))
        return (
            f"{len(self.wordings)} wordings: {name} {spread.released:.4f} as released, mean "
            f"{spread.mean:.4f}, worst {spread.worst:.4f}, spread {spread.spread:.4f}; "
            f"{self.stable:.1%} of the rows answered the same in all"
        )


def compare_wordings(
    instruction: str,
    results: Sequence[tuple[str, Sequence[Row], Sequence[Measure]]],
    limits: Mapping[str, SpreadLimits] | None = None,
) -> Paraphrases:
    """What the wordings have in common.

    results: (template, rows, metrics) of each wording, the released one first, the same rows in
    the same order in all.  limits: what `spread_limits` finds.
    """
    answers = [[fold(row.answer) for row in rows] for _, rows, _ in results]
    released, count = answers[0], len(answers[0])
    wordings = []
    for number, (template, _, measures) in enumerate(results):
        same = sum(a == b for a, b in zip(released, answers[number], strict=True))
        wordings.append(Wording(template, number == 0, same / count, measures))
    stable = sum(len(set(texts)) == 1 for texts in zip(*answers, strict=True))
    return Paraphrases(instruction, wordings, stable / count, limits or {})


def spread_limits(wordings: Sequence[Sequence[RowMetric]], seed: int) -> dict[str, SpreadLimits]:
    """Intervals of each metric that every wording has and that is defined on some resample.

    wordings: the metrics of each wording, over the same rows in the same order.
    """
    drawn: dict[str, list[np.ndarray]] = {}
    for metrics in wordings:
        rows = np.arange(len(metrics[0].covered))
        for metric, found in zip(metrics, resampled(metrics, seed, rows), strict=True):
            drawn.setdefault(metric.name, []).append(found)
    table = {
        name: np.stack(found) for name, found in drawn.items() if len(found) == len(wordings)
    }  # (wordings, draws) of each metric
    return {
        name: SpreadLimits(*map(percentiles, (each.mean(0), each.min(0), np.ptp(each, axis=0))))
        for name, each in table.items()
        if not np.isnan(each).any(0).all()
    }
