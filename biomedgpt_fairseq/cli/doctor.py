"""`biomedgpt doctor`: what is installed, what is missing, what to do about it."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

State = Literal["ok", "missing", "broken", "note"]
# What an import of a package may raise: torchvision beside another torch raises RuntimeError.
_IMPORT_ERRORS = (ImportError, RuntimeError, OSError, AttributeError, TypeError)
_SAFE_TORCH = (2, 6)  # before: CVE-2025-32434, a hole in the weights-only reader


@dataclass(frozen=True)
class Finding:
    """One row of the table; needed: training and evaluation cannot run unless it is ok."""

    name: str
    state: State
    detail: str
    advice: str = ""
    needed: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    parser.add_argument("--bpe-dir", type=Path, metavar="DIR", help="vocabulary folder to check")


def run(args: argparse.Namespace) -> int:
    """Print the table; returns 1 when training and evaluation cannot run."""
    findings = list(examine(args.bpe_dir))
    print(table(findings))
    broken = [f.name for f in findings if f.needed and f.state != "ok"]
    if broken:
        print(f"\nTraining and evaluation cannot run: {', '.join(broken)}.")
        return 1
    print("\nTraining and evaluation can run.")
    return 0


def examine(bpe_dir: Path | None) -> Iterator[Finding]:
    """All findings, in the order of the table."""
    yield Finding("Python", "ok", f"{platform.python_version()}, {sys.executable}")
    yield check_torch()
    yield check_gpu()
    yield check_engine()
    yield check_data_helpers()
    yield check_plugin()
    yield check_vocabulary(bpe_dir)
    yield _optional("apex", "apex.normalization", "fused layer norm", "nothing: torch's is used")
    yield check_caption_metrics()
    yield check_java()
    yield _optional(
        "torchvision",
        "torchvision",
        "not used by this project",
        "nothing; if your own code needs it, install the build that belongs to your torch",
    )
    if os.environ.get("BIOMEDGPT_TRUST_CHECKPOINTS") == "1":
        yield Finding(
            "checkpoints",
            "note",
            "BIOMEDGPT_TRUST_CHECKPOINTS=1: code inside checkpoints is run",
            "unset it, unless each file comes from someone you trust",
        )


def check_torch() -> Finding:
    """The build of torch, and whether its reader of checkpoints is safe."""
    try:
        torch = importlib.import_module("torch")
    except _IMPORT_ERRORS as error:
        return Finding("torch", "broken", _first_line(error), "pip install torch", needed=True)
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    detail = f"{torch.__version__} ({build}), {torch.get_num_threads()} threads"
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < _SAFE_TORCH:
        advice = "use torch 2.6 or newer: older ones can be made to run code from a checkpoint"
        return Finding("torch", "ok", detail, advice, needed=True)
    return Finding("torch", "ok", detail, needed=True)


def check_gpu() -> Finding:
    """The GPUs that torch sees."""
    try:
        torch = importlib.import_module("torch")
    except _IMPORT_ERRORS:
        return Finding("GPU", "note", "unknown without torch")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding("GPU", "ok", ", ".join(names))
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", "note", "none; pass --cpu to fairseq's commands")
    advice = "install a CUDA build of torch that fits the driver (nvidia-smi names its version)"
    return Finding("GPU", "missing", "there is a driver, but torch sees no GPU", advice)


def check_engine() -> Finding:
    """fairseq from the engine folder, with its start-up hook active in this process."""
    again = "install this project again from its clone: pip install -e ."
    try:
        release = version("fairseq")
    except PackageNotFoundError:
        return Finding("fairseq", "missing", "not installed", again, needed=True)
    if "+compat" not in release:
        detail = f"{release}, not the adapted one of this project"
        advice = f"pip uninstall -y fairseq, then {again}"
        return Finding("fairseq", "broken", detail, advice, needed=True)
    hook = sys.modules.get("fairseq_compat_hook")
    if hook is None or not hook.installed():
        advice = "start python without -S and -I; the environment must be on the path as a site"
        return Finding("fairseq", "broken", f"{release}, hook inactive", advice, needed=True)
    try:
        importlib.import_module("fairseq")
    except _IMPORT_ERRORS as error:
        return Finding("fairseq", "broken", _first_line(error), again, needed=True)
    return Finding("fairseq", "ok", f"{release}, hook active", needed=True)


def check_data_helpers() -> Finding:
    """Whether fairseq's C++ helpers were built."""
    try:
        spec = find_spec("fairseq.data.data_utils_fast")
    except _IMPORT_ERRORS:
        return Finding("C++ helpers", "note", "unknown without fairseq")
    origin = spec.origin if spec is not None and spec.origin else ""
    if origin and "fairseq_compat" not in origin:
        return Finding("C++ helpers", "ok", "compiled")
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    advice = "install this project again" if compiler else "install g++, then this project again"
    return Finding("C++ helpers", "note", "numpy versions in use: slower batching", advice)


def check_plugin() -> Finding:
    """Whether the tasks and models are registered."""
    try:
        tasks = importlib.import_module("fairseq.tasks")
        importlib.import_module("biomedgpt_fairseq.fairseq_register")
    except _IMPORT_ERRORS as error:
        advice = "install this project again from its clone: pip install -e ."
        return Finding("plugin", "broken", _first_line(error), advice, needed=True)
    own = [
        name
        for name, kind in tasks.TASK_REGISTRY.items()
        if kind.__module__.startswith("biomedgpt_fairseq.")
    ]
    return Finding("plugin", "ok", f"tasks {', '.join(sorted(own))}", needed=True)


def check_vocabulary(folder: Path | None) -> Finding:
    """Whether the folder holds a vocabulary with right checksums."""
    if folder is None:
        return Finding("vocabulary", "note", "not checked", "name its folder with --bpe-dir")
    from biomedgpt_fairseq.text.folder import read_vocabulary_folder

    try:
        files = read_vocabulary_folder(folder)
    except (ValueError, OSError) as error:
        return Finding("vocabulary", "broken", _first_line(error), needed=True)
    detail = f"{folder}: {files.layout} layout, {len(files.symbols)} symbols"
    return Finding("vocabulary", "ok", detail, needed=True)


def check_caption_metrics() -> Finding:
    """Whether METEOR and the other caption metrics of pycocoevalcap can be had."""
    return _optional(
        "pycocoevalcap", "pycocoevalcap", "caption metrics", "pip install -e '.[metrics]'"
    )


def check_java() -> Finding:
    """METEOR and the PTB tokenizer are java programs."""
    path = shutil.which("java")
    if path is not None:
        return Finding("java", "ok", path)
    advice = "install a java runtime (Debian: apt-get install default-jre-headless)"
    return Finding("java", "missing", "for METEOR and the PTB tokenizer", advice)


def _optional(name: str, module: str, purpose: str, advice: str) -> Finding:
    """A package that may be absent; module: what to import to see that it works."""
    if find_spec(name) is None:
        return Finding(name, "missing", f"{purpose}; optional", advice)
    try:
        importlib.import_module(module)
        return Finding(name, "ok", f"{version(name)}: {purpose}")
    except PackageNotFoundError:
        return Finding(name, "ok", purpose)
    except _IMPORT_ERRORS as error:
        return Finding(name, "broken", _first_line(error), advice)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def table(findings: list[Finding]) -> str:
    """One line per finding, and its advice below it."""
    width = max(len(finding.name) for finding in findings)
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.name:<{width}}  {finding.state:<7}  {finding.detail}")
        if finding.advice:
            lines.append(f"{'':<{width}}  {'':<7}  -> {finding.advice}")
    return "\n".join(lines)
