r"""Option strings reach the task as they were typed, whatever they hold.

fairseq writes every option into a hydra override such as `task.note='...'`, then reads the composed
config twice more.  On that way a backslash before an apostrophe changes the text or ends in a parse
error, and `${..}` is taken for a reference to another option.  Here an awkward text travels through
hydra in an encoded form, and a `${` in a resolved config is escaped before it is read again.
"""

from __future__ import annotations

import ast
import re
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from fairseq_compat.patch import Patch, prepend, swap

_MARK = "encoded-by-fairseq-compat:"
_AWKWARD = re.compile(r"""['\\\x00-\x1f\x7f]|\$\{|^\s|\s$""")
# Only fairseq's own references, as `${optimization.lr}`, stay references.
_REFERENCE = re.compile(r"\$\{([a-z_]+)(\.\w+)+\}")
_INTERPOLATION = re.compile(r"(\\*)\$\{")


def encode(value: Any, groups: set[str] | None = None) -> Any:
    """The value, with awkward texts in it encoded; groups: names that a reference may start with.

    Also inside lists, tuples and dictionaries.
    """
    if isinstance(value, str):
        reference = _REFERENCE.fullmatch(value)
        if reference is not None and reference[1] in _groups(groups):
            return value
        if _AWKWARD.search(value) or value.startswith(_MARK):
            raw = value.encode("utf-8", "surrogatepass")
            return _MARK + quote_from_bytes(raw, safe=' ,:;{}[]"')
        return value
    return _mapped(value, lambda item: encode(item, groups))


def _groups(groups: set[str] | None) -> set[str]:
    if groups is None:
        from fairseq.dataclass.configs import FairseqConfig

        groups = set(FairseqConfig.__dataclass_fields__)
    return groups


def _mapped(value: Any, change: Any) -> Any:
    if type(value) is dict:
        return {change(key): change(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(change(item) for item in value)
    return value


def decode(value: Any) -> Any:
    """The inverse of `encode`."""
    if isinstance(value, str):
        if not value.startswith(_MARK):
            return value
        return unquote_to_bytes(value[len(_MARK) :]).decode("utf-8", "surrogatepass")
    return _mapped(value, decode)


def literal(value: Any) -> Any:
    """A resolved value written so that omegaconf reads the same text again.

    Of a config that is not plain any more (a DictConfig) nothing is changed.
    """
    if isinstance(value, str):
        # omegaconf: a backslash escapes `${`, and backslashes before it are doubled.
        return _INTERPOLATION.sub(lambda match: match[1] * 2 + r"\${", value)
    return _mapped(value, literal)


def literal_decoded(value: Any) -> Any:
    """`literal(decode(value))`."""
    return literal(decode(value))


_RESOLVED = "OmegaConf.to_container({}, resolve=True, enum_to_str=True)"
_IMPORT = "from fairseq_compat import quoting as _quoting"


def _edit_utils(tree: ast.Module) -> None:
    # The two places where a value becomes part of an override.
    swap(
        tree,
        {
            r"""val = val.replace("'", r"\'")""": (
                r"""val = _quoting.encode(val).replace("'", r"\'")"""
            ),
            'overrides.append("{}.{}={}".format(sub_node, k, val))': (
                'overrides.append("{}.{}={}".format(sub_node, k, _quoting.encode(val)))'
            ),
        },
        inside="_override_attr",
    )
    resolved = _RESOLVED.format("composed_cfg")
    readable = f"_quoting.literal_decoded({resolved})"
    swap(
        tree,
        {f"OmegaConf.create({resolved})": f"OmegaConf.create({readable})"},
        inside="convert_namespace_to_omegaconf",
    )
    swap(
        tree,
        {
            "cfg[k][ok] = ov": "cfg[k][ok] = _quoting.literal(ov)",
            "cfg[k] = overrides[k]": "cfg[k] = _quoting.literal(overrides[k])",
        },
        inside="overwrite_args_by_name",
    )
    prepend(tree, _IMPORT)


def _edit_checkpoint(tree: ast.Module) -> None:
    call = 'OmegaConf.create({}, flags={{"allow_objects": True}})'
    swap(
        tree,
        {call.format('state["cfg"]'): call.format('_quoting.literal(state["cfg"])')},
        inside="load_checkpoint_to_cpu",
    )
    prepend(tree, _IMPORT)


def _edit_hydra_train(tree: ast.Module) -> None:
    resolved = _RESOLVED.format("cfg")
    swap(
        tree,
        {f"OmegaConf.create({resolved})": f"OmegaConf.create(_quoting.literal({resolved}))"},
        inside="_hydra_main",
    )
    prepend(tree, _IMPORT)


_REASON = "InterpolationKeyError for ${..} in an answer; a backslash before an apostrophe is lost"

PATCHES = (
    Patch("quoting", "fairseq.dataclass.utils", _REASON, _edit_utils),
    Patch("quoting-checkpoint", "fairseq.checkpoint_utils", _REASON, _edit_checkpoint),
    Patch("quoting-hydra", "fairseq_cli.hydra_train", _REASON, _edit_hydra_train),
)
