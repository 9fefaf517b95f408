"""What a training step of each encoder holds on a GPU, counted without one.

    python benchmarks/encoder_memory.py [--encoders cbramod tsconv ...] [--batch-size 64] [--channels 63]

Forward, backward and the optimizer's step of the default model, 4,096 features, float32, on a CPU: the bytes
of all tensors that are alive are counted as they come and go. What kernels need for themselves, and what
lies unused between blocks of memory, is not in it.
"""

import argparse

import pandas as pd
import torch
from held_memory import Held
from recovery import markdown

from brain2image.config import ModelConfig
from brain2image.core.encoder_names import encoder_declaration
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.base import EEGLayout

ENCODERS = ("cbramod", "tsconv", "atms", "mlp", "braindecode:EEGNet")
N_TIMES, SFREQ, N_FEATURES = 200, 200.0, 4096


def build(encoder: str, n_channels: int) -> AlignmentModel:
    """Build the default model with this encoder and random weights."""
    options = {"pretrained": False} if "pretrained" in encoder_declaration(encoder).options else {}
    pooling = {"pooling": "flatten"} if encoder == "mlp" else {}
    layout = EEGLayout(tuple(CHANNELS[:n_channels]), N_TIMES, SFREQ)
    return AlignmentModel(ModelConfig(encoder=encoder, **options, **pooling), layout, N_FEATURES)


def count_step(encoder: str, *, n_channels: int, batch_size: int) -> dict[str, str]:
    """Take two steps; return a row of the table."""
    with Held("cpu") as held:
        network = build(encoder, n_channels).train()
        weights = sum(tensor.nbytes for tensor in network.state_dict().values())
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)
        held.peak = 0  # what was there while it was built
        for _ in range(2):  # the second one has the optimizer's moments beside the activations
            predicted = network(torch.randn(batch_size, n_channels, N_TIMES))
            torch.nn.functional.mse_loss(predicted, torch.randn_like(predicted)).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        n_parameters = sum(weight.numel() for weight in network.parameters())
    return {
        "parameters of the model": f"{n_parameters:,}",
        "weights, GB": f"{weights / 1e9:.2f}",
        "a step, GB": f"{held.peak / 1e9:.2f}",
    }


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=ENCODERS, metavar="ENCODER")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--channels", type=int, default=len(CHANNELS))
    arguments = parser.parse_args()
    options = {"n_channels": arguments.channels, "batch_size": arguments.batch_size}
    rows = {encoder: count_step(encoder, **options) for encoder in arguments.encoders}
    print(markdown(pd.DataFrame.from_dict(rows, orient="index")))


if __name__ == "__main__":
    main()
