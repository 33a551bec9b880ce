"""Caption metrics of the COCO evaluation: hand-computed values, tokenizers, what is missing."""

import math
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pycocoevalcap.bleu.bleu_scorer")

from pycocoevalcap.bleu.bleu_scorer import BleuScorer  # noqa: E402
from pycocoevalcap.tokenizer import ptbtokenizer  # noqa: E402

from biomedgpt_fairseq.metrics import caption_tokens, meteor  # noqa: E402
from biomedgpt_fairseq.metrics.bootstrap import intervals  # noqa: E402
from biomedgpt_fairseq.metrics.caption_tokens import (  # noqa: E402
    FALLBACK,
    PTB,
    TokenizedCaptions,
    fallback_tokens,
    tokenize_captions,
)
from biomedgpt_fairseq.metrics.coco import (  # noqa: E402
    CocoMetrics,
    coco_bleu,
    coco_metrics,
    score_tokens,
)
from biomedgpt_fairseq.metrics.meteor import meteor_of  # noqa: E402

NAMES = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr"]
# The program's counts of "no acute disease" against itself; "the heart is enlarged" against "the
# heart is enlarging and big" and "cardiomegaly"; "clear lungs" against "mass in the left lobe";
# "small effusion on the left side" against "a little pleural effusion on left".
METEOR_LINES = [
    "3 3 1 1 2 2 1 1 0 0 0 0 0 0 0 0 0 0 0 0 1 3 3",
    "4 6 2 3 1 1 2 2 1 1 0 0 0 0 0 0 0 0 0 0 1 4 4",
    "2 5 0 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
    "6 6 2 2 2 2 1 1 0 0 0 0 0 0 0 0 0 0 0 0 2 3 3",
]
# Its scores of the four, of all together, and of the second and the last together.
METEOR_SCORES = [1.0, 0.32525773722094625, 0.0, 0.2233676265554817]


def without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)


