from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from biomedgpt_fairseq.data.memory import Recycler


def test_memory_is_used_again_when_nothing_refers_to_it() -> None:
    recycler = Recycler()
    first = recycler.empty((2, 300))
    place = first.data_ptr()
    assert (first.shape, first.dtype) == ((2, 300), torch.float32)
    assert place % 64 == 0
    del first
    smaller = recycler.empty((3, 100))
    assert smaller.data_ptr() == place


def test_memory_in_use_stays_untouched() -> None:
    recycler = Recycler(limit=2)
    kept = [recycler.empty((4, 4)).fill_(i)[1:] for i in range(5)]  # views of what is gone
    for _ in range(5):
        recycler.empty((4, 4)).fill_(-1)
    assert [(t.min().item(), t.max().item()) for t in kept] == [(i, i) for i in range(5)]


def test_memory_that_is_too_small_is_not_used() -> None:
    recycler = Recycler()
    recycler.empty((2, 2))
    large = recycler.empty((100, 100)).fill_(1)
    assert large.sum() == 10_000


def test_backward_finds_the_values_of_a_recycled_batch() -> None:
    recycler = Recycler()
    weight = torch.ones(8, requires_grad=True)
    loss = (recycler.empty((8,)).fill_(3) * weight).sum()  # autograd alone keeps the batch
    recycler.empty((8,)).fill_(0)
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3.0] * 8


# In a process of its own: how malloc keeps memory cannot be taken back, and children inherit it.
PAGE_FAULTS = """
import resource, torch
from biomedgpt_fairseq.data.memory import keep_freed_memory
def faults():
    # Aligned pieces ask for a little more than their size: there is room for that in a larger one.
    torch.ones(2**25)
    found = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(2**24)  # 64 MiB
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return min(found)
print(faults())
keep_freed_memory()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
def test_kept_memory_needs_no_new_pages() -> None:
    command = [sys.executable, "-c", PAGE_FAULTS]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, run.stdout.split())
    assert after < 100
    # Huge pages, where the system gives them, need a fault each 2 MiB.
    assert before > after
