"""What bfloat16 does to CLIP's embeddings, and to the picture pairs that are made of them.

    python benchmarks/clip_precision.py [--things 300] [--nsd 1000] [--deep 8]

The demo's stand-in for CLIP, whose embedding carries what its pictures show, embeds pictures of two sets in
float32 and in bfloat16; half of the first set is matched one-to-one with the second. A tower of the depth of
ViT-L/14 embeds a few of them with random weights. Neither is OpenAI's CLIP: this downloads nothing.

bfloat16 products are made of rounded numbers by float32 sums and rounded again, as a GPU does it. A CPU
without such instructions would take many times as long.
"""

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from brain2image.config import SimulateConfig
from brain2image.pairs.clip import embed_images
from brain2image.pairs.matching import match_one_to_one, unit_rows
from brain2image.synthetic.clip_weights import simulate_clip
from brain2image.synthetic.drawings import Painter

STAND_IN, DEEP = "ViT-S-32-alt", "ViT-L-14-quickgelu"
PREPARATION = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
PRODUCTS = {"linear", "matmul", "mm", "addmm", "bmm", "baddbmm", "conv2d", "convolution"}
PRODUCTS |= {"scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"}


class LongSums(TorchDispatchMode):
    """Products of bfloat16 numbers by float32 arithmetic."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        if function.overloadpacket.__name__ in PRODUCTS and arguments[0].dtype == torch.bfloat16:
            long = tree_map_only(torch.Tensor, torch.Tensor.float, (arguments, options))
            return tree_map_only(torch.Tensor, torch.Tensor.bfloat16, function(*long[0], **long[1]))
        return function(*arguments, **options)


def paint(n_images: int) -> list[Image.Image]:
    """Pictures of random latents, as those of the demo."""
    options, rng = SimulateConfig(), np.random.default_rng(1)
    painter = Painter(options.n_latents, seed=options.seed)
    latents = rng.normal(size=(n_images, options.n_latents))
    painted = (painter.paint(shown, size=224, rng=rng) for shown in latents)
    return [Image.fromarray(np.rint(255 * picture).astype(np.uint8)) for picture in painted]


def both(images: list[Image.Image], model: str, weights: Path) -> list[np.ndarray]:
    """Unit embeddings in float32 and in bfloat16."""
    options = {
        "model": model,
        "weights": weights,
        "preprocess": PREPARATION,
        "batch_size": 16,
        "n_threads": 1,
    }
    embeddings = []
    for precision in ("fp32", "bf16"):
        with LongSums() if precision == "bf16" else nullcontext():
            embeddings.append(unit_rows(embed_images(images, precision=precision, **options)["projected"]))
    return embeddings


def cosines(full: np.ndarray, short: np.ndarray) -> str:
    """The least and the mean cosine between the two embeddings of a picture."""
    found = np.sum(full * short, axis=1)
    return f"cosine of the two at least {found.min():.5f}, on average {found.mean():.5f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--things", type=int, default=300)
    parser.add_argument("--nsd", type=int, default=1000)
    parser.add_argument("--deep", type=int, default=8, help="pictures for the deep tower")
    options = parser.parse_args()
    images = paint(options.things + options.nsd)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "clip.pt")
        simulate_clip(SimulateConfig().model_dump(), model=STAND_IN, weights=weights)
        full, short = both(images, STAND_IN, weights)
        print(f"{STAND_IN}, {len(images)} pictures: {cosines(full, short)}", flush=True)
        (pairs, similarity), (others, _) = (
            match_one_to_one(rows[: options.things], rows[options.things :], top_k=options.things // 2)
            for rows in (full, short)
        )
        same = len({*map(tuple, pairs)} & {*map(tuple, others)})
        likeness = np.sum(full[others[:, 0]] * full[options.things + others[:, 1]], axis=1)
        print(f"pairs: {same} of {len(pairs)} are the same; mean float32 similarity", end=" ")
        print(f"{similarity.mean():.5f} (made in fp32), {likeness.mean():.5f} (made in bf16)", flush=True)
        torch.manual_seed(0)
        torch.save(open_clip.create_model(DEEP, pretrained=None).state_dict(), weights)
        found = cosines(*both(images[: options.deep], DEEP, weights))
        print(f"{DEEP}, random weights, {options.deep} pictures: {found}")


if __name__ == "__main__":
    main()
