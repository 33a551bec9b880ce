"""What is in a checkpoint, and what is wrong with it, in words."""

from pathlib import Path
from typing import Any, Iterator, List, Mapping, Tuple

from fairseq_compat import checksum
from torch import Tensor

from biomedgpt_fairseq.checkpoint_tools.compare import broken_numbers, totals
from biomedgpt_fairseq.checkpoint_tools.content import averaged_weights, num_updates, training_parts
from biomedgpt_fairseq.fairseq_checkpoint_files import read
from biomedgpt_fairseq.fairseq_saved_options import saved_options

NAMES = {
    "fairseq": "fairseq file",
    "safetensors": "safetensors folder",
    "huggingface": "Hugging Face folder",
}


def inspected(path: Path) -> List[Tuple[str, str]]:
    """Facts of a checkpoint, each with its name.  Raises as `read` does."""
    checkpoint = read(path)
    state, saved = checkpoint.state, saved_options(checkpoint.state)
    config = checkpoint.network().config
    parameters, dtypes = totals(state["model"])
    arch = saved.model.get("arch") or saved.model.get("_name") or "not named"
    iterator = (state.get("extra_state") or {}).get("train_iterator") or {}
    return [
        ("layout", NAMES[checkpoint.layout]),
        ("task", saved.task_name or "not named"),
        ("architecture", str(arch)),
        ("width", f"{config.dim}, {config.heads} heads, feed-forward {config.ffn_dim}"),
        ("layers", f"{config.encoder_layers} + {config.decoder_layers}"),
        ("image trunk", config.resnet),
        ("positions", f"{config.max_source_positions} and {config.max_target_positions}"),
        ("vocabulary", f"{config.vocab_size:,} symbols"),
        ("parameters", f"{parameters:,}"),
        ("tensors", ", ".join(f"{count} {kind}" for kind, count in sorted(dtypes.items()))),
        ("updates", f"{num_updates(state):,}, epoch {iterator.get('epoch', 'not told')}"),
        ("averaged", "yes" if averaged_weights(state) else "no"),
        ("training state", ", ".join(training_parts(state)) or "none"),
        *((f"sha256 {name}", text) for name, text in _sums(path)),
    ]


def _sums(path: Path) -> Iterator[Tuple[str, str]]:
    known = checksum.check_folder(path) if path.is_dir() else checksum.check(str(path))
    for member in sorted(path.iterdir()) if path.is_dir() else [path]:
        if member.name != checksum.FOLDER_FILE:
            text = "verified" if known else "nothing to compare with"
            yield member.name, f"{checksum.sha256(str(member))} ({text})"


def faults(path: Path) -> List[str]:
    """What is wrong with a checkpoint; empty if it is sound.

    Compared are the checksums beside its files, names and shapes of its weights with its
    architecture; searched are NaN and infinity in weights, averages and optimizer.
    """
    try:
        checkpoint = read(path)
    except ValueError as error:
        return [str(error)]
    found = []
    try:
        checkpoint.network()
    except ValueError as error:
        found.append(str(error))
    tensors = dict(_tensors(checkpoint.state, ""))
    return [*found, *(f"{path}: {text}" for text in broken_numbers(tensors))]


def _tensors(value: Any, place: str) -> Iterator[Tuple[str, Tensor]]:
    """Tensors of nested containers by place, such as model.encoder.version."""
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _tensors(item, f"{place}.{index}")
