"""Every converter explains itself, and the documentation has a command for it that parses."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from data_utils.converter import Converter

ROOT = Path(__file__).resolve().parents[3]
COMMAND = re.compile(r"`python -m data_utils\.(\w+) (.+?)`")
DOCUMENTED = COMMAND.findall((ROOT / "docs" / "data.md").read_text(encoding="utf-8"))
NAMES = sorted(
    path.stem
    for path in (ROOT / "data_utils").glob("*.py")
    if "\nCONVERTER = " in path.read_text(encoding="utf-8")
)


def load(name: str) -> Converter:
    converter: Converter = importlib.import_module(f"data_utils.{name}").CONVERTER
    return converter


@pytest.mark.parametrize("name", NAMES)
def test_help_names_program_source_and_task(name: str) -> None:
    converter = load(name)
    text = converter.build_parser().format_help()

    assert text.startswith(f"usage: data_utils.{name} ")
    assert "Source" in text and f"Task of the rows: {converter.layout.task}." in text


@pytest.mark.parametrize("name", NAMES)
def test_documented_command_parses(name: str) -> None:
    commands = [words for program, words in DOCUMENTED if program == name]

    assert commands, f"docs/data.md has no command for {name}"
    for words in commands:
        args = load(name).build_parser().parse_args(shlex.split(words))
        assert args.output.parts[0] == "data"
