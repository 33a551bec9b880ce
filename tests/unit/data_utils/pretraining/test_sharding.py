"""Workers of shards: each row once, killed workers, finished workers, mixed-up shards."""

import json
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils.layouts import TEXT, Record, plain_text
from data_utils.pretraining import shards
from data_utils.pretraining.sharding import Shard, choose_shard
from data_utils.pretraining.worker import Job, read_card, write_shard
from data_utils.writer import RejectedItem


def read_lines(path: Path) -> Iterator[Record | RejectedItem]:
    for number, line in enumerate(path.read_text().splitlines()):
        item = f"{path.stem}_{number}"
        yield RejectedItem(item, "bad") if line == "bad" else plain_text(item, line)


def read_and_die(path: Path) -> Iterator[Record | RejectedItem]:
    for item in read_lines(path):
        yield item
        os.kill(os.getpid(), signal.SIGKILL)


def make_job(folder: Path, counts: list[int], read=read_lines) -> Job:
    folder.mkdir(exist_ok=True)
    for number, count in enumerate(counts):
        lines = ["bad" if line % 5 == 4 else f"text {number} {line}" for line in range(count)]
        (folder / f"{number}.txt").write_text("\n".join(lines))
    return Job(
        tool="test",
        options={"a": 1},
        root=folder,
        files=sorted(folder.glob("*.txt")),
        layout=TEXT,
        columns=("id", "text"),
        read=read,
        make_rows=lambda record: [[record.item, record.cells["text"]]],
        valid_share=0.3,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rows(folder: Path, split: str) -> list[str]:
    return [row for path in folder.glob(f"{split}*.tsv") for row in path.read_text().splitlines()]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 9))
def test_shards_hold_each_row_once(counts: list[int], number: int) -> None:
    counts[0] = max(counts[0], 1)
    with tempfile.TemporaryDirectory() as place:
        job = make_job(Path(place) / "source", counts)
        whole, parts = Path(place) / "whole", Path(place) / "parts"
        write_shard(job, whole, Shard())
        cards = [write_shard(job, parts, Shard(index, number)) for index in range(number)]

        for split in ("train", "valid"):
            assert sorted(rows(parts, split)) == sorted(rows(whole, split))
        manifest = shards.make_manifest(shards.read_cards(parts))
        expected = read_card(whole / "card.json")
        assert sum(card["items"] for card in cards) == manifest["items"] == sum(counts)
        assert manifest["rejected"] == expected["rejected"]
        assert sum(manifest["rows"].values()) == len({*rows(parts, "train"), *rows(parts, "valid")})


@pytest.mark.parametrize("count", [2, 7])
def test_killed_worker_is_run_again(tmp_path: Path, count: int) -> None:
    source = tmp_path / "source"
    write_shard(make_job(source, [9, 9, 9]), tmp_path / "expected", Shard(1, count))
    killed = multiprocessing.get_context("fork").Process(
        target=write_shard,
        args=(make_job(source, [9, 9, 9], read_and_die), tmp_path / "out", Shard(1, count)),
    )
    # The files of the source are written anew: only their times tell, which are of this worker.
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert not list((tmp_path / "out").glob("*.json")) and list((tmp_path / "out").glob(".work*"))

    write_shard(make_job(source, [9, 9, 9]), tmp_path / "out", Shard(1, count))

    found, expected = contents(tmp_path / "out"), contents(tmp_path / "expected")
    card = f"card-00001-of-{count:05d}.json"
    for side in (found, expected):
        side[card] = json.dumps(json.loads(side[card]) | {"times_of_own_files": ""}).encode()
    assert found == expected


def test_finished_shard_is_left_alone_until_something_changes(tmp_path: Path) -> None:
    job = make_job(tmp_path / "source", [9])
    write_shard(job, tmp_path / "out", Shard())
    before = (tmp_path / "out" / "train.tsv").stat()

    write_shard(job, tmp_path / "out", Shard())
    assert (tmp_path / "out" / "train.tsv").stat().st_ino == before.st_ino

    raw = bytearray((tmp_path / "out" / "train.tsv").read_bytes())
    raw[3] ^= 1
    (tmp_path / "out" / "train.tsv").write_bytes(raw)
    write_shard(job, tmp_path / "out", Shard())
    assert (tmp_path / "out" / "train.tsv").read_bytes() != bytes(raw)

    (tmp_path / "source" / "0.txt").write_text("another text\n")
    write_shard(job, tmp_path / "out", Shard())
    assert rows(tmp_path / "out", "train") + rows(tmp_path / "out", "valid") == [
        "0_0\tanother text"
    ]


