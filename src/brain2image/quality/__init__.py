"""What the measured data are worth: `brain2image.quality.eeg` and `brain2image.quality.fmri`."""
