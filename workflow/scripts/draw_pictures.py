"""Draw a picture from the tokens of each test pair, and compare it with the one that was seen."""

from brain2image.core.jobs import job
from brain2image.datasets.picture_sets import open_picture_sets
from brain2image.decoding.drawing import draw_pictures
from brain2image.decoding.gallery import open_gallery
from brain2image.evaluation.predictions import read_predictions
from brain2image.formats.files import write_json

with job(snakemake):
    tables = [snakemake.input.eeg_pictures, snakemake.input.fmri_pictures]
    eeg, fmri = open_picture_sets(tables, snakemake.params.pictures)
    tested = read_predictions(snakemake.input.predictions)
    with open_gallery(snakemake.input.gallery) as (gallery, is_fitted):
        fitted = gallery.images[is_fitted]
    found = draw_pictures(
        snakemake.input.tokens,
        fitted_images=fmri.read(fitted),
        seen_images=eeg.read(tested.eeg_image),
        concepts=tested.concept,
        out=snakemake.output.pictures,
        **snakemake.params.evaluation,
    )
    write_json(snakemake.output.scores, {"brains": snakemake.params.brains, **found})
