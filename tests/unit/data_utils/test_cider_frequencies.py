"""Old caches of document frequencies become JSON without running anything."""

import json
import logging
import pickle
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from biomedgpt_fairseq.metrics.frequencies import Frequencies, read_frequencies
from data_utils.cider_frequencies import _build_parser, _run, read_cache

REFS = [["the heart is big", "a big heart"], ["the lungs are clear"], ["the heart"]]
# What Python 2 wrote for {"ref_len": 2.0, "document_frequency": defaultdict(float, ...)} with byte
# strings: protocol 0, `__builtin__`, and a UTF-8 "é".
PYTHON_2 = (
    b"(dS'document_frequency'\nccollections\ndefaultdict\n(c__builtin__\nfloat\ntR"
    b"(S'heart'\ntF2.0\ns(S'caf\\xc3\\xa9'\nS'<eos>'\ntF1.0\nssS'ref_len'\nF2.0\ns."
)


class _Runs:
    """Runs something when it is unpickled the usual way."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.marker,)  # type: ignore[return-value]


def dump(folder: Path, content: object, protocol: int = 4) -> Path:
    path = folder / "words.p"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def cache(counts: object, ref_len: object = 3) -> dict[str, object]:
    return {"ref_len": ref_len, "document_frequency": counts}


@pytest.mark.parametrize("protocol", range(6))
def test_scores_are_those_of_the_cache(protocol: int, tmp_path: Path) -> None:
    expected = Frequencies.of(REFS)
    counts: defaultdict[tuple[str, ...], float] = defaultdict(float)
    counts.update({ngram: float(count) for ngram, count in expected.counts.items()})
    path, output = dump(tmp_path, cache(counts, 3.0), protocol), tmp_path / "new" / "f.json"

    _run(_build_parser().parse_args([str(path), "--output", str(output)]))

    found = read_frequencies(output)
    assert found == Frequencies(dict(expected.counts), 3.0)
    hyps = ["the heart is clear", "a lung", "the big heart"]
    assert found.cider_d(hyps, REFS).tolist() == expected.cider_d(hyps, REFS).tolist()


def test_cache_of_python_2_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.p"
    path.write_bytes(PYTHON_2)

    assert read_cache(path) == {
        "ref_len": 2.0,
        "document_frequency": {"heart": 2.0, "café <eos>": 1.0},
    }


def test_ngrams_that_differ_in_case_are_joined(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = dump(tmp_path, cache({("The", "heart"): 1, ("the", "heart"): 1, ("X",): 3, ("x",): 2}))

    with caplog.at_level(logging.WARNING):
        assert read_cache(path)["document_frequency"] == {"the heart": 2, "x": 3}
    assert "2 n-grams joined" in caplog.text
    assert len(read_cache(path, keep_case=True)["document_frequency"]) == 4  # type: ignore[arg-type]


def test_words_that_no_text_has_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = dump(tmp_path, cache({("a b",): 1, ("",): 2, ("a", "b"): 3}))

    assert read_cache(path)["document_frequency"] == {"a b": 3}
    assert "2 with empty words left out" in caplog.text


def test_logarithm_in_place_of_the_number_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_cache(dump(tmp_path, cache({("a",): 5}, 4.6)))

    assert "ref_len is 4.6, below the count of 1 n-grams, the first 'a' (5)" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"ref_len": 3}, "found a dict with 'ref_len'"),
        ([1], "found list"),
        (cache({}), "found document_frequency a dict with nothing"),
        (cache([("a",)]), "found document_frequency list"),
        (cache({"the heart": 1}), "expected tuples of words as n-grams, found 'the heart'"),
        (cache({(1, 2): 1}), r"expected tuples of words as n-grams, found \(1, 2\)"),
        (cache({("a",): "1"}), r"expected a count for \('a',\), found '1'"),
        (cache({("a",): True}), "expected a count"),
        (cache({("a",): -1}), "expected a count"),
        (cache({("a",): float("nan")}), "expected a count"),
        (cache({("a",): 1}, 0), "ref_len must be a number of at least 1, found 0"),
        (cache({("a",): 1}, None), "ref_len must be a number of at least 1, found None"),
        (cache(Counter({("a",): 1})), "it names collections.Counter"),
    ],
)
def test_other_content_is_refused(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"words\.p: .*" + message):
        read_cache(dump(tmp_path, content))


@pytest.mark.parametrize("where", ["count", "factory"])
def test_cache_that_would_run_code_is_refused(where: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    counts: Any = {("a",): _Runs(marker)} if where == "count" else defaultdict(print)

    with pytest.raises(ValueError, match="expected a pickle of plain values: it names"):
        read_cache(dump(tmp_path, cache(counts)))
    assert not marker.exists()


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.p: no such file"):
        read_cache(tmp_path / "none.p")
    path = dump(tmp_path, cache({("a",): 1}))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"words\.p: expected a pickle of plain values"):
        read_cache(path)


def test_result_is_json_in_the_order_of_the_cache(tmp_path: Path) -> None:
    path, output = dump(tmp_path, cache({("b",): 2, ("a",): 1})), tmp_path / "f.json"

    _run(_build_parser().parse_args([str(path), "--output", str(output)]))

    assert list(json.loads(output.read_text())["document_frequency"]) == ["b", "a"]
