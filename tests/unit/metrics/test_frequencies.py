"""Document frequencies from references and from files; BLEU from counts."""

import json
from pathlib import Path

import pytest

from biomedgpt_fairseq.metrics import bleu, cider_d
from biomedgpt_fairseq.metrics.bleu import bleu_counts, bleu_of
from biomedgpt_fairseq.metrics.frequencies import Frequencies, read_frequencies

HYPS = ["the heart is big", "clear lungs are seen here", "a mass"]
REFS = [
    ["the heart is large", "big heart"],
    ["clear lungs are seen"],
    ["no mass", "a mass is seen"],
]


def test_frequencies_count_reference_sets() -> None:
    found = Frequencies.of(REFS)
    assert found.num_sets == 3
    assert (found.counts[("heart",)], found.counts[("seen",)]) == (1, 2)


def test_parts_of_a_split_score_as_the_whole() -> None:
    whole, frequencies = cider_d(HYPS, REFS), Frequencies.of(REFS)
    parts = [frequencies.cider_d(HYPS[i : i + 1], REFS[i : i + 1])[0] for i in range(3)]
    assert parts == pytest.approx(list(whole))
    assert cider_d(HYPS[:1], REFS[:1])[0] != pytest.approx(whole[0])


def test_file_gives_what_was_written(tmp_path: Path) -> None:
    found = Frequencies.of(REFS)
    counts = {" ".join(ngram): count for ngram, count in found.counts.items()}
    path = tmp_path / "frequencies.json"
    path.write_text(json.dumps({"ref_len": 3, "document_frequency": counts}))
    read = read_frequencies(path)
    assert (read.num_sets, dict(read.counts)) == (3, dict(found.counts))


@pytest.mark.parametrize(
    "content",
    [b"\x80\x04}.", b"[]", b'{"ref_len": 3}', b'{"ref_len": 0, "document_frequency": {}}'],
)
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cache.p"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cache.p"):
        read_frequencies(path)


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent.json"):
        read_frequencies(tmp_path / "absent.json")


def test_bleu_counts_of_parts_add_up_to_the_corpus() -> None:
    parts = [bleu_counts(HYPS[:1], REFS[:1]), bleu_counts(HYPS[1:], REFS[1:])]
    total = [sum(values) for values in zip(*parts, strict=True)]
    assert bleu_of(total) == pytest.approx(bleu(HYPS, REFS), abs=1e-9)
    assert bleu(HYPS, REFS) > 0
