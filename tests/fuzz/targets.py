"""All targets by name."""

from __future__ import annotations

from tests.fuzz import cells, files

TARGETS = {target.name: target for part in (cells, files) for target in part.TARGETS}
