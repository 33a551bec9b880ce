"""Names in a source's tables never lead out of its folder; its archives never fill the memory."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from numpy.lib import format as npy

from data_utils import iu_xray, pmc_vqa, slake, tables, vqa_rad
from data_utils.npz_stream import NpzArray
from data_utils.picture_list import read_csv
from data_utils.pretraining.worker import read_card
from data_utils.tables import MAX_MEMBER, inside, read_xlsx

OUTSIDE = ["../secret.png", "a/../../secret.png", "/etc/secret.png"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_name_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="secret.png', which leads out of this folder; correct"):
        inside(tmp_path, name)


def test_names_inside_are_joined(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b..png") == tmp_path / "a" / "b..png"


@pytest.mark.parametrize("name", OUTSIDE)
def test_tables_of_sources_cannot_name_files_outside(
    name: str, tmp_path: Path, convert: Any
) -> None:
    for folder in ("slake/imgs", "rad/images", "pmc/figures", "iu/iu_xray_images"):
        (tmp_path / folder).mkdir(parents=True)
    row = {"qid": 1, "q_lang": "en", "question": "a?", "answer": "b", "location": "Lung"}
    for split in ("train", "validate", "test"):
        content = json.dumps([row | {"img_name": name}])
        (tmp_path / "slake" / f"{split}.json").write_text(content)
    row |= {"image_organ": "CHEST", "image_name": name}
    for split in ("trainset", "testset"):
        (tmp_path / "rad" / f"{split}.json").write_text(json.dumps([row]))
    for split in ("train", "test"):
        cells = f"Figure_path,Question,Answer,Choice A\n{name},a,b,c\n"
        (tmp_path / "pmc" / f"{split}_2.csv").write_text(cells)
        (tmp_path / "iu" / f"{split}_images.tsv").write_text(f"{name}\ta text\n")
    (tmp_path / "list.csv").write_text(f"path,label\n{name},x\n")

    sources = (("slake", slake), ("rad", vqa_rad), ("pmc", pmc_vqa), ("iu", iu_xray))
    for folder, program in sources:
        with pytest.raises(ValueError, match="leads out of this folder"):
            convert(program.CONVERTER, tmp_path / folder)
    with pytest.raises(ValueError, match="leads out of this folder"):
        read_csv(tmp_path / "list.csv", tmp_path)


def test_card_of_a_shard_cannot_name_files_outside(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text(json.dumps({"files": {"../rows.tsv": {"bytes": 1}}}))
    with pytest.raises(ValueError, match=r"card\.json: not the card of a shard"):
        read_card(path)


def test_workbook_that_unpacks_to_more_than_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w") as member,
    ):
        for _ in range(1 + MAX_MEMBER // (1 << 20)):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < MAX_MEMBER // 100
    with pytest.raises(
        ValueError, match=r"bomb\.xlsx: expected a workbook .* bytes unpacked, more"
    ):
        list(read_xlsx(path, ["id"]))


def test_packed_tables_are_not_unpacked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_LARGEST_CELL", 1000)
    monkeypatch.setattr(tables, "_LARGEST_JSON", 1000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"id\n1\n" + b"2" * 5000))
    rows = tables.read_csv(path, ["id"])
    assert next(rows) == {"id": "1"}
    with pytest.raises(ValueError, match=r"bomb\.csv\.gz: a line of more than 1,000 characters"):
        next(rows)
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b" " * (1 << 21)))
    with pytest.raises(ValueError, match=r"bomb\.json\.gz: more than 1,000 characters"):
        tables.read_json(path)


def test_array_with_rows_larger_than_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    array = {"descr": "|u1", "fortran_order": False, "shape": (1, 99_999_999_999)}
    with zipfile.ZipFile(path, "w") as archive, archive.open("images.npy", "w") as member:
        npy.write_array_header_1_0(member, array)
    with pytest.raises(ValueError, match=r"bomb\.npz: rows of images have .* bytes: too many"):
        NpzArray(path, "images")
