"""Synthetic raw data in the exact formats of THINGS-EEG2, NSD, MindEye2, CBraMod and CLIP.

Pictures are drawn from latent variables that are known, and EEG and fMRI respond to the same latents, so
every stage of the workflow can be checked against what was planted.
"""
