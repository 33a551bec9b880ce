import argparse

import pytest

from biomedgpt_fairseq.cli.predict import add_arguments, run


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--path=absent.pt", *arguments])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nothing to answer"),
        (["--question=is it?"], "nothing to answer"),
        (["--input=rows.tsv", "--text=a"], "--input"),
        (["--text=a", "--top-k=0"], "--top-k"),
    ],
)
def test_contradicting_options_are_refused(arguments: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        run(parse(*arguments))


def test_text_may_be_given_twice() -> None:
    assert parse("--text=a", "--text=b").text == ["a", "b"]
