"""Text metrics against published values and against those of the published programs."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pycocoevalcap.bleu.bleu_scorer")

from biomedgpt_fairseq.metrics import rouge  # noqa: E402
from biomedgpt_fairseq.metrics.bootstrap import intervals  # noqa: E402
from biomedgpt_fairseq.metrics.caption_tokens import (  # noqa: E402
    FALLBACK,
    PTB,
    TokenizedCaptions,
    tokenize_captions,
)
from biomedgpt_fairseq.metrics.coco import score_tokens  # noqa: E402
from biomedgpt_fairseq.metrics.meteor import meteor_counts, meteor_of  # noqa: E402

pytestmark = pytest.mark.shared

BY_COUNTS = {f"Bleu_{order}": f"BLEU-{order}" for order in range(1, 5)}
# Names in the two files -> names here.
NAMES = {**BY_COUNTS, "ROUGE_L": "ROUGE-L", "ROUGE_L_coco": "ROUGE-L", "CIDEr": "CIDEr"}
Pairs = tuple[Sequence[str], Sequence[Sequence[str]]]


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    path = shared_dir / "data" / "metrics_reference"
    if not path.is_dir():
        pytest.skip("no reference values beside the project")
    return path


@pytest.fixture(scope="module")
def radiology(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "radiology_120.json").read_text("utf-8"))
    return content


@pytest.fixture(scope="module")
def nlg_eval(folder: Path) -> dict[str, Any]:
    example = folder / "nlg_eval_example"
    content: dict[str, Any] = json.loads((example / "expected.json").read_text("utf-8"))
    files = content["corpus_example_files"]
    texts = [(example / name).read_text("utf-8").splitlines() for name in files["refs"]]
    files["hyps"] = (example / files["hyp"]).read_text("utf-8").splitlines()
    files["references"] = [list(several) for several in zip(*texts, strict=True)]
    return content


def pairs_of(radiology: dict[str, Any]) -> Pairs:
    items = radiology["items"]
    return [item["hyp"] for item in items], [item["refs"] for item in items]


def scores(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> dict[str, float]:
    """Values of texts that are tokens already."""
    found = score_tokens(TokenizedCaptions(hyps, refs, "as given"), with_meteor=False)
    limits = intervals(found.metrics, seed=0)
    return {m.name: i.value for m, i in zip(found.metrics, limits, strict=True)}


def check(found: dict[str, float], expected: dict[str, float], tolerance: float) -> None:
    for theirs, ours in NAMES.items():
        if theirs in expected:
            assert found[ours] == pytest.approx(expected[theirs], abs=tolerance), theirs


def test_radiology_corpus(radiology: dict[str, Any]) -> None:
    check(scores(*pairs_of(radiology)), radiology["expected_corpus"], 1e-9)


def test_radiology_rows(radiology: dict[str, Any]) -> None:
    hyps, refs = pairs_of(radiology)
    found = score_tokens(TokenizedCaptions(hyps, refs, "as given"), with_meteor=False)
    for row, item in enumerate(radiology["items"]):
        for theirs, ours in (("ROUGE_L_coco", "ROUGE-L"), ("CIDEr", "CIDEr")):
            if theirs in item["expected"]:
                assert found.by_row[ours][row] == pytest.approx(item["expected"][theirs], abs=1e-9)
        alone = scores(hyps[row : row + 1], refs[row : row + 1])
        for theirs, ours in BY_COUNTS.items():
            assert alone[ours] == pytest.approx(item["expected"][theirs], abs=1e-9)


@pytest.mark.parametrize("stem", [True, False])
def test_radiology_rouge(radiology: dict[str, Any], stem: bool) -> None:
    ending = "_f1_stem" if stem else "_f1"
    sums = dict.fromkeys(("rouge1", "rouge2", "rougeL"), 0.0)
    for item in radiology["items"]:
        found = rouge(item["hyp"], item["refs"][0], stem)
        for kind in sums:
            assert found[kind].f == pytest.approx(item["expected"][kind + ending], abs=1e-9)
            sums[kind] += found[kind].f / len(radiology["items"])
    for kind, mean in sums.items():
        assert mean == pytest.approx(radiology["expected_corpus"][kind + ending], abs=1e-9)


def test_radiology_tokens_are_left_by_both_tokenizers(
    radiology: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The texts are tokens already, so that every tokenizer gives the values of the corpus.
    hyps, refs = pairs_of(radiology)
    found = [tokenize_captions(hyps, refs)] if shutil.which("java") else []
    monkeypatch.setattr(shutil, "which", lambda program: None)
    found.append(tokenize_captions(hyps, refs))
    assert [texts.tokenizer for texts in found] == [PTB, FALLBACK][-len(found) :]
    for texts in found:
        check(scores(texts.hyps, texts.refs), radiology["expected_corpus"], 1e-9)


def test_nlg_eval_corpus(nlg_eval: dict[str, Any]) -> None:
    files = nlg_eval["corpus_example_files"]
    check(scores(files["hyps"], files["references"]), files["expected"], 1e-5)


def test_nlg_eval_single_texts(nlg_eval: dict[str, Any]) -> None:
    for item in nlg_eval["single"]:
        check(scores([item["hyp"]], [item["refs"]]), item["expected"], 1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="METEOR is a java program")
def test_nlg_eval_meteor(nlg_eval: dict[str, Any]) -> None:
    files, single = nlg_eval["corpus_example_files"], nlg_eval["single"]
    # One call: the program takes seconds to start.
    counts = meteor_counts(
        [*files["hyps"], *(item["hyp"] for item in single)],
        [*files["references"], *(item["refs"] for item in single)],
    )
    size = len(files["hyps"])
    corpus = meteor_of(counts[:size].sum(axis=0, keepdims=True))
    assert corpus == pytest.approx(files["expected"]["METEOR"], abs=1e-5)
    expected = [item["expected"]["METEOR"] for item in single]
    assert meteor_of(counts[size:]) == pytest.approx(expected, abs=1e-5)
