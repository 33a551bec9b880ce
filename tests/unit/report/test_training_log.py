from pathlib import Path

import pytest

from biomedgpt_fairseq.report.training_log import find_training_log, parse_curves

JSON_LOG = [
    "2025-01-01 00:00:00 | INFO | fairseq_cli.train | task: VqaGenTask",
    '2025-01-01 00:00:01 | INFO | train_inner | {"epoch": 1, "update": 0.5, "loss": "9.5", '
    '"num_updates": "1"}',
    '2025-01-01 00:00:02 | INFO | valid | {"epoch": 1, "valid_loss": "7.25", '
    '"valid_vqa_score": "0.5", "valid_num_updates": "2", "valid_best_vqa_score": "0.5"}',
    '2025-01-01 00:00:03 | INFO | train | {"epoch": 1, "train_loss": "8.5", "train_wall": "3", '
    '"train_num_updates": "2", "train_lr": "5e-05"}',
    # Bare, as in a file of --log-file.
    '{"epoch": 2, "train_loss": "6.0", "train_num_updates": "4"}',
]


def curve(lines: list[str], split: str, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    found = [c for c in parse_curves(lines) if (c.split, c.name) == (split, name)]
    assert len(found) == 1
    return found[0].updates, found[0].values


def test_json_lines_become_curves_over_updates() -> None:
    assert curve(JSON_LOG, "train", "loss") == ((2.0, 4.0), (8.5, 6.0))
    assert curve(JSON_LOG, "valid", "vqa_score") == ((2.0,), (0.5,))
    assert curve(JSON_LOG, "train", "lr") == ((2.0,), (5e-5,))


def test_lines_inside_an_epoch_are_left_out() -> None:
    assert 9.5 not in curve(JSON_LOG, "train", "loss")[1]


def test_simple_format_is_read() -> None:
    lines = [
        "2025-01-01 | INFO | train_inner | epoch 001:      2 / 8 loss=9, num_updates=2",
        "INFO | valid | epoch 001 | valid on 'valid' subset | loss 7.5 | num_updates 8",
        "2025-01-01 | INFO | train | epoch 001 | loss 8 | ups n/a | num_updates 8",
    ]
    assert curve(lines, "valid", "loss") == ((8.0,), (7.5,))
    assert curve(lines, "train", "loss") == ((8.0,), (8.0,))


def test_a_resumed_run_counts_its_later_line() -> None:
    again = ['{"epoch": 1, "train_loss": "3.0", "train_num_updates": "2"}']
    assert curve(JSON_LOG + again, "train", "loss") == ((2.0, 4.0), (3.0, 6.0))


@pytest.mark.parametrize("line", ["", "{", "{not json}", "[1]", '{"epoch": 1}', "nan | nan"])
def test_other_lines_are_skipped(line: str) -> None:
    assert parse_curves([line]) == []


def test_not_finite_values_are_left_out() -> None:
    assert parse_curves(['{"train_loss": "nan", "train_num_updates": "2"}']) == []


def test_log_beside_the_checkpoint_is_found(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint_best.pt"
    assert find_training_log(checkpoint) is None
    (tmp_path / "train.log").write_text("")
    assert find_training_log(checkpoint) == tmp_path / "train.log"


def test_log_that_the_run_wrote_comes_first(tmp_path: Path) -> None:
    for name in ("a.log", "run.txt"):
        (tmp_path / name).write_text("")
    saved = str(tmp_path / "run.txt")
    assert find_training_log(tmp_path / "c.pt", saved=saved) == tmp_path / "run.txt"
    assert find_training_log(tmp_path / "c.pt", saved="gone.txt") == tmp_path / "a.log"


def test_named_log_must_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent.log"):
        find_training_log(tmp_path / "a.pt", str(tmp_path / "absent.log"))
