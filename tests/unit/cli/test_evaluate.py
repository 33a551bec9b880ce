import argparse
from pathlib import Path

import pytest

from biomedgpt_fairseq.cli.evaluate import (
    add_arguments,
    group_request,
    load_request,
    parse_overrides,
)


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser


def test_overrides_are_json() -> None:
    assert parse_overrides('{"beam": 5, "data": "a.tsv", "x": null}') == {
        "beam": 5,
        "data": "a.tsv",
        "x": None,
    }


def test_overrides_of_old_commands_are_python_literals() -> None:
    assert parse_overrides("{'bpe_dir': 'd', 'eval_cider': False}") == {
        "bpe_dir": "d",
        "eval_cider": False,
    }


@pytest.mark.parametrize("text", ["__import__('os').getcwd()", "{'a': open('b')}", "{", "a=1"])
def test_overrides_are_never_evaluated(text: str) -> None:
    with pytest.raises(ValueError, match="--model-overrides"):
        parse_overrides(text)


@pytest.mark.parametrize("text", ["[1]", "3", "{1: 2}"])
def test_overrides_must_be_a_mapping(text: str) -> None:
    with pytest.raises(ValueError, match="option"):
        parse_overrides(text)


def test_flags_of_the_original_are_accepted(parser: argparse.ArgumentParser) -> None:
    args = parser.parse_args(
        [
            "test.tsv",
            "--path=a.pt:b.pt",
            "--user-dir=module",
            "--task=vqa_gen",
            "--batch-size=64",
            "--selected-cols=0,5,2,3,4",
            "--bpe-dir=bpe",
            "--fp16",
            "--ema-eval",
            "--beam-search-vqa-eval",
            "--zero-shot",
            "--gen-subset=test",
            "--results-path=results",
            '--model-overrides={"patch_image_size": 384}',
            '--eval-args={"beam": 1}',
        ]
    )
    pytest.importorskip("fairseq")
    request = load_request(args, args.data)
    assert request.paths == ["a.pt", "b.pt"]
    assert request.seed == 7
    assert request.ema and request.search and request.zero_shot
    assert request.overrides == {
        "patch_image_size": 384,
        "data": "test.tsv",
        "eval_args": '{"beam": 1}',
        "selected_cols": "0,5,2,3,4",
        "bpe_dir": "bpe",
    }


def test_named_options_win_over_the_overrides(parser: argparse.ArgumentParser) -> None:
    pytest.importorskip("fairseq")
    args = parser.parse_args(
        ["--path=a", "--results-path=r", "--bpe-dir=new", '--model-overrides={"bpe_dir": "old"}']
    )
    assert load_request(args, None).overrides["bpe_dir"] == "new"


def test_eval_args_must_be_a_mapping(parser: argparse.ArgumentParser) -> None:
    pytest.importorskip("fairseq")
    args = parser.parse_args(["--path=a", "--results-path=r", "--eval-args=5"])
    with pytest.raises(ValueError, match="--eval-args"):
        load_request(args, None)


def test_two_precisions_are_refused(parser: argparse.ArgumentParser) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args(["--path=a", "--results-path=r", "--fp16", "--bf16"])


def test_groups_of_the_command_line(parser: argparse.ArgumentParser) -> None:
    pytest.importorskip("fairseq")
    from biomedgpt_fairseq.fairseq_robustness import GroupRequest

    fixed = ["--path=a", "--results-path=r"]
    assert group_request(parser.parse_args(fixed)) == GroupRequest()
    options = ["--group-column=1, 6", "--metadata=m.csv", "--group-by=site,sex"]
    options += ["--metadata-key=uid", "--allow-unknown-groups", "--min-group-rows=5"]
    assert group_request(parser.parse_args([*fixed, *options])) == GroupRequest(
        (1, 6), Path("m.csv"), "uid", ("site", "sex"), True, 5
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metadata=m.csv"], "--metadata FILE and --group-by NAME belong together"),
        (["--group-by=site"], "--metadata FILE and --group-by NAME belong together"),
        (["--metadata=m.csv", "--group-by=site,site"], "--group-by: expected different"),
        (["--metadata=m.csv", "--group-by="], "--group-by: expected different"),
        (["--group-column=site"], "--group-column must be column indices"),
        (["--group-column=-1"], "--group-column must be column indices"),
        (["--min-group-rows=0"], "--min-group-rows must be at least 1"),
    ],
)
def test_groups_that_cannot_be_meant_are_refused(
    options: list[str], message: str, parser: argparse.ArgumentParser
) -> None:
    pytest.importorskip("fairseq")
    with pytest.raises(ValueError, match=message):
        group_request(parser.parse_args(["--path=a", "--results-path=r", *options]))


def test_test_answers_are_allowed_by_their_flag_only(parser: argparse.ArgumentParser) -> None:
    pytest.importorskip("fairseq")
    fixed = ["--path=a", "--results-path=r"]
    assert load_request(parser.parse_args(fixed), None).overrides == {}
    allowed = load_request(parser.parse_args([*fixed, "--allow-test-answers"]), None)
    assert allowed.overrides == {"allow_test_answers": True}
