"""Training curves from the log that fairseq-train wrote."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from biomedgpt_fairseq.report.model import Curve

# An end-of-epoch line of `--log-format simple` or `tqdm`: "epoch 001 | loss 8.2 | ...",
# behind a time stamp on the terminal and bare in a --log-file.
_PLAIN_LINE = re.compile(r"epoch (?P<epoch>\d+) \| (?:valid on '(?P<subset>[^']+)' subset \| )?")
_BOOKKEEPING = frozenset({"epoch", "update", "num_updates", "wall", "train_wall"})


def find_training_log(
    checkpoint: Path, named: str | None = None, saved: str | None = None
) -> Path | None:
    """The log of the run that wrote a checkpoint.

    named: the file that must be it.  saved: where the run said it would be.  Without either, the
    first log beside the checkpoint.  Raises FileNotFoundError for a named file that is not there.
    """
    if named is not None:
        if not Path(named).is_file():
            raise FileNotFoundError(f"--log-file {named}: no such file")
        return Path(named)
    if saved is not None and Path(saved).is_file():
        return Path(saved)
    found = sorted(p for p in checkpoint.parent.glob("*") if p.suffix in (".log", ".jsonl"))
    return found[0] if found else None


def read_curves(path: Path) -> list[Curve]:
    """Curves of every quantity logged at the ends of epochs and at validations, in log order."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        return parse_curves(lines)


def parse_curves(lines: Iterable[str]) -> list[Curve]:
    """Curves from lines of `--log-format json` (also simple and tqdm); other lines are skipped.

    A run that was resumed logs some updates twice; the later line counts.
    """
    points: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    for line in lines:
        for split, stats in _parse_line(line).items():
            position = stats.get("num_updates", stats.get("epoch"))
            if position is None:
                continue
            for name, value in stats.items():
                if name not in _BOOKKEEPING and math.isfinite(value):
                    points[split, name][position] = value
    return [
        Curve(split, name, tuple(sorted(curve)), tuple(curve[x] for x in sorted(curve)))
        for (split, name), curve in points.items()
    ]


def _parse_line(line: str) -> dict[str, dict[str, float]]:
    start = line.find("{")
    if start >= 0:
        try:
            logged = json.loads(line[start:])
        except (ValueError, RecursionError):
            return {}
        return _split_by_prefix(logged) if isinstance(logged, dict) else {}
    match = _PLAIN_LINE.search(line)
    if match is None:
        return {}
    split = match["subset"] or "train"
    stats = {"epoch": float(match["epoch"])}
    for part in line[match.end() :].split("|"):
        name, _, value = part.strip().partition(" ")
        _put_number(stats, name, value)
    return {split: stats} if len(stats) > 1 else {}


def _split_by_prefix(logged: Mapping[str, object]) -> dict[str, dict[str, float]]:
    """{"epoch": 1, "valid_loss": "2.0"} -> {"valid": {"epoch": 1, "loss": 2.0}}.

    Lines inside an epoch have no prefix and are left out: they hold means since the last such
    line, which are not comparable with those of whole epochs.
    """
    if "update" in logged:
        return {}
    prefixes = [key.removesuffix("_num_updates") for key in logged if key.endswith("_num_updates")]
    result: dict[str, dict[str, float]] = {}
    for prefix in prefixes:
        stats: dict[str, float] = {}
        _put_number(stats, "epoch", logged.get("epoch"))
        for key, value in logged.items():
            if key.startswith(prefix + "_"):
                _put_number(stats, key.removeprefix(prefix + "_"), value)
        result[prefix] = stats
    return result


def _put_number(stats: dict[str, float], name: str, value: object) -> None:
    if isinstance(value, int | float | str):
        try:
            stats[name] = float(value)
        except ValueError:
            return
