"""Document frequencies of n-grams, which CIDEr-D weighs them by."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from biomedgpt_fairseq.metrics.cider import Ngram, Scores, cider_d, document_frequencies

_MALFORMED = (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError)


class Frequencies(NamedTuple):
    """In how many of `num_sets` reference sets each n-gram occurs."""

    counts: Mapping[Ngram, float]
    num_sets: float

    @classmethod
    def of(cls, refs: Sequence[Sequence[str]]) -> "Frequencies":
        """Frequencies of reference sets, one set a picture."""
        return cls(document_frequencies(refs), len(refs))

    def cider_d(self, hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> Scores:
        """CIDEr-D (N,) of each hypothesis by these frequencies."""
        return cider_d(hyps, refs, self.counts, self.num_sets)


def read_frequencies(path: str | Path) -> Frequencies:
    """Frequencies of a JSON file {"ref_len": 100, "document_frequency": {"the heart": 7}}.

    The words of an n-gram are joined by single spaces, in the form in which captions are scored.
    Raises FileNotFoundError or ValueError that names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of document frequencies")
    try:
        content = json.loads(path.read_bytes())
        num_sets = float(content["ref_len"])
        counts = {
            tuple(ngram.split()): float(count)
            for ngram, count in content["document_frequency"].items()
        }
    except _MALFORMED as error:
        raise ValueError(
            f"{path} must be JSON such as "
            '{"ref_len": 100, "document_frequency": {"the heart": 7}}; a pickled cache is not '
            "read, because it could run code: convert it once with "
            "'python -m data_utils.cider_frequencies'. Without a file the references are counted"
        ) from error
    if num_sets < 1:
        raise ValueError(f"{path}: ref_len must be at least 1, found {num_sets}")
    return Frequencies(counts, num_sets)
