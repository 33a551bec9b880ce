"""Decoding and resizing of pictures in bare processes: the least that any loader has to do."""

from __future__ import annotations

import ctypes
import io
import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from PIL import Image

T = TypeVar("T")

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 28
_LARGEST_KEPT = 1 << 25  # glibc allows no more


def decode_and_convert(data: bytes) -> Image.Image:
    """As anyone writes it; converting copies a picture that is RGB already."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def decode_and_resize(data: bytes, size: int) -> Image.Image:
    """As anyone writes it."""
    return decode_and_convert(data).resize((size, size), Image.Resampling.BICUBIC)


def decode_and_resize_rgb(data: bytes, size: int) -> Image.Image:
    """The fastest form of it for bytes of an RGB picture."""
    return decode_rgb(data).resize((size, size), Image.Resampling.BICUBIC)


def decode_rgb(data: bytes) -> Image.Image:
    """Picture of bytes that are known to be RGB."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    return image


class PlainProcesses(Generic[T]):
    """Each process has its share of the items before the clock starts, keeps nothing, and sends
    nothing back but its CPU time.

    work: what is done with an item.  keep_memory: whether malloc keeps what is freed.
    """

    def __init__(
        self, items: Sequence[T], work: Callable[[T], Any], count: int, keep_memory: bool
    ) -> None:
        # Not forked: what this process has allocated and freed changes the settings of malloc.
        context = multiprocessing.get_context("spawn")
        self._pipes = []
        for number in range(count):
            ours, theirs = context.Pipe()
            arguments = (theirs, items[number::count], work, keep_memory)
            context.Process(target=_serve, args=arguments, daemon=True).start()
            self._pipes.append(ours)

    def measure(self) -> float:
        """Work on every item once; CPU seconds of all processes."""
        for pipe in self._pipes:
            pipe.send(True)
        return float(sum(pipe.recv() for pipe in self._pipes))

    def close(self) -> None:
        """Let the processes end."""
        for pipe in self._pipes:
            pipe.send(False)


def keep_freed_memory() -> None:
    """Let this process keep up to 256 MB that it has freed.  Does nothing without glibc.

    A worker that is forked from a process with large tensors does so anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _serve(
    pipe: Connection, items: Sequence[T], work: Callable[[T], Any], keep_memory: bool
) -> None:
    if keep_memory:
        keep_freed_memory()
    while pipe.recv():
        start = time.process_time()
        for item in items:
            work(item)
        pipe.send(time.process_time() - start)
