"""`biomedgpt evaluate` by subgroup, by wording, and with answer sets of any origin."""

import json
from unittest.mock import patch

import pytest
from e2e_commands import jsonl

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.text.instructions import INSTRUCTIONS


def evaluate(path, folder, *options):
    """Exit status of an evaluation."""
    command = ["evaluate", "--path", path, "--results-path", folder, "--cpu", *options]
    return biomedgpt([str(word) for word in command])


def read(folder, name):
    return json.loads((folder / name).read_text("utf-8"))


def cells(corpus, task, split, column):
    rows = (corpus.folder / task / f"{split}.tsv").read_text("utf-8").splitlines()
    return [row.split("\t")[column] for row in rows]


@pytest.fixture
def sites(corpus, tmp_path):
    """A side file with a site for each validation row, the last one without."""
    ids = cells(corpus, "vqa_gen", "valid", 0)
    rows = [f"{row_id},{'north' if n < 2 else 'south'}" for n, row_id in enumerate(ids)]
    path = tmp_path / "sites.csv"
    path.write_text("\n".join(["study,site", *rows[:-1], f"{ids[-1]},"]) + "\n")
    return path


def test_groups_and_wordings_are_added_to_the_result(trained, corpus, sites, tmp_path):
    plain, full = tmp_path / "plain", tmp_path / "full"
    assert evaluate(trained["vqa_gen"], plain, "--no-report") == 0
    options = ["--metadata", sites, "--metadata-key", "study", "--group-by", "site"]
    options += ["--allow-unknown-groups", "--min-group-rows", "2", "--paraphrases"]
    assert evaluate(trained["vqa_gen"], full, "--group-column", "3", *options) == 0

    names = ("predictions.jsonl", "test_predict.json")
    assert all((full / name).read_bytes() == (plain / name).read_bytes() for name in names)
    metrics = read(full, "metrics.json")
    by_answer, by_site = metrics.pop("subgroups")
    paraphrases = metrics.pop("paraphrases")
    assert metrics == read(plain, "metrics.json")

    correct = [row["correct"] for row in jsonl(full / "predictions.jsonl")]
    assert [(g["group"], g["rows"], g["few_rows"]) for g in by_site["groups"]] == [
        ("north", 2, False),
        ("south", 2, False),
        ("unknown", 1, True),
    ]
    means = [sum(correct[:2]) / 2, sum(correct[2:4]) / 2, correct[4]]
    assert [g["metrics"]["vqa_score"]["value"] for g in by_site["groups"]] == means
    assert by_site["gaps"]["vqa_score"]["gap"] == abs(means[0] - means[1])
    found = {group["group"] for group in by_answer["groups"]}
    assert found == set(cells(corpus, "vqa_gen", "valid", 3)) and by_answer["origin"]

    released, *others = paraphrases["wordings"]
    assert released["metrics"] == metrics["metrics"] and released["agreement"] == 1.0
    assert [w["template"] for w in others] == [
        w.template for w in INSTRUCTIONS["vqa"].wordings()[1:]
    ]
    spread = paraphrases["metrics"]["accuracy"]
    assert spread["mean_interval"][0] <= spread["mean"] <= spread["mean_interval"][1]
    page = (full / "report.html").read_text("utf-8")
    assert "Subgroups by site" in page and "Wordings of the instruction" in page
    assert read(full, "record.json")["metadata"]["path"] == str(sites)


@pytest.mark.parametrize(
    ("task", "instruction"), [("image_classify", "image_classify"), ("gigaword", "summary")]
)
def test_a_wording_gives_what_the_instruction_would_give(task, instruction, trained, tmp_path):
    path = trained[task]
    options = ["--no-report", "--limit", "4", "--eval-args", '{"beam": 1, "max_len_b": 5}']
    assert evaluate(path, tmp_path / "all", "--paraphrases", *options) == 0
    wordings = read(tmp_path / "all", "metrics.json")["paraphrases"]["wordings"]
    changed = INSTRUCTIONS[instruction].wordings()[2]
    with patch.dict(INSTRUCTIONS, {instruction: changed}):
        assert evaluate(path, tmp_path / "one", *options) == 0
    assert wordings[2]["metrics"] == read(tmp_path / "one", "metrics.json")["metrics"]
    answers = [
        [row["answer"] for row in jsonl(tmp_path / name / "predictions.jsonl")]
        for name in ("all", "one")
    ]
    assert wordings[2]["agreement"] == sum(a == b for a, b in zip(*answers, strict=True)) / 4


