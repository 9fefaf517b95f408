"""MindEye2's diffusion prior: tokens of a picture, drawn given the backbone's tokens.

Scotti et al., "MindEye2", ICML 2024, section 2.3. Written anew after what ``BrainDiffusionPrior`` samples in
https://github.com/MedARC-AI/MindEyeV2/blob/c184718/src/recon_inference.ipynb: of 100 times 20, by DDIM
(arXiv:2010.02502) with ``eta`` 1, without guidance; all 100 by DDPM (arXiv:2006.11239).
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from brain2image.core.errors import InputError
from brain2image.decoding.blocks import compute_blocks
from brain2image.decoding.prior_network import PriorNetwork, PriorSizes
from brain2image.decoding.stored import Network, Shapes, extract_network, load_network

STEPS = 20  # of the published pictures
BLOCK_TRIALS = 8
# Of the published schedule; those without use here are read too, as the keys must be exactly these.
SCHEDULE = (
    *("betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod"),
    *("sqrt_one_minus_alphas_cumprod", "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod"),
    *("sqrt_recipm1_alphas_cumprod", "posterior_variance", "posterior_log_variance_clipped"),
    *("posterior_mean_coef1", "posterior_mean_coef2", "p2_loss_weight"),
)


def prior_sizes(shapes: Shapes) -> PriorSizes:
    """Read a prior's sizes from the shapes of its tensors, by key without ``diffusion_prior.``."""
    transformer = "net.causal_transformer"
    layer = f"{transformer}.layers.0"
    n_tokens, width = shapes["net.learned_query"]
    n_buckets, n_heads = shapes[f"{transformer}.rel_pos_bias.relative_attention_bias.weight"]
    depth = len({key.split(".")[3] for key in shapes if key.startswith(f"{transformer}.layers.")})
    return PriorSizes(
        n_tokens=n_tokens,
        token_width=width,
        depth=depth,
        n_heads=n_heads,
        head_width=shapes[f"{layer}.0.null_kv"][1],
        n_frequencies=shapes[f"{layer}.0.rotary_emb.freqs"][0],
        n_buckets=n_buckets,
        expansion=shapes[f"{layer}.1.5.weight"][1] // width,
        n_times=shapes["noise_scheduler.betas"][0],
    )


class NoiseSchedule(nn.Module):
    """What the checkpoint holds of its noise, (n_times,) float32 each: a cosine schedule."""

    def __init__(self, n_times: int):
        super().__init__()
        for name in SCHEDULE:
            self.register_buffer(name, torch.zeros(n_times))


