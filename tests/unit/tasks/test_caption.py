"""Captioning: references of a split, their frequencies, generators; sums over batches."""

import json
from pathlib import Path

import pytest

pytest.importorskip("fairseq")

from fairseq.logging import metrics

from biomedgpt_fairseq.metrics import bleu, cider_d, rouge
from biomedgpt_fairseq.tasks.base import Prediction
from biomedgpt_fairseq.tasks.caption import CaptionTask
from biomedgpt_fairseq.tasks.options import CaptionOptions
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

VALID = ["The heart, big.&&a big heart", "lungs are clear", "no mass is seen"]
ANSWERS = ["the heart is big", "Lungs are clear.", "a mass is seen"]


class SilentCriterion:
    """Logs a loss and nothing else."""

    @staticmethod
    def reduce_metrics(logs: list) -> None:
        metrics.log_scalar("loss", len(logs))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("caption")
    for name, captions in {"one": ["an eye"], "two": ["a nose"], "valid": VALID}.items():
        rows = [f"{i}\t\t{caption}\n" for i, caption in enumerate(captions)]
        (root / f"{name}.tsv").write_text("".join(rows), "utf-8")
    train_compact_vocabulary(VALID, 300, root / "bpe")
    return root


def make_task(folder: Path, files: tuple[str, ...] = ("one", "two", "valid"), **options):
    data = ",".join(str(folder / f"{name}.tsv") for name in files)
    cfg = CaptionOptions(
        data=data, bpe_dir=str(folder / "bpe"), code_dict_size=0, num_bins=0, seed=1, **options
    )
    return CaptionTask.setup_task(cfg)


def test_frequencies_are_those_of_the_validated_references(folder: Path) -> None:
    found = make_task(folder).frequencies()
    assert found.num_sets == 3
    assert found.counts[("big",)] == 1 and found.counts[("the", "heart")] == 1
    assert ("eye",) not in found.counts


def test_frequencies_of_a_file_replace_them(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "frequencies.json"
    path.write_text(json.dumps({"ref_len": 9, "document_frequency": {"an eye": 4}}))
    found = make_task(folder, eval_cider_cached_tokens=str(path)).frequencies()
    assert (found.num_sets, found.counts) == (9, {("an", "eye"): 4})


def test_training_references_are_those_of_every_training_file(folder: Path) -> None:
    task = make_task(folder)
    assert task.references(task.training_paths()) == [["an eye"], ["a nose"]]
    alone = make_task(folder, ("one",))
    assert alone.training_paths() == [str(folder / "one.tsv")]


def test_all_references_are_kept_outside_cross_entropy_training(folder: Path) -> None:
    assert not make_task(folder).row_options("train").all_references
    assert make_task(folder).row_options("valid").all_references
    assert make_task(folder, scst=True).row_options("train").all_references


def test_a_single_text_cannot_be_compared(folder: Path) -> None:
    task = make_task(folder, scst=True, scst_args='{"beam": 1}')
    with pytest.raises(ValueError, match="at least 2 texts"):
        task.build_scst_generator(None)


def test_nothing_is_generated_unless_asked(folder: Path) -> None:
    assert make_task(folder).validation_scores(None, {}) == {}


def test_scores_of_batches_add_up_to_those_of_the_split(folder: Path, monkeypatch) -> None:
    task = make_task(folder, eval_cider=True, eval_bleu=True)
    refs = [["the heart big", "a big heart"], ["lungs are clear"], ["no mass is seen"]]
    rows = [
        Prediction(str(i), answer, 0.0, caption, dict.fromkeys(caption.split("&&"), 1.0))
        for i, (answer, caption) in enumerate(zip(ANSWERS, VALID, strict=True))
    ]
    monkeypatch.setattr(task, "predict", lambda models, sample: rows[sample["rows"]])
    with metrics.aggregate() as found:
        for part in (slice(0, 2), slice(2, 3)):
            task.reduce_metrics([task.validation_scores(None, {"rows": part})], SilentCriterion())
    hyps = ["the heart is big", "lungs are clear", "a mass is seen"]
    values = found.get_smoothed_values()
    assert values["cider"] == pytest.approx(cider_d(hyps, refs).mean(), abs=1e-4)
    assert values["bleu"] == pytest.approx(bleu(hyps, refs), abs=1e-4)
    best = [
        max(rouge(h, r)["rougeL"].f for r in several) for h, several in zip(hyps, refs, strict=True)
    ]
    assert values["rougeL_f1"] == pytest.approx(100 * sum(best) / 3, abs=1e-4)
