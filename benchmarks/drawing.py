"""What drawing pictures by MindEye2's unCLIP takes at its full size, with random weights.

    python benchmarks/drawing.py               (a GPU; on a CPU minutes a picture and 12 GB)
    python benchmarks/drawing.py --toy         (the same code at a size that says nothing, to try it)

Seconds a picture in blocks as the workflow makes them, copies to and from the device included, after one
picture of two steps to warm up. `peak` is the most memory that PyTorch held on the GPU, or the process on a
CPU.
"""

import argparse
import resource
import time
from typing import NamedTuple

import numpy as np
import torch

from brain2image.core.devices import compute_device
from brain2image.decoding.unclip import BLOCK_TRIALS, SIDE, STEPS, sample_pictures
from brain2image.decoding.unclip_network import Unclip, UnclipSizes, unet_matrices


class Sizes(NamedTuple):
    """Of the networks, the tokens and the pictures, and how many are timed."""

    unclip: UnclipSizes = UnclipSizes((320, 640, 1280), (0, 2, 10), 1664, 1024, (128, 256, 512, 512))
    n_tokens: int = 256
    side: int = SIDE
    steps: int = STEPS
    n_images: int = 8


TOY = Sizes(UnclipSizes((32, 64), (0, 1), 16, 32, (32, 64)), 4, 16, 3, 2)


def random_unclip(sizes: UnclipSizes, device: str) -> Unclip:
    """Fill an unCLIP with random numbers on the device, in the types in which it is stored."""
    with torch.device("meta"):
        network = Unclip(sizes).eval().requires_grad_(False)
    halves = unet_matrices(network)
    state = {
        key: torch.empty(tensor.shape, dtype=torch.float16 if key in halves else torch.float32, device=device)
        for key, tensor in network.state_dict().items()
    }
    for tensor in state.values():
        tensor.normal_(0, 0.02)
    network.load_state_dict(state, assign=True)
    return network


def measure(network: Unclip, sizes: Sizes, *, block_trials: int, device: str) -> tuple[float, float]:
    """Draw pictures of random tokens in blocks of so many; return seconds a picture, and the peak in GB."""
    rng = np.random.default_rng(0)
    tokens = rng.standard_normal((sizes.n_images, sizes.n_tokens, sizes.unclip.token_width), np.float32)
    options = {"seed": 0, "side": sizes.side, "block_trials": block_trials}
    list(sample_pictures(network, tokens[:1], steps=2, **options))
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    for _ in sample_pictures(network, tokens, steps=sizes.steps, **options):
        pass
    seconds = (time.perf_counter() - start) / sizes.n_images
    if device == "cpu":
        return seconds, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
    return seconds, torch.cuda.max_memory_allocated(device) / 1e9


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="sizes that say nothing")
    parser.add_argument("--images", type=int, help="pictures that are timed")
    parser.add_argument("--block", type=int, nargs="+", default=[1, BLOCK_TRIALS], help="pictures at a time")
    options = parser.parse_args(arguments)
    sizes = TOY if options.toy else Sizes()
    if options.images:
        sizes = sizes._replace(n_images=options.images)
    device = compute_device()
    print(f"{device}, PyTorch {torch.__version__}\n\n| what | a picture | peak |\n| --- | ---: | ---: |")
    network = random_unclip(sizes.unclip, device)
    for block in options.block:
        seconds, peak = measure(network, sizes, block_trials=block, device=device)
        what = f"{sizes.side} x {sizes.side} pixels in {sizes.steps} steps, {block} at a time"
        print(f"| {what} | {seconds:.3g} s | {peak:.2f} GB |", flush=True)


if __name__ == "__main__":
    main()
