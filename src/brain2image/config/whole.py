"""The whole configuration, checked before any job runs."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, get_args

from pydantic import Field, model_validator

from brain2image.config.data import (
    CLIPConfig,
    DataConfig,
    EEGConfig,
    LMDBConfig,
    PictureEncoderConfig,
    SimulateConfig,
)
from brain2image.config.decoding import DecodingConfig
from brain2image.config.messages import unknown_key, validate
from brain2image.config.optimisation import LossConfig, TrainingConfig
from brain2image.config.pairing import ClusteringConfig, MatchingConfig, SplitConfig
from brain2image.config.places import check_apart_from_data, check_apart_from_source
from brain2image.config.training_run import SEVERAL_OPTIONS, ModelConfig, RunConfig, unused_options
from brain2image.config.types import MAX_SEED, Brains, ImageText, Name, PathText, Section, Seed
from brain2image.config.weights import WeightsConfig
from brain2image.constants.brain_names import divide_brains, has_fmri, members
from brain2image.constants.predictors import (
    CALIBRATION_SUFFIX,
    OF_PEOPLE,
    RESERVED_RUNS,
    SEED_SUFFIX,
    Baseline,
)
from brain2image.constants.target_kinds import CLIP
from brain2image.core.errors import InputError

BLOCKS = ("model", "loss", "training")  # of a run


class EvaluationConfig(Section):
    """Scores on the test pairs."""

    n_permutations: Annotated[int, Field(ge=100, le=10**6)] = Field(
        2000, description="Shuffles of the test pictures behind each p-value."
    )
    seed: Seed = Field(0, description="Seed of the shuffles.")


class Config(Section):
    """The whole configuration."""

    results: PathText = Field("results", description="Folder for all outputs.")
    datasets: list[PathText] = Field(
        [], description="Python files with data sets of your own, see docs/own_data_set.md."
    )
    brains: Brains = Field(
        ["things-01_subj01"],
        description="EEG people, each with an NSD subject; all: everybody with everybody whose data are "
        "there. things-01_subj02-subj05 takes the fMRI of both, through one final_multisubject checkpoint. "
        "things-01_pictures takes no fMRI, but the CLIP features of the pictures (training.targets: clip).",
    )
    allow_cpu: bool = Field(
        True, description="Jobs that ask for a GPU compute on the CPU where there is none; false: they stop."
    )
    rerun_on_upgrade: bool = Field(
        False,
        description="Make results again that another minor version of NumPy, SciPy, MNE, PyTorch, open_clip, "
        "himalaya, scikit-learn or Lightning made; false: `brain2image status` only names them.",
    )
    container: ImageText = Field(
        "",
        description="Container image in which jobs run with `--sdm apptainer`, and only then: a file, or an "
        "address such as docker://…, see docs/containers.md; empty: none.",
    )
    data: DataConfig = DataConfig()
    weights: WeightsConfig = WeightsConfig()
    eeg: EEGConfig = EEGConfig()
    clip: CLIPConfig = CLIPConfig()
    matching: MatchingConfig = MatchingConfig()
    clustering: ClusteringConfig = ClusteringConfig()
    split: SplitConfig = SplitConfig()
    lmdb: LMDBConfig = LMDBConfig()
    picture_encoder: PictureEncoderConfig = PictureEncoderConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    runs: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] = Field(
        {"multitoken_vit": {}, "linear_path": {"model": {"pooling": "none"}}},
        description="Runs by name; each lists what differs from the model, loss and training blocks, and "
        "whose EEG it learns from: `people: own` (the tested person's, the default), `others` (all listed "
        "people but that one), `all`, or a list of people. linear_path, without an encoder, shows what the "
        "encoder adds to the other.",
    )
    calibrations: list[Annotated[int, Field(ge=4)]] = Field(
        [],
        description="Fit runs of `people: others` to the person that is tested, by the EEG of so many "
        "pictures, 4 or more: a curve of the report.",
    )
    n_seeds: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="Trainings of each run, with training.seed, training.seed + 1 and so on."
    )
    baselines: list[Baseline] = Field(
        [name for name in get_args(Baseline) if not name.endswith(OF_PEOPLE)],
        description="Comparison models, fitted on what the training block says and the val pairs; those that "
        "end in _paired on the measured pairs alone, in _others or _all on the EEG of those people. []: "
        "none, as where brains have no fMRI.",
    )
    evaluation: EvaluationConfig = EvaluationConfig()
    decoding: DecodingConfig = DecodingConfig()
    simulate: SimulateConfig | None = Field(
        None, description="Write synthetic raw data first; only for the demo and tests."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.brains != "all":
            self._check_brains()
        self._check_run_names()
        if self.training.targets == CLIP:
            raise ValueError(
                "training.targets: 'clip' is for single runs, as baselines follow this block; set it in "
                "runs.NAME.training"
            )
        if not self.baselines and (self.brains == "all" or any(map(has_fmri, self.brains))):
            raise ValueError("baselines: expected one or more where there is fMRI, got none")
        if len(set(self.baselines)) < len(self.baselines):
            raise ValueError("baselines lists a name twice")
        if self.simulate is not None:
            self._check_simulated_paths()
            if self.brains == "all" or "{subj}" not in self.weights.mindeye2:
                raise ValueError(
                    "with 'simulate', brains must be a list and weights.mindeye2 contain {subj}: there are "
                    "no data yet to look for, and each simulated subject has a checkpoint of its own"
                )
        else:
            check_apart_from_data(self.results, dict(self.data))
        return self

    def _check_run_names(self) -> None:
        """Refuse names that differ by case alone: they are one folder on the disks of macOS and Windows."""
        names = [name.lower() for name in self.runs]
        taken = [name for name in self.runs if name.lower() in RESERVED_RUNS]
        if taken:
            raise ValueError(
                f"runs must not be called {', '.join(sorted(taken))}: these names are the baselines'"
            )
        for suffix, what in ((SEED_SUFFIX, "further seeds"), (CALIBRATION_SUFFIX, "calibrations")):
            if any(suffix in name for name in names):
                raise ValueError(f"runs must not contain {suffix!r}: it names the {what} of a run")
        alike = [name for name in self.runs if names.count(name.lower()) > 1]
        if alike:
            raise ValueError(f"the names of runs must differ by more than case, got {' and '.join(alike)}")

    def _check_brains(self) -> None:
        """Refuse brains twice, and fMRI that is not in one spelling and one embedding space."""
        repeated = {brains for brains in self.brains if self.brains.count(brains) > 1}
        if repeated:
            raise ValueError(f"brains lists {', '.join(sorted(repeated))} twice")
        for brains in self.brains:
            subjects = members(divide_brains(brains)[1])
            if subjects != sorted(set(subjects)):
                raise ValueError(f"brains must name each NSD subject once, in ascending order, got {brains}")
            if len(subjects) > 1 and "{subj}" in self.weights.mindeye2:
                raise ValueError(
                    f"brains combines the fMRI of {' and '.join(subjects)}, but weights.mindeye2 names a "
                    "checkpoint for each ({subj}), and each has an embedding space of its own; give the path "
                    "of one final_multisubject checkpoint"
                )

    def _check_simulated_paths(self) -> None:
        """Refuse to land simulated files in a folder of real data, and to read what nobody simulates."""
        if self.decoding.prior or self.decoding.pictures == "unclip":
            raise ValueError(
                "with 'simulate', decoding.prior must be false and decoding.pictures none or linear: neither "
                "prior nor unCLIP are simulated"
            )
        folder = str(PurePath(self.results, "raw"))
        # of Alljoined1 nothing is written where nobody asks for it
        listed = [blocks["people"] for blocks in self.runs.values() if isinstance(blocks.get("people"), list)]
        people = [*self.brains, *(person for people in listed for person in people)]
        is_read = any(str(person).startswith("alljoined-") for person in people)
        unread = set() if is_read else {"alljoined1"} - self.data.model_fields_set
        unread |= {key for key, path in self.data if not path}
        # what is not simulated
        unread |= {"encoders", "unclip", "picture_networks"}
        unread |= {"token_clip"} if not self.decoding.tokens else set()
        paths = {f"data.{key}": path for key, path in self.data if key not in unread} | {
            f"weights.{key}": path for key, path in self.weights if key not in unread
        }
        for key, path in paths.items():
            if not PurePath(path).is_relative_to(folder):
                raise ValueError(f"with 'simulate', {key} must lie inside {folder!r}, got {path!r}")

    def run(self, name: str) -> RunConfig:
        """Return the blocks of run ``name``: the shared ones with the run's own values over them.

        Shared values that the run's encoder and head do not use are left out; its own ones are an error.
        """
        overrides = self.runs[name]
        unknown = set(overrides) - set(RunConfig.model_fields)
        if unknown:
            raise InputError(unknown_key(f"runs.{name}.{sorted(unknown)[0]}", RunConfig, root=Config))
        for block in BLOCKS:
            if not isinstance(overrides.get(block, {}), Mapping):
                raise InputError(
                    f"config: runs.{name}.{block}: expected keys and values, got {overrides[block]!r}"
                )
        blocks = {block: dict(getattr(self, block)) for block in BLOCKS}
        own = overrides.get("model", {})
        unused = unused_options(blocks["model"] | own)
        blocks["model"] = {key: value for key, value in blocks["model"].items() if key not in unused}
        merged = overrides | {block: values | overrides.get(block, {}) for block, values in blocks.items()}
        run = validate(RunConfig, merged, root=Config, prefix=f"runs.{name}.")
        for key in sorted(unused.keys() & own.keys()):
            used = ", ".join(option for option in ModelConfig.model_fields if option not in unused)
            raise InputError(
                f"config: runs.{name}.model.{key}: {unused[key]} has no such option; its options: {used}"
            )
        for block, option in () if run.has_several else SEVERAL_OPTIONS:
            if option in overrides.get(block, {}):
                raise InputError(
                    f"config: runs.{name}.{block}.{option}: expected a run of several people, got people "
                    "'own'; leave it out, or set people to others, all or a list"
                )
        return run

    def seeded_runs(self) -> dict[str, RunConfig]:
        """Return all trainings by their folders' names: the run, RUN_seed-1 and so on for further seeds."""
        seeded = {}
        for name in sorted(self.runs):
            run = self.run(name)
            for seed in range(run.training.seed, run.training.seed + self.n_seeds):
                folder = name if seed == run.training.seed else f"{name}{SEED_SUFFIX}{seed}"
                training = run.training.model_copy(update={"seed": seed})
                seeded[folder] = run.model_copy(update={"training": training})
        return seeded


