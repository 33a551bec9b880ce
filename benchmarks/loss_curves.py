"""How far the losses of a run that was stopped and resumed are from those of an unbroken one.

    python -m benchmarks.loss_curves runs/whole/checkpoints runs/killed/checkpoints

Reads the unrounded values that both wrote with --tensorboard-logdir SAVE_DIR/tensorboard and
--log-interval 1. Every start of the second run is compared, so repeated updates count twice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

LOSSES = ("loss", "loss_v1", "loss_v2")
Curves = dict[str, dict[int, float]]
"""Values by name and update."""


def read_starts(save_dir: Path, part: str) -> list[Curves]:
    """What each start of a run logged, in their order.  part: `train_inner` or `valid`.

    Raises FileNotFoundError when there is nothing.
    """
    folder = save_dir / "tensorboard" / part
    files = sorted(folder.glob("*tfevents*"), key=lambda file: file.stat().st_mtime)
    if not files:
        raise FileNotFoundError(f"no event files in {folder}; train with --tensorboard-logdir")
    starts = []
    for file in files:
        events = EventAccumulator(str(file), size_guidance={"scalars": 0})
        events.Reload()
        tags = events.Tags()["scalars"]
        starts.append({tag: {e.step: e.value for e in events.Scalars(tag)} for tag in tags})
    return starts


def compare(whole: Curves, start: Curves) -> tuple[int, int, float]:
    """First and last update of a start, and the largest difference of any of its losses.

    Raises ValueError when the unbroken run lacks one of the updates.
    """
    updates = sorted(start["loss"])
    missing = [update for update in updates if update not in whole["loss"]]
    if missing:
        raise ValueError(f"the unbroken run has no update {missing[0]}")
    differences = [
        abs(value - whole[name][update])
        for name in LOSSES
        if name in whole
        for update, value in start[name].items()
    ]
    return updates[0], updates[-1], max(differences)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("whole", type=Path, help="--save-dir of the unbroken run")
    parser.add_argument("stopped", type=Path, help="--save-dir of the other one")
    args = parser.parse_args(arguments)
    (whole,) = read_starts(args.whole, "train_inner")
    starts = read_starts(args.stopped, "train_inner")
    largest = 0.0
    for start in starts:
        first, last, difference = compare(whole, start)
        largest = max(largest, difference)
        print(f"updates {first} to {last}: largest difference {difference:g}")
    (valid,) = read_starts(args.whole, "valid")
    for name, values in sorted(valid.items()):
        if name.startswith("loss"):
            first, last = min(values), max(values)
            print(f"valid {name}: {values[first]:.3f} at {first}, {values[last]:.3f} at {last}")
    print(f"{len(starts)} starts, largest difference of all {largest:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
