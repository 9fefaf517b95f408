"""Score drawn pictures against the seen ones by the metrics of the field."""

from brain2image.core.jobs import job
from brain2image.datasets.picture_sets import open_picture_sets
from brain2image.decoding.comparing import compare_pictures
from brain2image.evaluation.predictions import read_predictions
from brain2image.formats.files import write_json
from brain2image.pairs.preparation import find_checkpoint

with job(snakemake):
    compared = snakemake.params.compared
    (eeg,) = open_picture_sets([snakemake.input.eeg_pictures], snakemake.params.pictures)
    tested = read_predictions(snakemake.input.predictions)
    weights = {"weights": find_checkpoint(snakemake.input.weights), "n_threads": snakemake.threads}
    found = compare_pictures(
        dict(zip(compared["ways"], snakemake.input.drawn, strict=True)),
        seen_images=eeg.read(tested.eeg_image),
        concepts=tested.concept,
        networks=dict(zip(compared["networks"], snakemake.input.networks, strict=True)),
        clip=snakemake.params.clip | weights,
        **snakemake.params.draw,
        **snakemake.params.evaluation,
    )
    write_json(snakemake.output.scores, {"brains": snakemake.params.brains, **found})
