"""A damaged last checkpoint is replaced by the newest sound one before a run resumes."""

import errno
import logging
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, List, Optional

import torch
from fairseq_compat import atomic_save, checksum, safe_load

_DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error)

logger = logging.getLogger(__name__)


def recover_last(trainer: Any, save_dir: str) -> None:
    """Check the run's last checkpoint and replace it if it is damaged; on all workers at once.

    Raises ValueError if it is damaged and there is no sound one, or if it is one shard of several,
    of which no single one can be set back.
    """
    suffix = trainer.checkpoint_suffix
    last = Path(save_dir) / f"{atomic_save.LAST}{suffix}.pt"
    if "-shard" in suffix:
        reason = damage(last) if last.exists() else None
        if reason is not None:
            raise ValueError(
                f"{reason}; put the shards of an earlier checkpoint in the place of all the last "
                "ones, or remove the last ones to begin again"
            )
        return
    if trainer.data_parallel_rank == 0 and last.exists():
        replace_if_damaged(last, suffix)
    if trainer.data_parallel_world_size > 1:
        torch.distributed.barrier(group=trainer.data_parallel_process_group)


def replace_if_damaged(last: Path, suffix: str = "") -> Optional[Path]:
    """Put the newest sound checkpoint of the folder in the place of a damaged last one.

    The damaged file stays as NAME.damaged.  Returns the checkpoint taken, None if none was needed.
    Raises ValueError if there is none; nothing is changed then.
    """
    reason = damage(last)
    if reason is None:
        return None
    logger.warning("%s", reason)
    refused = [reason]
    for candidate in _others(last, suffix):
        found = damage(candidate)
        if found is not None:
            logger.warning("%s", found)
            refused.append(found)
            continue
        aside = f"{last}.damaged"
        Path(aside).unlink(missing_ok=True)
        os.link(last, aside)
        atomic_save.copy_file(str(candidate), str(last), keep_previous=False)
        logger.warning("resuming from %s instead; the damaged file is kept as %s", candidate, aside)
        return candidate
    raise ValueError("no sound checkpoint to resume from: " + "; ".join(refused))


def _others(last: Path, suffix: str) -> List[Path]:
    """The folder's other checkpoints, the newest first."""
    found = [
        path
        for path in last.parent.glob(f"checkpoint*{suffix}.pt")
        if path != last and ("-shard" in suffix or "-shard" not in path.name)
    ]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def damage(path: Path) -> Optional[str]:
    """What is wrong with a checkpoint file, in words that begin with its name; None if nothing.

    Compared is the SHA-256 beside it.  A file without one is read and its inner checksums with it.
    """
    try:
        if checksum.check(str(path)):
            return None
        if zipfile.is_zipfile(path):
            return _damaged_member(path)
        safe_load.load(str(path), map_location="cpu")
    except safe_load.UnsafeCheckpointError:
        return None  # whole; whether it may be loaded is decided elsewhere
    except (*_DAMAGED_ZIP, ValueError) as error:
        text = str(error)
        return text if text.startswith(str(path)) else f"{path}: {text}"
    return None


def _damaged_member(path: Path) -> Optional[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning of the file
            raise
        return f"{path}: damaged zip archive"
    return None if broken is None else f"{path}: the checksum of {broken} is wrong"
