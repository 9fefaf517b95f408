"""Label the pairs, and the pictures to train on, by K-means on the embeddings of the training pairs."""

import numpy as np

from brain2image.constants.brain_names import has_fmri
from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.clustering import cluster_pairs
from brain2image.pairs.tested_pictures import leave_out_tested, read_tested
from brain2image.pairs.training_pictures import choose_training_pictures, keep_chosen

with job(snakemake):
    pairs = read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"])
    pictures = read_table(snakemake.input.eeg_pictures, ["image", "concept", "partition"])
    eeg, fmri = (
        read_embeddings(files) for files in (snakemake.input.eeg_embeddings, snakemake.input.fmri_embeddings)
    )
    elsewhere, tested = (
        np.concatenate(read_tested(snakemake.input.elsewhere, clip=eeg.clip, test_only=test_only))
        for test_only in (False, True)
    )
    pairs = leave_out_tested(pairs, eeg, fmri, elsewhere=elsewhere, tested=tested)
    chosen = choose_training_pictures(pictures, pairs, eeg, fmri, elsewhere=elsewhere)
    if not has_fmri(snakemake.wildcards.subj):
        pairs = keep_chosen(pairs, chosen)
    labelled = cluster_pairs(pairs, chosen, eeg, fmri, **snakemake.params.clustering)
    for name, table in zip(("pairs", "pictures"), labelled, strict=True):
        write_parquet(snakemake.output[name], table)
