"""Write one synthetic NSD subject as MindEye2 released it: betas, behaviour, checkpoint; and the oracle."""

import io
import tarfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from brain2image.core.atomic import atomic_path
from brain2image.formats.hdf5 import atomic_hdf5
from brain2image.formats.tables import REMEDY, read_npz
from brain2image.formats.unpickling import read_npy
from brain2image.synthetic.backbone_weights import backbone_state
from brain2image.synthetic.fmri import Scaling, Voxels, draw_betas, draw_ridge, draw_voxels, fit_scaling
from brain2image.synthetic.latents import N_NSD_IMAGES, TRIALS_PER_SESSION, generator

RUN_LENGTHS = (63, 62) * 6  # trials in the twelve runs of an NSD session
N_NEIGHBOURS = 15  # rows of past_behav and future_behav
N_OLDS = 3  # rows of olds_behav
ABSENT = -1.0


def simulate_fmri(
    simulate: Mapping[str, Any],
    subject: str,
    *,
    latents: str | Path,
    indices: str | Path,
    shared1000: str | Path,
    betas: str | Path,
    wds: str | Path,
    checkpoint: str | Path,
    oracle: str | Path,
    tokens: str | Path | None = None,
) -> None:
    """Simulate one NSD subject and write the files of MindEye2's release (pscotti/mindeyev2).

    Parameters
    ----------
    simulate : the fields of `config.SimulateConfig`.
    subject : ``subj01`` and so on.
    latents, indices, shared1000 : what `images.simulate_images` wrote.
    betas : HDF5, ``betas`` (n_trials, n_voxels) float32, z-scored per session, in the order of trials.
    wds : folder of ``train/{session}.tar`` and ``new_test/0.tar`` with the behaviour of each trial.
    checkpoint : torch file with ``ridge.linears.0`` from n_voxels to n_features; a backbone from ``tokens``.
    oracle : what was planted, see `oracle_arrays`.
    tokens : what `clip_weights.describe_tokens` found.
    """
    seed = simulate["seed"]
    planted = read_npz(latents, what="planted arrays", names=["nsd", "nsd_images"])
    shown, ids = planted["nsd"], planted["nsd_images"]
    with h5py.File(indices) as file:
        images = file[subject][:]
    shared = read_npy(shared1000, source=shared1000, remedy=REMEDY)[images]
    sessions = np.arange(len(images)) // TRIALS_PER_SESSION

    voxels = draw_voxels(simulate["n_latents"], simulate["n_voxels"], seed=seed, subject=subject)
    raw = draw_betas(shown[np.searchsorted(ids, images)], voxels, rng=generator(seed, "fmri noise", subject))
    scaling = fit_scaling(raw, sessions, ~shared)
    zscored = ((raw - scaling.mean[sessions]) / scaling.std[sessions]).astype(np.float32)
    weight, bias = draw_ridge(voxels, simulate["n_features"], seed=seed, subject=subject)

    with atomic_hdf5(betas) as file:
        file["betas"] = zscored
    behaviour = behaviour_table(images, shared, int(subject[-2:]), rng=generator(seed, "behaviour", subject))
    write_wds(wds, behaviour, sessions, shared)
    with atomic_path(checkpoint) as scratch:
        arrays = oracle_arrays(voxels, scaling, weight, bias)
        rest = backbone_state(arrays, read_npz(tokens, what="tokens")) if tokens else _unread(seed)
        state = {"ridge.linears.0.weight": weight, "ridge.linears.0.bias": bias} | rest
        torch.save(
            {"model_state_dict": OrderedDict({k: torch.from_numpy(v) for k, v in state.items()})}, scratch
        )
    with atomic_path(oracle) as scratch:
        np.savez(scratch, allow_pickle=False, **arrays)


def oracle_arrays(
    voxels: Voxels, scaling: Scaling, weight: np.ndarray, bias: np.ndarray
) -> dict[str, np.ndarray]:
    """Compute how the mean ridge output follows from a picture's latents, were it shown in a random session.

    E[ridge(beta) | z] = z @ weight + offset: the noise averages out, the z-scoring stays.

    Returns
    -------
    weight : (n_latents, n_features) float64.
    offset : (n_features,) float64.
    ncsnr : (n_voxels,) float32, signal-to-noise ratio of each voxel.
    """
    offset = scaling.expected(np.zeros((1, voxels.tuning.shape[1]))) @ weight.T + bias
    slopes = scaling.expected(voxels.tuning) @ weight.T + bias - offset  # of one latent each: it is affine
    return {"weight": slopes, "offset": offset[0], "ncsnr": voxels.ncsnr.astype(np.float32)}


