"""Match pictures of an EEG data set one-to-one with those that the fMRI subjects saw, or with themselves."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.hdf5 import read_shown
from brain2image.formats.tables import pick_rows, read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.matching import match_images
from brain2image.pairs.partners import read_partners

with job(snakemake):
    betas, partners = snakemake.input.get("betas"), snakemake.input.fmri_pictures
    fmri_pictures = read_partners(partners, has_fmri=bool(betas))
    seen = read_shown(betas) if betas else None
    embeddings = (snakemake.input.get(name) for name in ("eeg_embeddings", "fmri_embeddings"))
    candidates, test_partition = match_images(
        read_table(snakemake.input.eeg_pictures, ["image", "partition"]),
        *(files and read_embeddings(files) for files in embeddings),
        seen=seen,
        shared=pick_rows(fmri_pictures, seen, source=partners)["shared1000"].to_numpy() if betas else None,
        include_test=snakemake.params.include_test,
    )
    write_parquet(snakemake.output.candidates, candidates)
    write_parquet(snakemake.output.test_partition, test_partition)
