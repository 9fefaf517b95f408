"""How fast each weight learns: AdamW's groups, and the rates' way from step to step."""

import math
from collections import defaultdict
from typing import Any

from torch import nn, optim

from brain2image.config import RunConfig
from brain2image.core.errors import InputError
from brain2image.models.alignment import AlignmentModel
from brain2image.models.losses import AlignmentLoss

# Share of the steps over which the learning rates rise from zero. AdamW's first steps are as long as the rate
# whatever the gradient is; across 4096 inputs they add up and would push the loss above that of zeros.
WARMUP_SHARE = 0.05


def parameter_groups(model: AlignmentModel, loss: AlignmentLoss, run: RunConfig) -> list[dict[str, Any]]:
    """Divide parameters into AdamW's groups: encoder layers and the rest, with weight decay and without.

    A learned temperature is a group of its own, without weight decay, at the rate of the rest.
    Layer l of the encoder's n learns at backbone_learning_rate * layer_decay^(n - l), counted from its input;
    with layer_decay 1 all are one group. As in BEiT (https://arxiv.org/abs/2106.08254, appendix).

    Raises
    ------
    InputError
        When the encoder's layers do not hold all that it learns.
    """
    training, encoder = run.training, model.encoder
    rates = dict.fromkeys(model.parameters(), ("head", training.learning_rate))
    rates |= dict.fromkeys(loss.parameters(), ("temperature", training.learning_rate))
    for depth, layer in enumerate(reversed(encoder.layers() if encoder else [])):
        rate = training.backbone_learning_rate * training.layer_decay**depth
        rates |= dict.fromkeys(layer.parameters(), ("backbone", rate))
    if encoder and any(rates[parameter][0] != "backbone" for parameter in encoder.parameters()):
        raise InputError(
            f"encoder {run.model.encoder}: expected layers() to hold all its parameters, some are in none"
        )
    groups: dict[tuple[str, float, bool], list[nn.Parameter]] = defaultdict(list)
    for parameter, (name, rate) in rates.items():
        if parameter.requires_grad:
            groups[name, rate, parameter.ndim > 1].append(parameter)
    return [
        {
            "params": parameters,
            "lr": rate,
            "weight_decay": run.training.weight_decay if is_matrix else 0.0,
            "name": name,
        }
        for (name, rate, is_matrix), parameters in groups.items()
    ]


def rate_factor(step: int, n_steps: int) -> float:
    """Return the share of the full rate: linear warm-up times (1 + cos(pi step / n_steps)) / 2."""
    warmup = min(1.0, (step + 1) / math.ceil(WARMUP_SHARE * n_steps))
    return warmup * (1 + math.cos(math.pi * step / n_steps)) / 2


def current_rates(optimizer: optim.Optimizer) -> dict[str, float]:
    """Return the highest rate of the encoder, which is its last layer's, and that of the rest."""
    groups = sorted(optimizer.param_groups, key=lambda group: group["lr"])
    return {f"lr_{group['name']}": group["lr"] for group in groups}
