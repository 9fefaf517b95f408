"""Synthetic NSD betas: voxels tuned to the latents, with NSD-like noise ceilings, and what decodes them."""

from dataclasses import dataclass

import numpy as np

from brain2image.synthetic.latents import generator

# Ratio of signal to noise standard deviations (Allen et al. 2022, ncsnr): median and spread of nsdgeneral
# voxels, whose noise ceiling is then about 0.2 for a single trial.
NCSNR_MEDIAN = 0.45
NCSNR_SPREAD = 0.5  # standard deviation of the logarithm
N_COMMON = 5  # dimensions of the noise that voxels have in common
COMMON_SHARE = 0.2  # of the noise variance
FEATURE_DECAY = 0.25  # the k-th latent enters the embedding with k ** -0.25: a mildly uneven spectrum
BIAS = 0.05


@dataclass(frozen=True)
class Voxels:
    """How voxels respond: beta = z tuning + g common + noise, of unit variance for latents of unit variance.

    Attributes
    ----------
    tuning : (n_latents, n_voxels) float64.
    common : (5, n_voxels) float64, loadings of the noise g ~ N(0, 1) that voxels have in common.
    noise : (n_voxels,) float64, standard deviation of each voxel's own noise.
    ncsnr : (n_voxels,) float64, standard deviation of the signal over that of all noise.
    """

    tuning: np.ndarray
    common: np.ndarray
    noise: np.ndarray
    ncsnr: np.ndarray

    def readout(self) -> np.ndarray:
        """Return the matrix of the latents' posterior mean given a beta vector: E[z | beta] = readout @ beta.

        With the common noise as further latents, B = [tuning; common] and P = diag(noise²):
        (B P⁻¹ Bᵀ + I)⁻¹ B P⁻¹, first n_latents rows.

        Returns
        -------
        (n_latents, n_voxels) float64.
        """
        loadings = np.concatenate([self.tuning, self.common])
        weighted = loadings / self.noise**2
        posterior = np.linalg.solve(weighted @ loadings.T + np.eye(len(loadings)), weighted)
        return posterior[: len(self.tuning)]


def draw_voxels(n_latents: int, n_voxels: int, *, seed: int, subject: str) -> Voxels:
    """Draw the voxels of one NSD subject: directions of tuning at random, ncsnr log-normal."""
    rng = generator(seed, "voxels", subject)
    ncsnr = NCSNR_MEDIAN * np.exp(NCSNR_SPREAD * rng.normal(size=n_voxels))
    noise = 1 / np.sqrt(1 + ncsnr**2)
    return Voxels(
        tuning=_unit_columns(rng.normal(size=(n_latents, n_voxels))) * ncsnr * noise,
        common=_unit_columns(rng.normal(size=(N_COMMON, n_voxels))) * np.sqrt(COMMON_SHARE) * noise,
        noise=np.sqrt(1 - COMMON_SHARE) * noise,
        ncsnr=ncsnr,
    )


def _unit_columns(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.linalg.norm(matrix, axis=0)


def draw_betas(latents: np.ndarray, voxels: Voxels, *, rng: np.random.Generator) -> np.ndarray:
    """Draw single-trial betas before z-scoring.

    Parameters
    ----------
    latents : (n_trials, n_latents) of the picture of each trial.

    Returns
    -------
    (n_trials, n_voxels) float64.
    """
    n_trials = len(latents)
    common = rng.normal(size=(n_trials, len(voxels.common)))
    own = rng.normal(size=(n_trials, len(voxels.noise)))
    return latents @ voxels.tuning + common @ voxels.common + own * voxels.noise


@dataclass(frozen=True)
class Scaling:
    """Per-session z-scoring: (n_sessions, n_voxels) means and standard deviations."""

    mean: np.ndarray
    std: np.ndarray

    def expected(self, signal: np.ndarray) -> np.ndarray:
        """Compute the mean z-scored beta, over noise and sessions, of pictures with this signal.

        Parameters
        ----------
        signal : (n_images, n_voxels), beta without noise, before z-scoring.
        """
        return signal * (1 / self.std).mean(axis=0) - (self.mean / self.std).mean(axis=0)


def fit_scaling(betas: np.ndarray, sessions: np.ndarray, fitted: np.ndarray) -> Scaling:
    """Compute mean and standard deviation of each voxel in each session.

    Parameters
    ----------
    betas : (n_trials, n_voxels).
    sessions : (n_trials,) 0-based.
    fitted : (n_trials,) bool, the trials to fit on; MindEye2 left out those of shared pictures (paper, A.2).
    """
    parts = [betas[(sessions == session) & fitted] for session in range(sessions.max() + 1)]
    return Scaling(
        np.stack([part.mean(axis=0) for part in parts]), np.stack([part.std(axis=0) for part in parts])
    )


def draw_ridge(voxels: Voxels, n_features: int, *, seed: int, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw a MindEye2-like linear embedding of betas: the latents' posterior mean, spread over n_features.

    Returns
    -------
    weight : (n_features, n_voxels) float32.
    bias : (n_features,) float32.
    """
    rng = generator(seed, "ridge", subject)
    readout = voxels.readout()
    n_latents = len(readout)
    spectrum = np.arange(1, n_latents + 1) ** -FEATURE_DECAY
    spread = rng.normal(size=(n_features, n_latents)) * spectrum / np.sqrt(n_latents)
    bias = rng.normal(scale=BIAS, size=n_features)
    return (spread @ readout).astype(np.float32), bias.astype(np.float32)
