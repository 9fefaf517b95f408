"""Names that are no run's: of baselines, of oracles, and of a run's further seeds."""

from typing import Literal, get_args

# Predictions that no run makes, but that are evaluated like a run. Oracles know the picture that was seen.
Baseline = Literal[
    "mean_target",
    "nearest_image",
    "ridge",
    "kernel_ridge",
    "pls",
    "two_step",
    "two_step_kernel",
    "clip_oracle",
    "mlp",
    "cbramod_linear",
    "cbramod_random",
    "ridge_paired",
    "kernel_ridge_paired",
    "pls_paired",
    "two_step_paired",
    "mlp_paired",
]
PAIRED = "_paired"  # ends the names of those that learn from the measured pairs alone
CEILINGS = ("ceiling", "fmri_ceiling")  # of synthetic data: from the seen picture, from its partner
ORACLES = {"clip_oracle", *CEILINGS}
RESERVED_RUNS = {*get_args(Baseline), *CEILINGS}
SEED_SUFFIX = "_seed-"  # in the folder of a run's further seeds, RUN_seed-1 and so on
