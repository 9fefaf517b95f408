"""Count what test pairs have in common with all that is learned from."""

from brain2image.constants.brain_names import has_fmri
from brain2image.core.jobs import job
from brain2image.formats.files import write_json
from brain2image.formats.tables import read_result, read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.partners import read_partners
from brain2image.pairs.split_audit import Stored, audit_split
from brain2image.training_set.lmdb_store import LMDBReader

with job(snakemake):
    reader, encoder = LMDBReader(snakemake.input.lmdb), snakemake.input.get("encoder")
    stored = Stored(
        reader.pairs,
        reader.pictures,
        reader.eeg_index,
        reader.fmri_index,
        overlapping_trials=reader.meta["overlapping_trials"],
        eeg_attributes=reader.meta["eeg_attributes"],
    )
    counts = audit_split(
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"]),
        stored=stored,
        eeg_pictures=read_table(snakemake.input.eeg_pictures, ["image", "concept", "partition"]),
        fmri_pictures=read_partners(
            snakemake.input.fmri_pictures, has_fmri=has_fmri(snakemake.wildcards.subj)
        ),
        eeg=read_embeddings(snakemake.input.eeg_embeddings),
        fmri=read_embeddings(snakemake.input.fmri_embeddings),
        candidates=read_table(snakemake.input.candidates, ["eeg_image", "fmri_image"]),
        **snakemake.params.origin,
        encoder_images=read_result(encoder, ["images"])["images"] if encoder else None,
    )
    write_json(snakemake.output.audit, counts)