def fake_java(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """A program called java that answers as the script says."""
    path = folder / "java"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def values(found: CocoMetrics) -> dict[str, float]:
    limits = intervals(found.metrics, seed=0)
    return {m.name: i.value for m, i in zip(found.metrics, limits, strict=True)}


def test_values_of_a_small_example() -> None:
    texts = TokenizedCaptions(["a b c d", "x y"], [["a b d"], ["x z z"]], "words")
    found = values(score_tokens(texts, with_meteor=False))
    # Words: 3 of 4 and 1 of 2 match, as many as in the references; pairs: 1 of 3 and 0 of 1.
    assert found["BLEU-1"] == pytest.approx(4 / 6)
    assert found["BLEU-2"] == pytest.approx(math.sqrt(4 / 6 * 1 / 4))
    assert found["BLEU-3"] < 1e-4
    # Precision 3/4 and recall 1; precision 1/2 and recall 1/3.
    square = 1.2**2
    first = (1 + square) * 0.75 / (1 + square * 0.75)
    second = (1 + square) / 6 / (1 / 3 + square / 2)
    assert found["ROUGE-L"] == pytest.approx((first + second) / 2)


def test_short_texts_are_punished_by_bleu() -> None:
    texts = TokenizedCaptions(["a b"], [["a b c d", "a b c"]], "words")
    assert values(score_tokens(texts, False))["BLEU-1"] == pytest.approx(math.exp(1 - 3 / 2))


def test_cider_of_equal_texts_is_ten_and_of_a_lone_row_is_zero() -> None:
    texts = ["no acute disease seen", "the heart is big"]
    both = score_tokens(TokenizedCaptions(texts, [[t] for t in texts], "words"), False)
    assert both.by_row["CIDEr"] == pytest.approx([10, 10])
    lone = score_tokens(TokenizedCaptions(texts[:1], [texts[:1]], "words"), False)
    assert lone.by_row["CIDEr"] == pytest.approx([0])


def test_empty_texts_score_zero() -> None:
    found = score_tokens(TokenizedCaptions(["", "a"], [["a"], ["b"]], "words"), False)
    assert values(found) == pytest.approx(dict.fromkeys(values(found), 0.0), abs=1e-6)
    nothing = score_tokens(TokenizedCaptions([""], [[""]], "words"), False)
    assert values(nothing)["CIDEr"] == 0


def test_bleu_of_sums_is_that_of_the_library() -> None:
    rng = np.random.default_rng(0)
    guesses = np.sort(rng.integers(1, 60, (50, 4)))[:, ::-1]
    matches = (guesses * rng.random((50, 4)) * rng.integers(0, 2, (50, 4))).astype(int)
    sums = np.column_stack([guesses[:, 0], rng.integers(1, 60, 50), guesses, matches])
    for row, one in enumerate(sums.tolist()):
        scorer = BleuScorer(n=4)
        scorer.ctest = [
            {"testlen": one[0], "reflen": [one[1]], "guess": one[2:6], "correct": one[6:]}
        ]
        wanted = scorer.compute_score("closest")[0]
        found = [coco_bleu(n, sums[row : row + 1].astype(float))[0] for n in range(1, 5)]
        assert found == pytest.approx(wanted, rel=1e-12)


def test_without_java_all_but_meteor_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    without_java(monkeypatch)
    found = coco_metrics(["No acute disease.", "Lungs are clear."], [["no disease"], ["clear"]])
    assert [m.name for m in found.metrics] == [name for name in NAMES if name != "METEOR"]
    assert {m.source for m in found.metrics} == {f"pycocoevalcap, {FALLBACK}"}
    other_tokens, no_meteor = found.notes
    assert FALLBACK in other_tokens and "instead of PTBTokenizer" in other_tokens
    assert no_meteor.startswith("METEOR left out: no java runtime (Debian: apt-get install")


def test_without_the_library_a_note_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ptbtokenizer", "ptbtokenizer.PUNCTUATIONS"):
        monkeypatch.setitem(sys.modules, f"pycocoevalcap.tokenizer.{name}", None)
    found = coco_metrics(["a"], [["a"]])
    assert not found.metrics and not found.by_row
    assert "METEOR" in found.notes[0] and "pip install" in found.notes[0]


def test_unpaired_texts_raise() -> None:
    with pytest.raises(ValueError, match="no reference"):
        coco_metrics(["a"], [[]])


# As the java program has them.
SENTENCES = {
    "No acute (cardiopulmonary) disease. .": "no acute -lrb- cardiopulmonary -rrb- disease",
    "The patient's X-ray: a 3.5 cm mass!": "the patient 's x-ray a 3.5 cm mass",
    "____-year-old male with ____, XXXX": "____ year-old male with ____ xxxx",
    "Don't; it cannot be seen": "do n't it can not be seen",
    "At 2:50 p.m. and/or later": "at 2:50 p.m. and/or later",
    "5% of 1,000 mg/dL": "5 % of 1,000 mg/dl",
    'A "quoted" \u201cword\u201d \u2013 na\u00efve\u2026': "a quoted word na\u00efve",
}


def test_fallback_tokens_are_nearly_those_of_the_program() -> None:
    assert [fallback_tokens(text) for text in SENTENCES] == list(SENTENCES.values())


@pytest.mark.skipif(shutil.which("java") is None, reason="no java")
def test_ptb_tokens() -> None:
    found = tokenize_captions(list(SENTENCES), [[text] for text in SENTENCES])
    assert (list(found.hyps), found.tokenizer) == (list(SENTENCES.values()), PTB)


@pytest.mark.skipif(shutil.which("java") is None, reason="no java")
def test_ptb_tokens_are_those_of_the_right_text() -> None:
    hyps = ["", "A mass.\rIn the\u2028lung", "Normal chest.", "?"]
    found = tokenize_captions(
        hyps, [["no finding"], ["The  liver's size"], ["Normal chest."], [""]]
    )
    assert (found.tokenizer, found.problem) == (PTB, "")
    assert list(found.hyps) == ["", "a mass in the lung", "normal chest", ""]
    assert found.refs == [["no finding"], ["the liver 's size"], ["normal chest"], [""]]


@pytest.mark.parametrize("script", ["exit 1", "echo one line"])
def test_java_that_does_not_work_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    fake_java(monkeypatch, tmp_path, script)
    found = tokenize_captions(["A b.", "c"], [["a"], ["b"]])
    assert found.tokenizer == FALLBACK and "does java work?" in found.problem
    assert list(found.hyps) == ["a b", "c"]


def test_package_folder_that_cannot_be_written_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, texts: object) -> Any:
        raise PermissionError(13, "Permission denied", "/site-packages/x")

    monkeypatch.setattr(ptbtokenizer.PTBTokenizer, "tokenize", refuse)
    monkeypatch.setattr(caption_tokens, "require_java", lambda: None)
    found = tokenize_captions(["A b."], [["a"]])
    assert found.tokenizer == FALLBACK and "/site-packages/x" in found.problem


def counts_by(monkeypatch: pytest.MonkeyPatch, folder: Path, lines: list[str]) -> Any:
    answers = "\n".join(f'read -r line; echo "{line}"' for line in lines)
    fake_java(monkeypatch, folder, answers)
    texts = [str(number) for number in range(len(METEOR_LINES))]
    return meteor.meteor_counts(texts, [[text] for text in texts])


def test_meteor_of_rows_and_of_sums_is_that_of_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counts = counts_by(monkeypatch, tmp_path, METEOR_LINES)
    assert meteor_of(counts) == pytest.approx(METEOR_SCORES, abs=1e-12)
    assert meteor_of(counts[[1, 3]].sum(0, keepdims=True)) == pytest.approx(0.26813697302719564)
    assert meteor_of(np.zeros((1, 23))) == 0


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo 'not enough memory' >&2; exit 1", "not enough memory"),
        (f"read -r line; echo {METEOR_LINES[0]}", "counts per row"),
        ("while read -r line; do echo Error: bad line; done", "Error: bad line"),
    ],
)
def test_meteor_that_fails_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, complaint: str
) -> None:
    fake_java(monkeypatch, tmp_path, script)
    found = score_tokens(TokenizedCaptions(["a", "b"], [["a"], ["c"]], "words"))
    assert "METEOR" not in {m.name for m in found.metrics}
    assert found.notes[0].startswith("METEOR left out") and complaint in found.notes[0]
