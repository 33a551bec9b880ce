"""Cases that once failed, a short form of the fuzzing, and that it finds what it looks for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("fairseq")

from tqdm import tqdm

from tests.fuzz import harness, run
from tests.fuzz.harness import Target, corpus_files, plan, run_case
from tests.fuzz.targets import TARGETS

CASES = plan(list(TARGETS.values()), 2000)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_whole_samples_are_taken_and_damaged_ones_refused_clearly(
    target: Target, tmp_path: Path
) -> None:
    parse = target.open(tmp_path)
    for number in range(CASES[target.name]):
        data = target.case(0, number)
        taken, failure = run_case(target, parse, data)
        assert not failure, f"{data[:300]!r}: {failure}"
        if number < len(target.samples):
            assert taken, f"a whole sample was refused: {data[:300]!r}"
        elif number < len(target.samples) + len(target.hostile):
            assert not taken, f"a hostile sample was taken: {data[:300]!r}"


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_cases_that_once_failed_do_not_fail_again(target: Target, tmp_path: Path) -> None:
    parse = target.open(tmp_path)
    for path in corpus_files(target):
        _, failure = run_case(target, parse, path.read_bytes())
        assert not failure, f"{path}: {failure}"


def test_corpus_has_no_folder_without_a_target() -> None:
    folders = {str(p.parent.relative_to(harness.CORPUS)) for p in harness.CORPUS.rglob("*.bin")}
    assert folders <= TARGETS.keys()


def _fragile(parse: Callable[[bytes], object]) -> Target:
    return Target("fragile", lambda _: parse, [b"whole"])


def _spin(data: bytes) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("parse", "found"),
    [
        (lambda data: {}[data], "KeyError"),
        (lambda data: bytearray(1 << 50), "MemoryError"),
        (_spin, "Hang"),
        (lambda data: os.kill(os.getpid(), 9), "the process ended: -9"),
    ],
)
def test_fuzzer_finds_crashes_and_hangs(
    parse: Callable[[bytes], object],
    found: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(harness, "LIMIT_S", 0.05)
    monkeypatch.setattr(harness, "CORPUS", tmp_path)
    target = _fragile(parse)
    with tqdm(disable=True) as bar:
        result = run.fuzz(target, seed=0, cases=3, bar=bar)
    assert (result.cases, result.failures) == (3, 3)
    (report,) = result.places.values()
    assert found in report
    assert corpus_files(target)[0].read_bytes() == b"whole"


def test_table_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--cases", "40", "--targets", "cell/box", "cell/codes"]) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[:2] == ["all", "40"]
    assert last[-1] == "0"
