"""NSD as MindEye2 released it, a few pictures and trials of it."""

import io
import tarfile

import h5py
import numpy as np


def write_pixels(path, pictures):
    """All 73,000 rows, of which only those in ``pictures`` take room."""
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", (73000, 3, 224, 224), np.float16, chunks=(1, 3, 224, 224))
        for row, picture in pictures.items():
            images[row] = picture


def write_shared(path, first=2950):
    flags = np.zeros(73000, np.uint8)
    flags[first::70] = 1
    np.save(path, flags)
    return flags.astype(bool)


def write_indices(path, **subjects):
    with h5py.File(path, "w") as file:
        for subject, indices in subjects.items():
            file[subject] = indices


def draw_indices(seed):
    """500 pictures three times each, in a random order; 100 of them shared."""
    rng = np.random.default_rng(seed)
    shared = np.arange(2950, 73000, 70)[:100]
    others = rng.choice(np.setdiff1d(np.arange(73000), np.arange(2950, 73000, 70)), 400, replace=False)
    return rng.permutation(np.repeat(np.concatenate([shared, others]), 3))


def behaviour_row(trial, image):
    row = np.full((1, 17), -1.0)
    shared = (image - 2950) % 70 == 0
    row[0, [0, 1, 2, 5, 16]] = image, 1, trial // 750 + 1, trial, shared
    return row


def add_member(tar, name, array):
    content = io.BytesIO()
    np.save(content, array)
    info = tarfile.TarInfo(name)
    info.size = content.tell()
    content.seek(0)
    tar.addfile(info, content)


def write_tar(path, rows, *, kind="behav.npy"):
    """Every ninth sample has what all have in the release and nobody reads, which takes most of the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for sample, row in enumerate(rows):
            has_others = sample % 9 == 0
            if has_others:
                add_member(tar, f"sample{sample:09d}.olds_behav.npy", np.full((3, 17), -1.0))
            add_member(tar, f"sample{sample:09d}.{kind}", row)
            if has_others:
                add_member(tar, f"sample{sample:09d}.past_behav.npy", np.full((15, 17), -1.0))


def write_tars(folder, indices, *, seed=0):
    """A tar a session with the trials of unshared pictures, and one with all the others, shuffled."""
    rng = np.random.default_rng(seed)
    shared = np.isin(indices, np.arange(2950, 73000, 70))
    for session in range(len(indices) // 750):
        trials = np.arange(750 * session, 750 * (session + 1))
        trials = rng.permutation(trials[~shared[trials]])
        write_tar(folder / "train" / f"{session}.tar", [behaviour_row(t, indices[t]) for t in trials])
    trials = rng.permutation(np.flatnonzero(shared))
    write_tar(folder / "new_test" / "0.tar", [behaviour_row(t, indices[t]) for t in trials])


def write_betas(path, betas):
    with h5py.File(path, "w") as file:
        file["betas"] = betas
