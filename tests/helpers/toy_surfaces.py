"""Two made-up hemispheres in the files of an NSD subject, around a mask."""

from itertools import pairwise

import nibabel
import numpy as np
from nibabel.freesurfer.io import write_geometry, write_morph_data

from brain2image.datasets.nsd.layout import MASK, SURFACES
from brain2image.synthetic.brain_mask import ASPECT, THICKNESS, simulate_mask

N_RINGS, N_POINTS = 16, 24
OUTSIDE = 9999  # of NSD's transforms: a vertex that is not in the volume


def sphere():
    """Vertices, (n_vertices, 3) of norm 1, and triangles of a sphere."""
    tilt = np.linspace(0.01, np.pi - 0.01, N_RINGS)[:, None]
    turn = np.linspace(0, 2 * np.pi, N_POINTS, endpoint=False)
    points = np.stack(
        np.broadcast_arrays(np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)), axis=-1
    )
    numbers = np.arange(N_RINGS * N_POINTS).reshape(N_RINGS, N_POINTS)
    faces = [
        triangle
        for upper, lower in pairwise(numbers)
        for a, b, c, d in zip(upper, np.roll(upper, -1), lower, np.roll(lower, -1), strict=True)
        for triangle in ((a, c, b), (b, c, d))
    ]
    return points.reshape(-1, 3), np.array(faces)


def write_brain(root, *, n_voxels, person="subj01"):
    """Write the mask and both hemispheres below a folder ``nsddata``; the paths of all seven files."""
    paths = [root / path.format(person=person) for path in (MASK, *SURFACES)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    simulate_mask(n_voxels, out=paths[0])
    labels = np.asarray(nibabel.load(paths[0]).dataobj)
    centre, (points, faces) = (np.array(labels.shape) - 1) / 2, sphere()
    # in the middle of the shell
    radius = np.array(ASPECT) * ((labels.shape[0] - 3) / 2 - THICKNESS / 2)
    for side, files in ((-1, paths[1:4]), (1, paths[4:])):
        write_geometry(files[0], points * [30, 60, 40] + [side * 40, 0, 0], faces)
        write_morph_data(files[1], np.sin(5 * points[:, 2]))
        places = centre + points * radius + 1  # indices count from 1
        places[(points[:, 0] * side) < 0] = OUTSIDE
        volume = places.astype(np.float32)[:, None, None]
        nibabel.MGHImage(volume, np.eye(4)).to_filename(files[2])
    return paths
