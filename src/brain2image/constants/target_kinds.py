"""Targets of a training that are no fMRI's."""

CLIP = "clip"  # the CLIP features of the pictures
