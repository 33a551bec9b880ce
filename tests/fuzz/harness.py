"""A target is a parser of outside data with whole samples; a case is a damaged sample.

A parser must take a case or refuse it by a clear error.  Anything else it raises is a failure, as
is more CPU time than LIMIT_S, and in the long run a process that dies or needs too much memory.
"""

from __future__ import annotations

import hashlib
import random
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import mutate

CORPUS = Path(__file__).with_name("corpus")
LIMIT_S = 10.0
"""CPU seconds of a case."""

Parse = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """A parser under test.

    name: such as `row/vqa`; also the folder of its corpus.
    open: empty folder for files -> the parser of a case.
    samples: of whole inputs.  hostile: inputs that must be refused.
    share: of the cases, in parts; cheap parsers have large ones.
    tokens: key words of the format.  refusals: what the parser may raise.
    """

    name: str
    open: Callable[[Path], Parse]
    samples: Sequence[bytes]
    share: int = 10
    tokens: Sequence[bytes] = ()
    hostile: Sequence[bytes] = ()
    refusals: tuple[type[Exception], ...] = (ValueError, FileNotFoundError)

    def case(self, seed: int, number: int) -> bytes:
        """The input of a case; whole samples come first, then hostile ones."""
        whole = [*self.samples, *self.hostile]
        if number < len(whole):
            return whole[number]
        return mutate(whole, self.tokens, random.Random(f"{seed}/{self.name}/{number}"))


class Hang(BaseException):
    """A case took too long.  No Exception, so that no parser takes it for one of its own."""


class Wrong(AssertionError):
    """A parser took what it had to refuse, or refused without saying what."""


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Refusals inside must name the file."""
    try:
        yield
    except (ValueError, OSError) as error:
        if path.name not in str(error):
            raise Wrong(f"the error does not name the file: {error!r:.300}") from error
        raise


def run_case(target: Target, parse: Parse, data: bytes) -> tuple[bool, str]:
    """Whether the parser took the case, and what went wrong, "" if nothing did.

    Must run in the main thread, which gets the signal of the timer.
    """

    def end(*_: Any) -> None:
        raise Hang(f"more than {LIMIT_S} s")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        parse(data)
        return True, ""
    except target.refusals:
        return False, ""
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever else it may be is what is looked for
        return False, traceback.format_exc(limit=-8)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def plan(targets: Sequence[Target], cases: int) -> dict[str, int]:
    """Cases of each target by its share, `cases` in all; at least its whole samples."""
    total = sum(target.share for target in targets)
    least = {t.name: len(t.samples) + len(t.hostile) for t in targets}
    counts = {t.name: max(cases * t.share // total, least[t.name]) for t in targets}
    largest = max(targets, key=lambda target: target.share).name
    counts[largest] = max(counts[largest] + cases - sum(counts.values()), 0)
    return counts


def corpus_files(target: Target) -> list[Path]:
    """Cases of the target that once failed."""
    return sorted((CORPUS / target.name).glob("*.bin"))


def keep(target: Target, data: bytes) -> Path:
    """Put a case into the corpus."""
    path = CORPUS / target.name / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def text_target(name: str, parse: Callable[[str], object], *samples: str, **options: Any) -> Target:
    """A target whose parser takes text."""

    def open_(_: Path) -> Parse:
        return lambda data: parse(data.decode("utf-8", "replace"))

    return Target(name, open_, [sample.encode() for sample in samples], **options)


def file_target(
    name: str,
    file_name: str,
    read: Callable[[Path], object],
    *samples: str | bytes,
    prepare: Callable[[Path], object] | None = None,
    **options: Any,
) -> Target:
    """A target whose parser reads a file of that name; its errors must name it.

    prepare: fills the folder with what else is needed; errors may name another file of it then.
    """

    def open_(folder: Path) -> Parse:
        path = folder / file_name
        place = path if prepare is None else folder
        if prepare is not None:
            prepare(folder)

        def parse(data: bytes) -> object:
            path.write_bytes(data)
            with named(place):
                return read(path)

        return parse

    whole = [s.encode() if isinstance(s, str) else s for s in samples]
    return Target(name, open_, whole, **options)
