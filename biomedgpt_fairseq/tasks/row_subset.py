"""A reader with some rows left out."""

from typing import List, Sequence, Tuple

import numpy as np

from biomedgpt_fairseq.data.tsv import TsvReader


class RowSubset:
    """The rows of a reader, in order, without those listed."""

    def __init__(self, reader: TsvReader, without: Sequence[int]) -> None:
        self.reader = reader
        self.rows = np.delete(np.arange(len(reader)), list(without))
        if len(self.rows) == 0:
            raise ValueError(f"{reader.locate(0)[0]}: no rows are left")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> List[str]:
        return self.reader[int(self.rows[index])]

    def locate(self, index: int) -> Tuple[str, int]:
        """File and row number (from 1) of a row."""
        return self.reader.locate(int(self.rows[index]))
