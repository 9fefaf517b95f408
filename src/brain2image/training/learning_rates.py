"""How fast each weight learns: AdamW's groups, and the rates' way from step to step."""

import math
import re
from collections import defaultdict
from typing import Any

from torch import nn

from brain2image.config import RunConfig
from brain2image.models.alignment import AlignmentModel
from brain2image.models.losses import AlignmentLoss

# Share of the steps over which the learning rates rise from zero. AdamW's first steps are as long as the rate
# whatever the gradient is; across 4096 inputs they add up and would push the loss above that of zeros.
WARMUP_SHARE = 0.05

BACKBONE_LAYER = re.compile(r"backbone\.encoder\.layers\.(\d+)\.")


def parameter_groups(model: AlignmentModel, loss: AlignmentLoss, run: RunConfig) -> list[dict[str, Any]]:
    """Divide parameters into AdamW's groups: backbone layers and the rest, with weight decay and without.

    A learned temperature is a group of its own, without weight decay, at the rate of the rest.
    Layer l of the backbone's n learns at backbone_learning_rate * layer_decay^(n - l), its patch embedding at
    l = 0; with layer_decay 1 all are one group. As in BEiT (https://arxiv.org/abs/2106.08254, appendix).
    """
    groups: dict[tuple[str, float, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in (*model.named_parameters(), *loss.named_parameters()):
        if parameter.requires_grad:
            groups[*_rate(name, run), parameter.ndim > 1].append(parameter)
    return [
        {
            "params": parameters,
            "lr": rate,
            "weight_decay": run.training.weight_decay if is_matrix else 0.0,
            "name": name,
        }
        for (name, rate, is_matrix), parameters in groups.items()
    ]


def _rate(name: str, run: RunConfig) -> tuple[str, float]:
    """Return the name of the rate that a parameter learns at, and its highest value."""
    if not name.startswith("backbone."):
        return "temperature" if name == "log_temperature" else "head", run.training.learning_rate
    layer = BACKBONE_LAYER.match(name)
    depth = int(layer[1]) + 1 if layer else 0
    decay = run.training.layer_decay ** (run.model.n_layers - depth)
    return "backbone", run.training.backbone_learning_rate * decay


def rate_factor(step: int, n_steps: int) -> float:
    """Return the share of the full rate: linear warm-up times (1 + cos(pi step / n_steps)) / 2."""
    warmup = min(1.0, (step + 1) / math.ceil(WARMUP_SHARE * n_steps))
    return warmup * (1 + math.cos(math.pi * step / n_steps)) / 2
