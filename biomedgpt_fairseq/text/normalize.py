"""Clean-up of questions, captions and answers."""

from __future__ import annotations

import re
import string

_LEADING_PUNCTUATION = ",.!?*#:;~"
_HYPHEN_AND_SLASH = str.maketrans("-/", "  ")
_WHITESPACE_RUN = re.compile(r"\s{2,}")
_DELETE_PUNCTUATION = str.maketrans("", "", string.punctuation)


def pre_question(text: str, max_words: int | None = None) -> str:
    """Question in lower case, without leading punctuation, hyphens, slashes and runs of spaces.

    max_words: keep the first so many space-separated words; None keeps all.
    Leading punctuation is stripped before spaces are, so a leading space protects it.
    """
    return _limit_words(_collapse(_lower_and_split(text)), max_words)


def pre_caption(text: str, max_words: int | None = None) -> str:
    """As `pre_question`, with the placeholder `<person>` written as `person`."""
    cleaned = _lower_and_split(text).replace("<person>", "person")
    return _limit_words(_collapse(cleaned), max_words)


def remove_punctuation(text: str) -> str:
    """Text without ASCII punctuation (deleted, not replaced by spaces), stripped; case is kept."""
    return text.translate(_DELETE_PUNCTUATION).strip()


def normalize_caption(text: str) -> str:
    """Caption in the form in which it is scored: as `remove_punctuation` leaves it, lower case."""
    return remove_punctuation(text).lower()


def normalize_answer(text: str) -> str:
    """Answer in the form in which it is compared: stripped and case-folded."""
    return text.strip().casefold()


def _lower_and_split(text: str) -> str:
    return text.lower().lstrip(_LEADING_PUNCTUATION).translate(_HYPHEN_AND_SLASH)


def _collapse(text: str) -> str:
    # A single tab or newline is not a run: it stays, as it did when the checkpoints were trained.
    return _WHITESPACE_RUN.sub(" ", text).rstrip("\n").strip(" ")


def _limit_words(text: str, max_words: int | None) -> str:
    words = text.split(" ")
    return text if max_words is None else " ".join(words[:max_words])
