"""Wrong captions and wrong answers, for questions whose answer is no."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.text.normalize import normalize_answer, pre_caption

OTHER, HOW_MANY = "other", "how many"
FILES = ("type2ans.json", "object.txt", "all_captions.txt")

_SWAP_ABOVE = 0.6  # of a uniform number: an object of the caption is exchanged
_TRIES = 20


@dataclass(frozen=True)
class Negatives:
    """Pools of wrong texts: answers by type, names of objects, captions."""

    answers: dict[str, list[str]]
    objects: list[str]
    captions: list[str]
    type_of: dict[str, str]

    def answer(self, known: Collection[str], conf: float, rng: np.random.Generator) -> str:
        """An answer that is none of the row's references.

        known: references, the trained one first; conf: its confidence.  A confident answer mostly
        gives one of the same type, others one of the type `other`.
        Raises BadRow when the pools hold only references.
        """
        right, *_ = known
        excluded = {normalize_answer(text) for text in known}
        chance = rng.random()
        kind = self.type_of.get(right) if conf > chance + 0.1 else None
        found = None
        if kind == HOW_MANY and chance > 0.5 and right.isdecimal():
            found = _neighbour(int(right), excluded, rng)
        # Original: the last of a list was drawn only in place of the right one; here all alike.
        for pool in (kind, OTHER):
            if found is None and pool is not None:
                found = _draw(self.answers[pool], excluded, rng)
        if found is None:
            raise BadRow(
                f"type2ans.json holds no answer of type {OTHER!r} other than this row's "
                f"{right!r}; add some (--neg-sample-dir)"
            )
        return found

    def caption(
        self, caption: str, objects: Sequence[str], max_words: int, rng: np.random.Generator
    ) -> str:
        """A caption, as `pre_caption` leaves it, other than the row's own.

        objects: what the picture shows; one that the caption names may be exchanged for another.
        Raises BadRow when the pool holds only this caption.
        """
        right = pre_caption(caption, max_words)
        if objects and rng.random() > _SWAP_ABOVE:
            swapped = self._exchange(caption, objects, rng)
            if swapped is not None and (text := pre_caption(swapped, max_words)) != right:
                return text
        for index in _candidates(len(self.captions), rng):
            text = pre_caption(self.captions[index], max_words)
            if text != right:
                return text
        raise BadRow(
            f"all_captions.txt holds no caption other than this row's {right[:60]!r}; "
            "add some (--neg-sample-dir)"
        )

    def _exchange(
        self, caption: str, objects: Sequence[str], rng: np.random.Generator
    ) -> str | None:
        """The caption with one of its objects replaced; None when it names none of them."""
        # Original: any object, whose replacement could leave the caption as it was.
        named = [name for name in objects if name and _whole_words(name).search(caption)]
        if not named:
            return None
        old = named[int(rng.integers(len(named)))]
        new = _draw(self.objects, {normalize_answer(old)}, rng)
        return None if new is None else _whole_words(old).sub(lambda _: new, caption)


def load_negatives(folder: str | Path) -> Negatives:
    """The pools of a folder with `type2ans.json`, `object.txt` and `all_captions.txt`.

    Raises FileNotFoundError for missing files, ValueError for wrong or empty ones.
    """
    types, objects, captions = (Path(folder) / name for name in FILES)
    missing = [path.name for path in (types, objects, captions) if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"--neg-sample-dir {folder} lacks {', '.join(missing)}; it must hold {', '.join(FILES)}"
        )
    answers = _read_types(types)
    return Negatives(
        answers=answers,
        objects=_read_lines(objects),
        captions=_read_lines(captions),
        type_of={a: kind for kind, pool in answers.items() if kind != OTHER for a in pool},
    )


def _read_types(path: Path) -> dict[str, list[str]]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    good = isinstance(content, dict) and all(
        isinstance(pool, list) and all(isinstance(answer, str) for answer in pool)
        for pool in content.values()
    )
    if not good or not content.get(OTHER):
        raise ValueError(
            f"{path} must map types to lists of answers, with the type {OTHER!r} among them"
        )
    return content  # type: ignore[no-any-return]


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text: {error}") from error
    lines = [line.rstrip("\r") for line in text.split("\n")]
    found = [line for line in lines if line.strip()]
    if not found:
        raise ValueError(f"{path} is empty; it must hold one entry a line")
    return found


def _whole_words(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)


def _neighbour(number: int, excluded: set[str], rng: np.random.Generator) -> str | None:
    """The number before or after; never negative."""
    around = [str(n) for n in (number - 1, number + 1) if n >= 0 and str(n) not in excluded]
    return around[int(rng.integers(len(around)))] if around else None


def _draw(pool: Sequence[str], excluded: set[str], rng: np.random.Generator) -> str | None:
    """A random entry that is not excluded; None when all are."""
    for index in _candidates(len(pool), rng):
        if normalize_answer(pool[index]) not in excluded:
            return pool[index]
    return None


def _candidates(count: int, rng: np.random.Generator) -> Iterator[int]:
    """Random indices to try, then all of them in turn from a random one on."""
    if count > 0:
        for _ in range(_TRIES):
            index = int(rng.integers(count))
            yield index
        yield from ((index + step) % count for step in range(count))
