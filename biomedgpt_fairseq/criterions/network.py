"""What a criterion asks of the network."""

from typing import Any, Dict

import torch
from torch import Tensor

from biomedgpt_fairseq.losses.logits import Logits, Unprojected


def run_network(model: Any, net_input: Dict[str, Any]) -> Logits:
    """Logits of a batch, (B*L, V): unprojected if the network can tell its output matrix.

    Through a forward call in either case, on which distributed wrappers rely.
    """
    if not isinstance(getattr(model, "output_weight", None), Tensor):
        logits: Tensor = model(**net_input)[0]
        return logits.flatten(0, 1)
    features: Tensor = model(**net_input, features_only=True)[0].flatten(0, 1)
    weight: Tensor = model.output_weight  # after the call: fully sharded training gathers it there
    if torch.is_autocast_enabled(features.device.type):
        # The product would take place in this type; so its gradient does, too.
        narrow = torch.get_autocast_dtype(features.device.type)
        features, weight = features.to(narrow), weight.to(narrow)
    return Unprojected(features, weight)
