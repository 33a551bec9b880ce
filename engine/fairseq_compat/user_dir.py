"""`--user-dir NAME` is sought beside fairseq, where an editable install of the plugin is not.

And a plugin that was imported before fairseq has not been able to register anything.
"""

from __future__ import annotations

import ast
import importlib.util
import os
from types import ModuleType

from fairseq_compat.patch import Patch, prepend, swap


def folder_of(user_dir: str) -> str:
    """Absolute path of the folder; of the package, when there is no folder of that name."""
    if not os.path.exists(user_dir) and user_dir.isidentifier():
        spec = importlib.util.find_spec(user_dir)
        if spec is not None and spec.submodule_search_locations:
            return os.path.abspath(spec.submodule_search_locations[0])
    return os.path.abspath(user_dir)


def register_imported(plugin: ModuleType) -> None:
    """Let a plugin that was imported already register itself, if it offers to."""
    register = getattr(plugin, "register", None)
    if callable(register):
        register()


def _edit(tree: ast.Module) -> None:
    swap(
        tree,
        {"os.path.abspath(args.user_dir)": "_folder_of(args.user_dir)"},
        inside="import_user_module",
    )
    prepend(tree, "from fairseq_compat.user_dir import folder_of as _folder_of")


def _edit_imported(tree: ast.Module) -> None:
    swap(
        tree,
        {
            'logger.info(f"--user-dir={module_path} has already been imported.")': (
                "_register_imported(sys.modules[module_name])"
            )
        },
        inside="import_user_module",
    )
    prepend(tree, "from fairseq_compat.user_dir import register_imported as _register_imported")


PATCHES = (
    Patch(
        name="user-dir-by-name",
        module="fairseq.utils",
        reason="--user-dir biomedgpt_fairseq: FileNotFoundError with an editable install",
        edit=_edit,
    ),
    Patch(
        name="user-dir-imported-before",
        module="fairseq.utils",
        reason="a plugin imported before fairseq: its tasks and models stay unknown",
        edit=_edit_imported,
    ),
)
