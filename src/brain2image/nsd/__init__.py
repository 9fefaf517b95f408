"""NSD as MindEye2 released it: its pictures here, its betas in `brain2image.nsd.fmri`.

The reader of the betas is not imported here, so that a change of it reruns no stage that only reads
pictures.
"""

from brain2image.nsd.images import read_images, repack_images
from brain2image.nsd.release import N_TRIALS, N_VOXELS

__all__ = ["N_TRIALS", "N_VOXELS", "read_images", "repack_images"]