def load_config(content: Mapping[str, Any], *, checkout: str | None = None) -> Config:
    """Check a configuration as read from YAML and fill in the defaults.

    Parameters
    ----------
    content : what the YAML holds.
    checkout : folder of the workflow, which results must not be mixed with.

    Raises
    ------
    InputError
        Naming each wrong key, what was expected, what came, and the nearest valid key. Runs are checked too.
    """
    if "pairs" in content:
        raise InputError(
            "config: the key 'pairs' is called 'brains' now, and people by their data set: write "
            "brains: [things-01_subj01] for pairs: [sub-01_subj01]"
        )
    config = validate(Config, _without_empty_blocks(content), root=Config)
    if checkout:
        check_apart_from_source(config.results, checkout)
    for name in config.runs:
        run = config.run(name)
        n_heads, last_seed = run.model.n_heads, run.training.seed + config.n_seeds - 1
        if last_seed > MAX_SEED:
            raise InputError(
                f"config: training.seed: expected seeds up to {MAX_SEED}, got {last_seed}, the last of {name}"
            )
        if config.simulate and config.simulate.n_features % n_heads:
            raise InputError(
                f"config: simulate.n_features: expected a multiple of {n_heads} (model.n_heads of "
                f"run {name}), got {config.simulate.n_features}"
            )
    return config


def _without_empty_blocks(content: Mapping[str, Any]) -> dict[str, Any]:
    """Drop blocks and runs that YAML reads as None, as nothing stands below their name."""
    filled = {key: value for key, value in content.items() if value is not None}
    if isinstance(filled.get("runs"), Mapping):
        filled["runs"] = {
            run: {block: values for block, values in (blocks or {}).items() if values is not None}
            if isinstance(blocks or {}, Mapping)
            else blocks
            for run, blocks in filled["runs"].items()
        }
    return filled
