"""Choose training, validation and test pairs from the candidates."""

from brain2image.constants.brain_names import has_fmri
from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.tables import read_table
from brain2image.pairs.partners import read_partners
from brain2image.pairs.splits import split_pairs

with job(snakemake):
    columns = ["eeg_image", "fmri_image", "similarity"]
    pairs = split_pairs(
        read_table(snakemake.input.candidates, columns),
        read_table(snakemake.input.test_partition, columns, may_be_empty=True),
        read_table(snakemake.input.eeg_pictures, ["image", "concept"]),
        read_partners(snakemake.input.fmri_pictures, has_fmri=has_fmri(snakemake.wildcards.subj)),
        **snakemake.params.split,
    )
    write_parquet(snakemake.output.pairs, pairs)
