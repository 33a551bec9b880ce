"""`--user-dir`: a folder of the user with tasks of their own."""

import logging
from argparse import Namespace
from pathlib import Path
from typing import Optional

from fairseq import utils

from biomedgpt_fairseq import fairseq_register as fairseq_register

logger = logging.getLogger(__name__)

PACKAGE = Path(__file__).resolve().parent


def import_extension(user_dir: Optional[str]) -> None:
    """Import the folder as fairseq's own programs do, so that its tasks are known by name.

    A folder that does not exist, as the original's module is named in old commands, only warns.
    """
    if not user_dir or user_dir == PACKAGE.name or Path(user_dir).resolve() == PACKAGE:
        return
    if not Path(user_dir).is_dir():
        logger.warning("--user-dir %s: no such folder; only the released tasks are known", user_dir)
        return
    utils.import_user_module(Namespace(user_dir=user_dir))
