from pathlib import Path

from biomedgpt_fairseq.report.provenance import command_line, file_record, versions


def test_file_record_holds_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"abc")
    assert file_record(path) == {
        "path": str(path),
        "bytes": 3,
        # The published SHA-256 test vector.
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }


def test_folder_record_changes_with_any_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"abc")
    first = file_record(tmp_path)
    assert first["bytes"] == 6 and first == file_record(tmp_path)
    (tmp_path / "b").rename(tmp_path / "c")
    assert file_record(tmp_path)["sha256"] != first["sha256"]


def test_versions_name_torch_and_python() -> None:
    assert {"python", "torch", "numpy"} <= set(versions())


def test_command_line_is_quoted() -> None:
    command = ["/usr/bin/biomedgpt", "evaluate", "a b.tsv", '{"beam": 5}']
    assert command_line(command) == """biomedgpt evaluate 'a b.tsv' '{"beam": 5}'"""
