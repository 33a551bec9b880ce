"""Who may import whom.  The table is the architecture; a forbidden arrow fails here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "biomedgpt_fairseq"
MAX_LINES = 250

# Layer -> what it may import from this project, besides itself; None: everything.
ALLOWED: dict[str, tuple[str, ...] | None] = {
    "config": (),
    "text": (),
    "data": ("text",),
    "models": ("config",),
    "decoding": ("text",),
    "losses": (),
    "metrics": (),
    "report": ("metrics", "text"),
    "phantoms": ("text", "data"),
    "adapters": ("config", "models"),
    "checkpoint_tools": ("config", "models", "text"),
    "image_tokenizer": ("config", "data"),
    "cluster": (),
    "planning": ("config", "data", "losses", "models"),
    "criterions": None,
    "tasks": None,
    "optim": None,
    "cli": None,
}
# data_utils/ is run from a clone and stays below the model: the TSV format, the text and picture
# rules that training shares with it, nothing that makes batches.
DATA_UTILS_MAY = (
    "text",
    "phantoms",
    "data.answers",
    "data.boxes",
    "data.errors",
    "data.image",
    "data.tsv",
    "data.tsv_index",
    "data.tsv_writer",
)
FAIRSEQ_LAYERS = ("tasks", "criterions", "optim")
ENGINE_NAMES = ("fairseq", "fairseq_cli", "fairseq_compat", "fairseq_compat_hook")


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Full names of all imported modules and of the names taken from them, wherever they stand."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                kept = module.split(".")[: (1 if is_package else 0) - node.level or None]
                base = ".".join([*kept, base]).rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imports(path: Path) -> list[str]:
    source = path.read_text(encoding="utf-8")
    return list(imports_of(source, module_name(path), path.name == "__init__.py"))


def is_rim(path: Path) -> bool:
    """A file that may import everything."""
    inside = path.relative_to(ROOT / PACKAGE)
    return path.name.startswith("fairseq_") or inside == Path("__init__.py")


def layer(name: str) -> str:
    """`text` of biomedgpt_fairseq.text.vocab.Vocabulary; "" for the package itself."""
    return (name.split(".") + [""])[1]


PACKAGE_FILES = python_files(PACKAGE)
ALL_FILES = [*python_files(PACKAGE, "data_utils", "engine", "benchmarks"), ROOT / "setup.py"]


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=label)
def test_package_follows_the_arrows(path):
    if is_rim(path):
        return
    own = layer(module_name(path))
    assert own in ALLOWED, f"{label(path)}: add the layer {own!r} to the table of arrows"
    allowed = ALLOWED[own]
    if allowed is None:
        return
    for name in imports(path):
        if name.split(".")[0] == PACKAGE:
            target = layer(name)
            assert target in (own, *allowed), f"{own} must not import {name}"
            assert "fairseq_" not in name.partition(".")[2], (
                f"{own} must not import the rim: {name}"
            )


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=label)
def test_fairseq_is_imported_at_the_rim_only(path):
    if is_rim(path) or layer(module_name(path)) in FAIRSEQ_LAYERS:
        return
    found = [name for name in imports(path) if name.split(".")[0] in ENGINE_NAMES]
    assert not found, f"only tasks, criterions, optim and fairseq_* files import fairseq: {found}"


@pytest.mark.parametrize("path", ALL_FILES, ids=label)
def test_apex_is_imported_in_one_file(path):
    if label(path) == f"{PACKAGE}/models/ops.py":
        return
    assert not [name for name in imports(path) if name.split(".")[0] == "apex"]


@pytest.mark.parametrize("path", python_files("data_utils"), ids=label)
def test_data_utils_stays_below_the_model(path):
    for name in imports(path):
        top, _, rest = name.partition(".")
        assert top not in ENGINE_NAMES
        if top == PACKAGE:
            assert any(f"{rest}.".startswith(f"{may}.") for may in DATA_UTILS_MAY), name


@pytest.mark.parametrize("path", python_files("engine"), ids=label)
def test_engine_never_imports_the_plugin(path):
    assert PACKAGE not in {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", ALL_FILES, ids=label)
def test_file_is_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{label(path)} has {lines} lines: split it by idea"


@pytest.mark.parametrize("path", ALL_FILES, ids=label)
def test_path_of_modules_is_left_alone(path):
    assert "sys.path" not in path.read_text(encoding="utf-8")


def test_relative_imports_are_resolved():
    source = "from . import a\nfrom .b import c\nfrom ..text import vocab\nimport torch.nn\n"
    assert list(imports_of(source, "biomedgpt_fairseq.data.tsv", is_package=False)) == [
        "biomedgpt_fairseq.data.a",
        "biomedgpt_fairseq.data.b.c",
        "biomedgpt_fairseq.text.vocab",
        "torch.nn",
    ]
    assert list(imports_of("from .a import b", "biomedgpt_fairseq.text", is_package=True)) == [
        "biomedgpt_fairseq.text.a.b"
    ]
