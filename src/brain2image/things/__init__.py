"""THINGS-EEG2: its pictures here, its EEG in `brain2image.things.eeg`.

The EEG reader is not imported here, so that a change of it reruns no stage that only reads pictures.
"""

from brain2image.things.images import read_image, read_images, repack_images

__all__ = ["read_image", "read_images", "repack_images"]
