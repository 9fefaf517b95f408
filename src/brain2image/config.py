"""The configuration: every key with its type, default, unit and meaning, checked before any job runs."""

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
    model_validator,
)

from brain2image.config_errors import unknown_key, validate
from brain2image.errors import InputError
from brain2image.releases import PAIR, members
from brain2image.sources import CBRAMOD, MINDEYE2, normalise

# Width of CBraMod's tokens.
TOKEN_WIDTH = 200
# Predictions that no run makes, but that are evaluated like a run. Oracles know the picture that was seen.
Baseline = Literal[
    "mean_target",
    "nearest_image",
    "ridge",
    "kernel_ridge",
    "pls",
    "two_step",
    "clip_oracle",
    "mlp",
    "cbramod_linear",
    "cbramod_random",
]
ORACLES = {"clip_oracle", "ceiling"}
RESERVED_RUNS = {*get_args(Baseline), "ceiling"}
SEED_SUFFIX = "_seed-"  # in the folder of a run's further seeds, RUN_seed-1 and so on

# What a pooling head leaves aside of the `model` block; its runs neither know nor depend on these.
UNUSED_OPTIONS = {
    "flatten": {"n_tokens", "pooling_layers", "alignment"},
    "attention": {"pooling_layers", "alignment"},
    "multitoken_vit": set(),
}
# Range of a learned temperature; the lower end is CLIP's (logits at most 100).
TEMPERATURES = (0.01, 1.0)

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
# A path in one spelling, as Snakemake takes another one for another file.
PathText = Annotated[
    str, Field(min_length=1), AfterValidator(lambda path: os.path.normpath(os.path.expanduser(path)))
]
# A local file, or a URL, which must stay as it is.
SourceText = Annotated[str, Field(min_length=1), AfterValidator(normalise)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _all_or_list(value: Any, check_list: ValidatorFunctionWrapHandler) -> Any:
    """Let the word all pass; a union of types would report a wrong list twice."""
    if isinstance(value, str) and value != "all":
        raise ValueError(f"expected all or a list of pairs, got {value!r}")
    return value if value == "all" else check_list(value)


Pairs = Annotated[
    list[Annotated[str, Field(pattern=f"^{PAIR.pattern}$")]],
    Field(min_length=1),
    WrapValidator(_all_or_list),
]


class Section(BaseModel):
    """A block of the configuration. Unknown keys, and values of another type, are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )


class DataConfig(Section):
    """Where the raw releases lie."""

    things_images: PathText = Field(
        "data/things/images",
        description="Folder with training_images/ (or train_images/) and test_images/ (OSF y63gw).",
    )
    things_eeg: PathText = Field(
        "data/things/eeg",
        description="Folder with sub-01/ and so on of one release: raw, UBP, NICE/ATM or NeuroBridge.",
    )
    nsd: PathText = Field(
        "data/nsd",
        description="Folder with MindEye2's release of NSD (pscotti/mindeyev2): betas, wds/, images; or with "
        "MindEye1's webdataset_avg_new/ (pscotti/naturalscenesdataset).",
    )


class WeightsConfig(Section):
    """Pretrained weights: each a local file, https://…, or hf://[datasets/]owner/repo[@revision]/path."""

    clip: SourceText = Field("openai", description="CLIP's weights: an open_clip tag or a checkpoint.")
    cbramod: SourceText = Field(
        CBRAMOD,
        description="CBraMod's published weights, 20 MB, or those of braindecode/cbramod-pretrained.",
    )
    mindeye2: SourceText = Field(
        MINDEYE2,
        description="MindEye2 checkpoint of each NSD subject ({subj} stands for subj01 and so on), or one "
        "final_multisubject checkpoint; of a remote one only the ridge is downloaded, about 250 MB.",
    )


class EEGConfig(Section):
    """Filters of raw EEG, not of preprocessed EEG. Rate (200 Hz) and window (0-1 s) are CBraMod's."""

    highpass: Positive = Field(0.3, description="High-pass edge, Hz.")
    lowpass: Annotated[float, Field(gt=0, le=75)] = Field(
        75.0, description="Low-pass edge, Hz; 75 at most, it is also the anti-alias filter."
    )
    notch: Positive = Field(50.0, description="Power line frequency, Hz.")

    @model_validator(mode="after")
    def _pass_something(self) -> "EEGConfig":
        if self.highpass >= self.lowpass:
            raise ValueError(
                f"highpass must lie below lowpass, got {self.highpass:g} and {self.lowpass:g} Hz"
            )
        return self


class CLIPConfig(Section):
    """The picture embedding by which THINGS and NSD are matched."""

    model: str = Field(
        "ViT-L-14-quickgelu", description="open_clip architecture; OpenAI's weights want a -quickgelu name."
    )
    batch_size: Count = Field(64, description="Pictures a forward pass.")


class MatchingConfig(Section):
    """Which picture pairs are made."""

    top_k: Count = Field(
        1000, description="Number of pairs, best first; each picture is in one pair at most."
    )
    include_things_test: bool = Field(
        False, description="Also match the 200 THINGS test pictures (80 EEG trials each instead of 4)."
    )


class ClusteringConfig(Section):
    """K-means over the training pairs; its labels group the pairs in the distillation loss."""

    n_clusters: Annotated[int, Field(ge=2)] = Field(5, description="Number of clusters.")
    seed: Seed = Field(0, description="Seed of the K-means starts.")


class SplitConfig(Section):
    """Division of the pairs into training, validation and test."""

    train: Fraction = Field(0.8, description="Share of training pairs.")
    val: Fraction = Field(0.1, description="Share of validation pairs, on which the checkpoint is chosen.")
    test: Fraction = Field(0.1, description="Share of test pairs, read once.")
    seed: Seed = Field(0, description="Seed of the shuffle.")
    group_by: Literal["image", "concept"] = Field(
        "concept", description="What no two splits share: the THINGS concept, or only the picture."
    )
    test_from: Literal["any", "shared1000"] = Field(
        "shared1000",
        description="Test pairs show any NSD picture, or one of the shared 1,000: MindEye2's ridge was "
        "fitted on all others, so that their embeddings are no predictions.",
    )

    @model_validator(mode="after")
    def _sum_to_one(self) -> "SplitConfig":
        if abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(f"train, val and test must sum to 1, got {self.train + self.val + self.test:g}")
        return self


class ModelConfig(Section):
    """The EEG encoder: CBraMod, a pooling head, and the attention alignment."""

    pooling: Literal["flatten", "attention", "multitoken_vit"] = Field(
        "multitoken_vit", description="Pooling head."
    )
    pretrained: bool = Field(
        True, description="Start from the published CBraMod weights; false: random weights."
    )
    n_layers: Annotated[int, Field(ge=1, le=12)] = Field(
        12, description="CBraMod layers, 12 as published; fewer keep the first ones."
    )
    hidden_size: Count = Field(1024, description="Width of the heads' multilayer perceptron.")
    n_tokens: Count = Field(8, description="Learned tokens (multitoken_vit) or queries (attention).")
    pooling_layers: Count = Field(2, description="Transformer layers of multitoken_vit.")
    n_heads: Count = Field(8, description="Attention heads of the pooling head and of the alignment.")
    alignment: Literal["single_token", "multi_token"] = Field(
        "single_token",
        description="Keys of the alignment: the pooled EEG embedding, or multitoken_vit's tokens.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="Dropout of the heads and of the alignment."
    )

    @model_validator(mode="after")
    def _fits(self) -> "ModelConfig":
        if self.pooling != "flatten" and TOKEN_WIDTH % self.n_heads:
            raise ValueError(f"n_heads must divide {TOKEN_WIDTH}, CBraMod's width, got {self.n_heads}")
        if self.alignment == "multi_token" and self.pooling != "multitoken_vit":
            raise ValueError(f"alignment 'multi_token' needs pooling 'multitoken_vit', got {self.pooling!r}")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        unused = UNUSED_OPTIONS[self.pooling]
        return {name: value for name, value in serialise(self).items() if name not in unused}


class LossConfig(Section):
    """The three loss terms on standardised targets; a scale of 0 switches a term off."""

    mse: NonNegative = Field(1.0, description="Scale of the mean squared error.")
    info_nce: NonNegative = Field(1.0, description="Scale of InfoNCE.")
    prototype: NonNegative = Field(0.5, description="Scale of the prototypical distillation.")
    temperature: Positive = Field(
        0.07, description="Temperature of InfoNCE and of the prototype similarities."
    )
    symmetric: bool = Field(
        True, description="InfoNCE also from fMRI to EEG; false: only from EEG to fMRI, as it is retrieved."
    )
    learnable_temperature: bool = Field(
        False,
        description=f"Learn InfoNCE's temperature, from `temperature` on, within {TEMPERATURES[0]:g} to "
        f"{TEMPERATURES[1]:g}; the prototypes keep `temperature`.",
    )
    target_scale: Literal["common", "per_feature"] = Field(
        "common",
        description="Unit of the standardised targets: one standard deviation for all features, or each its "
        "own; `common` keeps the angles between embeddings, by which retrieval is scored.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "LossConfig":
        if self.mse == self.info_nce == self.prototype == 0:
            raise ValueError("at least one of mse, info_nce and prototype must be above 0")
        low, high = TEMPERATURES
        if self.learnable_temperature and not (self.info_nce and low <= self.temperature <= high):
            raise ValueError(
                f"learnable_temperature needs info_nce above 0 and a temperature from {low:g} to {high:g}, "
                f"got {self.info_nce:g} and {self.temperature:g}"
            )
        return self


class TrainingConfig(Section):
    """Optimisation."""

    epochs: Count = Field(100, description="Passes over the training trials.")
    batch_size: Annotated[int, Field(ge=2)] = Field(
        64, description="EEG trials a batch, on all GPUs of a run together."
    )
    average_trials: Count = Field(
        4, description="Mean of up to this many random trials of the same picture makes one training example."
    )
    fmri: Literal["mean", "sample", "cross"] = Field(
        "mean",
        description="Target: mean of the picture's fMRI repetitions, or a random one each time (sample); "
        "cross: every EEG trial with every repetition once an epoch.",
    )
    memory_limit_gb: NonNegative = Field(
        4.0,
        description="A training split up to this size, GB, is held in memory (on a GPU, in the GPU's); "
        "a larger one is read batch by batch.",
    )
    learning_rate: Positive = Field(
        2e-4,
        description="Highest AdamW learning rate of head and alignment; 5e-4 is unstable at 4096 features.",
    )
    backbone_learning_rate: Positive = Field(5e-5, description="Highest AdamW learning rate of CBraMod.")
    weight_decay: NonNegative = Field(
        0.05, description="AdamW weight decay of matrices; biases and norms have none."
    )
    gradient_clip: Positive = Field(1.0, description="Largest gradient norm.")
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="Each CBraMod layer learns this much slower than the one after it; 1: all as fast.",
    )
    accumulate_batches: Count = Field(
        1, description="Batches whose gradients are added up before a step; negatives stay within a batch."
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="Number format of the model's products; bf16 and fp16 are faster, fp16 needs a GPU.",
    )
    compile: bool = Field(
        False, description="torch.compile: faster steps after a minute's wait; worth it on a GPU."
    )
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="Keep a moving average of the weights with this decay a step, and evaluate and save it; "
        "0: none.",
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="Stop after so many epochs without a lower validation loss; 0: never."
    )
    seed: Seed = Field(0, description="Seed of the weights, the batches and the dropout.")


