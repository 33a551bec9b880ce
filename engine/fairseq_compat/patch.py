"""The patch type, and the tools which change a module's syntax tree.

Every tool raises ImportError when the code it expects is absent: another fairseq must fail loudly
instead of running half adapted.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

FAIRSEQ_VERSION = "0.12.2"


@dataclass(frozen=True)
class Patch:
    """One named change of one fairseq module.

    edit changes the module's syntax tree in place and raises ImportError if it does not fit.
    """

    name: str
    module: str
    reason: str
    edit: Callable[[ast.Module], None]


def misfit(expected: str) -> ImportError:
    """The error of a patch which does not find the code that it was written for."""
    return ImportError(
        f"this fairseq is not release {FAIRSEQ_VERSION}: expected the code `{expected}`; "
        "install the engine folder of this project again, or remove the other fairseq"
    )


def function_named(tree: ast.Module, path: str) -> ast.FunctionDef:
    """The function or method, as `name` or `Class.name`."""
    body: list[ast.stmt] = tree.body
    found: ast.stmt | None = None
    for part in path.split("."):
        found = next(
            (n for n in body if isinstance(n, ast.ClassDef | ast.FunctionDef) and n.name == part),
            None,
        )
        if found is None:
            raise misfit(f"def {path}")
        body = found.body
    if not isinstance(found, ast.FunctionDef):
        raise misfit(f"def {path}")
    return found


class _Swap(ast.NodeTransformer):
    def __init__(self, table: Mapping[str, str]) -> None:
        self._new = {_key(_parse(old)): _parse(new) for old, new in table.items()}
        self.missing = {_key(_parse(old)): old for old in table}

    def visit(self, node: ast.AST) -> ast.AST:
        key = _key(node) if isinstance(node, ast.expr | ast.stmt) else None
        if key in self._new:
            self.missing.pop(key, None)
            return _placed(self._new[key], node)
        return self.generic_visit(node)


def _parse(code: str) -> ast.expr | ast.stmt:
    statement = ast.parse(code).body[0]
    return statement.value if isinstance(statement, ast.Expr) else statement


def _key(node: ast.AST) -> str:
    return ast.dump(node)


def _placed(new: ast.AST, old: ast.AST) -> ast.AST:
    """A copy of new whose lines are those of old, so that tracebacks show fairseq's own line."""
    statement = ast.parse(ast.unparse(new)).body[0]
    bare = isinstance(statement, ast.Expr) and isinstance(old, ast.expr)
    node: ast.AST = statement.value if bare else statement  # type: ignore[attr-defined]
    for child in ast.walk(node):
        if "lineno" in child._attributes:
            ast.copy_location(child, old)
    return node


def swap(tree: ast.Module, table: Mapping[str, str], inside: str | None = None) -> None:
    """Replace every expression or statement equal to a key of table by its value.

    inside: `name` or `Class.name` of the one function to change, else the whole module.
    """
    swapper = _Swap(table)
    swapper.visit(tree if inside is None else function_named(tree, inside))
    for old in swapper.missing.values():
        raise misfit(old)


def prepend(tree: ast.Module, code: str) -> None:
    """Insert statements after the docstring and the `__future__` imports."""
    lead = 0
    for node in tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not docstring and not future:
            break
        lead += 1
    tree.body[lead:lead] = ast.parse(code).body
