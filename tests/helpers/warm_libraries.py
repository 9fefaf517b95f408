"""What scripts import from other projects, for the forks of forked_scripts.py; nothing of Brain2Image."""

import gc

import h5py  # noqa: F401
import lightning  # noqa: F401
import lmdb  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import nibabel.nifti1  # noqa: F401
import numpy  # noqa: F401
import open_clip  # noqa: F401
import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.cluster  # noqa: F401
import snakemake.script  # noqa: F401
import torch  # noqa: F401

gc.freeze()  # else every fork would go through, and so copy, all that it shares with the server
