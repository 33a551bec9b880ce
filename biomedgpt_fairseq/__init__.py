"""BiomedGPT as a plugin of stock fairseq."""

import sys


def register() -> None:
    """Make the model, tasks, criterions and schedules known to fairseq, which this imports."""
    from biomedgpt_fairseq import fairseq_register as fairseq_register


# Whoever has imported fairseq, as `--user-dir` has, wants them known. Others need not wait for it;
# when fairseq comes later, `--user-dir` calls `register`.
if "fairseq" in sys.modules:
    register()
