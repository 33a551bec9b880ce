"""`biomedgpt plan`: memory and time that training will need, counted or measured here."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from biomedgpt_fairseq.config import PATCH_STRIDE, SIZES
from biomedgpt_fairseq.planning.measure import describe_here, measure, this_device
from biomedgpt_fairseq.planning.plan import (
    DEFAULT_SHARE,
    DEVICES,
    DTYPES,
    USABLE,
    Device,
    Plan,
    Run,
    make_plan,
)
from biomedgpt_fairseq.planning.step import Group, pretraining_groups, with_regularisation

HERE = "here"
_DAY = 24 * 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    network = parser.add_argument_group("network")
    network.add_argument("--size", choices=list(SIZES), default="base", help="default: base")
    network.add_argument("--vocab-size", type=_positive, default=59457, metavar="N")
    network.add_argument("--checkpoint-activations", action="store_true")
    batch = parser.add_argument_group("batch")
    batch.add_argument(
        "--task",
        choices=["pretrain", "finetune"],
        default="pretrain",
        help="pretrain: pairs, and the texts and pictures that come along (default)",
    )
    batch.add_argument("--batch-size", type=_positive, default=8, metavar="ROWS", help="of a GPU")
    batch.add_argument("--image", type=_side, default=384, metavar="PIXELS", help="0: texts alone")
    batch.add_argument("--sample-patch-num", type=_positive, metavar="N", help="default: all")
    batch.add_argument("--source-length", type=_positive, default=32, metavar="TOKENS")
    batch.add_argument("--target-length", type=_positive, default=32, metavar="TOKENS")
    batch.add_argument("--update-freq", type=_positive, default=1, metavar="N")
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--device", choices=[*DEVICES, HERE], default="a100-80", help="here: this machine"
    )
    machine.add_argument("--gpus", type=_positive, default=1, metavar="N")
    machine.add_argument("--precision", choices=list(DTYPES), default="bf16")
    machine.add_argument("--shard-optimizer", action="store_true", help="--zero-sharding os")
    machine.add_argument(
        "--share",
        type=_share,
        default=DEFAULT_SHARE,
        help=f"of the device's peak rate that training reaches (default: {DEFAULT_SHARE})",
    )
    length = parser.add_argument_group("length, and form of the answer")
    length.add_argument("--rows", type=_positive, metavar="N", help="of the main training file")
    length.add_argument("--epochs", type=_positive, default=1, metavar="N")
    length.add_argument(
        "--measure", type=_positive, metavar="STEPS", help="run so many steps here and compare"
    )
    length.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the plan; returns 1 when it does not fit into the device."""
    here = args.device == HERE or args.measure
    device = describe_here(args.precision) if here else DEVICES[args.device]
    plan = make_plan(_run_of(args))
    figures = _figures(plan, device, args)
    if args.measure:
        measured = measure(plan.run, args.measure)
        figures["measured_gib"] = measured.memory / 2**30
        figures["measured_seconds_per_update"] = measured.seconds
        figures["measured_share"] = plan.operations / measured.seconds / device.rate(args.precision)
    print(json.dumps(figures, indent=2) if args.json else _table(figures, args))
    return 0 if figures["fits"] else 1


def _run_of(args: argparse.Namespace) -> Run:
    config = with_regularisation(SIZES[args.size], args.vocab_size, args.checkpoint_activations)
    available = (args.image // PATCH_STRIDE) ** 2
    patches = min(args.sample_patch_num or available, available)
    pairs = Group(args.batch_size, args.image, args.source_length, args.target_length, patches)
    pretraining = args.task == "pretrain"
    on_cpu = (args.device == HERE or args.measure) and this_device().type == "cpu"
    return Run(
        config,
        pretraining_groups(args.batch_size, pairs) if pretraining else [pairs],
        args.batch_size,
        args.gpus,
        args.update_freq,
        args.precision,
        args.shard_optimizer,
        fused_attention=not on_cpu,
    )


def _figures(plan: Plan, device: Device, args: argparse.Namespace) -> dict[str, float]:
    """What is printed, by name; bytes in GiB."""
    seconds = plan.seconds_per_update(device.rate(args.precision), args.share)
    rows = plan.run.rows_per_update
    memory = {name: value / 2**30 for name, value in asdict(plan.memory).items()}
    figures = {
        "parameters": plan.parameters,
        "rows_per_update": rows,
        "teraflop_per_update": plan.operations / 1e12,
        **{f"{name}_gib": value for name, value in memory.items()},
        "total_gib": plan.memory.total / 2**30,
        "device_gib": device.memory / 2**30,
        "fits": plan.memory.total <= device.memory * USABLE,
        "largest_batch_size": plan.largest_batch(device.memory),
        "seconds_per_update": seconds,
        "rows_per_second": rows / seconds,
    }
    if args.rows:
        updates = -(-args.rows // rows) * args.epochs
        figures["updates"] = updates
        figures["days"] = updates * seconds / _DAY
    return figures


_LABELS = {
    "parameters": "parameters",
    "rows_per_update": "rows per update",
    "teraflop_per_update": "TFLOP per update and GPU",
    "weights_gib": "GiB of weights",
    "gradients_gib": "   gradients",
    "optimizer_gib": "   optimizer",
    "activations_gib": "   kept for backward",
    "passing_gib": "   on their way",
    "logits_gib": "   logits",
    "total_gib": "   in all, per GPU",
    "device_gib": "   there are",
    "largest_batch_size": "largest --batch-size",
    "seconds_per_update": "seconds per update",
    "rows_per_second": "rows per second, all GPUs",
    "updates": "updates",
    "days": "days",
    "measured_gib": "measured: GiB",
    "measured_seconds_per_update": "measured: seconds per update",
    "measured_share": "measured: share of the peak rate",
}


def _table(figures: dict[str, float], args: argparse.Namespace) -> str:
    lines = [
        f"{label:<34}{_number(figures[name]):>16}"
        for name, label in _LABELS.items()
        if name in figures
    ]
    if not figures["fits"]:
        lines.append(_advice(int(figures["largest_batch_size"])))
    if not args.measure:
        lines.append(
            f"\nTimes assume {args.share:g} of the peak rate; --measure finds it out here."
        )
    return "\n".join(lines)


def _advice(largest_batch: int) -> str:
    if largest_batch:
        return (
            f"\nThis does not fit: take --batch-size {largest_batch} with a larger --update-freq, "
            "--checkpoint-activations or --shard-optimizer."
        )
    return (
        "\nNot even one row fits: take --checkpoint-activations, --shard-optimizer with more "
        "GPUs, or a smaller network."
    )


def _number(value: float) -> str:
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:,.3g}"
        if value < 100
        else f"{value:,.0f}"
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, found {text}")
    return value


def _side(text: str) -> int:
    value = int(text)
    if value < 0 or value % PATCH_STRIDE:
        raise argparse.ArgumentTypeError(f"must be a multiple of {PATCH_STRIDE}, found {text}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, found {text}")
    return value
