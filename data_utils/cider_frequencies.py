"""Document frequencies for CIDEr-D as JSON, from an old pickled cache.

Layout of the cache: {"ref_len": number of reference sets, "document_frequency": {n-gram as a tuple
of words: number of sets that hold it}}, the inner one a plain dict or a defaultdict of numbers. The
pickle is read without running anything.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Mapping
from pathlib import Path

from biomedgpt_fairseq.data.tsv_writer import write_json
from data_utils.plain_pickle import COUNTERS, load_plain_pickle
from data_utils.writer import run_program

logger = logging.getLogger(__name__)

MAX_CACHE_BYTES = 2**30
EXPECTED = 'expected {"ref_len": number, "document_frequency": {("the", "heart"): number, ...}}'


def read_cache(path: Path, keep_case: bool = False) -> dict[str, object]:
    """Content of the JSON file: {"ref_len": 100, "document_frequency": {"the heart": 7}}.

    Captions are scored in lower case, so n-grams that differ in case become one, with the sum of
    their counts but no more than ref_len; keep_case leaves them apart.
    Raises FileNotFoundError or ValueError that names the file and the entry at fault.
    """
    found = load_plain_pickle(path, COUNTERS, MAX_CACHE_BYTES)
    if not isinstance(found, dict) or not {"ref_len", "document_frequency"} <= found.keys():
        raise ValueError(f"{path}: {EXPECTED}, found {_outline(found)}")
    num_sets, counts = _as_number(found["ref_len"]), found["document_frequency"]
    if num_sets is None or num_sets < 1:
        raise ValueError(
            f"{path}: ref_len must be a number of at least 1, found {found['ref_len']!r:.80}"
        )
    if not isinstance(counts, dict) or not counts:
        raise ValueError(f"{path}: {EXPECTED}, found document_frequency {_outline(counts)}")
    joined = _join_words(path, counts, num_sets, keep_case)
    return {"ref_len": num_sets, "document_frequency": joined}


def _join_words(
    path: Path, counts: Mapping[object, object], num_sets: float, keep_case: bool
) -> dict[str, float]:
    joined: dict[str, float] = {}
    merged = unusable = 0
    for ngram, count in counts.items():
        words, number = _check_entry(path, ngram, count)
        text = " ".join(words)
        if tuple(text.split()) != words:
            # Such words hold white space or nothing: no text that is split at spaces has them.
            unusable += 1
            continue
        key = text if keep_case else text.lower()
        merged += key in joined
        joined[key] = min(joined.get(key, 0) + number, max(num_sets, number))
    if merged or unusable:
        logger.warning(
            "%s: %d n-grams joined with others that differ in case, %d with empty words left out",
            path,
            merged,
            unusable,
        )
    above = [f"{key!r} ({number:g})" for key, number in joined.items() if number > num_sets]
    if above:
        logger.warning(
            "%s: ref_len is %g, below the count of %d n-grams, the first %s; it must be the number "
            "of reference sets, not its logarithm",
            path,
            num_sets,
            len(above),
            above[0],
        )
    return joined


def _check_entry(path: Path, ngram: object, count: object) -> tuple[tuple[str, ...], float]:
    if not isinstance(ngram, tuple) or not ngram or any(type(word) is not str for word in ngram):
        raise ValueError(f"{path}: expected tuples of words as n-grams, found {ngram!r:.80}")
    number = _as_number(count)
    if number is None or number < 0:
        raise ValueError(f"{path}: expected a count for {ngram!r:.80}, found {count!r:.80}")
    return ngram, number


def _as_number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    return None


def _outline(value: object) -> str:
    if isinstance(value, dict):
        return f"a dict with {', '.join(repr(key) for key in list(value)[:3]) or 'nothing'}"
    return type(value).__name__


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="data_utils.cider_frequencies", description=__doc__)
    parser.add_argument("cache", type=Path, help="pickled cache, such as coco-train-words.p")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--keep-case", action="store_true", help="do not join n-grams that differ in case"
    )
    return parser


def _run(args: argparse.Namespace) -> None:
    content = read_cache(args.cache, args.keep_case)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.output, content)
    logger.info("%s: frequencies of %s", args.output, args.cache)


if __name__ == "__main__":
    sys.exit(run_program(_run, _build_parser()))
