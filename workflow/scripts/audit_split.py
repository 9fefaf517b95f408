"""Count what training and test pairs have in common."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_json
from brain2image.formats.hdf5 import read_trial_table
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.split_audit import audit_split

with job(snakemake):
    counts = audit_split(
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"]),
        eeg_pictures=read_table(snakemake.input.eeg_pictures, ["image", "concept", "partition"]),
        fmri_pictures=read_table(snakemake.input.fmri_pictures, ["image", "shared1000"]),
        eeg_trials=read_trial_table(snakemake.input.eeg),
        fmri_trials=read_trial_table(snakemake.input.projection),
        eeg=read_embeddings(snakemake.input.eeg_embeddings),
        fmri=read_embeddings(snakemake.input.fmri_embeddings),
        candidates=read_table(snakemake.input.candidates, ["eeg_image", "fmri_image"]),
        is_ridge_fitted=snakemake.params.is_ridge_fitted,
    )
    write_json(snakemake.output.audit, counts)
