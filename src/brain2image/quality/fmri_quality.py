"""Quality of one subject's fMRI: trials, and noise ceilings of its voxels and of their embedding."""

import os
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
from scipy.special import fdtri, stdtrit

from brain2image.formats.hdf5 import open_trials, read_rows
from brain2image.formats.tables import read_table
from brain2image.quality.rounding import rounded

BLOCK_TRIALS = 1024
# Sums of 10,000 pictures over so many columns are 82 MB; each further block goes through the file once more.
BLOCK_COLUMNS = 2048
N_FOLDS = 10  # of the jackknife over pictures
FLAT = 1e-6  # a column is flat when its variance is at most this share of its mean square
BINS = np.linspace(0, 100, 41)  # % of variance, of the histograms
CONFIDENCE = 0.95
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Moments(NamedTuple):
    """Sums over the trials of some pictures, a row a stratum of pictures; of all strata together, no rows."""

    n_images: np.ndarray  # (n_strata,) int64
    n_trials: np.ndarray  # (n_strata,) int64
    inverse: np.ndarray  # (n_strata,) float64, sum over the pictures of 1 / their number of trials
    total: np.ndarray  # (n_strata, n_columns) float64, sum over the trials of x
    squares: np.ndarray  # (n_strata, n_columns) float64, sum over the trials of x²
    between: np.ndarray  # (n_strata, n_columns) float64, sum over the pictures of n mean(x)²

    def pool(self, chosen: np.ndarray | slice) -> "Moments":
        """Pool the chosen strata."""
        return Moments(*(sums[chosen].sum(axis=0) for sums in self))

    def variances(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (n_columns,) float64: variance of all trials, and of a picture's trials around the mean."""
        total = (self.squares - self.total**2 / self.n_trials) / (self.n_trials - 1)
        return total, (self.squares - self.between) / max(self.n_trials - self.n_images, 1)


def inspect_fmri(
    betas: str | os.PathLike, projection: str | os.PathLike, images: str | os.PathLike
) -> dict[str, Any]:
    """Collect everything that the report says about the fMRI of one subject.

    Both files are read in blocks of trials and columns; the peak of memory at full size is 0.66 GB.

    Parameters
    ----------
    betas : HDF5 with ``betas`` (n_trials, n_voxels) float32, see `betas.repack_fmri`.
    projection : HDF5 with ``embedding`` (n_trials, n_features), see `projecting.project_fmri`.
    images : the table that `nsd_images.repack_images` wrote; ``shared1000`` marks the pictures that no
        published ridge was fitted on.

    Returns
    -------
    A dict for JSON: ``trials`` (counts), ``bins`` (edges of the histograms, %), and ``voxels`` and
    ``embedding`` by `describe_columns`.
    """
    shared = read_table(images, ["image", "shared1000"]).set_index("image")["shared1000"]
    with (
        open_trials(betas, "betas", ("n_trials", "n_voxels")) as (voxels, trials),
        open_trials(projection, "embedding", ("n_trials", "n_features")) as (embedding, projected),
    ):
        return {
            "trials": count_trials(trials, shared),
            "bins": rounded(BINS),
            "voxels": describe_columns(voxels, trials["image"].to_numpy(), shared),
            "embedding": describe_columns(embedding, projected["image"].to_numpy(), shared),
        }


def count_trials(trials: pd.DataFrame, shared: pd.Series) -> dict[str, Any]:
    """Count trials, sessions, and pictures by their number of trials.

    Returns
    -------
    n_trials, n_images, n_shared1000, n_sessions (None where the release does not tell) and ``repetitions``
    (n_images by their number of trials).
    """
    per_image = trials["image"].value_counts()
    has_sessions = (trials["session"] >= 0).all()
    return {
        "n_trials": len(trials),
        "n_images": len(per_image),
        "n_shared1000": int(shared[per_image.index].sum()),
        "n_sessions": int(trials["session"].nunique()) if has_sessions else None,
        "repetitions": {str(n): int(k) for n, k in per_image.value_counts().sort_index().items()},
    }


def describe_columns(
    values: np.ndarray | h5py.Dataset, image: np.ndarray, shared: pd.Series
) -> dict[str, Any]:
    """Describe spread and noise ceilings of voxels or features, from all pictures and from the shared ones.

    Parameters
    ----------
    values : (n_trials, n_columns) float32, read in blocks.
    image : (n_trials,) int64, of each trial.
    shared : (n_images,) bool by picture, whether it is one of the shared ones.

    Returns
    -------
    n_columns, n_flat (columns that do not vary), ``sd`` (quantiles over columns, unit of the values), and
    `noise_ceilings` from ``all`` pictures and from the ``shared1000``, flat columns left out.
    """
    pictures, picture = np.unique(image, return_inverse=True)
    is_shared = shared[pictures].reset_index(drop=True)
    folds = is_shared.groupby(is_shared).cumcount() % N_FOLDS
    moments = sum_moments(values, picture, strata=(folds + N_FOLDS * is_shared).to_numpy())
    everything = moments.pool(slice(None))
    variance, _ = everything.variances()
    varies = variance > FLAT * everything.squares / everything.n_trials
    usable = Moments(*moments[:3], *(sums[:, varies] for sums in moments[3:]))
    return {
        "n_columns": values.shape[1],
        "n_flat": int((~varies).sum()),
        "sd": _quantiles(np.sqrt(np.maximum(variance, 0))),
        "all": noise_ceilings(usable),
        "shared1000": noise_ceilings(Moments(*(sums[N_FOLDS:] for sums in usable))),
    }


def sum_moments(
    values: np.ndarray | h5py.Dataset,
    picture: np.ndarray,
    *,
    strata: np.ndarray,
    n_block: int = BLOCK_TRIALS,
    n_columns: int = BLOCK_COLUMNS,
) -> Moments:
    """Sum over trials and pictures, block by block, in 20 strata.

    Parameters
    ----------
    values : (n_trials, n_columns) float32.
    picture : (n_trials,) int64, row of each trial's picture in ``strata``.
    strata : (n_images,) int64, 0 to 19.
    n_block, n_columns : trials and columns read at once.
    """
    counts = np.bincount(picture)
    in_stratum = strata == np.arange(2 * N_FOLDS)[:, None]  # (n_strata, n_images)
    n_trials, n_values = values.shape
    total, squares, between = (np.zeros((len(in_stratum), n_values)) for _ in range(3))
    for left in range(0, n_values, n_columns):
        columns = slice(left, min(left + n_columns, n_values))
        sums = np.zeros((len(counts), columns.stop - left), np.float32)
        for start in range(0, n_trials, n_block):
            own = picture[start : start + n_block]
            block = read_rows(values, np.s_[start : start + len(own), columns])
            squares[:, columns] += in_stratum[:, own] @ np.square(block, dtype=np.float64)
            for row, trial in zip(own, block, strict=True):  # a picture can be in a block twice
                sums[row] += trial
        total[:, columns] = in_stratum @ sums.astype(np.float64)
        between[:, columns] = in_stratum @ (np.square(sums, dtype=np.float64) / counts[:, None])
    sizes = [in_stratum @ weights for weights in (np.ones_like(counts), counts, 1 / counts)]
    return Moments(sizes[0], sizes[1], sizes[2], total, squares, between)


def noise_ceilings(moments: Moments) -> dict[str, Any] | None:
    """Describe over columns the `noise_ceiling` of one trial and of the mean of a picture's trials.

    Parameters
    ----------
    moments : of strata in the order of their folds, 0 to 9, once or several times.

    Returns
    -------
    n_images, and for ``single`` and ``mean``: ``quantiles`` over the columns, %; ``interval``, 95 % of their
    median by a jackknife over the folds; ``chance``, %, what a column without signal passes with a
    probability of 5 %; ``above_chance``, share of the columns; ``histogram``, columns in ``BINS``.
    None unless each fold has a picture that was shown twice.
    """
    fold = np.arange(len(moments.n_images)) % N_FOLDS
    if not np.bincount(fold, moments.n_trials - moments.n_images).all():
        return None
    whole, *without = (moments.pool(fold != left_out) for left_out in range(-1, N_FOLDS))
    described: dict[str, Any] = {"n_images": int(whole.n_images)}
    for name, is_single in (("single", True), ("mean", False)):
        values = noise_ceiling(whole, single=is_single)
        medians = [float(np.median(noise_ceiling(part, single=is_single))) for part in without]
        chance = _chance_level(whole, single=is_single)
        described[name] = {
            "quantiles": _quantiles(values),
            "interval": rounded(_jackknife_interval(float(np.median(values)), medians)),
            "chance": rounded(chance),
            "above_chance": rounded((values > chance).mean()),
            "histogram": np.histogram(values, BINS)[0].tolist(),
        }
    return described


def noise_ceiling(moments: Moments, *, single: bool) -> np.ndarray:
    """Estimate the share of a column's variance that the picture explains, in a trial or in their mean.

    ``100 ncsnr² / (ncsnr² + m)``, ncsnr² the variance of the signal over that of the noise, m = 1 for one
    trial, and for the mean of n trials the mean of 1 / n over the pictures. Noise is the variance of a
    picture's trials, pooled over pictures, signal what it leaves of the whole variance, at least 0 (Allen
    et al., 2022, methods, "Noise ceiling estimation"; m: NSD data manual).

    Returns
    -------
    (n_columns,) float64, %.
    """
    total, noise = moments.variances()
    signal = np.maximum(total - noise, 0)
    whole = signal + _share_of_noise(moments, single=single) * noise
    return 100 * np.divide(signal, whole, out=np.zeros_like(signal), where=whole > 0)


def _share_of_noise(moments: Moments, *, single: bool) -> float:
    return 1.0 if single else float(moments.inverse / moments.n_images)


def _chance_level(moments: Moments, *, single: bool) -> float:
    """Estimate what 5 % of the columns without signal pass, %.

    Of these, ``1 + ncsnr² (n_trials - 1) / (n_images - 1)`` follows F(n_images - 1, n_trials - n_images).
    """
    between, within = float(moments.n_images - 1), float(moments.n_trials - moments.n_images)
    ncsnr2 = (fdtri(between, within, CONFIDENCE) - 1) * between / (between + within)
    return 100 * ncsnr2 / (ncsnr2 + _share_of_noise(moments, single=single))


def _jackknife_interval(value: float, without: list[float]) -> tuple[float, float]:
    """Return 95 % limits of ``value`` from its values without each fold (Efron & Tibshirani, 1993, 11.5)."""
    variance = (N_FOLDS - 1) * np.var(without)
    margin = stdtrit(N_FOLDS - 1, (1 + CONFIDENCE) / 2) * np.sqrt(variance)
    return max(0.0, value - margin), min(100.0, value + margin)


def _quantiles(values: np.ndarray) -> dict[str, float]:
    return {f"q{round(100 * q):02d}": rounded(np.quantile(values, q)) for q in QUANTILES}
