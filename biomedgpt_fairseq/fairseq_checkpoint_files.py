"""Checkpoints in three layouts: fairseq's .pt file, a safetensors folder, a Hugging Face folder."""

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, Literal, Mapping, Optional

import torch
from fairseq_compat import atomic_save, checksum, safe_load
from torch import Tensor

from biomedgpt_fairseq import fairseq_hugging_face
from biomedgpt_fairseq.checkpoint_tools import folder as plain_folder
from biomedgpt_fairseq.checkpoint_tools import plain
from biomedgpt_fairseq.checkpoint_tools.hugging_face import CONFIG_FILE
from biomedgpt_fairseq.fairseq_saved_options import MODEL_OPTION_NAMES, Options, saved_options
from biomedgpt_fairseq.models.checkpoint import converted, differences, fitted
from biomedgpt_fairseq.models.fairseq_model import FairseqShapedEncoder, OfaModel
from biomedgpt_fairseq.models.saved_config import config_from_weights
from biomedgpt_fairseq.models.transformer import build_parts

Layout = Literal["fairseq", "safetensors", "huggingface"]
# What values of other kinds than the network's cause; MemoryError: sizes that nobody has.
_NO_OPTIONS = (TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint, in the form of a fairseq file's, and where it came from."""

    path: Path
    layout: Layout
    state: Dict[str, Any]

    def network(self) -> OfaModel:
        """The network of the options or, without any, of the weights; its numbers are not there.

        Raises ValueError if the weights do not fit it.
        """
        weights = self.state["model"]
        try:
            symbols = converted(weights)["encoder.embed_tokens.weight"].size(0)
            with torch.device("meta"):
                model = build_network(saved_options(self.state).model, weights, symbols)
        except KeyError as error:
            raise ValueError(
                f"{self.path}: no weights of this network, {error} is absent"
            ) from None
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
        found = differences(model, fitted(model, weights))
        if found:
            raise ValueError(f"{self.path}: {found.report()}")
        return model


def build_network(
    options: Options, weights: Mapping[str, Tensor], symbols: int, pad: int = 1
) -> OfaModel:
    """The network with the saved options or, where there are none, those the weights imply.

    Raises ValueError for weights of another number of symbols.
    """
    if "arch" not in options and "_name" not in options:
        config = config_from_weights(converted(weights))
        if config.vocab_size != symbols:
            raise ValueError(
                f"the file has {config.vocab_size} symbols and the vocabulary {symbols}; "
                "check --bpe-dir, code_dict_size and num_bins"
            )
        return OfaModel(*build_parts(config, FairseqShapedEncoder))
    known = {name: value for name, value in options.items() if name in MODEL_OPTION_NAMES}
    # What these options did is in the weights already; the trunk's file may be gone.
    known |= {"resnet_model_path": None, "checkpoint_activations": False}
    try:
        return OfaModel.from_options(known, symbols, pad)
    except _NO_OPTIONS as error:
        raise ValueError(f"the saved options describe no network: {error}") from error


def read(path: Path, trust: bool = False) -> Checkpoint:
    """A checkpoint of any layout; checksums that stand beside its files are compared.

    trust: run the code that a .pt file may hold.
    Raises FileNotFoundError, and ValueError that says what is wrong with the file.
    """
    checkpoint = _read(path, trust)
    try:
        saved_options(checkpoint.state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return checkpoint


def _read(path: Path, trust: bool) -> Checkpoint:
    if path.is_dir():
        checksum.check_folder(path)
        if (path / plain_folder.STATE_FILE).is_file():
            return Checkpoint(path, "safetensors", plain_folder.read_folder(path))
        if (path / CONFIG_FILE).is_file():
            return Checkpoint(path, "huggingface", fairseq_hugging_face.read_folder(path))
        raise ValueError(
            f"{path}: the folder has neither {plain_folder.STATE_FILE} (safetensors) nor "
            f"{CONFIG_FILE} (Hugging Face)"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    state = safe_load.load(path, map_location="cpu", trust=trust or None)
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise ValueError(f"{path}: expected a fairseq checkpoint with an entry 'model'")
    return Checkpoint(path, "fairseq", state)


def write(
    checkpoint: Checkpoint, target: Path, layout: Layout, bpe_dir: Optional[str] = None
) -> None:
    """Write the content in a layout, with checksums: whole or not at all.

    bpe_dir: for Hugging Face, the vocabulary folder instead of the one that the options name.
    Raises FileExistsError if target exists, and ValueError for content without a place.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; remove it or choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    if layout == "fairseq":
        # There and back: what is not plain data would need code to be read.
        atomic_save.save_object(plain.from_plain(*plain.to_plain(checkpoint.state)), str(target))
        return
    with _new_folder(target) as folder:
        if layout == "safetensors":
            plain_folder.write_folder(checkpoint.state, folder)
        else:
            config = checkpoint.network().config
            fairseq_hugging_face.write_folder(checkpoint.state, config, folder, bpe_dir)


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder that gets its name, and its files their checksums, when all is written."""
    folder = target.with_name(target.name + ".tmp")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
        checksum.record_folder(folder)
        for path in folder.iterdir():
            path.chmod(0o644)  # safetensors writes for its owner alone
            with path.open("rb") as file:
                os.fsync(file.fileno())
        checksum.sync_folder(str(folder / "any"))
        folder.rename(target)
        checksum.sync_folder(str(target))
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        # Only opening a file tells its name, not writing to it.
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
