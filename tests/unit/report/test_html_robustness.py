"""Sections about subgroups, wordings and candidate answers."""

import math
from dataclasses import replace

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from biomedgpt_fairseq.metrics.subgroups import ChanceGap, Gap
from biomedgpt_fairseq.report.html import render
from biomedgpt_fairseq.report.model import Measure, ReportData
from biomedgpt_fairseq.report.paraphrases import Paraphrases, SpreadLimits, Wording
from biomedgpt_fairseq.report.subgroups import Breakdown, Group

ATTACK = "<script>alert('$x')</script>"


def score(value: float, count: int = 40, **changes: float) -> Measure:
    return replace(Measure("score", value, value - 0.1, value + 0.1, count), **changes)


SITES = Breakdown(
    attribute="site $1",
    origin="m.csv",
    min_rows=20,
    groups=[
        Group(ATTACK, 40, False, [score(0.75), Measure("part", 0.5, 0.25, 0.75, 3)]),
        Group("B", 30, False, [score(0.5, 30)]),
        Group("C", 2, True, [score(1.0, 2, low=math.nan, high=math.nan)]),
    ],
    gaps={"score": Gap("B", ATTACK, 0.25)},
    chance=ChanceGap(0.25, 0.125, 0.0125),
)
WORDINGS = Paraphrases(
    "vqa",
    [
        Wording(" {}", True, 1.0, [score(0.75)]),
        Wording(" question: {}", False, 0.875, [score(0.25)]),
    ],
    0.8125,
)


@pytest.fixture
def plain() -> ReportData:
    measures = [score(0.7, 72), Measure("part", 0.5, 0.25, 0.75, 3)]
    return ReportData("a title", "vqa_gen", "test", measures, record={"seed": 7})


def body(data: ReportData) -> str:
    page = render(data)
    return page[page.index("<body>") :]


def test_sections_are_absent_when_nothing_was_asked_for(plain: ReportData) -> None:
    page = body(plain)

    for word in ("Subgroups", "Wordings", "<svg", 'class="card note"'):
        assert word not in page


def test_groups_have_a_table_a_gap_and_a_figure(plain: ReportData) -> None:
    page = body(replace(plain, subgroups=[SITES, replace(SITES, attribute="sex")]))

    assert "Subgroups by site $1" in page and "Subgroups by sex" in page
    assert "75.0 (65.0 – 85.0)" in page and "50.0 (25.0 – 75.0), 3 rows" in page
    assert "C (few rows)" in page and "100.0 (– – –)" in page
    assert "score 25.0 (B to &lt;script&gt;" in page
    assert "up to 0.125 in 95 % of the draws" in page and "(p = 0.013)" in page
    assert page.count("<svg") == 2 and ATTACK not in page
    assert 'id="group0-' in page and 'id="group1-' in page


def test_groups_that_are_too_small_are_said_to_be(plain: ReportData) -> None:
    page = body(replace(plain, subgroups=[replace(SITES, gaps={}, chance=None)]))

    assert "Fewer than two groups are large enough." in page and "drawn at random" not in page


def test_wordings_have_a_table_a_spread_and_a_figure(plain: ReportData) -> None:
    page = body(replace(plain, paraphrases=WORDINGS))

    assert "{} (released)" in page and "question: {}" in page and "87.5 %" in page
    assert "81.2 % of the rows are answered the same in every wording" in page
    spread = page[page.index('<th class="number">Spread') :]
    cells = [f'<td class="number">{value}</td>' for value in ("75.0", "50.0", "25.0", "50.0")]
    assert "<td>score</td>" + "".join(cells) in spread
    assert page.count("<svg") == 1


def test_spreads_of_wordings_have_intervals(plain: ReportData) -> None:
    limits = {"score": SpreadLimits((0.375, 0.625), (0.125, 0.375), (0.25, 0.75))}
    page = body(replace(plain, paraphrases=replace(WORDINGS, limits=limits)))

    texts = ("75.0", "50.0 (37.5 – 62.5)", "25.0 (12.5 – 37.5)", "50.0 (25.0 – 75.0)")
    cells = [f'<td class="number">{text}</td>' for text in texts]
    assert "<td>score</td>" + "".join(cells) in page


def test_notes_stand_before_the_numbers(plain: ReportData) -> None:
    page = body(replace(plain, notes=["The candidates hold <test> answers."]))

    assert page.index("The candidates hold &lt;test&gt; answers.") < page.index("Metrics")


def test_same_data_gives_same_bytes(plain: ReportData) -> None:
    data = replace(plain, subgroups=[SITES], paraphrases=WORDINGS)

    assert render(data) == render(data)
