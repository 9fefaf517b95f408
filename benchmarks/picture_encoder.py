"""How long the picture encoder is fitted, and in how much memory, against the bare products.

    python benchmarks/picture_encoder.py [PICTURES [METHOD …]]

Random features and targets of NSD's size, 10,000 pictures, 768 features and 4,096 targets, or of fewer
pictures. Each method has a process of its own. Time is that of the processor, all threads together; its ratio
is to that of the bare products: in each fold and for each penalty, held-out × fitted pictures times fitted
pictures × targets.
"""

import argparse
import multiprocessing
import resource
import time

import numpy as np
from sklearn.model_selection import KFold

from brain2image.projection.picture_encoder import fit_encoder
from brain2image.projection.picture_fitting import cross_validate
from brain2image.projection.picture_methods import ALPHAS, METHODS

N_INPUTS, N_TARGETS, N_FOLDS = 768, 4096, 5


def measure(method: str, n_images: int) -> None:
    """Print a row of the table."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_images, N_INPUTS), dtype=np.float32)
    weight = rng.standard_normal((N_INPUTS, N_TARGETS), dtype=np.float32)
    targets = x @ weight + 30 * rng.standard_normal((n_images, N_TARGETS), dtype=np.float32)
    folds = KFold(N_FOLDS, shuffle=True, random_state=0)
    start = time.process_time()
    unseen = cross_validate(x, targets, folds, method=method)
    validated = time.process_time()
    splits = list(folds.split(x))
    fit_encoder(x, targets, splits, method=method, layer="projected", clip="random")
    fitted = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    bare = N_FOLDS * len(ALPHAS) * product_seconds(*(len(part) for part in splits[0]), targets)
    print(
        f"| {method} | {n_images:,} | {validated - start:.0f} | {fitted - validated:.0f} | {peak:.2f} | "
        f"{bare:.0f} | {(fitted - start) / bare:.1f} | {unseen.r2:.3f} |",
        flush=True,
    )


def product_seconds(n_fitted: int, n_held_out: int, targets: np.ndarray) -> float:
    """Time one product of a (n_held_out, n_fitted) matrix and the targets."""
    matrix = np.ones((n_held_out, n_fitted), np.float32)
    start = time.process_time()
    matrix @ targets[:n_fitted]
    return time.process_time() - start


def main() -> None:
    """Measure each method in a process of its own, so that its peak is its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_images", type=int, nargs="?", default=10_000)
    parser.add_argument("methods", nargs="*", default=list(METHODS))
    asked = parser.parse_args()
    print("| method | pictures | validation, s | fit, s | peak, GB | bare products, s | ratio | R² |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    context = multiprocessing.get_context("spawn")
    for method in asked.methods:
        process = context.Process(target=measure, args=(method, asked.n_images))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
