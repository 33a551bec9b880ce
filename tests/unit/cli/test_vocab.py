"""`biomedgpt vocab`: its three actions."""

import argparse
from pathlib import Path

import pytest

from biomedgpt_fairseq.cli import vocab as command
from biomedgpt_fairseq.text.tokenizer import load_tokenizer


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


def test_train_reads_lines_of_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("hepatomegaly\n\nhepatomegaly\n", encoding="utf-8")

    assert run("train", "--output", tmp_path / "v", "--size", "450", tmp_path / "a.txt") == 0

    assert len(load_tokenizer(tmp_path / "v").encode(" hepatomegaly")) == 1
    assert "compact vocabulary, checksums verified" in capsys.readouterr().out


def test_train_reads_columns_of_tables(tmp_path: Path) -> None:
    row = "1\tis there hepatomegaly\t1.0|!+cardiomegaly&&0.5|!+none\tsplenomegaly\n"
    (tmp_path / "a.tsv").write_text(row * 8, encoding="utf-8")

    run("train", "--output", tmp_path / "v", "--size", "500", "--column=1,2", tmp_path / "a.tsv")

    tokenizer = load_tokenizer(tmp_path / "v")
    lengths = [len(tokenizer.encode(f" {x}omegaly")) for x in ("hepat", "cardi", "splen")]
    assert lengths[:2] == [1, 1] and lengths[2] > 1
    assert "|!+" not in (tmp_path / "v" / "encoder.json").read_text(encoding="utf-8")


def test_train_wants_columns_of_tables(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("1\ttext\n")

    with pytest.raises(ValueError, match=r"text columns of .*a\.tsv with --column"):
        run("train", "--output", tmp_path / "v", tmp_path / "a.tsv")


def test_train_names_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file: .*none\.txt"):
        run("train", "--output", tmp_path / "v", tmp_path / "none.txt")


def test_action_is_required() -> None:
    with pytest.raises(SystemExit):
        run()


def test_info_names_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="vocab download"):
        run("info", tmp_path / "none")


@pytest.mark.shared
def test_download_and_info_of_the_released_files(
    shared_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = (shared_dir / "data" / "bpe").as_uri()

    assert run("download", "--output", tmp_path, "--url", address) == 0
    assert capsys.readouterr().out.count(": verified") == 3
    run("download", "--output", tmp_path, "--url", address)
    assert "nothing to download" in capsys.readouterr().out
    assert run("info", tmp_path) == 0

    shown = capsys.readouterr().out
    assert "released GPT-2 vocabulary, fairseq files, checksums verified" in shown
    assert "59,457 with 8,192 image codes and 1,000 bins" in shown
