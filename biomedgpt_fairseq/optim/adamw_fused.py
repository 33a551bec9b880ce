"""`adamw_fused`: torch's AdamW, one kernel for all parameters where the device has it.

Without apex, fairseq's own `adam` updates parameter by parameter. The results differ only in where
the small `adam_eps` enters (torch adds it after the bias correction, fairseq before).
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Dict, List

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II


@dataclass
class FusedAdamWOptions(FairseqDataclass):
    """Options of the optimizer, named as those of fairseq's `adam`."""

    adam_betas: str = field(default="(0.9, 0.999)", metadata={"help": "decay rates of the means"})
    adam_eps: float = field(default=1e-8, metadata={"help": "added to the denominator"})
    weight_decay: float = field(default=0.0, metadata={"help": "decoupled weight decay"})
    lr: List[float] = II("optimization.lr")


@register_optimizer("adamw_fused", dataclass=FusedAdamWOptions)
class FusedAdamW(FairseqOptimizer):
    """AdamW of torch behind fairseq's interface."""

    def __init__(self, cfg: FusedAdamWOptions, params: Iterable[torch.nn.Parameter]) -> None:
        super().__init__(cfg)
        params = list(params)
        has_kernel = all(
            param.device.type in ("cpu", "cuda") and param.is_floating_point() for param in params
        )
        self._optimizer = torch.optim.AdamW(params, fused=has_kernel, **self.optimizer_config)

    @property
    def optimizer_config(self) -> Dict[str, Any]:
        """Settings that win over those stored in a checkpoint."""
        return {
            "lr": self.cfg.lr[0],
            "betas": parse_betas(self.cfg.adam_betas),
            "eps": self.cfg.adam_eps,
            "weight_decay": self.cfg.weight_decay,
        }

    @property
    def supports_flat_params(self) -> bool:
        """True: every element is updated by itself."""
        return True


def parse_betas(text: str) -> tuple[float, float]:
    """Two numbers written as '(0.9, 0.999)'.  Raises ValueError otherwise."""
    try:
        first, second = (float(value) for value in ast.literal_eval(text))
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f"--adam-betas must be two numbers, found {text!r}") from error
    return first, second
