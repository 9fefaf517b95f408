"""Predict the test pairs as well as can be, from the seen pictures and from their partners."""

from brain2image.core.jobs import job
from brain2image.formats.hdf5 import read_shown
from brain2image.formats.tables import read_npz, read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.synthetic.ceilings import Pairing, World, predict_ceilings

with job(snakemake):
    planted = read_npz(snakemake.input.latents, what="planted arrays", names=["things", "nsd", "nsd_images"])
    predict_ceilings(
        snakemake.input.lmdb,
        World(
            **planted,
            eeg=read_embeddings(snakemake.input.eeg_embeddings),
            fmri=read_embeddings(snakemake.input.fmri_embeddings),
        ),
        Pairing(
            read_table(snakemake.input.eeg_pictures, ["image", "concept", "partition"]),
            read_table(snakemake.input.fmri_pictures, ["image", "shared1000"]),
            seen=read_shown([snakemake.input.betas]),
            **snakemake.params.pairing,
        ),
        oracle=snakemake.input.oracle,
        simulate=snakemake.params.simulate,
        ceiling=snakemake.output.ceiling,
        fmri_ceiling=snakemake.output.fmri_ceiling,
    )
