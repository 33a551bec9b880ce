from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from biomedgpt_fairseq.metrics.classification import reliability  # noqa: E402
from biomedgpt_fairseq.report.html import render  # noqa: E402
from biomedgpt_fairseq.report.model import (  # noqa: E402
    Confusion,
    Curve,
    Measure,
    ReportData,
    Row,
    ShownExample,
)

ATTACK = "<script>alert('x')</script>"


@pytest.fixture
def data() -> ReportData:
    row = Row("17", ATTACK, -0.5, "yes", 0.0, {}, [0.75, 0.25], {"token F1": 0.4})
    return ReportData(
        title="vqa_gen on test.tsv",
        task="vqa_gen",
        split="test",
        measures=[
            Measure("vqa_score", 0.714, 0.66, 0.77, 451, source="as is"),
            Measure("CIDEr-D", 1.234, None, None, 451, percent=False),
        ],
        record={"seed": 7, "versions": {"torch": "2.0"}},
        curves=[
            Curve("train", "loss", (1.0, 2.0), (3.0, 2.0)),
            Curve("valid", "vqa_score", (1.0, 2.0), (0.25, 0.5)),
        ],
        best_metric="vqa_score",
        confusion=Confusion(("no", "cost $5 & $6 <b>"), np.array([[3, 1], [0, 2]])),
        reliability=reliability([0.8, 0.8, 0.9], [1, 0, 1], num_bins=4),
        worst=[ShownExample(row, "is it normal?", "data:image/png;base64,AAAA")],
    )


def test_page_shows_metrics_figures_and_rows(data: ReportData) -> None:
    page = render(data)
    assert "71.4 %" in page and "66.0 – 77.0" in page and "1.234" in page
    assert page.count("<svg") == 4
    assert "Computed with" in page and "as is" in page
    assert "<dt>token F1</dt><dd>0.400</dd>" in page
    assert "is it normal?" in page and "data:image/png;base64,AAAA" in page and "0.750" in page
    assert "Worst rows" in page and "Best rows" not in page


def test_text_of_rows_is_escaped(data: ReportData) -> None:
    page = render(data)
    assert ATTACK not in page
    assert "&lt;script&gt;" in page
    assert "<b>" not in page[page.index('<div class="figures">') : page.index("</body>")]


def test_page_needs_no_other_file(data: ReportData) -> None:
    page = render(data)
    assert "<link" not in page and "<script" not in page and "@import" not in page
    # Namespaces of inline SVG are names, not addresses to fetch.
    rest = page.replace("http://www.w3.org/", "")
    assert "http://" not in rest and "https://" not in rest


def test_same_data_gives_same_bytes(data: ReportData) -> None:
    assert render(data) == render(data)


def test_page_without_figures_or_examples(data: ReportData) -> None:
    bare = replace(data, curves=(), confusion=None, reliability=None, worst=())
    page = render(bare)
    assert "<svg" not in page and "Worst rows" not in page and "71.4 %" in page


def test_figures_take_their_ink_from_the_page(data: ReportData) -> None:
    page = render(data)
    assert "currentColor" in page
    assert "#010203" not in page and "#000000" not in page
