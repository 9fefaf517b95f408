"""A stand-in for MindEye2's backbone: from a simulated embedding to the tokens of what the picture shows."""

from collections.abc import Mapping

import numpy as np

FAR = 10.0  # there GELU is the identity


def backbone_state(
    oracle: Mapping[str, np.ndarray], tokens: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Make a backbone of one block that gives the tokens which an embedding's latents call for.

    The latents are read back from the embedding by least squares, and `backbone_linear` spreads them over the
    tokens; the mixers add nothing. `clip_proj` does next to nothing either: its norms standardise each token,
    and its biases keep every value where GELU is the identity.

    Parameters
    ----------
    oracle : weight (n_latents, n_features) and offset (n_features,), see `nsd_files.oracle_arrays`.
    tokens : weight (n_latents, n_tokens, token_width) and mean, see `clip_weights.describe_tokens`.

    Returns
    -------
    float32 tensors by the published keys, with ``backbone.``.
    """
    n_latents, width = len(tokens["weight"]), tokens["mean"].shape[1]
    hidden = oracle["weight"].shape[1]
    spread = np.linalg.pinv(oracle["weight"]) @ tokens["weight"].reshape(
        n_latents, -1
    )  # (hidden, all tokens)
    start = tokens["mean"].ravel() - oracle["offset"] @ spread
    state = {"backbone_linear.weight": spread.T, "backbone_linear.bias": start}
    for block, size in (("mixer_blocks1", hidden), ("mixer_blocks2", 1)):
        state |= {
            f"{block}.0.0.weight": np.ones(size),
            f"{block}.0.0.bias": np.zeros(size),
            **{f"{block}.0.1.{layer}.weight": np.zeros((size, size)) for layer in (0, 3)},
            **{f"{block}.0.1.{layer}.bias": np.zeros(size) for layer in (0, 3)},
        }
    for norm, linear in ((0, 2), (3, 5), (6, 8)):
        state |= {
            f"clip_proj.{norm}.weight": np.ones(width),
            f"clip_proj.{norm}.bias": np.full(width, FAR),
            f"clip_proj.{linear}.weight": np.eye(width),
            f"clip_proj.{linear}.bias": np.full(width, -FAR),
        }
    return {f"backbone.{key}": np.ascontiguousarray(values, np.float32) for key, values in state.items()}
