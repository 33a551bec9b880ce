"""The pretraining task: batches, mixtures, shards, validation losses."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip("fairseq")

from fairseq.logging import metrics

from biomedgpt_fairseq.tasks.unify_task import KINDS, UnifyTask
from tests.unit.tasks.unify_phantoms import free, make_folder, make_task, train_batches


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("pretrain"))


def kinds_of(batch: dict[str, Any]) -> Counter[str]:
    inputs = batch["net_input"]
    real, code = inputs["patch_masks"].tolist(), inputs["code_masks"].tolist()
    names = [
        "text" if not r else "image" if c else "detection" for r, c in zip(real, code, strict=True)
    ]
    return Counter(names)


def contents(batches: list[Any]) -> list[Any]:
    """What can be compared of batches."""
    return [
        [
            (part["id"].tolist(), part["net_input"]["src_tokens"].tolist(),
             part["target"].tolist(), float(part["net_input"]["patch_images"].sum()))
            for part in pair if part
        ]
        for pair in batches
    ]  # fmt: skip


def test_training_batch_is_pairs_and_the_rest(folder: Path) -> None:
    first, second = train_batches(make_task(folder))[0]
    assert len(first["id"]) == 16 and "code_masks" not in first["net_input"]
    assert first["net_input"]["patch_images"].shape == (16, 3, 32, 32)
    assert first["net_input"]["patch_images"].dtype == torch.float32
    assert kinds_of(second) == {"text": 2, "image": 1, "detection": 1}
    assert second["net_input"]["patch_images"].shape == (4, 3, 64, 64)
    assert second["conf"].tolist() == [2.0] * 4
    assert "kind" not in first


def test_epoch_has_every_pair_once_and_the_released_share_of_the_rest(folder: Path) -> None:
    batches = train_batches(make_task(folder))
    ids = Counter(i for first, _ in batches for i in first["id"])
    assert len(ids) == 20 and set(ids.values()) == {2}
    totals = sum((kinds_of(second) for _, second in batches if second), Counter())
    assert totals == {"text": 6, "image": 3, "detection": 3}


def test_small_batches_without_side_rows_are_still_pairs(folder: Path) -> None:
    batches = train_batches(make_task(folder), max_sentences=4)
    assert [bool(second) for _, second in batches] == [True, False, True, False, True]
    assert all(len(pair) == 2 for pair in batches)


def test_missing_side_files_switch_their_kind_off(folder: Path) -> None:
    task = make_task(folder, image_data=None, detection_data=None)
    assert kinds_of(train_batches(task)[0][1]) == {"text": 2}
    task = make_task(folder, text_data=None, image_data=None, detection_data=None)
    assert [second for _, second in train_batches(task)] == [{}, {}, {}]


def test_workers_give_what_one_process_gives(folder: Path) -> None:
    alone = train_batches(make_task(folder), epoch=2)
    parallel = train_batches(make_task(folder), epoch=2, num_workers=2)
    assert contents(parallel) == contents(alone)


def test_resumed_epoch_is_the_rest_of_the_whole_one(folder: Path) -> None:
    whole = train_batches(make_task(folder), max_sentences=4)
    task = make_task(folder)
    task.load_dataset("train")
    iterator = task.get_batch_iterator(task.dataset("train"), max_sentences=4)
    iterator.load_state_dict({"epoch": 1, "iterations_in_epoch": 2, "shuffle": True, "version": 2})
    assert contents(list(iterator.next_epoch_itr())) == contents(whole[2:])


def test_epochs_and_seeds_differ(folder: Path) -> None:
    base = contents(train_batches(make_task(folder)))
    assert contents(train_batches(make_task(folder))) == base
    assert contents(train_batches(make_task(folder), epoch=2)) != base
    assert contents(train_batches(make_task(folder, seed=2))) != base
    assert contents(train_batches(make_task(folder, pretrain_seed=8))) != base


def test_shards_share_an_epoch_without_overlap(folder: Path) -> None:
    shards = [
        train_batches(make_task(folder), max_sentences=4, num_shards=2, shard_id=i)
        for i in range(2)
    ]
    assert len(shards[0]) == len(shards[1]) == 3
    # The last shard has no rows left for its third batch.
    assert shards[1][2] == {}
    ids = Counter(i for shard in shards for pair in shard if pair for i in pair[0]["id"])
    assert len(ids) == 20 and set(ids.values()) == {2}


def test_training_files_take_turns(folder: Path) -> None:
    main = (folder / "train.tsv").read_text("utf-8").splitlines(keepends=True)
    for name, rows in (("one", main[:12]), ("two", main[12:])):
        (folder / f"{name}.tsv").write_text("".join(rows), "utf-8")
    data = ",".join(str(folder / f"{name}.tsv") for name in ("one", "two", "valid"))
    lengths, texts = [], []
    for epoch in (1, 2, 3):
        task = make_task(folder, data=data)
        assert task.has_sharded_data("train")
        batches = train_batches(task, epoch=epoch)
        lengths.append(sum(len(first["id"]) for first, _ in batches) // 2)
        texts += [i for _, second in batches for i in second["id"] if second]
    assert lengths == [12, 8, 12]
    # Five rounds of the text file of five rows: the stream goes on from epoch to epoch.
    counts = Counter(texts)
    rows = [line.split("\t")[0] for line in (folder / "text.tsv").read_text("utf-8").splitlines()]
    assert {counts[row] for row in rows} == {2}


WEIGHTS = {"train": 2, "text": 1, "more_text": 4, "image": 1, "detection": 0}


def test_free_mixture_has_the_asked_for_shares(folder: Path) -> None:
    task = free(folder, mixture_weights=json.dumps(WEIGHTS), mixture_epoch_rows=80)
    batches = train_batches(task)
    assert len(batches) == 10
    pairs = sum(len(first["id"]) for first, _ in batches if first) // 2
    totals = sum((kinds_of(second) for _, second in batches if second), Counter())
    assert pairs == 20 and totals == {"text": 50, "image": 10}
    notes = Counter(i for _, second in batches for i in second["id"] if i in ("n1", "n2"))
    assert notes == {"n1": 20, "n2": 20}


def test_kind_left_out_of_the_mixture_needs_nothing(folder: Path) -> None:
    weights = {**WEIGHTS, "train": 0}
    task = free(folder, mixture_weights=json.dumps(weights), neg_sample_dir=None)
    assert all(first == {} and second for first, second in train_batches(task))


def test_shares_by_size_cover_all_sources(folder: Path) -> None:
    batches = train_batches(free(folder, mixture_temperature=1.0))
    totals = sum((kinds_of(second) for _, second in batches if second), Counter())
    assert totals == {"text": 7, "image": 3, "detection": 3}
    batches = train_batches(free(folder, mixture_cap=2))
    totals = sum((kinds_of(second) for _, second in batches if second), Counter())
    assert totals["text"] == pytest.approx(2 * 33 / 5, abs=1)


def test_effective_epochs_are_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = free(folder, mixture_weights=json.dumps(WEIGHTS), mixture_epoch_rows=80)
    task.load_dataset("train")
    with caplog.at_level(logging.INFO):
        task.begin_epoch(3, nn.Linear(1, 1))
    assert "source more_text is seen 20.000 times, 60.000 times since the start" in caplog.text
    assert "source train is seen 1.000 times, 3.000 times since the start" in caplog.text
    assert "detection" not in caplog.text


def valid_task(folder: Path) -> UnifyTask:
    return make_task(
        folder,
        valid_text_data=str(folder / "text.tsv"),
        valid_image_data=str(folder / "image.tsv"),
        valid_detection_data=str(folder / "detection.tsv"),
    )


def test_validation_has_every_row_of_every_kind(folder: Path) -> None:
    task = valid_task(folder)
    task.load_dataset("valid")
    batches = list(task.get_batch_iterator(task.dataset("valid"), max_sentences=4).next_epoch_itr())
    counts: Counter[str] = Counter()
    for batch in batches:
        for part in batch:
            counts[part["kind"]] += len(set(part["id"]))
    assert counts == {"image_text": 6, "text": 5, "image": 3, "detection": 3}
    # Five batches of four rows: some hold two kinds.
    assert max(len(batch) for batch in batches) == 2


class CountingCriterion:
    """A loss of ten a target row for texts, of one for everything else."""

    def __call__(self, model: Any, sample: dict[str, Any]) -> tuple[Any, int, dict[str, Any]]:
        rows = len(sample["id"])
        loss = torch.tensor(float(rows * (10 if sample["kind"] == "text" else 1)))
        log = {"loss": loss, "nll_loss": loss, "ntokens": rows, "nsentences": rows}
        return loss, rows, {**log, "sample_size": rows}

    @staticmethod
    def reduce_metrics(logs: list[Any]) -> None:
        size = sum(log["sample_size"] for log in logs)
        metrics.log_scalar("loss", sum(log["loss"] for log in logs) / size, size)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


@pytest.fixture
def logs(folder: Path) -> Iterator[tuple[UnifyTask, list[dict[str, Any]]]]:
    task = valid_task(folder)
    task.load_dataset("valid")
    iterator = task.get_batch_iterator(task.dataset("valid"), max_sentences=4)
    model = torch.nn.Identity()
    steps = [task.valid_step(b, model, CountingCriterion()) for b in iterator.next_epoch_itr()]
    yield task, [log for _, _, log in steps]


def test_validation_logs_a_loss_for_each_kind(logs: Any) -> None:
    task, found = logs
    # Workers add them up, tensors and numbers apart.
    types = [{key: type(value) for key, value in log.items()} for log in found]
    assert all(one == types[0] for one in types)
    with metrics.aggregate() as totals:
        task.reduce_metrics(found, CountingCriterion())
    values = totals.get_smoothed_values()
    assert {kind: values[f"loss_{kind}"] for kind in KINDS} == {
        "image_text": 1, "text": 10, "image": 1, "detection": 1
    }  # fmt: skip
    rows = sum(log["sample_size"] for log in found)
    assert float(values["loss"]) == pytest.approx((rows + 9 * 5) / rows)


def test_predictions_are_for_other_tasks(folder: Path) -> None:
    with pytest.raises(ValueError, match="--task vqa_gen --zero-shot"):
        make_task(folder).predict([], {})
