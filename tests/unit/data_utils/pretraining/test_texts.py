"""Text corpora, on look-alikes of their layouts and on MedQuAD and the Indiana reports."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils.pretraining import pubmed, texts

CITATION = """<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article>
<ArticleTitle>[Effects of <i>A. baumannii</i>.]</ArticleTitle>{abstract}</Article>
<CommentsCorrectionsList><CommentsCorrections><PMID>99</PMID></CommentsCorrections>
</CommentsCorrectionsList></MedlineCitation></PubmedArticle>"""
ABSTRACT = """<Abstract><AbstractText Label="METHODS">We used H<sub>2</sub>O.</AbstractText>
<AbstractText Label="RESULTS">It\twas\nwet.</AbstractText></Abstract>"""


def write_baseline(path: Path, citations: list[str]) -> Path:
    body = '<?xml version="1.0"?><!DOCTYPE PubmedArticleSet SYSTEM "pubmed.dtd">'
    body += f"<PubmedArticleSet>{''.join(citations)}</PubmedArticleSet>"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(body.encode()))
    return path


def test_pubmed_abstracts_with_title_labels_and_markup(
    tmp_path: Path, work: Callable[..., Any]
) -> None:
    source = tmp_path / "baseline"
    write_baseline(source / "pubmed26n0001.xml.gz", [CITATION.format(pmid=7, abstract=ABSTRACT)])
    write_baseline(source / "pubmed26n0002.xml.gz", [CITATION.format(pmid=8, abstract="")])

    made = work(texts.KIND, "pubmed", source)

    text = "Effects of A. baumannii. METHODS: We used H2O. RESULTS: It was wet."
    assert made.rows() == [["pubmed_7", text]]
    assert made.card["rejected"] == {"no abstract": 1}
    assert made.card["rejects"] == [["8", "no abstract"]]


def test_pubmed_files_are_streams(tmp_path: Path) -> None:
    abstract = f"<Abstract><AbstractText>{'word ' * 400}</AbstractText></Abstract>"
    source = write_baseline(
        tmp_path / "a.xml.gz", [CITATION.format(pmid=n, abstract=abstract) for n in range(3000)]
    )

    tracemalloc.start()
    count = sum(1 for _ in pubmed.read(source, None))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 3000
    assert peak < 1_500_000  # the file has 7 MB of text


@pytest.mark.parametrize("damage", ["cut", "no_xml"])
def test_damaged_pubmed_file_is_named(
    tmp_path: Path, damage: str, work: Callable[..., Any]
) -> None:
    path = write_baseline(tmp_path / "a" / "x.xml.gz", [CITATION.format(pmid=7, abstract="")] * 99)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2] if damage == "cut" else gzip.compress(b"<a><b></a>"))

    with pytest.raises(ValueError, match=r"x\.xml\.gz"):
        work(texts.KIND, "pubmed", tmp_path / "a")


def test_mimic_reports_follow_the_split_list(tmp_path: Path, work: Callable[..., Any]) -> None:
    source = tmp_path / "files" / "p10"
    for study in (1, 2, 3, 4):
        path = source / f"p100{study}" / f"s5{study}.txt"
        path.parent.mkdir(parents=True)
        path.write_text(f"          FINAL REPORT\n EXAM: CHEST {study}\n\n FINDINGS: clear ___.\n")
    table = tmp_path / "splits.csv.gz"
    listed = ["dicom_id,study_id,split", "a,51,train", "b,52,validate", "c,53,test"]
    table.write_bytes(gzip.compress("\n".join(listed).encode()))

    made = work(texts.KIND, "mimic_cxr", tmp_path / "files", "--split-list", str(table))

    assert made.rows() == [["mimic_cxr_51", "EXAM: CHEST 1 FINDINGS: clear ___."]]
    assert made.rows(split="valid") == [["mimic_cxr_52", "EXAM: CHEST 2 FINDINGS: clear ___."]]
    assert made.card["rejected"] == {"not in the split list": 1, "of the test split": 1}


def test_validation_texts_are_drawn_by_patient(tmp_path: Path, work: Callable[..., Any]) -> None:
    for number in range(60):
        path = tmp_path / "files" / f"p{number // 3}" / f"s{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"patient{number // 3} well")

    made = work(texts.KIND, "mimic_cxr", tmp_path / "files", "--valid-share", "0.3")

    train, valid = ({row[1] for row in made.rows(split=name)} for name in ("train", "valid"))
    assert train and valid and not train & valid
    assert len(made.rows()) + len(made.rows(split="valid")) == 60


def test_sentences_documents_and_pubtator(tmp_path: Path, work: Callable[..., Any]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pubmed_uncased.txt").write_text("one .\n\ntwo\t' words .\n...\n")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "PMID-1.txt").write_text("A title\nA text.\n")
    (tmp_path / "b" / "PMID-1.a1").write_text("T1\tProtein 0 1\tA\n")
    (tmp_path / "c.txt").write_text("5|t|A | title\n5|a|A text.\n5\t0\t1\tA\tDisease\tD1\n\n")

    made = work(texts.KIND, "sentences", tmp_path / "a")
    assert made.rows() == [
        ["sentences_pubmed_uncased_1", "one ."],
        ["sentences_pubmed_uncased_3", "two ' words ."],
    ]
    assert made.card["rejected"] == {"no words": 1}

    made = work(texts.KIND, "documents", tmp_path / "b")
    assert made.rows() == [["documents_b/PMID-1.txt", "A title A text."]]

    made = work(texts.KIND, "pubtator", tmp_path / "c.txt")
    assert made.rows() == [["pubtator_5", "A | title A text."]]


def test_long_texts_are_cut_at_sentences() -> None:
    text = "One two three. Four five! Six seven eight nine ten eleven."

    assert texts.cut_text(text, 5) == [
        "One two three. Four five!",
        "Six seven eight nine ten",
        "eleven.",
    ]
    assert texts.cut_text(text, 4) == [
        "One two three.",
        "Four five!",
        "Six seven eight nine",
        "ten eleven.",
    ]
    assert texts.cut_text(text, 99) == [text]


@pytest.mark.parametrize("max_words", [1, 7, 50])
def test_no_word_of_a_long_text_is_lost(max_words: int) -> None:
    words = [f"w{n}{'.' if n % 6 == 5 else ''}" for n in range(97)]

    pieces = texts.cut_text(" ".join(words), max_words)

    assert " ".join(pieces).split() == words
    assert max(len(piece.split()) for piece in pieces) <= max_words


@pytest.mark.shared
def test_medquad_in_all_its_forms(shared_dir: Path, work: Callable[..., Any]) -> None:
    made = work(texts.KIND, "medquad", shared_dir / "data" / "medquad", "--max-words", "0")

    rows = dict(made.rows())
    assert len(rows) == 4835 and made.card["rejected"] == {"no question": 6}
    start = "what is holmes-adie syndrome ? Holmes-Adie syndrome (HAS) is a neurological disorder"
    assert rows["medquad_6_NINDS_QA_0000007_0"].startswith(start)


@pytest.mark.shared
def test_indiana_reports_are_findings_and_impression(
    shared_dir: Path, work: Callable[..., Any]
) -> None:
    source = shared_dir / "data" / "indiana_reports" / "indiana_dev.json"

    made = work(texts.KIND, "indiana_reports", source)

    rows = made.rows()
    assert rows[0][1].endswith("No acute osseous findings. No acute cardiopulmonary findings. .")
    assert made.card["items"] == 1800 and made.card["rejected"] == {}