class RunConfig(Section):
    """One training run: what differs from the `model`, `loss` and `training` blocks."""

    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()


class EvaluationConfig(Section):
    """Scores on the test pairs."""

    n_permutations: Annotated[int, Field(ge=100)] = Field(
        2000, description="Shuffles of the test pictures behind each p-value."
    )
    seed: Seed = Field(0, description="Seed of the shuffles.")


class SimulateConfig(Section):
    """Synthetic raw data in the real files' formats, for the demo and the tests."""

    n_concepts: Annotated[int, Field(ge=5)] = Field(60, description="THINGS training concepts (really 1654).")
    images_per_concept: Count = Field(5, description="Pictures of each concept (really 10).")
    n_test_concepts: Count = Field(10, description="THINGS test concepts, one picture each (really 200).")
    n_nsd_sessions: Annotated[int, Field(ge=1, le=20)] = Field(
        2, description="NSD sessions of 750 trials, 250 pictures seen three times each (really 40)."
    )
    n_voxels: Annotated[int, Field(ge=16)] = Field(400, description="Voxels (really about 15,000).")
    n_latents: Annotated[int, Field(ge=2, le=48)] = Field(
        12, description="Dimensions of what the pictures show."
    )
    n_features: Annotated[int, Field(ge=2)] = Field(
        256, description="Width of the MindEye2-like embedding (really 4096)."
    )
    eeg_snr: Positive = Field(
        0.3, description="Root mean square of the evoked response over that of the noise, one trial."
    )
    seed: Seed = Field(0, description="Seed of everything that is drawn.")


