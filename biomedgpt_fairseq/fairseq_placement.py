"""Where and in which precision evaluation and prediction run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Placement:
    """Device and floating-point type of the models and their input."""

    device: torch.device
    dtype: torch.dtype = torch.float32

    @property
    def device_name(self) -> str:
        """The processor's type, with the model's name for a GPU."""
        if self.device.type == "cuda":
            return f"cuda: {torch.cuda.get_device_name(self.device)}"
        return self.device.type

    def place(self, models: Sequence[Any]) -> list[Any]:
        """The models moved and cast, in evaluation mode."""
        return [model.to(device=self.device, dtype=self.dtype).eval() for model in models]

    def move(self, batch: Any) -> Any:
        """A batch with its tensors moved and its floating-point tensors cast."""
        if torch.is_tensor(batch):
            dtype = self.dtype if batch.is_floating_point() else batch.dtype
            return batch.to(device=self.device, dtype=dtype)
        if isinstance(batch, dict):
            return {key: self.move(value) for key, value in batch.items()}
        return batch


def choose_placement(cpu: bool = False, fp16: bool = False, bf16: bool = False) -> Placement:
    """The first GPU unless there is none or `cpu` is set.

    Raises ValueError for half precision on the CPU.
    """
    device = torch.device("cpu" if cpu or not torch.cuda.is_available() else "cuda")
    if fp16 and device.type == "cpu":
        raise ValueError("--fp16 needs a GPU; on the CPU use --bf16 or neither")
    dtype = torch.float16 if fp16 else torch.bfloat16 if bf16 else torch.float32
    return Placement(device, dtype)