def behaviour_table(
    images: np.ndarray, shared: np.ndarray, subject: int, *, rng: np.random.Generator
) -> np.ndarray:
    """Make the 17 behavioural columns of MindEye2's archives, one row a trial in global order.

    coco73k, subject, session, run, trial in run (1-based), global trial (0-based), day, isold, iscorrect,
    reaction time (ms), changemind, isold and iscorrect within the session, presses of button 1 and 2, button,
    shared1000. Trials without an answer hold -1 where NSD has NaN.

    Returns
    -------
    (n_trials, 17) float64.
    """
    trial = np.arange(len(images))
    session, within = np.divmod(trial, TRIALS_PER_SESSION)
    ends = np.cumsum(RUN_LENGTHS)
    run = np.searchsorted(ends, within, side="right")
    old = _seen_before(images)
    columns = [
        images,
        np.full(len(images), subject),
        session + 1,
        run + 1,
        within - (ends - RUN_LENGTHS)[run] + 1,
        trial,
        7 * session,
        old,
        *_answers(old, _seen_before(images + N_NSD_IMAGES * session), rng=rng),
        shared,
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def _answers(old: np.ndarray, old_here: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Draw columns 8 to 15, (8, n_trials): button 1 says new, 2 says old; nine answers of ten are right."""
    n_trials = len(old)
    button = np.where(rng.random(n_trials) < 0.9, 1 + old, 2 - old)
    rows: list[np.ndarray] = [
        button == 1 + old,
        rng.uniform(500, 2500, size=n_trials),
        rng.random(n_trials) < 0.02,
        old_here,
        button == 1 + old_here,
        button == 1,
        button == 2,
        button,
    ]
    answers = np.stack(rows)
    unanswered = rng.random(n_trials) < 0.01
    answers[np.ix_(np.array([0, 1, 2, 4, 7]), unanswered)] = ABSENT
    return answers


def _seen_before(images: np.ndarray) -> np.ndarray:
    seen = np.ones(len(images), dtype=np.int64)
    seen[np.unique(images, return_index=True)[1]] = 0
    return seen


def write_wds(folder: str | Path, behaviour: np.ndarray, sessions: np.ndarray, shared: np.ndarray) -> None:
    """Write a subject's behaviour tars: ``train/{session}.tar``, and ``new_test/0.tar`` of shared pictures.

    Parameters
    ----------
    behaviour : (n_trials, 17), see `behaviour_table`.
    sessions : (n_trials,), from 0.
    shared : (n_trials,) bool.
    """
    with atomic_path(folder) as scratch:
        (scratch / "train").mkdir(parents=True)
        (scratch / "new_test").mkdir()
        for session in range(sessions.max() + 1):
            chosen = np.flatnonzero((sessions == session) & ~shared)
            _write_tar(scratch / "train" / f"{session}.tar", behaviour, chosen)
        _write_tar(scratch / "new_test" / "0.tar", behaviour, np.flatnonzero(shared))


def _write_tar(path: Path, behaviour: np.ndarray, trials: np.ndarray) -> None:
    with tarfile.open(path, "w") as archive:
        for number, trial in enumerate(trials.tolist()):
            for name, array in _sample(behaviour, trial).items():
                content = io.BytesIO()
                np.save(content, array)
                member = tarfile.TarInfo(f"sample{number:09d}.{name}.npy")
                member.size = content.tell()
                content.seek(0)
                archive.addfile(member, content)


def _sample(behaviour: np.ndarray, trial: int) -> dict[str, np.ndarray]:
    """Collect the four arrays of one trial; neighbours and other presentations come nearest first."""
    olds = behaviour[behaviour[:, 0] == behaviour[trial, 0]]
    return {
        "behav": behaviour[trial : trial + 1],
        "past_behav": _padded(behaviour[max(trial - N_NEIGHBOURS, 0) : trial][::-1], N_NEIGHBOURS),
        "future_behav": _padded(behaviour[trial + 1 : trial + 1 + N_NEIGHBOURS], N_NEIGHBOURS),
        "olds_behav": _padded(olds[olds[:, 5] < trial][::-1], N_OLDS),
    }


def _padded(rows: np.ndarray, n_rows: int) -> np.ndarray:
    padded = np.full((n_rows, rows.shape[1]), ABSENT)
    padded[: len(rows)] = rows
    return padded


def _unread(seed: int) -> dict[str, np.ndarray]:
    """Make the parts of a MindEye2 model that nobody reads, of a few numbers."""
    rng = generator(seed, "mindeye2 rest")
    shapes = {
        "backbone.mixer_blocks1.0.0.weight": (64,),
        "backbone.backbone_linear.weight": (32, 64),
        "diffusion_prior.net.null_image_embed": (4, 32),
    }
    return {key: rng.normal(scale=0.02, size=shape).astype(np.float32) for key, shape in shapes.items()}
