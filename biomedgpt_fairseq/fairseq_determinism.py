"""`--deterministic`: the same seed on the same machine and GPU gives the same bits."""

import os

import torch

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def use_deterministic_algorithms() -> None:
    """Let this process use only algorithms that give the same bits each time.

    An operation without one raises RuntimeError that names it.  To be called before the first
    matrix product on a GPU: cuBLAS reads its variable then.  A value that is there is kept, and
    refused by torch if it does not serve.
    """
    os.environ.setdefault(WORKSPACE, ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
