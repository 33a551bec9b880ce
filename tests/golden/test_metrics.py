"""Text scores against recorded values of the original and of published scorers."""

import json
from pathlib import Path
from typing import Any

import pytest

from biomedgpt_fairseq.metrics import bleu, cider_d, rouge

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def recorded(shared_dir: Path) -> dict[str, Any]:
    path = shared_dir / "golden" / "metrics" / "metrics.json"
    if not path.is_file():
        pytest.skip("no recordings beside the project")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_rouge_equals_the_recording(recorded):
    for pair, want in zip(recorded["pairs"], recorded["rouge_stem_first_ref"], strict=True):
        for kind, score in rouge(pair["hyp"], pair["refs"][0]).items():
            assert tuple(score) == pytest.approx(want[kind], abs=1e-9)


def test_cider_d_with_given_frequencies_equals_the_recording(recorded):
    texts, cache = recorded["punct_stripped"], recorded["cider_df_cache"]
    frequency = {tuple(ngram): count for ngram, count in cache["document_frequency"]}
    got = cider_d(texts["hyps"], texts["refs"], frequency, cache["ref_len"])
    assert got == pytest.approx(recorded["ciderD_cached_df"], abs=1e-9)


def test_cider_d_with_frequencies_of_the_references_equals_the_recording(recorded):
    texts = recorded["punct_stripped"]
    got = cider_d(texts["hyps"], texts["refs"])
    assert got == pytest.approx(recorded["ciderD_corpus"], abs=1e-9)


def test_bleu_equals_the_recording(recorded):
    texts = recorded["punct_stripped"]
    first_refs = [refs[:1] for refs in texts["refs"]]
    assert bleu(texts["hyps"], first_refs) == pytest.approx(
        recorded["bleu_single_ref"]["score"], abs=1e-6
    )


def test_rouge_of_real_reports_equals_published_scorer(shared_dir):
    path = shared_dir / "data" / "metrics_reference" / "radiology_120.json"
    if not path.is_file():
        pytest.skip("no reference values beside the project")
    for item in json.loads(path.read_text())["items"]:
        got = rouge(item["hyp"], item["refs"][0])
        for kind in ("rouge1", "rouge2", "rougeL"):
            assert got[kind].f == pytest.approx(item["expected"][f"{kind}_f1_stem"], abs=1e-9)