class Config(Section):
    """The whole configuration."""

    results: PathText = Field("results", description="Folder for all outputs.")
    pairs: Pairs = Field(
        ["sub-01_subj01"],
        description="Pairs of a THINGS-EEG2 and an NSD subject; all: every pair of subjects whose data are "
        "there. sub-01_subj02-subj05 takes the fMRI of both, through one final_multisubject checkpoint.",
    )
    data: DataConfig = DataConfig()
    weights: WeightsConfig = WeightsConfig()
    eeg: EEGConfig = EEGConfig()
    clip: CLIPConfig = CLIPConfig()
    matching: MatchingConfig = MatchingConfig()
    clustering: ClusteringConfig = ClusteringConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    runs: Annotated[dict[Name, dict[str, dict[str, Any]]], Field(min_length=1)] = Field(
        {"multitoken_vit": {}},
        description="Runs by name; each lists what differs from the model, loss and training blocks.",
    )
    n_seeds: Count = Field(
        1, description="Trainings of each run, with training.seed, training.seed + 1 and so on."
    )
    baselines: Annotated[list[Baseline], Field(min_length=1)] = Field(
        list(get_args(Baseline)), description="Comparison models, fitted on the same training pairs."
    )
    evaluation: EvaluationConfig = EvaluationConfig()
    simulate: SimulateConfig | None = Field(
        None, description="Write synthetic raw data first; only for the demo and tests."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.pairs != "all":
            self._check_pairs()
        taken = RESERVED_RUNS & set(self.runs)
        if taken:
            raise ValueError(
                f"runs must not be called {', '.join(sorted(taken))}: these names are the baselines'"
            )
        if any(SEED_SUFFIX in name for name in self.runs):
            raise ValueError(f"runs must not contain {SEED_SUFFIX!r}: it names the further seeds of a run")
        if len(set(self.baselines)) < len(self.baselines):
            raise ValueError("baselines lists a name twice")
        if self.simulate is not None:
            self._check_simulated_paths()
            if self.pairs == "all" or "{subj}" not in self.weights.mindeye2:
                raise ValueError(
                    "with 'simulate', pairs must be a list and weights.mindeye2 contain {subj}: there are no "
                    "data yet to look for, and each simulated subject has a checkpoint of its own"
                )
        return self

    def _check_pairs(self) -> None:
        """Each pair once, its NSD subjects in one spelling and in one embedding space."""
        repeated = {pair for pair in self.pairs if self.pairs.count(pair) > 1}
        if repeated:
            raise ValueError(f"pairs lists {', '.join(sorted(repeated))} twice")
        for pair in self.pairs:
            subjects = members(PAIR.fullmatch(pair)[2])
            if subjects != sorted(set(subjects)):
                raise ValueError(f"pairs must name each NSD subject once, in ascending order, got {pair}")
            if len(subjects) > 1 and "{subj}" in self.weights.mindeye2:
                raise ValueError(
                    f"pairs combines the fMRI of {' and '.join(subjects)}, but weights.mindeye2 names a "
                    "checkpoint for each ({subj}), and each has an embedding space of its own; give the path "
                    "of one final_multisubject checkpoint"
                )

    def _check_simulated_paths(self) -> None:
        """Simulated files must never land in a folder of real data."""
        folder = str(PurePath(self.results, "raw"))
        paths = {f"data.{key}": path for key, path in self.data} | {
            f"weights.{key}": path for key, path in self.weights
        }
        for key, path in paths.items():
            if not PurePath(path).is_relative_to(folder):
                raise ValueError(f"with 'simulate', {key} must lie inside {folder!r}, got {path!r}")

    def run(self, name: str) -> RunConfig:
        """The blocks of run ``name``: the shared ones with the run's own values over them.

        Shared values that the run's pooling head does not use are left out; its own ones are an error.
        """
        overrides = self.runs[name]
        unknown = set(overrides) - set(RunConfig.model_fields)
        if unknown:
            raise InputError(unknown_key(f"runs.{name}.{sorted(unknown)[0]}", RunConfig, root=Config))
        blocks = {block: dict(getattr(self, block)) for block in RunConfig.model_fields}
        own = overrides.get("model", {})
        pooling = own.get("pooling", self.model.pooling)
        unused = UNUSED_OPTIONS.get(str(pooling), set())
        blocks["model"] = {key: value for key, value in blocks["model"].items() if key not in unused}
        merged = {block: values | overrides.get(block, {}) for block, values in blocks.items()}
        run = validate(RunConfig, merged, root=Config, prefix=f"runs.{name}.")
        if unused & set(own):
            used = ", ".join(key for key in ModelConfig.model_fields if key not in unused)
            raise InputError(
                f"config: runs.{name}.model.{min(unused & set(own))}: pooling {pooling!r} has no such "
                f"option; its options: {used}"
            )
        return run

    def seeded_runs(self) -> dict[str, RunConfig]:
        """Every training by the name of its folder: the run, RUN_seed-1 and so on for further seeds."""
        seeded = {}
        for name in sorted(self.runs):
            run = self.run(name)
            for seed in range(run.training.seed, run.training.seed + self.n_seeds):
                folder = name if seed == run.training.seed else f"{name}{SEED_SUFFIX}{seed}"
                training = run.training.model_copy(update={"seed": seed})
                seeded[folder] = run.model_copy(update={"training": training})
        return seeded


def load_config(content: Mapping[str, Any]) -> Config:
    """Check a configuration as read from YAML and fill in the defaults.

    Raises
    ------
    InputError
        Naming each wrong key, what was expected, what came, and the nearest valid key. Runs are checked too.
    """
    config = validate(Config, _without_empty_blocks(content), root=Config)
    for name in config.runs:
        n_heads = config.run(name).model.n_heads
        if config.simulate and config.simulate.n_features % n_heads:
            raise InputError(
                f"config: simulate.n_features: expected a multiple of {n_heads} (model.n_heads of "
                f"run {name}), got {config.simulate.n_features}"
            )
    return config


def _without_empty_blocks(content: Mapping[str, Any]) -> dict[str, Any]:
    """Blocks and runs that YAML reads as None, as nothing stands below their name, change nothing."""
    filled = {key: value for key, value in content.items() if value is not None}
    if isinstance(filled.get("runs"), Mapping):
        filled["runs"] = {
            run: {block: values or {} for block, values in (blocks or {}).items()}
            if isinstance(blocks or {}, Mapping)
            else blocks
            for run, blocks in filled["runs"].items()
        }
    return filled
