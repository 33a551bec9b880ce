"""The start-up hook and the loader, on a made-up package instead of fairseq."""

import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import fairseq_compat_hook
import pytest
from fairseq_compat import finder, registry
from fairseq_compat.patch import Patch, swap

ENGINE = Path(__file__).parents[3] / "engine"


def run_isolated(code: str) -> str:
    """What the code prints in a new interpreter that has only the hook from the working tree."""
    setup = f"import sys; sys.path.insert(0, {str(ENGINE)!r}); before = set(sys.modules)\n"
    command = [sys.executable, "-S", "-c", setup + code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_hook_imports_nothing_else():
    code = (
        "import fairseq_compat_hook; fairseq_compat_hook.install()\n"
        "print(sorted(set(sys.modules) - before))"
    )
    assert run_isolated(code) == "['fairseq_compat_hook']"


def test_other_imports_do_not_wake_the_adapter():
    code = (
        "import fairseq_compat_hook; fairseq_compat_hook.install()\n"
        "import json, decimal\n"
        "print('fairseq_compat' in sys.modules, fairseq_compat_hook.installed())"
    )
    assert run_isolated(code) == "False True"


def test_install_twice_adds_one_finder():
    code = (
        "import fairseq_compat_hook as hook; hook.install(); hook.install()\n"
        "print(sys.meta_path.count(hook.FairseqFinder))"
    )
    assert run_isolated(code) == "1"


@pytest.mark.parametrize("name", ["json", "fairseq_compat", "fairseqx", "biomedgpt_fairseq"])
def test_hook_answers_for_fairseq_alone(name):
    assert fairseq_compat_hook.FairseqFinder.find_spec(name) is None


def test_adapter_never_names_the_plugin():
    for path in ENGINE.rglob("*.py"):
        assert "import biomedgpt" not in path.read_text()
        assert "from biomedgpt" not in path.read_text()


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Loads source as module `fairseq.sample` with the given patches."""

    def load(source: str, *patches: Patch):
        path = tmp_path / "sample.py"
        path.write_text(source)
        monkeypatch.setattr(finder, "patches_of", lambda module: list(patches))
        loader = finder.PatchingLoader("fairseq.sample", str(path))
        namespace: dict[str, object] = {}
        exec(loader.get_code("fairseq.sample"), namespace)
        return namespace

    return load


def test_loader_applies_a_patch(loaded):
    patch = Patch("p", "fairseq.sample", "why", lambda tree: swap(tree, {"1": "2"}))
    assert loaded("x = 1\n", patch)["x"] == 2


def test_loader_names_the_patch_that_does_not_fit(loaded):
    patch = Patch("ema-buffers", "fairseq.sample", "why", lambda tree: swap(tree, {"7": "2"}))
    with pytest.raises(ImportError, match=r"patch 'ema-buffers' does not fit fairseq\.sample"):
        loaded("x = 1\n", patch)


def test_loader_leaves_a_module_without_patches_to_the_cache(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert loaded("x = 1\n")["x"] == 1
    assert list((tmp_path / "__pycache__").glob("sample*.pyc"))


def test_patched_code_is_never_cached(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    loaded("x = 1\n", Patch("p", "fairseq.sample", "why", lambda tree: swap(tree, {"1": "2"})))
    assert not (tmp_path / "__pycache__").exists()


def test_loader_sends_torch_load_through_the_safe_loader(loaded):
    from fairseq_compat.safe_load import load

    namespace = loaded("import torch\n\ndef read(f):\n    return torch.load(f)\n")
    assert namespace["_safe_load"] is load


def test_loader_refuses_torch_load_with_unknown_options(loaded):
    with pytest.raises(ImportError, match="safe-load"):
        loaded("import torch\n\ndef read(f):\n    return torch.load(f, pickle_module=f)\n")


def test_loader_ignores_torch_load_in_a_comment(loaded):
    assert "_safe_load" not in loaded("x = 1  # see torch.load\n")


def test_missing_compiled_helper_gets_the_numpy_version(monkeypatch):
    monkeypatch.setattr(PathFinder, "find_spec", lambda *args: None)
    spec = finder.find_spec("fairseq.data.data_utils_fast", [])
    assert spec is not None and spec.origin is not None
    assert Path(spec.origin).name == "data_helpers.py"
    assert finder.find_spec("fairseq.data.absent", []) is None


@pytest.mark.parametrize("module", sorted(registry.CAUSES))
def test_every_registered_cause_has_a_patch_with_name_and_reason(module):
    patches = finder.patches_of(module)
    assert len(patches) >= len(registry.CAUSES[module])
    assert all(patch.name and len(patch.reason) > 20 for patch in patches)


def test_every_patch_is_registered():
    registered = {(m, c) for m, causes in registry.CAUSES.items() for c in causes}
    for path in (ENGINE / "fairseq_compat").glob("*.py"):
        if "\nPATCHES = " in path.read_text():
            module = __import__(f"fairseq_compat.{path.stem}", fromlist=["PATCHES"])
            assert {(patch.module, path.stem) for patch in module.PATCHES} <= registered