def test_other_number_of_shards_is_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path / "source", [9])
    write_shard(job, tmp_path / "out", Shard(0, 2))

    with pytest.raises(ValueError, match="of 2 shards, this worker is of 3: give --shards 2"):
        write_shard(job, tmp_path / "out", Shard(0, 3))


def test_source_without_rows_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "0.txt").write_text("bad\nbad\n")
    job = make_job(tmp_path / "source", [])

    with pytest.raises(ValueError, match=r"no item gives a row; rejected: \{'bad': 2\}"):
        write_shard(job, tmp_path / "out", Shard())

    for index in range(2):
        write_shard(job, tmp_path / "parts", Shard(index, 2))
    with pytest.raises(ValueError, match="no item gives a row"):
        shards.make_manifest(shards.read_cards(tmp_path / "parts"))


def test_missing_changed_and_foreign_shards_are_named(tmp_path: Path) -> None:
    job, out = make_job(tmp_path / "source", [9, 9, 9]), tmp_path / "out"
    for index in (0, 2):
        write_shard(job, out, Shard(index, 3))
    with pytest.raises(ValueError, match="1 of 3 shards are missing: 1; run their workers again"):
        shards.read_cards(out)

    write_shard(job, out, Shard(1, 3))
    (name,) = (path.name for path in out.glob("train-00001*"))
    (out / name).write_bytes((out / name).read_bytes().swapcase())
    cards = shards.read_cards(out)
    shards.check_files(out, cards, by_checksum=False)
    with pytest.raises(ValueError, match=f"{name} is not what was written: its checksum"):
        shards.check_files(out, cards, by_checksum=True)
    (out / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        shards.check_files(out, cards, by_checksum=False)

    card = out / "card-00001-of-00003.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"options": {"a": 2}}))
    with pytest.raises(ValueError, match=r"options is \{'a': 2\}, in shard 0 it is \{'a': 1\}"):
        shards.read_cards(out)


def test_joined_file_is_the_shards_in_order(tmp_path: Path) -> None:
    job, out = make_job(tmp_path / "source", [9, 9, 9]), tmp_path / "out"
    for index in (2, 0, 1):
        write_shard(job, out, Shard(index, 3))
    manifest = shards.make_manifest(shards.read_cards(out))

    facts = shards.join(out, manifest)

    write_shard(job, tmp_path / "whole", Shard())
    for split in ("train", "valid"):
        assert (out / f"{split}.tsv").read_bytes() == (
            tmp_path / "whole" / f"{split}.tsv"
        ).read_bytes()
        assert facts[f"{split}.tsv"]["bytes"] == (out / f"{split}.tsv").stat().st_size


@pytest.mark.parametrize(
    ("options", "variables", "expected"),
    [
        ((None, None), {}, Shard(0, 1)),
        ((2, 5), {"RANK": "0", "WORLD_SIZE": "2"}, Shard(2, 5)),
        ((None, None), {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8"}, Shard(3, 8)),
        ((None, 8), {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1"}, Shard(3, 8)),
        ((None, None), {"RANK": "1", "WORLD_SIZE": "2"}, Shard(1, 2)),
        ((None, None), {"SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, Shard(1, 4)),
    ],
)
def test_shard_is_chosen(options, variables, expected: Shard) -> None:
    assert choose_shard(*options, variables) == expected


@pytest.mark.parametrize(
    ("options", "variables", "message"),
    [
        ((1, None), {}, "give --shards and --shard together"),
        ((None, 4), {}, "give --shards and --shard together"),
        ((4, 4), {}, "a shard from 0 to 3"),
        # One task of an array alone: its size is not that of the array.
        (
            (None, None),
            {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1"},
            "--shards says how many",
        ),
        ((None, None), {"RANK": "x", "WORLD_SIZE": "2"}, "variable RANK"),
    ],
)
def test_shard_that_cannot_be_is_refused(options, variables, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_shard(*options, variables)
