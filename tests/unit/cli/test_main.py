"""The dispatcher."""

import argparse
import sys
import types

import pytest

from biomedgpt_fairseq.cli import main as cli


@pytest.fixture
def sample(monkeypatch):
    """A sub-command `sample` which does what the test puts into `calls['do']`."""
    calls: dict[str, object] = {"do": lambda args: 0}
    module = types.ModuleType("biomedgpt_fairseq.cli.sample")
    module.add_arguments = lambda parser: parser.add_argument("--rows", type=int)
    module.run = lambda args: calls["do"](args)
    monkeypatch.setitem(sys.modules, "biomedgpt_fairseq.cli.sample", module)
    monkeypatch.setattr(cli, "SUBCOMMANDS", {"sample": "do a thing", "other": "never imported"})
    return calls


def test_options_reach_the_sub_command(sample):
    seen: list[argparse.Namespace] = []
    sample["do"] = lambda args: seen.append(args) or 3
    assert cli.main(["sample", "--rows", "7"]) == 3
    assert seen[0].rows == 7


def test_other_sub_commands_are_not_imported(sample):
    cli.main(["sample"])
    assert "biomedgpt_fairseq.cli.other" not in sys.modules


@pytest.mark.parametrize(
    "error", [ValueError("rows: must be positive"), FileNotFoundError(2, "No such file", "a.tsv")]
)
def test_errors_of_the_user_are_one_line_and_status_2(sample, capsys, error):
    def fail(args):
        raise error

    sample["do"] = fail
    assert cli.main(["sample"]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"biomedgpt: error: {error}\n"
    assert captured.out == ""


def test_other_errors_keep_their_traceback(sample):
    def fail(args):
        raise KeyError("bug")

    sample["do"] = fail
    with pytest.raises(KeyError):
        cli.main(["sample"])


def test_without_arguments_it_lists_the_sub_commands(sample, capsys):
    assert cli.main([]) == 2
    assert "do a thing" in capsys.readouterr().err


def test_help_of_all_and_of_one(sample, capsys):
    for arguments, expected in ((["--help"], "never imported"), (["sample", "-h"], "--rows")):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        assert stop.value.code == 0
        assert expected in capsys.readouterr().out


def test_unknown_sub_command_is_an_error(sample, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["unknown"])
    assert stop.value.code == 2
    assert "unknown" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("biomedgpt ")


@pytest.mark.parametrize("name", sorted(cli.SUBCOMMANDS))
def test_every_sub_command_has_its_module(name):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
