"""Measure what no predictor of the test pairs can pass."""

from brain2image.core.jobs import job
from brain2image.evaluation.ceilings import pairing_ceiling, rsa_ceiling, split_half
from brain2image.evaluation.queries import read_eeg_halves, read_repetitions
from brain2image.formats.files import write_json
from brain2image.formats.tables import find_rows, read_array, read_table

with job(snakemake):
    eeg, pairs = read_eeg_halves(snakemake.input.lmdb)
    repetitions = read_repetitions(snakemake.input.lmdb)
    clip = []
    for name in ("things", "nsd"):
        images = snakemake.input[f"{name}_images"]
        table = read_table(images, ["image"])
        rows = find_rows(table["image"], pairs[f"{name}_image"], source=images)
        clip.append(read_array(snakemake.input[f"{name}_embeddings"], n_rows=len(table), rows=rows))
    centred = repetitions - repetitions.mean(axis=(0, 1))
    ceilings = {
        "eeg": split_half(*eeg),
        "fmri": split_half(repetitions[0], repetitions[1:].mean(axis=0)) if len(repetitions) > 1 else None,
        "rsa": rsa_ceiling(centred),
        "pairing": pairing_ceiling(*clip),
    }
    write_json(snakemake.output.ceilings, ceilings)
