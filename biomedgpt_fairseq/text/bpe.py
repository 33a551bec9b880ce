"""Byte-level byte-pair encoding of GPT-2, on the `tokenizers` library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer as PieceEncoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

END_OF_TEXT = "<|endoftext|>"


def byte_alphabet() -> dict[str, int]:
    """Printable character -> byte, in the order in which GPT-2 numbers its first 256 pieces.

    Bytes that are printable Latin-1 characters stand for themselves; the other 68 are shifted to
    code points from 256 on, so that no piece contains white space or control characters.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in alphabet.values()]
    alphabet.update({chr(256 + i): byte for i, byte in enumerate(others)})
    return alphabet


def derive_encoder(merges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Piece -> GPT-2 id as the merges imply it: 256 bytes, one piece a merge, end of text."""
    pieces = [*byte_alphabet(), *("".join(pair) for pair in merges), END_OF_TEXT]
    return {piece: i for i, piece in enumerate(pieces)}


class Gpt2Bpe:
    """Text <-> GPT-2 piece ids.

    encoder: piece -> GPT-2 id (encoder.json); merges: pairs in order of rank (vocab.bpe).
    No text is special: `<mask>` or `<|endoftext|>` in the input is split like any other text.
    Raises ValueError when the encoder lacks one of the 256 byte pieces.
    """

    def __init__(self, encoder: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> None:
        alphabet = byte_alphabet()
        missing = [byte for piece, byte in alphabet.items() if piece not in encoder]
        if missing:
            raise ValueError(
                "the encoder must contain a piece for each of the 256 bytes, "
                f"found none for {missing[:5]}"
            )
        self._encoder = PieceEncoder(BPE(dict(encoder), list(merges)))
        self._encoder.pre_tokenizer = ByteLevel(add_prefix_space=False)
        self._bytes = {index: _piece_bytes(piece, alphabet) for piece, index in encoder.items()}
        self.max_id = max(self._bytes)

    def __len__(self) -> int:
        return len(self._bytes)

    def encode(self, text: str) -> str:
        """Decimal GPT-2 ids, joined by single spaces."""
        return " ".join(map(str, self.encode_ids(text)))

    def encode_ids(self, text: str) -> list[int]:
        """GPT-2 ids.  Raises ValueError when the text holds lone surrogates."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """GPT-2 ids of each text, encoded in parallel."""
        try:
            # The `fast` variant leaves out character offsets, which nobody needs here.
            encodings = self._encoder.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError:
            for text in texts:
                text.encode("utf-8")  # raises a ValueError that names the offending character
            raise
        return [encoding.ids for encoding in encodings]

    def decode(self, line: str) -> str:
        """Text of space-separated symbols; symbols that start with `<` are literal text.

        Bytes that are not valid UTF-8 become U+FFFD.
        Raises ValueError on any other symbol that is not the decimal id of a piece.
        """
        return b"".join(map(self.symbol_bytes, line.split())).decode("utf-8", errors="replace")

    def is_beginning_of_word(self, symbol: str) -> bool:
        """Whether the symbol's text starts with a space.  Raises ValueError as `decode` does."""
        return self.symbol_bytes(symbol).startswith(b" ")

    def knows(self, symbol: str) -> bool:
        """Whether `symbol_bytes` has bytes for the symbol."""
        if symbol.startswith("<"):
            return True
        return _is_decimal(symbol) and int(symbol) in self._bytes

    def symbol_bytes(self, symbol: str) -> bytes:
        """UTF-8 bytes of one symbol; a piece may hold a part of a character.

        Raises ValueError on a symbol that neither starts with `<` nor is the id of a piece.
        """
        # Original: literal only for <unk> and <mask> in stock fairseq; here, as in BiomedGPT, for
        # every <...> symbol, because targets mix text with <code_i> and <bin_i>.
        if symbol.startswith("<"):
            return symbol.encode("utf-8")
        if not _is_decimal(symbol):
            raise ValueError(
                f"a symbol to decode must be a decimal piece id or start with '<', found {symbol!r}"
            )
        piece = self._bytes.get(int(symbol))
        if piece is None:
            raise ValueError(f"piece ids must be one of {len(self)} known ids, found {symbol}")
        return piece


def _is_decimal(symbol: str) -> bool:
    return symbol.isascii() and symbol.isdecimal()


def _piece_bytes(piece: str, alphabet: Mapping[str, int]) -> bytes:
    """The bytes that the printable characters of a piece stand for."""
    try:
        return bytes([alphabet[character] for character in piece])
    except KeyError as error:
        raise ValueError(
            f"pieces must be written in the GPT-2 byte alphabet, found {error.args[0]!r} "
            f"in piece {piece!r}"
        ) from None
