"""The vocabulary: four specials, byte-pair pieces, mask, image codes and coordinate bins."""

from __future__ import annotations

from collections.abc import Sequence

SPECIAL_SYMBOLS = ("<s>", "<pad>", "</s>", "<unk>")
MASK_SYMBOL = "<mask>"


class Vocabulary:
    """Symbols in the order of the released checkpoints, with their ids.

    bpe_symbols: the first column of dict.txt, in file order (decimal GPT-2 ids, then fillers).
    Order: specials 0..3, bpe_symbols, <mask>, <code_0> .. , <bin_0> ..
    With the released files: 4 + 50,260 + 1 + 8,192 + 1,000 = 59,457 symbols.
    Raises ValueError when a symbol occurs twice or a count is negative.
    """

    bos = 0
    pad = 1
    eos = 2
    unk = 3

    def __init__(
        self, bpe_symbols: Sequence[str], num_codes: int = 8192, num_bins: int = 1000
    ) -> None:
        if num_codes < 0 or num_bins < 0:
            raise ValueError(
                "num_codes and num_bins must not be negative, "
                f"found num_codes={num_codes}, num_bins={num_bins}"
            )
        self.num_codes = num_codes
        self.num_bins = num_bins
        self.symbols: list[str] = [*SPECIAL_SYMBOLS, *bpe_symbols, MASK_SYMBOL]
        self.mask = len(self.symbols) - 1
        self.first_code = len(self.symbols)
        self.first_bin = self.first_code + num_codes
        self.symbols += [f"<code_{i}>" for i in range(num_codes)]
        self.symbols += [f"<bin_{i}>" for i in range(num_bins)]
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        if len(self._ids) != len(self.symbols):
            raise ValueError(
                "every vocabulary symbol must be unique, found twice: "
                + ", ".join(self._repeated_symbols()[:5])
            )

    def __len__(self) -> int:
        return len(self.symbols)

    def __getitem__(self, index: int) -> str:
        return self.symbols[index]

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash((len(self.symbols), self.num_codes, self.num_bins))

    @property
    def text_end(self) -> int:
        """Exclusive upper bound of the ids of plain text."""
        return self.first_code

    def index(self, symbol: str) -> int:
        """Id of the symbol, or that of <unk>."""
        return self._ids.get(symbol, self.unk)

    def _repeated_symbols(self) -> list[str]:
        return [s for i, s in enumerate(self.symbols) if self._ids[s] != i]
