"""Targets: files of rows, indices, vocabularies, JSON and tables of sources."""

from __future__ import annotations

import collections
import gzip
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from biomedgpt_fairseq.cluster.slurm import states
from biomedgpt_fairseq.data.negatives import load_negatives
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.data.tsv_writer import TsvWriter
from biomedgpt_fairseq.image_tokenizer.config import TokenizerConfig, read_config
from biomedgpt_fairseq.metrics.frequencies import read_frequencies
from biomedgpt_fairseq.report.metadata import read_metadata
from biomedgpt_fairseq.report.training_log import read_curves
from biomedgpt_fairseq.tasks.answer_set import describe_answers, load_answers
from biomedgpt_fairseq.text.bpe import derive_encoder
from biomedgpt_fairseq.text.folder import CARD_FORMAT, FAIRSEQ_FILES
from biomedgpt_fairseq.text.tokenizer import load_tokenizer
from data_utils import tables
from data_utils.npz_stream import NpzArray
from data_utils.plain_pickle import COUNTERS, load_plain_pickle
from data_utils.writer import _known_files
from tests.fuzz.harness import Parse, Target, Wrong, file_target, named

ROWS = b"1\ta film\t0.5|!+yes\n2\tthe \xc3\xa9 lung\t1|!+no\n3\t\t\n"


def _read_rows(path: Path) -> None:
    Path(f"{path}.offsets").unlink(missing_ok=True)
    reader = TsvReader(str(path))
    if len(list(reader)) != len(list(reader.column(0))):
        raise Wrong("rows were lost")


def _open_index(folder: Path) -> Parse:
    """An index may be worth nothing, but it must never give other rows."""
    path = folder / "rows.tsv"
    path.write_bytes(ROWS)
    whole = list(TsvReader(str(path)))
    index = Path(f"{path}.offsets")
    header = index.read_bytes()[:48]

    def parse(data: bytes) -> None:
        index.write_bytes(data.replace(b"HEADER", header))
        if list(TsvReader(str(path))) != whole:
            raise Wrong("other rows")

    return parse


MERGES = [("a", "b"), ("ab", "c"), ("\u0120", "t")]
ENCODER = derive_encoder(MERGES)
CONTENTS = {
    "dict.txt": "".join(f"{index} 7\n" for index in ENCODER.values()).encode(),
    "encoder.json": json.dumps(ENCODER).encode(),
    "vocab.bpe": "#version: 0.2\n{}\n".format("\n".join(map(" ".join, MERGES))).encode(),
}


def _sums(contents: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(contents[name]).hexdigest() for name in FAIRSEQ_FILES}


CARD = {"format": CARD_FORMAT, "sha256": _sums(CONTENTS)}


def _vocabulary_target(name: str, share: int) -> Target:
    """A file of a compact vocabulary, whose card has the right sum of it."""

    def open_(folder: Path) -> Parse:
        def parse(data: bytes) -> None:
            contents = {**CONTENTS, name: data}
            if name != "vocabulary.json":
                card = {**CARD, "sha256": _sums(contents)}
                contents["vocabulary.json"] = json.dumps(card).encode()
            for key, content in contents.items():
                (folder / key).write_bytes(content)
            with named(folder):
                tokenizer = load_tokenizer(folder, num_codes=8, num_bins=8)
            tokenizer.decode(tokenizer.encode("abc the lung"))
            tokenizer.word_starts()

        return parse

    sample = json.dumps(CARD).encode() if name == "vocabulary.json" else CONTENTS[name]
    return Target(f"vocabulary/{name}", open_, [sample], share=share, tokens=(b"\xc4\xa0", b"258"))


def _prepare_hugging_face(folder: Path) -> None:
    tokens = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "<mask>": 5}
    (folder / "vocab.json").write_text(json.dumps(tokens), encoding="utf-8")
    (folder / "merges.txt").write_bytes(CONTENTS["vocab.bpe"])


def _prepare_negatives(folder: Path) -> None:
    for name in ("object.txt", "all_captions.txt"):
        (folder / name).write_text("lung\nheart\n", encoding="utf-8")


def _resume(path: Path) -> None:
    """A writer's record of how far it came."""
    target = path.with_name(path.name.removesuffix(".partial.json"))
    path.with_name(f"{target.name}.partial").write_bytes(b"a\tb\n")
    with TsvWriter(target, ("x", "y"), fingerprint="f") as writer:
        writer.reject("item", "reason")


def _answers(card: Path) -> None:
    path = card.with_name("answers.json")
    describe_answers(str(path), load_answers(None, str(path), True), None)


def _prepare_answers(folder: Path) -> None:
    (folder / "answers.json").write_text('["yes", "no"]', encoding="utf-8")


def _xlsx() -> bytes:
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    cells = '<c r="A1" t="inlineStr"><is><t>id</t></is></c><c r="B1" t="s"><v>0</v></c>'
    row = '<c r="A2"><v>1</v></c><c r="B2" t="s"><v>1</v></c>'
    rows = f'<row r="1">{cells}</row><row r="2">{row}</row>'
    sheet = f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>"
    shared = f"<sst {space}><si><t>name</t></si><si><t>x</t></si></sst>"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # stored: changes reach the XML
        archive.writestr("xl/sharedStrings.xml", shared)
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return file.getvalue()