def test_rows_without_an_id_column_are_known_by_their_number(trained, tmp_path):
    side = tmp_path / "sexes.jsonl"
    side.write_text("".join(f'{{"id": {n}, "sex": "{"mf"[n % 2]}"}}\n' for n in range(3)))
    options = ["--no-report", "--metadata", side, "--group-by", "sex", "--limit", "3"]
    assert evaluate(trained["gigaword"], tmp_path / "results", *options) == 0
    (by_sex,) = read(tmp_path / "results", "metrics.json")["subgroups"]
    assert [(g["group"], g["rows"]) for g in by_sex["groups"]] == [("f", 1), ("m", 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metadata-key", "study", "--group-by", "site"], "1 of 5 rows"),
        (["--metadata-key", "site", "--group-by", "study"], "5 of 5 rows"),
        (["--metadata-key", "study", "--group-by", "sex"], "no column 'sex'; there are: study"),
    ],
)
def test_side_file_that_does_not_fit_stops_before_anything_is_written(
    options, message, trained, sites, tmp_path, capsys
):
    sites.write_text(sites.read_text().replace("south\n", "west\n", 1))
    if "5 of 5" in message:
        sites.write_text("study,site\nx,y\n")
    assert evaluate(trained["vqa_gen"], tmp_path / "results", "--metadata", sites, *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_column_that_is_not_there_is_named(trained, tmp_path, capsys):
    assert evaluate(trained["vqa_gen"], tmp_path / "results", "--group-column", "9") == 2
    assert "valid.tsv:1: expected at least 10 columns" in capsys.readouterr().err


def test_origin_of_the_answers_is_recorded(trained, corpus, tmp_path):
    assert evaluate(trained["vqa_gen"], tmp_path, "--no-report") == 0
    found = read(tmp_path, "record.json")["answer_set"]
    answers = json.loads((corpus.folder / "vqa_gen" / "answers.json").read_text())
    trained_on, evaluated = (
        {cell.partition("|!+")[2] for cell in cells(corpus, "vqa_gen", split, 3)}
        for split in ("train", "valid")
    )
    assert found["source"]["path"] == str(corpus.folder / "vqa_gen" / "answers.json")
    assert len(found["source"]["sha256"]) == 64 and found["count"] == len(answers)
    assert found["card"] is None and found["uses_test_answers"] is None
    assert found["only_in_evaluated_rows"] == len((evaluated - trained_on) & set(answers))


def test_test_answers_need_the_flag_and_are_reported(trained, corpus, tmp_path, capsys):
    answers = (corpus.folder / "vqa_gen" / "answers.json").read_text()
    (tmp_path / "answers.json").write_text(answers)
    card = {"answers": {"from": ["train", "test"], "uses_test_answers": True}}
    (tmp_path / "card.json").write_text(json.dumps(card))
    overrides = json.dumps({"ans2label_file": str(tmp_path / "answers.json")})
    options = ["--model-overrides", overrides, "--limit", "2"]
    assert evaluate(trained["vqa_gen"], tmp_path / "results", *options) == 2
    assert "holds answers of the test split" in capsys.readouterr().err
    allowed = [*options, "--allow-test-answers"]
    assert evaluate(trained["vqa_gen"], tmp_path / "results", *allowed) == 0
    found = read(tmp_path / "results", "record.json")["answer_set"]
    assert found["uses_test_answers"] is True and found["card"] == card["answers"]
    page = (tmp_path / "results" / "report.html").read_text("utf-8")
    assert f'<div class="card note">{found["statement"]}</div>' in page
