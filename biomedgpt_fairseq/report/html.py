"""The report as one self-contained HTML page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from biomedgpt_fairseq.report import plots
from biomedgpt_fairseq.report.model import Measure, ReportData
from biomedgpt_fairseq.report.paraphrases import Spread, SpreadLimits
from biomedgpt_fairseq.report.subgroups import Group


def render(data: ReportData) -> str:
    """The page; the same bytes for the same data. Text from rows is escaped."""
    figures = [
        plots.loss_plot(data.curves),
        plots.learning_plot(data.curves, data.best_metric) if data.best_metric else None,
        plots.confusion_plot(data.confusion) if data.confusion else None,
        plots.reliability_plot(data.reliability) if data.reliability else None,
    ]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = files("biomedgpt_fairseq.report").joinpath("template.html").read_text("utf-8")
    return environment.from_string(template).render(
        data=data,
        measures=[_measure_cells(measure) for measure in data.measures],
        figures=[Markup(figure) for figure in figures if figure],
        record=_record_cells(data.record),
        subgroups=[_subgroup_cells(data, place) for place in range(len(data.subgroups))],
        wordings=_wording_cells(data),
    )


def _subgroup_cells(data: ReportData, place: int) -> dict[str, object]:
    """The table of an attribute, all rows first, its gaps and its figure."""
    found = data.subgroups[place]
    everything = Group("all rows", data.measures[0].count, False, data.measures)
    groups = [everything, *found.groups]
    names = [measure.name for measure in data.measures]
    shown = [_by_name(group.measures) for group in groups]
    main = names[0]
    points = [
        (group.name, measures[main], group.few)
        for group, measures in zip(groups, shown, strict=True)
        if main in measures
    ]
    units = {measure.name: measure for measure in data.measures}
    return {
        "found": found,
        "names": names,
        "groups": [
            (group, [_interval_text(measures.get(name), group.rows) for name in names])
            for group, measures in zip(groups, shown, strict=True)
        ],
        "gaps": [
            (name, gap.worst, gap.best, _show(units[name], gap.gap))
            for name, gap in found.gaps.items()
        ],
        "figure": Markup(plots.interval_plot(f"group{place}", f"By {found.attribute}", points)),
    }


def _wording_cells(data: ReportData) -> dict[str, object] | None:
    """The table of the wordings, the summary of each metric, and the figure."""
    found = data.paraphrases
    if found is None:
        return None
    first = found.wordings[0].measures
    points = [(w.template.strip(), w.measures[0], False) for w in found.wordings]
    return {
        "found": found,
        "names": [measure.name for measure in first],
        "rows": [
            (wording, [_interval_text(_by_name(wording.measures).get(m.name)) for m in first])
            for wording in found.wordings
        ],
        "spreads": [
            (name, _spread_cells(_by_name(first)[name], spread, found.limits.get(name)))
            for name, spread in found.spreads().items()
        ],
        "figure": Markup(plots.interval_plot("wordings", "By wording", points)),
    }


def _spread_cells(measure: Measure, spread: Spread, limits: SpreadLimits | None) -> list[str]:
    """Released value, mean, worst and spread; an interval with each but the first."""
    pairs = [None, *limits] if limits else [None] * len(spread)
    return [
        _show(measure, value)
        + (f" ({_show(measure, pair[0])} – {_show(measure, pair[1])})" if pair else "")
        for value, pair in zip(spread, pairs, strict=True)
    ]


def _by_name(measures: Sequence[Measure]) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}


def _show(measure: Measure, value: float | None) -> str:
    """A value in the form of a metric: percent with one decimal, others with three."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value * 100:.1f}" if measure.percent else f"{value:.3f}"


def _interval_text(measure: Measure | None, rows: int | None = None) -> str:
    """Value and interval, and the rows that the metric is about where they are not all."""
    if measure is None:
        return "–"
    value, low, high = (_show(measure, v) for v in (measure.value, measure.low, measure.high))
    part = "" if rows in (None, measure.count) else f", {measure.count} rows"
    return f"{value} ({low} – {high}){part}"


def _measure_cells(measure: Measure) -> dict[str, object]:
    """Texts and, for the interval bar, positions in percent of [0, 1]."""
    has_interval = measure.low is not None and measure.high is not None
    return {
        "name": measure.name,
        "value": _show(measure, measure.value),
        "unit": "%" if measure.percent else "",
        "low": _show(measure, measure.low),
        "high": _show(measure, measure.high),
        "has_interval": has_interval,
        "bar": measure.percent and has_interval,
        "left": f"{100 * (measure.low or 0):.2f}",
        "width": f"{100 * ((measure.high or 0) - (measure.low or 0)):.2f}",
        "point": f"{100 * measure.value:.2f}",
        "count": measure.count,
        "source": measure.source,
    }


def _record_cells(record: Mapping[str, object]) -> list[tuple[str, str, bool]]:
    """(name, text, is multi-line) of each entry, nested ones as indented JSON."""
    cells = []
    for name, value in record.items():
        nested = isinstance(value, dict | list)
        text = json.dumps(value, indent=1, ensure_ascii=False) if nested else str(value)
        cells.append((name, text, nested))
    return cells
