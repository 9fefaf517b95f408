"""What MindEye2's way from an embedding to tokens of a picture takes at full size, with random weights.

    python benchmarks/decoding.py               (a GPU or a CPU; 10 GB of memory)
    python benchmarks/decoding.py --toy         (the same code at a size that says nothing, to try it)

Seconds a picture in blocks as the workflow makes them, copies to and from the device included, after a
warm-up. `peak` is the most memory that PyTorch held on the GPU, or the process on a CPU.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from brain2image.core.devices import compute_device
from brain2image.decoding.backbone import Backbone, BackboneSizes, decode_tokens
from brain2image.decoding.prior import STEPS, Prior, sample_tokens
from brain2image.decoding.prior_network import PriorSizes
from brain2image.decoding.stored_linear import stored_weights


class Sizes(NamedTuple):
    """Of the networks, and how many pictures are timed."""

    backbone: BackboneSizes = BackboneSizes(4096, 4, 256, 1664)
    prior: PriorSizes = PriorSizes(256, 1664, 6, 32, 52, 16, 32, 4, 100)
    n_images: int = 128
    n_drawn: int = 16


TOY = Sizes(BackboneSizes(32, 1, 4, 16), PriorSizes(4, 16, 1, 2, 8, 4, 32, 4, 100), 4, 2)


def random_network(build: Callable[[], nn.Module], device: str) -> Any:
    """Fill a network with random numbers, weights of linear layers in half precision as they are stored."""
    with torch.device("meta"):
        network = build().eval().requires_grad_(False)
    halves = stored_weights(network)
    state = {
        key: torch.empty(tensor.shape, dtype=torch.float16 if key in halves else torch.float32, device=device)
        for key, tensor in network.state_dict().items()
    }
    for key, tensor in state.items():
        tensor.fill_(0.5) if "noise_scheduler" in key else tensor.normal_(0, 0.02)
    network.load_state_dict(state, assign=True)
    return network


def timed(work: Callable[[int], Iterator[object]], n_warm: int, n_images: int, device: str) -> str:
    """Run some work on so many pictures, after a warm-up; the time a picture and the peak."""
    for _ in work(n_warm):
        pass
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    for _ in work(n_images):
        pass
    seconds = (time.perf_counter() - start) / n_images
    peak = (
        1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if device == "cpu"
        else torch.cuda.max_memory_allocated(device)
    )
    return f"{seconds:.3g} s | {peak / 1e9:.2f} GB |"


def backbone_row(sizes: Sizes, device: str) -> str:
    """Time the backbone, of both kinds of tokens."""
    backbone = random_network(lambda: Backbone(sizes.backbone), device)
    embedding = np.random.default_rng(0).standard_normal((sizes.n_images, sizes.backbone.hidden), np.float32)
    return timed(lambda n: decode_tokens(backbone, embedding[:n]), 2, sizes.n_images, device)


def prior_row(sizes: Sizes, device: str) -> str:
    """Time the prior with the published number of steps."""
    prior = random_network(lambda: Prior(sizes.prior), device)
    shape = (sizes.n_drawn, *prior.net.learned_query.shape)
    tokens = np.random.default_rng(0).standard_normal(shape, np.float32)
    return timed(lambda n: sample_tokens(prior, tokens[:n], seed=0), 1, sizes.n_drawn, device)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="sizes that say nothing")
    parser.add_argument("--images", type=int, help="so many, and an eighth of them drawn")
    options = parser.parse_args()
    sizes = TOY if options.toy else Sizes()
    if options.images:
        sizes = sizes._replace(n_images=options.images, n_drawn=max(1, options.images // 8))
    device = compute_device()
    print(f"{device}, PyTorch {torch.__version__}\n\n| what | a picture | peak |\n| --- | ---: | ---: |")
    for what, row in (
        ("tokens by the backbone", backbone_row),
        (f"tokens by the prior, {STEPS} steps", prior_row),
    ):
        print(f"| {what} | {row(sizes, device)}", flush=True)


if __name__ == "__main__":
    main()
