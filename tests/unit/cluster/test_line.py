from __future__ import annotations

import pytest

from biomedgpt_fairseq.cluster.line import Line, parse_line, parse_variation, vary


def test_settings_stand_before_the_program() -> None:
    line = parse_line(["A=1", "RUN_DIR=a b", "bash", "x.sh", "B=2"])
    assert line == Line(("bash", "x.sh", "B=2"), {"A": "1", "RUN_DIR": "a b"})
    assert str(line) == "A=1 RUN_DIR='a b' bash x.sh B=2"


@pytest.mark.parametrize("words", [[], ["A=1"]])
def test_line_needs_a_program(words: list[str]) -> None:
    with pytest.raises(ValueError, match="nothing to run"):
        parse_line(words)


def test_values_are_listed_or_counted() -> None:
    assert parse_variation("SEED=1,5") == ("SEED", ["1", "5"])
    assert parse_variation("SHARD=0..3") == ("SHARD", ["0", "1", "2", "3"])
    assert parse_variation("DATA=a..b") == ("DATA", ["a..b"])


@pytest.mark.parametrize("text", ["SEED", "SEED=", "=1", "1A=1", "A=1,,2", "A=3..1"])
def test_bad_variation_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"--vary must be NAME=a,b,c or NAME=FIRST\.\.LAST"):
        parse_variation(text)
    with pytest.raises(ValueError, match="given twice"):
        parse_variation("A=1,1")


def test_every_combination_has_a_line_of_its_own() -> None:
    line = parse_line(["RUN=runs/{SET}/{SEED}", "train", "--json", '{"beam": 1}', "{SET}.tsv"])
    lines = vary(line, [("SET", ["a", "b"]), ("SEED", ["1", "2"])])
    assert [found.settings["RUN"] for found in lines] == [
        "runs/a/1",
        "runs/a/2",
        "runs/b/1",
        "runs/b/2",
    ]
    assert lines[2].words == ("train", "--json", '{"beam": 1}', "b.tsv")
    assert dict(lines[2].settings) == {"SET": "b", "SEED": "1", "RUN": "runs/b/1"}


def test_line_without_variation_is_one() -> None:
    assert vary(Line(("a", "{SEED}")), []) == [Line(("a", "{SEED}"), {})]


@pytest.mark.parametrize("names", [["SEED", "SEED"], ["RUN"]])
def test_name_that_is_set_twice_is_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match=f"{names[0]} is set twice"):
        vary(Line(("a",), {"RUN": "x"}), [(name, ["1"]) for name in names])
