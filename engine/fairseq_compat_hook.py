"""Start-up stub: one entry on sys.meta_path, asleep until something imports fairseq.

`fairseq_compat.pth` calls `install()` whenever an interpreter starts, hence no import but sys here.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_PACKAGES = ("fairseq", "fairseq_cli")


class FairseqFinder:
    """Answers for fairseq's modules alone."""

    @staticmethod
    def find_spec(
        name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """The spec of a fairseq module with its patches, None for any other module."""
        if name.partition(".")[0] not in _PACKAGES:
            return None
        from fairseq_compat.finder import find_spec

        return find_spec(name, path, target)


def install() -> None:
    """Put the finder first on sys.meta_path, once."""
    if FairseqFinder not in sys.meta_path:
        sys.meta_path.insert(0, FairseqFinder)


def installed() -> bool:
    """Whether this interpreter adapts fairseq when it is imported."""
    return FairseqFinder in sys.meta_path
