"""Draw a picture from the tokens of each test pair by a ridge."""

from brain2image.core.jobs import job
from brain2image.datasets.picture_sets import open_picture_sets
from brain2image.decoding.gallery import open_gallery
from brain2image.decoding.linear_drawing import draw_linear

with job(snakemake):
    (fmri,) = open_picture_sets([snakemake.input.fmri_pictures], snakemake.params.pictures)
    with open_gallery(snakemake.input.gallery) as (gallery, is_fitted):
        fitted = gallery.images[is_fitted]
    draw_linear(
        snakemake.input.tokens,
        fitted_images=fmri.read(fitted),
        out=snakemake.output.pictures,
        **snakemake.params.drawing,
    )
