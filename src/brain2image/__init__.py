"""Align EEG with fMRI through pictures that look alike (THINGS-EEG2 × NSD)."""

__version__ = "0.1.0"
