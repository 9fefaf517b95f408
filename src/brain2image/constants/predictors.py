"""Names that are no run's: of baselines, of oracles, and of a run's further seeds and calibrations."""

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
    "ridge_others",
    "two_step_others",
    "ridge_all",
    "two_step_all",
]
PAIRED = "_paired"  # ends the names of those that learn from the measured pairs alone
OF_PEOPLE = ("_others", "_all")  # ends the names of those that learn from the people of such a run
CEILINGS = ("ceiling", "fmri_ceiling")  # of synthetic data: from the seen picture, from its partner
MEASURED = "measured_fmri"  # the measured embeddings themselves, decoded like a run's predictions
ORACLES = {"clip_oracle", *CEILINGS, MEASURED}
RESERVED_RUNS = {*get_args(Baseline), *CEILINGS, MEASURED}
SEED_SUFFIX = "_seed-"  # in the folder of a run's further seeds, RUN_seed-1 and so on
CALIBRATION_SUFFIX = "_cal-"  # of a run fitted to a new person by so many pictures, RUN_cal-8 and so on
