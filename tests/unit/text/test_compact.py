"""Compact vocabularies: files, determinism and what they must contain."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from biomedgpt_fairseq.text.compact import train_compact_vocabulary
from biomedgpt_fairseq.text.instructions import INSTRUCTIONS
from biomedgpt_fairseq.text.tokenizer import load_tokenizer

FILES = ("dict.txt", "encoder.json", "vocab.bpe", "vocabulary.json")
TEXTS = [
    f"Is the {side} {organ} normal?" for side in ("left", "right") for organ in ("lung", "eye")
]


def test_files_have_the_fairseq_form(tmp_path: Path) -> None:
    train_compact_vocabulary(TEXTS, 400, tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"

    assert sorted(os.listdir(folder)) == sorted(FILES)
    rows = [line.split(" ") for line in (folder / "dict.txt").read_text().splitlines()]
    counts = [int(count) for _, count in rows]
    assert counts == sorted(counts, reverse=True)
    assert sorted(int(index) for index, _ in rows) == list(range(len(rows)))
    merges = (folder / "vocab.bpe").read_text(encoding="utf-8").splitlines()
    assert merges[0] == "#version: 0.2"
    encoder = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    assert (len(encoder), encoder["!"], encoder["Ń"]) == (len(rows), 0, 255)


def test_size_is_kept(tmp_path: Path) -> None:
    train_compact_vocabulary(TEXTS, 350, tmp_path)

    assert len((tmp_path / "dict.txt").read_text().splitlines()) == 350


@pytest.mark.parametrize("texts", [[], ["ye yey nono mamay bebe"] * 2000])
def test_answer_words_are_single_tokens_at_the_smallest_size(
    tmp_path: Path, texts: list[str]
) -> None:
    train_compact_vocabulary(texts, 300, tmp_path)
    tokenizer = load_tokenizer(tmp_path, 0, 0)

    assert [len(tokenizer.encode(f" {word}")) for word in ("yes", "no", "maybe")] == [1, 1, 1]


def test_instructions_are_short_beside_many_texts(tmp_path: Path) -> None:
    train_compact_vocabulary(["zq xw " * 20] * 50, 700, tmp_path)
    tokenizer = load_tokenizer(tmp_path, 0, 0)

    texts = {name: row.fill(*["zq"] * row.num_fields) for name, row in INSTRUCTIONS.items()}
    lengths = {name: len(tokenizer.encode(text)) for name, text in texts.items()}
    assert lengths["caption"] == 6
    assert lengths["verification"] == 13


def test_texts_are_learnt_with_leading_space_and_in_lower_case(tmp_path: Path) -> None:
    train_compact_vocabulary(["Pneumothorax"] * 10, 500, tmp_path)
    tokenizer = load_tokenizer(tmp_path, 0, 0)

    assert len(tokenizer.encode(" pneumothorax")) == 1
    assert len(tokenizer.encode(" Pneumothorax")) == 1


def test_any_text_survives(tmp_path: Path) -> None:
    train_compact_vocabulary([], 320, tmp_path)
    tokenizer = load_tokenizer(tmp_path, 0, 0)
    text = " ÄÖ 日本語 🩺\x00\x7f"

    assert tokenizer.vocab.unk not in tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_same_texts_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; from biomedgpt_fairseq.text.compact import train_compact_vocabulary; "
        f"train_compact_vocabulary({TEXTS!r}, 400, sys.argv[1])"
    )
    environment = os.environ | {
        "PYTHONHASHSEED": "7",
        "RAYON_NUM_THREADS": "3",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "b")], check=True, env=environment, timeout=120
    )
    train_compact_vocabulary(iter(TEXTS), 400, tmp_path / "a")

    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_too_small_a_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 300 pieces, found 256"):
        train_compact_vocabulary(TEXTS, 256, tmp_path)
    assert not os.listdir(tmp_path)