class Prior(nn.Module):
    """MindEye2's diffusion prior, with the keys and shapes of the published checkpoints."""

    def __init__(self, sizes: PriorSizes):
        super().__init__()
        self.n_times = sizes.n_times
        self.noise_scheduler = NoiseSchedule(sizes.n_times)
        self.net = PriorNetwork(sizes)

    def sample(self, brain: Tensor, draw: Callable[[], Tensor], *, steps: int = STEPS) -> Tensor:
        """Draw tokens of pictures.

        Parameters
        ----------
        brain : (B, n_tokens, token_width) float32, the backbone's tokens.
        draw : returns standard normal noise of the same shape, each time anew.
        steps : how many of the times are used, 2 to all. The published spacing of fewer than all begins below
            the noisiest time and passes through the network ``steps - 1`` times.

        Returns
        -------
        (B, n_tokens, token_width) float32.
        """
        if not 2 <= steps <= self.n_times:
            raise InputError(f"expected 2 to {self.n_times} steps of the prior, got {steps}; correct it")
        if steps == self.n_times:
            return self._sample_all(brain, draw)
        return self._sample_some(brain, draw, steps)

    def _at(self, name: str, time: int) -> Tensor:
        return self.noise_scheduler.get_buffer(name)[time]

    def _sample_all(self, brain: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        tokens = draw()
        for time in reversed(range(self.n_times)):
            guess = self.net(tokens, float(time), brain)
            tokens = self._at("posterior_mean_coef1", time) * guess + (
                self._at("posterior_mean_coef2", time) * tokens
            )
            if time:
                spread = (0.5 * self._at("posterior_log_variance_clipped", time)).exp()
                tokens = tokens + spread * draw()
        return tokens

    def _sample_some(self, brain: Tensor, draw: Callable[[], Tensor], steps: int) -> Tensor:
        guess = tokens = draw()
        for time, following in pairwise(spread_times(self.n_times, steps)):
            guess = self.net(tokens, float(time), brain)
            if following >= 0:
                # the published code takes the shifted signal share here, and that of `time` for the noise
                now, then = (self._at("alphas_cumprod_prev", moment) for moment in (time, following))
                noise = self._at("sqrt_recip_alphas_cumprod", time) * tokens - guess
                noise = noise / self._at("sqrt_recipm1_alphas_cumprod", time)
                fresh = ((1 - now / then) * (1 - then) / (1 - now)).sqrt()
                tokens = then.sqrt() * guess + (1 - then - fresh.square()).sqrt() * noise
                if following:
                    tokens = tokens + fresh * draw()
        return guess


def spread_times(n_times: int, steps: int) -> list[int]:
    """List ``steps`` times, evenly from below ``n_times`` down to -1, which stands for no noise."""
    return np.linspace(-1, n_times, steps + 1, dtype=np.float32)[-2::-1].astype(int).tolist()


PRIOR = Network(
    name="prior",
    prefix="diffusion_prior.",
    unread=(),
    build=lambda shapes: Prior(prior_sizes(shapes)),
)


def extract_prior(checkpoint: str, *, out: str | Path, dtype: str = "float16") -> None:
    """Write a checkpoint's prior as a safetensors file; of one on a server nothing else is read.

    Of the published 8.9 GB 1.04 GB are read, and 0.52 GB written in half precision. See
    `stored.extract_network`.
    """
    extract_network(checkpoint, PRIOR, dtype=dtype, out=out)


def load_prior(path: str | Path, *, embedding: Mapping[str, str] | None = None) -> Prior:
    """Load a file of `extract_prior`; see `stored.load_network`."""
    return cast(Prior, load_network(path, PRIOR, embedding=embedding))


def sample_tokens(
    prior: Prior, brain: np.ndarray, *, seed: int, steps: int = STEPS, block_trials: int = BLOCK_TRIALS
) -> Iterator[np.ndarray]:
    """Draw tokens of pictures, block by block of trials, on a GPU where there is one.

    The noise of a trial follows from the seed and its row alone, and is drawn on the CPU: it is the same on
    every device and for every size of the blocks.

    Parameters
    ----------
    brain : (n_trials, n_tokens, token_width) float32, the backbone's tokens.
    seed : of the noise, 0 or more.
    steps : see `Prior.sample`.

    Yields
    ------
    (block_trials or fewer, n_tokens, token_width) float32.

    Raises
    ------
    InputError
        When the tokens are of another shape, or the steps too few or too many.
    """
    shape = tuple(prior.net.learned_query.shape)
    if brain.shape[1:] != shape:
        raise InputError(
            f"expected tokens of shape (n_trials, {shape[0]}, {shape[1]}), as the prior has them, got "
            f"{brain.shape}; use prior and backbone of one checkpoint"
        )

    def sample(block: Tensor, start: int) -> Tensor:
        draw = _noise(range(start, start + len(block)), shape, seed, block.device)
        return prior.sample(block, draw, steps=steps)

    for tokens in compute_blocks(prior, brain, sample, block_trials=block_trials):
        yield tokens.cpu().numpy()


def _noise(rows: range, shape: tuple[int, ...], seed: int, device: torch.device) -> Callable[[], Tensor]:
    generators = [np.random.default_rng([seed, row]) for row in rows]

    def draw() -> Tensor:
        noise = np.stack([generator.standard_normal(shape, np.float32) for generator in generators])
        return torch.from_numpy(noise).to(device)

    return draw
