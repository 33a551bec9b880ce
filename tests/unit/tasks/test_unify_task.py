"""The pretraining task: batches, mixtures, shards, validation losses and bad input."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq.logging import metrics
from PIL import Image

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.tasks.pretrain_options import UnifyOptions
from biomedgpt_fairseq.tasks.unify_task import KINDS, UnifyTask
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

SIDE = 64  # pictures of texts, infilling and detection; 16 codes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms: 20 pairs, 5 texts, 3 images with codes, 3 with boxes."""
    root = tmp_path_factory.mktemp("pretrain")
    sizes = ["--train", "20", "--valid", "6", "--test", "0", "--size", "40", "--num-codes", "64"]
    assert biomedgpt(["phantoms", "--task", "pretrain", "--output", str(root), *sizes]) == 0
    codes = " ".join(str(i) for i in range(16))
    rows = [f"i{i}\t{_png(SIDE, i)}\t{codes}\n" for i in range(3)]
    (root / "image.tsv").write_text("".join(rows), "utf-8")
    (root / "more_text.tsv").write_text("n1\ta note\nn2\tanother note\n", "utf-8")
    train_compact_vocabulary(
        (root / "corpus.txt").read_text("utf-8").split("\n"), 400, root / "bpe"
    )
    return root


def _png(side: int, shade: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 99, 0)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def make_task(folder: Path, **options: Any) -> UnifyTask:
    files = {
        "data": f"{folder / 'train.tsv'},{folder / 'valid.tsv'}",
        "text_data": str(folder / "text.tsv"),
        "image_data": str(folder / "image.tsv"),
        "detection_data": str(folder / "detection.tsv"),
        "neg_sample_dir": str(folder / "negatives"),
        "bpe_dir": str(folder / "bpe"),
    }
    small = {"code_dict_size": 64, "patch_image_size": 32, "code_image_size": 32, "seed": 1}
    return UnifyTask.setup_task(UnifyOptions(**{**files, **small, **options}))


def train_batches(task: UnifyTask, epoch: int = 1, **options: Any) -> list[Any]:
    if "train" not in task.datasets:
        task.load_dataset("train", epoch=epoch)
    arguments = {"max_sentences": 8, "epoch": epoch, **options}
    return list(task.get_batch_iterator(task.dataset("train"), **arguments).next_epoch_itr())


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


def free(folder: Path, **options: Any) -> UnifyTask:
    texts = f"{folder / 'text.tsv'},{folder / 'more_text.tsv'}"
    return make_task(folder, text_data=texts, **options)


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
        task.begin_epoch(3, None)
    assert "source more_text is seen 20.000 times, 60.000 times since the start" in caplog.text
    assert "source train is seen 1.000 times, 3.000 times since the start" in caplog.text
    assert "detection" not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixture_weights": "{"}, "--mixture-weights must be JSON"),
        ({"mixture_weights": "[1]"}, "--mixture-weights must be JSON"),
        ({"mixture_weights": '{"train": -1}'}, "with weights of 0 or more"),
        ({"mixture_weights": '{"train": 1}'}, "each of the sources train, text, image, detection"),
        (
            {"mixture_weights": '{"train": 0, "text": 0, "image": 0, "detection": 0}'},
            "one positive",
        ),
        ({"mixture_weights": "{}", "mixture_cap": 3}, "goes without"),
        ({"mixture_temperature": 0.0}, "--mixture-temperature must be positive"),
        ({"mixture_epoch_rows": 5}, "--mixture-epoch-rows must be positive, and goes with"),
        ({"neg_sample_dir": None}, "--neg-sample-dir must name the folder"),
        ({"keep_ratio": 0.1}, "--keep-ratio has no effect and must be 0"),
        ({"mask_ratio": 2.0}, "--mask-ratio must lie"),
        ({"mask_length": "subword", "replace_length": -1}, "--replace-length must be one of 0, 1"),
        ({"instruction_variants": 2.0}, "--instruction-variants must lie"),
        ({"max_image_size": 48}, "--max-image-size 48 must not be less than"),
        ({"patch_image_size": 496}, "--patch-image-size must be at most 480"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(folder, **options).load_dataset("train")


def test_two_sources_of_one_name_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tsv").write_text("1\ta\n", "utf-8")
    texts = f"{folder / 'text.tsv'},{tmp_path / 'text.tsv'}"
    with pytest.raises(ValueError, match="text is there twice: rename a file"):
        make_task(folder, text_data=texts, mixture_cap=9).load_dataset("train")


@pytest.mark.parametrize("kind", ["text", "image", "detection"])
@pytest.mark.parametrize("free", [False, True])
def test_source_without_rows_is_refused(
    folder: Path, tmp_path: Path, kind: str, free: bool
) -> None:
    (tmp_path / "nothing.tsv").write_text("", "utf-8")
    options = {f"{kind}_data": str(tmp_path / "nothing.tsv")}
    cap = 5 if free else None
    with pytest.raises(ValueError, match=r"nothing\.tsv"):
        make_task(folder, mixture_cap=cap, **options).load_dataset("train")


def test_bad_side_row_names_its_file_or_is_replaced(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text("1\t \n2\tgood\n", "utf-8")
    with pytest.raises(BadRow, match=r"texts\.tsv:1: the text is empty"):
        train_batches(make_task(folder, text_data=str(path)))
    task = make_task(folder, text_data=str(path), on_bad_row="skip")
    with caplog.at_level(logging.WARNING):
        batches = train_batches(task)
    assert "bad row replaced by the next good one" in caplog.text
    assert task.dataset("train").bad_rows == 1
    assert sum(list(second["id"]).count("2") for _, second in batches) == 6


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
    assert len({frozenset(log) for log in found}) == 1  # so that workers can add them up
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
