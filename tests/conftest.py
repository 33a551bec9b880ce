"""Fixtures shared by all tests."""

import contextlib
from pathlib import Path

import pytest

# Its first import closes all log handlers; inside a test, absl's would close pytest's own files.
with contextlib.suppress(ImportError):
    import submitit as submitit

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with recordings and public data beside the project; the test is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared folder with recordings and public data beside the project")
    return SHARED
