"""Fit the picture encoder, and predict the embedding of every picture of the EEG."""

import numpy as np

from brain2image.core.jobs import job
from brain2image.formats.files import write_json
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.tested_pictures import read_tested
from brain2image.projection.picture_encoder import write_picture_encoder, write_predicted
from brain2image.projection.picture_fitting import fit_picture_encoder

with job(snakemake):
    eeg = read_embeddings(snakemake.input.eeg_embeddings)
    encoder, quality = fit_picture_encoder(
        eeg,
        read_embeddings(snakemake.input.fmri_embeddings),
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"]),
        projection=snakemake.input.projection,
        elsewhere=np.concatenate(read_tested(snakemake.input.elsewhere, clip=eeg.clip)),
        **snakemake.params.picture_encoder,
    )
    write_predicted(snakemake.output.predicted, encoder, eeg)
    write_picture_encoder(snakemake.output.encoder, encoder)
    write_json(snakemake.output.quality, quality)
