"""`--user-dir` of evaluation and prediction makes the tasks of a folder known."""

import logging
import sys
from pathlib import Path

import pytest

from biomedgpt_fairseq.fairseq_extension import PACKAGE, import_extension


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose import leaves a trace."""
    package = tmp_path / "own_tasks_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("LOADED = True\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return package


def test_folder_is_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)

    import_extension(folder.name)

    assert sys.modules.pop(folder.name).LOADED


@pytest.mark.parametrize("user_dir", [None, "", "biomedgpt_fairseq", str(PACKAGE)])
def test_package_itself_needs_no_import(user_dir: str | None, caplog) -> None:  # type: ignore[no-untyped-def]
    import_extension(user_dir)

    assert not caplog.records


def test_folder_of_an_old_command_warns(tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    with caplog.at_level(logging.WARNING):
        import_extension(str(tmp_path / "ofa_module"))

    assert "ofa_module: no such folder" in caplog.text
