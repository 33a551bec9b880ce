"""Command lines: settings in front as in a shell, and one line per value of what varies."""

from __future__ import annotations

import itertools
import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
MAX_LINES = 10_000
"""Lines of one submission; clusters allow about a tenth of that to one user."""


@dataclass(frozen=True)
class Line:
    """A program with its arguments, and environment variables for it."""

    words: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.settings.items()]
        return " ".join([*settings, shlex.join(self.words)])


def parse_line(words: Sequence[str]) -> Line:
    """`NAME=VALUE ... PROGRAM ARGUMENT ...`.  Raises ValueError when there is no program."""
    settings = dict(
        word.split("=", 1) for word in itertools.takewhile(lambda word: _SETTING.match(word), words)
    )
    if len(settings) == len(words):
        raise ValueError(
            "nothing to run: give a command line behind --, such as "
            "'-- bash run_scripts/vqa_gen/slake.sh'"
        )
    return Line(tuple(words[len(settings) :]), settings)


def parse_variation(text: str) -> tuple[str, list[str]]:
    """Name and values of `NAME=a,b,c` or `NAME=FIRST..LAST` (whole numbers, the last included)."""
    name, separator, values = text.partition("=")
    bounds = _RANGE.fullmatch(values)
    if bounds:
        first, last = map(int, bounds.groups())
        _check_count(last - first + 1)
        found = [str(number) for number in range(first, last + 1)]
    else:
        found = values.split(",")
    if not separator or not _SETTING.fullmatch(f"{name}=") or not found or "" in found:
        raise ValueError(f"--vary must be NAME=a,b,c or NAME=FIRST..LAST, found {text!r}")
    if len(set(found)) < len(found):
        raise ValueError(f"--vary {name}: a value is given twice: {values}")
    return name, found


def vary(line: Line, variations: Iterable[tuple[str, Sequence[str]]]) -> list[Line]:
    """A line for every combination of values: they are settings, and replace `{NAME}`.

    Raises ValueError if a name varies twice, or has a fixed value in the line too, and for more
    than MAX_LINES.
    """
    varied = list(variations)
    names = [name for name, _ in varied]
    for name in names:
        if names.count(name) > 1 or name in line.settings:
            raise ValueError(f"{name} is set twice: by --vary, and by another --vary or the line")
    _check_count(math.prod(len(values) for _, values in varied))
    lines = []
    for values in itertools.product(*(values for _, values in varied)):
        chosen = dict(zip(names, values, strict=True))
        settings = {name: _filled(value, chosen) for name, value in line.settings.items()}
        words = tuple(_filled(word, chosen) for word in line.words)
        lines.append(Line(words, {**chosen, **settings}))
    return lines


def _check_count(count: int) -> None:
    if count > MAX_LINES:
        raise ValueError(f"--vary makes {count:,} lines, more than {MAX_LINES:,}: submit in parts")


def _filled(text: str, chosen: Mapping[str, str]) -> str:
    # Not str.format: other braces, those of JSON for one, stay as they are.
    for name, value in chosen.items():
        text = text.replace("{" + name + "}", value)
    return text
