"""The tools that change syntax trees."""

import ast

import pytest
from fairseq_compat.patch import prepend, swap

SOURCE = '''"""Doc."""
from __future__ import annotations
import torch

class Reader:
    def read(self, path):
        return torch.load(path, map_location="cpu")

def count():
    return torch.cuda.device_count()

def other():
    return torch.cuda.device_count()
'''


def changed(table: dict[str, str], inside: str | None = None) -> str:
    tree = ast.parse(SOURCE)
    swap(tree, table, inside)
    return ast.unparse(tree)


def test_swap_replaces_equal_expressions_everywhere():
    assert changed({"torch.cuda.device_count()": "8"}).count("return 8") == 2


def test_swap_inside_one_function_leaves_the_others():
    text = changed({"torch.cuda.device_count()": "8"}, inside="count")
    assert text.count("return 8") == 1
    assert "def other():\n    return torch.cuda.device_count()" in text


def test_swap_inside_a_method():
    assert "safe(path" in changed({"torch.load": "safe"}, inside="Reader.read")


def test_swap_takes_statements():
    assert "import torch" not in changed({"import torch": "import numpy"})


def test_swap_of_a_statement_by_a_call_keeps_a_statement():
    assert "\n    stop()" in changed({"return torch.cuda.device_count()": "stop()"})


@pytest.mark.parametrize("inside", [None, "count", "Reader.read"])
def test_swap_raises_when_the_code_is_absent(inside):
    with pytest.raises(ImportError, match=r"expected the code `torch\.save`"):
        changed({"torch.save": "x"}, inside)


@pytest.mark.parametrize("inside", ["absent", "Reader.absent", "Reader"])
def test_swap_raises_when_the_function_is_absent(inside):
    with pytest.raises(ImportError, match=f"def {inside}"):
        changed({"torch": "x"}, inside)


def test_swapped_code_keeps_its_line_for_tracebacks():
    tree = ast.parse(SOURCE)
    swap(tree, {"torch.cuda.device_count()": "a(\n\n\n1)"}, inside="other")
    call = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n) == "a(1)")
    assert call.lineno == 13
    assert {n.lineno for n in ast.walk(call) if hasattr(n, "lineno")} == {13}


def test_prepend_comes_after_docstring_and_future_imports():
    tree = ast.parse(SOURCE)
    prepend(tree, "import first")
    lines = ast.unparse(tree).splitlines()
    assert lines[:3] == ['"""Doc."""', "from __future__ import annotations", "import first"]
