"""What a checkpoint may contain besides tensors and plain data: the loader's allow-list.

A name as it stands in the file leads to the object that serves for it here.  Nothing on the list
runs code that the file could choose: plain records, containers, numbers.  torch adds its own list
(tensors, storages, dtypes, OrderedDict, ...).
"""

from __future__ import annotations

import importlib
import sys
import typing
from collections.abc import Iterable
from typing import Any

_PLAIN = (
    "argparse.Namespace",
    "collections.OrderedDict",
    # Types stand in omegaconf's metadata and as the factory of a defaultdict.
    *(f"builtins.{name}" for name in ("bool", "bytes", "dict", "float", "int", "list", "str")),
    *(f"builtins.{name}" for name in ("complex", "set", "tuple")),
    *(f"typing.{name}" for name in ("Any", "Dict", "List", "Optional", "Tuple", "Union")),
)
_OMEGACONF = (
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.base.UnionNode",
    *(
        f"omegaconf.nodes.{kind}Node"
        for kind in ("Any", "String", "Integer", "Float", "Boolean", "Enum", "Bytes")
    ),
)
_NUMPY = ("numpy.dtype", "numpy.ndarray")
# The types of dtype objects, which no file names: numbers only, never Python objects.
_DTYPES = (
    *(f"{kind}DType" for kind in ("Bool", "Float16", "Float32", "Float64")),
    *(f"{sign}{bits}DType" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)),
)
# Found where they are in current numpy, under the name of numpy 1 as well.
_NUMPY_FUNCTIONS = ("scalar", "_reconstruct")
_METERS = ("AverageMeter", "MetersDict", "StopwatchMeter", "SumMeter", "TimeMeter")
_FAIRSEQ = (
    *(f"fairseq.logging.meters.{name}" for name in _METERS),
    "fairseq.data.multilingual.multilingual_utils.EncoderLangtok",
    "fairseq.data.multilingual.multilingual_utils.LangTokSpec",
    "fairseq.data.multilingual.multilingual_utils.LangTokStyle",
    "fairseq.data.multilingual.sampled_multi_dataset.CollateFormat",
    "fairseq.data.text_compressor.TextCompressionLevel",
    # A tensor's place in an object that one worker sends to the others.
    "fairseq.distributed.utils._TensorPlaceholder",
)
_MOVED = {
    **{f"fairseq.meters.{name}": f"fairseq.logging.meters.{name}" for name in _METERS},
}

_GENERICS = (typing.Dict, typing.List, typing.Optional, typing.Tuple, typing.Union)  # noqa: UP006


def none_type(*values: Any) -> type[None]:
    """Stands for `builtins.type`, with which a pickle writes the class of None."""
    if values != (None,):
        raise ValueError("builtins.type is accepted in a checkpoint for the type of None only")
    return type(None)


def typing_item(generic: Any, item: Any) -> Any:
    """Stands for `operator.getitem`, with which a pickle writes `Optional[int]` and the like."""
    if not any(generic is known for known in _GENERICS):
        raise ValueError("operator.getitem is accepted in a checkpoint for typing's names only")
    return generic[item]


def default_dict(*_: Any) -> dict[Any, Any]:
    """Stands for `collections.defaultdict`, in which torch's reader sets no items: a plain dict."""
    return {}


def _numpy_function(name: str) -> Any:
    try:
        core = importlib.import_module("numpy._core.multiarray")
    except ModuleNotFoundError:  # numpy 1
        core = importlib.import_module("numpy.core.multiarray")
    return getattr(core, name)


def _allowed() -> dict[str, str]:
    """Name in a file -> where the object is now."""
    names = (*_PLAIN, *_OMEGACONF, *_NUMPY, *_FAIRSEQ)
    return {**{name: name for name in names}, **_MOVED}


_STAND_INS = {
    "builtins.type": none_type,
    "collections.defaultdict": default_dict,
    "_operator.getitem": typing_item,
    "operator.getitem": typing_item,
}


def resolve(names: Iterable[str]) -> tuple[list[tuple[Any, str]], list[str]]:
    """The allowed ones among names, as (object, name) pairs, and the names which are refused.

    Imports the module of an allowed name, and of no other.
    """
    allowed = _allowed()
    functions = {
        f"numpy.{core}.multiarray.{function}": function
        for core in ("core", "_core")
        for function in _NUMPY_FUNCTIONS
    }
    pairs: list[tuple[Any, str]] = []
    refused: list[str] = []
    for name in sorted(set(names)):
        if name in _STAND_INS:
            pairs.append((_STAND_INS[name], name))
        elif name in functions:
            pairs.append((_numpy_function(functions[name]), name))
        elif name in allowed:
            module, _, attribute = allowed[name].rpartition(".")
            found = getattr(importlib.import_module(module), attribute, None)
            # A class of another version, such as a numpy.dtypes class that numpy 1 lacks.
            pairs.append((found, name)) if found is not None else refused.append(name)
        else:
            refused.append(name)
    if any(name == "numpy.dtype" for _, name in pairs):
        pairs += _dtype_classes()
    return pairs, refused


def _dtype_classes() -> list[tuple[Any, str]]:
    import numpy

    named = [(getattr(numpy.dtypes, kind, None), f"numpy.dtypes.{kind}") for kind in _DTYPES]
    return [(kind, name) for kind, name in named if kind is not None]


def names_without_import() -> list[str]:
    """All names on the list whose module is loaded: for a file which cannot be listed first."""
    allowed = _allowed()
    loaded = [name for name, now in allowed.items() if now.rpartition(".")[0] in sys.modules]
    return [*loaded, *_STAND_INS]
