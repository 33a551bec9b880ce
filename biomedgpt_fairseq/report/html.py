"""The report as one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from biomedgpt_fairseq.report import plots
from biomedgpt_fairseq.report.model import Measure, ReportData


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
    )


def _measure_cells(measure: Measure) -> dict[str, object]:
    """Texts and, for the interval bar, positions in percent of [0, 1]."""
    scale = 100 if measure.percent else 1

    def show(value: float | None) -> str:
        return "–" if value is None else f"{value * scale:.{1 if measure.percent else 3}f}"

    has_interval = measure.low is not None and measure.high is not None
    return {
        "name": measure.name,
        "value": show(measure.value),
        "unit": "%" if measure.percent else "",
        "low": show(measure.low),
        "high": show(measure.high),
        "has_interval": has_interval,
        "bar": measure.percent and has_interval,
        "left": f"{100 * (measure.low or 0):.2f}",
        "width": f"{100 * ((measure.high or 0) - (measure.low or 0)):.2f}",
        "point": f"{100 * measure.value:.2f}",
        "count": measure.count,
    }


def _record_cells(record: Mapping[str, object]) -> list[tuple[str, str, bool]]:
    """(name, text, is multi-line) of each entry, nested ones as indented JSON."""
    cells = []
    for name, value in record.items():
        nested = isinstance(value, dict | list)
        text = json.dumps(value, indent=1, ensure_ascii=False) if nested else str(value)
        cells.append((name, text, nested))
    return cells
