"""The baselines by name, each fitted on the training pairs in one call."""

from collections.abc import Callable
from functools import partial

from brain2image.evaluation.baselines.base import Training
from brain2image.evaluation.baselines.linear import (
    fit_clip_oracle,
    fit_kernel_ridge,
    fit_mean_target,
    fit_nearest_image,
    fit_pls,
    fit_ridge,
    fit_two_step,
)
from brain2image.evaluation.baselines.networks import fit_cbramod_linear, fit_mlp
from brain2image.training_set.means import Predictor

BASELINES: dict[str, Callable[[Training], Predictor]] = {
    "mean_target": fit_mean_target,
    "nearest_image": fit_nearest_image,
    "ridge": fit_ridge,
    "kernel_ridge": fit_kernel_ridge,
    "pls": fit_pls,
    "two_step": fit_two_step,
    "clip_oracle": fit_clip_oracle,
    "mlp": fit_mlp,
    "cbramod_linear": partial(fit_cbramod_linear, pretrained=True),
    "cbramod_random": partial(fit_cbramod_linear, pretrained=False),
}
