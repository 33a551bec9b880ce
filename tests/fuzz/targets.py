"""All targets by name."""

from __future__ import annotations

from tests.fuzz import cells, checkpoints, commands, files

TARGETS = {
    target.name: target for part in (cells, files, checkpoints, commands) for target in part.TARGETS
}
