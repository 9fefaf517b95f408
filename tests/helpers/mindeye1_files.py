"""NSD as MindEye1 released it, a few pictures and trials of it."""

import numpy as np
from PIL import Image

from brain2image.synthetic.mindeye1_files import write_mindeye1

SHARED = np.arange(2950, 73000, 70)
N_SUBJECT_VOXELS = 8


def picture(image):
    """A smooth picture that no other id has."""
    corners = np.random.default_rng(image).integers(0, 256, (2, 2, 3)).astype(np.uint8)
    return Image.fromarray(corners).resize((224, 224), Image.Resampling.BILINEAR)


def draw_trials(seed):
    """Six shared and 30 other pictures, seen one to three times, in a random order."""
    rng = np.random.default_rng(seed)
    others = rng.choice(np.setdiff1d(np.arange(73000), SHARED), 30, replace=False)
    images = np.concatenate([SHARED[:6], others])
    indices = rng.permutation(np.repeat(images, rng.permutation(np.resize([1, 2, 3], 36))))
    return indices, rng.standard_normal((len(indices), N_SUBJECT_VOXELS)).astype(np.float32)


def write_subject(root, subject, indices, betas):
    shared = np.zeros(73000, bool)
    shared[SHARED] = True
    rng = np.random.default_rng(0)
    write_mindeye1(root, subject, indices=indices, betas=betas, shared=shared, picture=picture, rng=rng)
