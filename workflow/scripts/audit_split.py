"""Count what training and test pairs have in common."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_json
from brain2image.formats.hdf5 import open_hdf5, read_trials
from brain2image.formats.tables import read_array, read_table
from brain2image.pairs.split_audit import audit_split

with job(snakemake), open_hdf5(snakemake.input.eeg) as eeg, open_hdf5(snakemake.input.projection) as fmri:
    things = read_table(snakemake.input.things_images, ["image", "concept", "partition"])
    nsd = read_table(snakemake.input.nsd_images, ["image", "shared1000"])
    counts = audit_split(
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"]),
        things=things,
        nsd=nsd,
        eeg=read_trials(eeg),
        fmri=read_trials(fmri),
        clip={
            "things": read_array(snakemake.input.things_embeddings, n_rows=len(things)),
            "nsd": read_array(snakemake.input.nsd_embeddings, n_rows=len(nsd)),
        },
        n_matched=len(read_table(snakemake.input.matched, ["eeg_image", "fmri_image"])),
        is_ridge_fitted=snakemake.params.is_ridge_fitted,
    )
    write_json(snakemake.output.audit, counts)