def _npz(save: Callable[..., None]) -> bytes:
    file = io.BytesIO()
    save(file, images=np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    return file.getvalue()


def _jobs(path: Path) -> None:
    with patch("shutil.which", return_value=None):  # not the queue of this machine
        states(path.parent)


PICKLED: Any = collections.defaultdict(float, {("a", "b"): 2.0, "c": [1, None, "x"]})
LOG = (
    '2026-01-01 | INFO | train | {"epoch": 1, "train_loss": "4.2", "train_num_updates": "7"}\n'
    "2026-01-01 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 4.1 | num_updates 7\n"
)
STATE = (
    '{"fingerprint": "f", "bytes": 4, "rows": 1, "taken": 1, "reject_counts": {}, "rejects": []}'
)
JOBS = '{"job": "12_0", "line": "bash a.sh"}\n{"job": "13", "line": "b"}\n'


SIZES = json.dumps({**asdict(TokenizerConfig(width=32)), "notes": {}})
XML = "<annotation><object><name>RBC</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"

TARGETS = [
    file_target("tsv/file", "rows.tsv", _read_rows, ROWS, b"a\tb\r\nc\td\r\n", b"\xef\xbb\xbfx\n",
                share=40, tokens=(b"\t", b"\n", b"\r\n", b"\0")),
    Target("tsv/index", _open_index, [b"HEADER" + np.array([0, 20, 41, 45]).tobytes()], share=30),
    *(_vocabulary_target(n, 6) for n in ("dict.txt", "encoder.json", "vocab.bpe")),
    _vocabulary_target("vocabulary.json", 10),
    file_target("vocabulary/vocab.json", "vocab.json", lambda path: load_tokenizer(path.parent),
                hostile=[b'{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "<mask>": 5}'],
                prepare=_prepare_hugging_face),  # the released vocabulary alone is taken
    file_target("vocabulary/merges.txt", "merges.txt", lambda path: load_tokenizer(path.parent),
                hostile=[CONTENTS["vocab.bpe"]], prepare=_prepare_hugging_face),
    file_target("json/answers", "answers.json", lambda path: load_answers(None, str(path)),
                '["yes", "no"]', '{"ct": 0, "mri": 1}', share=40),
    file_target("json/answer-lines", "answers.txt", lambda path: load_answers(None, str(path)),
                "yes\nno\n", share=20),
    file_target("json/data-card", "card.json", _answers,
                '{"answers": {"uses_test_answers": false, "from": ["train"]}}', share=30,
                prepare=_prepare_answers),
    file_target("json/converter-card", "card.json", lambda path: _known_files(path, "k"),
                '{"key": "k", "files": {"train": {"rows": 3}}}', share=20),
    file_target("json/negatives", "type2ans.json", lambda path: load_negatives(path.parent),
                '{"other": ["ct", "mri"], "how many": ["1", "2"]}', share=30,
                prepare=_prepare_negatives),
    file_target("json/frequencies", "frequencies.json", read_frequencies,
                '{"ref_len": 100, "document_frequency": {"the heart": 7, "lung": 2}}', share=30),
    file_target("json/tokenizer-sizes", "sizes.json", read_config, SIZES, share=20),
    file_target("json/metadata", "rows.jsonl", lambda path: read_metadata(path, "id", ["site"]),
                '{"id": 1, "site": "a"}\n{"id": "2", "site": null}\n', share=30),
    file_target("table/metadata", "rows.csv", lambda path: read_metadata(path, "id", ["site"]),
                'id,site\n1,a\n2,"b,\n c"\n', share=30, tokens=(b'"', b",", b"\r")),
    file_target("json/training-log", "train.log", read_curves, LOG, share=30, refusals=()),
    file_target("json/writer-state", "out.tsv.partial.json", _resume, STATE),
    file_target("json/jobs", "jobs.jsonl", _jobs, JOBS),
    file_target("table/csv", "rows.csv", lambda path: list(tables.read_csv(path, ("id", "text"))),
                'id,text\n1,a\n2,"b,\n c"\n', share=30, tokens=(b'"', b",", b"\r")),
    file_target("table/csv-gz", "rows.csv.gz", lambda path: list(tables.read_csv(path, ("id",))),
                gzip.compress(b"id,text\n1,a\n", mtime=0)),
    file_target("table/json", "rows.json",
                lambda path: tables.read_json_rows(path, ("id", "file"), {"file": str}),
                '[{"id": 1, "file": "a.png"}, {"id": 2, "file": "b.png"}]', share=30),
    file_target("table/jsonl", "rows.jsonl", lambda path: tables.read_json_rows(path, ("id",)),
                '{"id": 1}\n{"id": 2}\n', share=20),
    file_target("table/pairs", "pairs.tsv", lambda path: list(tables.read_pairs(path)),
                "a\tb\nc\td\n", share=20),
    file_target("table/xml", "a.xml", tables.read_xml, XML, share=20,
                tokens=(b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"<![CDATA[", b"<?xml")),
    file_target("table/xlsx", "a.xlsx", lambda path: list(tables.read_xlsx(path, ("id", "name"))),
                _xlsx(), tokens=(b"PK\x03\x04", b"PK\x05\x06", b"<v>", b'r=""')),
    file_target("table/pickle", "counts.p", lambda path: load_plain_pickle(path, COUNTERS),
                *(pickle.dumps(PICKLED, protocol) for protocol in (0, 2, 4)), share=30,
                tokens=(b"cos\nsystem\n", b"\x93", b"R.", b"(", b"\x94", b"]", b"b", b"\x81")),
    file_target("table/npz", "a.npz", lambda path: list(NpzArray(path, "images").rows()),
                _npz(np.savez), _npz(np.savez_compressed),
                tokens=(b"PK\x03\x04", b"'|O'", b"(2, 3, 4)", b"(99999999999,)", b"True")),
]  # fmt: skip
