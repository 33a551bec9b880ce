"""Loads fairseq's modules through the patches."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from fairseq_compat import torch_load
from fairseq_compat.patch import Patch
from fairseq_compat.registry import CAUSES

# fairseq's Cython modules; a build without a C++ compiler has none of them.
COMPILED_HELPERS = ("fairseq.data.data_utils_fast", "fairseq.data.token_block_utils_fast")


def patches_of(module: str) -> list[Patch]:
    """The patches of one fairseq module, in the order in which they are applied."""
    causes = CAUSES.get(module, ())
    files = [importlib.import_module(f"fairseq_compat.{cause}") for cause in causes]
    return [patch for file in files for patch in file.PATCHES if patch.module == module]


class PatchingLoader(SourceFileLoader):
    """Compiles a changed module in memory; an unchanged one takes the ordinary, cached way."""

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's code with all its patches.

        Raises ImportError, naming patch and module, when a patch does not fit the source.
        """
        patches = patches_of(fullname)
        source = self.get_data(self.path)
        if not patches and not torch_load.concerns(source):
            return super().get_code(fullname)
        tree = ast.parse(source, self.path)
        for patch in [*patches, *torch_load.patches(fullname, source)]:
            try:
                patch.edit(tree)
            except ImportError as error:
                message = f"patch '{patch.name}' does not fit {fullname} ({self.path}): {error}"
                raise ImportError(message, name=fullname, path=self.path) from error
        ast.fix_missing_locations(tree)
        return compile(tree, self.path, "exec", dont_inherit=True)


def find_spec(
    name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
) -> ModuleSpec | None:
    """The ordinary spec with the loader exchanged; a stand-in for a data helper not compiled."""
    spec = PathFinder.find_spec(name, path, target)
    if spec is None and name in COMPILED_HELPERS:
        return importlib.util.spec_from_file_location(
            name, Path(__file__).with_name("data_helpers.py")
        )
    if spec is not None and isinstance(spec.loader, SourceFileLoader):
        spec.loader = PatchingLoader(spec.loader.name, spec.loader.path)
    return spec
