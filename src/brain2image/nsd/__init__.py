"""NSD as MindEye1 and MindEye2 released it: its pictures here, its betas in modules of their own.

The readers of the betas are not imported here, so that a change of them reruns no stage that only reads
pictures.
"""

from brain2image.nsd.images import read_images, repack_images
from brain2image.nsd.release import N_TRIALS, N_VOXELS

__all__ = ["N_TRIALS", "N_VOXELS", "read_images", "repack_images"]
