"""Small tables of pairs."""

import numpy as np
import pandas as pd


def pairs_of(n_pairs, n_training):
    """A table of pairs, the first of which are training pairs."""
    split = np.where(np.arange(n_pairs) < n_training, "train", "test")
    return pd.DataFrame({"eeg_image": np.arange(n_pairs), "fmri_image": np.arange(n_pairs), "split": split})
