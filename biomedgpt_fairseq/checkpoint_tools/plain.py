"""A checkpoint's content <-> plain JSON and named tensors, without loss and without pickle.

What JSON lacks is an object with one key that begins with `$`: {"$tensor": name}, {"$tuple": [..]},
{"$items": [[key, value], ..]} for other keys than strings, {"$namespace": {..}}, {"$float": "nan"},
{"$numpy": [type, number]}.  Configs of omegaconf become plain objects.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

Json = Any
Tensors = dict[str, Tensor]


def to_plain(value: Any) -> tuple[Json, Tensors]:
    """JSON and tensors of nested containers; a tensor that occurs twice is stored once.

    Raises ValueError that names the place of anything but containers, numbers, texts and tensors.
    """
    writer = _Writer()
    return writer.plain(value, ()), writer.tensors


class _Writer:
    def __init__(self) -> None:
        self.tensors: Tensors = {}
        self._names: dict[tuple[object, ...], str] = {}

    def plain(self, value: Any, place: tuple[str, ...]) -> Json:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.generic):
            return {"$numpy": [value.dtype.name, self.plain(value.item(), place)]}
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": str(value)}
        if isinstance(value, Tensor):
            return {"$tensor": self._stored(value, ".".join(place))}
        if isinstance(value, Namespace):
            return {"$namespace": self.plain(vars(value), place)}
        if OmegaConf.is_config(value):
            value = OmegaConf.to_container(value, resolve=False, enum_to_str=True)
        return self._container(value, place)

    def _container(self, value: Any, place: tuple[str, ...]) -> Json:
        if isinstance(value, Mapping):
            items = {key: self.plain(item, (*place, str(key))) for key, item in value.items()}
            if all(isinstance(key, str) and not key.startswith("$") for key in items):
                return items
            return {"$items": [[self.plain(key, place), item] for key, item in items.items()]}
        if isinstance(value, list | tuple):
            row = [self.plain(item, (*place, str(i))) for i, item in enumerate(value)]
            return row if isinstance(value, list) else {"$tuple": row}
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise ValueError(f"{'.'.join(place) or 'the content'}: cannot store a {kind} as plain data")

    def _stored(self, value: Tensor, name: str) -> str:
        at = (value.data_ptr(), value.dtype, tuple(value.shape), value.stride())
        known = self._names.get(at) if value.numel() else None
        if known is not None:
            return known
        if name in self.tensors:
            raise ValueError(f"two tensors would be called {name}")
        self.tensors[name] = value.detach().contiguous()
        self._names[at] = name
        return name


def from_plain(plain: Json, tensors: Mapping[str, Tensor]) -> Any:
    """The content again; tensors are shared where they were.

    Raises ValueError for what `to_plain` does not write.
    """
    if isinstance(plain, list):
        return [from_plain(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    marks = [key for key in plain if key.startswith("$")]
    if not marks:
        return {key: from_plain(item, tensors) for key, item in plain.items()}
    if len(plain) == 1 and marks[0] in _READERS:
        try:
            return _READERS[marks[0]](plain[marks[0]], tensors)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"malformed {marks[0]}: {plain!r:.200} ({error})") from error
    raise ValueError(f"not written by this program: {plain!r:.200}")


def _number(value: Json, tensors: Mapping[str, Tensor]) -> Any:
    kind, number = value
    if not isinstance(kind, str) or not kind.isalnum():  # numpy parses longer texts as code
        raise TypeError("no name of a type of numbers")
    if not np.issubdtype(np.dtype(kind), np.number) and kind != "bool":
        raise TypeError(f"{kind} is no type of numbers")
    return np.dtype(kind).type(from_plain(number, tensors))


def _namespace(value: Json, tensors: Mapping[str, Tensor]) -> Namespace:
    return Namespace(**from_plain(value, tensors))


_READERS: dict[str, Any] = {
    "$tensor": lambda name, tensors: tensors[name],
    "$tuple": lambda row, tensors: tuple(from_plain(item, tensors) for item in row),
    "$items": lambda rows, tensors: {
        from_plain(key, tensors): from_plain(item, tensors) for key, item in rows
    },
    "$namespace": _namespace,
    "$float": lambda text, tensors: float(text),
    "$numpy": _number,
}


def equal(left: Any, right: Any) -> bool:
    """Whether two contents hold the same numbers, bit for bit, in the same places."""
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return _same_bits(left, right)
    if isinstance(left, Namespace) and isinstance(right, Namespace):
        return equal(vars(left), vars(right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right) or (left != left and right != right)


def _same_bits(left: Any, right: Any) -> bool:
    if not (isinstance(left, Tensor) and isinstance(right, Tensor)):
        return False
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    raw = (value.detach().cpu().contiguous().view(-1).view(torch.uint8) for value in (left, right))
    return torch.equal(*raw)
