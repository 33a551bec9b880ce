"""Figures of the report as SVG text; their ink is that of the page, dark or light."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from biomedgpt_fairseq.metrics.classification import Reliability
from biomedgpt_fairseq.report.model import Confusion, Curve, Measure

ACCENT = "#2a7f9e"
SECOND = "#d1772c"
# Every line and letter in these colours becomes `currentColor`; no figure uses them otherwise.
_INK = "#010203"
_FAINT = "#040506"
# Any: matplotlib types its settings by a list of literal names.
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}


def loss_plot(curves: Sequence[Curve]) -> str | None:
    """Training and validation loss over updates; None when no loss was logged."""
    shown = sorted((c for c in curves if c.name == "loss"), key=lambda c: c.split != "train")
    if not shown:
        return None

    def draw(axes: Any) -> None:
        for curve, color in zip(shown, (ACCENT, SECOND, "#7a6fb0", "#5f9150") * 9, strict=False):
            axes.plot(curve.updates, curve.values, color=color, label=curve.split, **_marker(curve))
        axes.set(title="Loss", xlabel="update", ylabel="loss")
        axes.legend()

    return _svg("loss", (5.2, 3.0), draw)


def learning_plot(curves: Sequence[Curve], metric: str) -> str | None:
    """Validation metric over updates with its best point; None when it was not logged."""
    shown = [curve for curve in curves if curve.name == metric and curve.split != "train"]
    if not shown:
        return None
    curve = shown[0]
    best = int(np.argmax(curve.values))

    def draw(axes: Any) -> None:
        axes.plot(curve.updates, curve.values, color=SECOND, **_marker(curve))
        axes.plot(curve.updates[best], curve.values[best], "o", ms=9, mfc="none", mec=ACCENT, mew=2)
        axes.annotate(
            f"best {curve.values[best]:.4g}",
            (curve.updates[best], curve.values[best]),
            textcoords="offset points",
            xytext=(0, 9),
            ha="center",
        )
        axes.set(title="Validation metric", xlabel="update", ylabel=metric)
        axes.margins(x=0.08, y=0.2)

    return _svg("learning", (5.2, 3.0), draw)


def confusion_plot(confusion: Confusion) -> str:
    """Counts as a grid; the shade is the share of the gold answer's row."""
    counts = confusion.counts
    size = len(confusion.labels)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (L, L)
    side = max(0.33, 0.8 - 0.06 * size) * size + 1.3

    def draw(axes: Any) -> None:
        for gold, predicted in np.ndindex(size, size):
            color = ACCENT if gold == predicted else SECOND
            alpha = 0.04 + 0.76 * float(share[gold, predicted])
            axes.add_patch(
                Rectangle(
                    (predicted - 0.47, gold - 0.47), 0.94, 0.94, color=color, alpha=alpha, lw=0
                )
            )
            if counts[gold, predicted]:
                count = str(counts[gold, predicted])
                axes.text(predicted, gold, count, ha="center", va="center", size=9)
        names = [_shorten(label) for label in confusion.labels]
        crowded = size > 4 or max(map(len, names)) > 9
        turn = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
        axes.set_xticks(range(size), names, **turn)
        axes.set_yticks(range(size), names)
        axes.set(xlim=(-0.55, size - 0.45), ylim=(size - 0.45, -0.55), aspect="equal")
        axes.set(title="Confusion", xlabel="predicted", ylabel="gold")
        axes.grid(False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    return _svg("confusion", (side + 0.9, side), draw)


def reliability_plot(reliability: Reliability) -> str:
    """Accuracy against confidence, and how many rows each bin of confidence holds."""
    filled = reliability.counts > 0
    bins = len(reliability.counts)
    centres = (np.arange(bins) + 0.5) / bins

    def draw(axes: Any) -> None:
        top, bottom = axes
        top.plot([0, 1], [0, 1], color=_FAINT, lw=1, ls=(0, (4, 3)))
        top.bar(
            centres[filled],
            reliability.accuracy[filled],
            width=0.92 / bins,
            color=ACCENT,
            alpha=0.35,
        )
        top.plot(
            reliability.confidence[filled],
            reliability.accuracy[filled],
            "o-",
            color=ACCENT,
            ms=5,
        )
        top.set(title="Reliability", ylabel="accuracy", ylim=(0, 1.02), xlim=(0, 1))
        top.text(0.03, 0.93, f"calibration error {reliability.expected_error:.3f}", va="top")
        top.tick_params(labelbottom=False)
        bottom.bar(centres, reliability.counts, width=0.92 / bins, color=SECOND, alpha=0.6)
        bottom.set(xlabel="confidence", ylabel="rows", xlim=(0, 1))

    return _svg("reliability", (4.2, 3.9), draw, heights=(3, 1))


def interval_plot(name: str, title: str, points: Sequence[tuple[str, Measure, bool]]) -> str:
    """One metric of several groups or wordings, from the top, each with its interval.

    name: distinguishes the figure on the page.  points: (label, metric, whether it is faint); the
    first is the whole split or the released wording, whose value is a line to compare with.
    """
    scale = 100 if points[0][1].percent else 1

    def draw(axes: Any) -> None:
        axes.axvline(points[0][1].value * scale, color=_FAINT, lw=1, ls=(0, (4, 3)))
        for place, (_, measure, faint) in enumerate(points):
            color, alpha = (SECOND if place == 0 else ACCENT), (0.4 if faint else 1.0)
            if measure.low is not None and measure.high is not None:
                ends = [measure.low * scale, measure.high * scale]
                axes.plot(ends, [place] * 2, color=color, alpha=alpha, lw=2.4)
            axes.plot(measure.value * scale, place, "o", color=color, alpha=alpha, ms=6)
        axes.set_yticks(range(len(points)), [_shorten(label, 28) for label, _, _ in points])
        unit = " (%)" if points[0][1].percent else ""
        axes.set(
            title=_shorten(title, 40),
            xlabel=points[0][1].name + unit,
            ylim=(len(points) - 0.5, -0.5),
        )
        axes.tick_params(axis="y", length=0)

    return _svg(name, (5.2, 1.1 + 0.3 * len(points)), draw)


def _marker(curve: Curve) -> dict[str, Any]:
    """Dots where there are few enough points to tell apart."""
    return {"marker": "o", "markersize": 4} if len(curve.updates) <= 30 else {}


def _shorten(label: str, limit: int = 18) -> str:
    # A dollar sign would start a formula.
    text = label if len(label) <= limit else label[: limit - 1] + "…"
    return text.replace("$", r"\$")


def _svg(
    name: str,
    size: tuple[float, float],
    draw: Callable[[Any], None],
    heights: tuple[int, ...] | None = None,
) -> str:
    """The figure as an `<svg>` element with the same bytes for the same input."""
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        if heights is None:
            axes: Any = figure.subplots()
            axes.grid(True)
        else:
            axes = figure.subplots(len(heights), height_ratios=heights)
            for part in axes:
                part.grid(True)
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # Several figures share one page: their ids must not clash.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace(_INK, "currentColor").replace(_FAINT, "currentColor").strip()
