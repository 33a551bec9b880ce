"""Every converter is a program that explains itself."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "name", ["answer_map", "cider_frequencies", "image_folder", "medmnist", "splits"]
)
def test_help_names_the_program_and_what_it_reads(name: str) -> None:
    parser = importlib.import_module(f"data_utils.{name}")._build_parser()

    assert parser.format_help().startswith(f"usage: data_utils.{name}")
    assert parser.description


def test_program_runs_from_a_clone(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("1\tyes\n2\tno\n")
    table, output = str(tmp_path / "train.tsv"), str(tmp_path / "a.json")
    arguments = ["tsv", table, "--column", "1", "--kind", "plain", "--output", output]

    subprocess.run(
        [sys.executable, "-m", "data_utils.answer_map", *arguments], cwd=ROOT, check=True
    )

    assert Path(output).read_text() == '{\n "yes": 0,\n "no": 1\n}\n'
