"""The blocks of the configuration on data: where they lie, and how they are prepared."""

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field, PlainSerializer, WrapValidator, model_validator

from brain2image.config.types import (
    Count,
    NonNegative,
    Notch,
    OptionalPathText,
    PathText,
    Person,
    PlainText,
    Positive,
    Section,
    Seed,
    dump_block,
    text_or_block,
)
from brain2image.constants.notches import NOTCH_SPACING


class DataConfig(Section):
    """Where the raw releases lie; a data set of your own adds its folders."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, PathText]

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
    nsddata: OptionalPathText = Field(
        "",
        description="Folder nsddata of NSD's own release, whose ROI nsdgeneral says where in the brain the "
        "voxels lie, and with its surfaces how the cortex looks, see docs/cortex.md; empty: no maps.",
    )
    alljoined1: PathText = Field(
        "data/alljoined1",
        description="Folder with Alljoined1's raw/ (OSF kqgs8), and NSD's nsd_expdesign.mat or its 05_125/.",
    )


class EEGConfig(Section):
    """Raw EEG; of preprocessed EEG, bad channels, clip and weights. 200 Hz and 0-1 s are CBraMod's."""

    highpass: Positive = Field(0.3, description="High-pass edge, Hz.")
    lowpass: Annotated[float, Field(gt=0, le=75)] = Field(
        75.0, description="Low-pass edge, Hz; 75 at most, it is also the anti-alias filter."
    )
    notch: Notch = Field(
        "mains",
        description="Power line frequency, or a list of them, Hz; their harmonics below the low-pass are "
        "removed too. mains: that of the place where it was recorded (THINGS-EEG2 50, Alljoined1 60).",
    )
    edge: NonNegative = Field(
        2.0,
        description="Leave out trials closer to an end of their part, s; the filters distort them.",
    )
    max_lost: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05,
        description="Share of a recording's sequences that may be dropped because of lost, additional, late "
        "or unknown event pulses; it is refused if there are more.",
    )
    baseline: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Subtract the mean of so many s before the onset; 0: none. It holds the answer to the "
        "pictures before.",
    )
    whiten: Literal["none", "session"] = Field(
        "session",
        description="Whiten raw EEG over channels by the noise of its session's training trials (Alljoined1: "
        "all trials), or leave it in microvolts; preprocessed releases are whitened already.",
    )
    clip: NonNegative = Field(
        5.0, description="Clamp the EEG at so many of each channel's standard deviations; 0: do not."
    )
    weigh_trials: bool = Field(
        True, description="Weigh trials by their noise, so that one with a burst counts less."
    )
    interpolate_bads: bool = Field(
        False,
        description="Interpolate broken channels from the others: a person's bad_channels or, where none are "
        "listed, those that the report's data quality would flag.",
    )
    bad_channels: dict[Person, list[str]] = Field(
        {},
        description="Broken channels by person, such as {things-01: [Fp1, Oz]}, for interpolate_bads; "
        "[]: none.",
    )

    @model_validator(mode="after")
    def _pass_something(self) -> "EEGConfig":
        if self.highpass >= self.lowpass:
            raise ValueError(
                f"highpass must lie below lowpass, got {self.highpass:g} and {self.lowpass:g} Hz"
            )
        if self.bad_channels and not self.interpolate_bads:
            raise ValueError("bad_channels changes nothing without interpolate_bads: true")
        notch = sorted(self.notch) if self.notch != "mains" else []
        if any(second - first < NOTCH_SPACING for first, second in pairwise(notch)):
            raise ValueError(f"notch: expected frequencies {NOTCH_SPACING:g} Hz apart at least, got {notch}")
        return self


class PreprocessConfig(Section):
    """How pictures are brought to CLIP's size and range."""

    mean: Annotated[list[float], Field(min_length=3, max_length=3)] = Field(
        description="Subtracted from red, green and blue, which lie between 0 and 1."
    )
    std: Annotated[list[Positive], Field(min_length=3, max_length=3)] = Field(description="Divided by.")
    interpolation: Literal["bicubic", "bilinear"] = Field(description="Of the resizing.")
    resize_mode: Literal["shortest", "longest", "squash"] = Field(
        description="The shortest side fits and the rest is cut off; the longest, with borders; or both."
    )


if TYPE_CHECKING:
    Preprocess = PlainText | PreprocessConfig
else:
    Preprocess = Annotated[
        PreprocessConfig,
        WrapValidator(text_or_block, json_schema_input_type=PlainText | PreprocessConfig),
        PlainSerializer(dump_block),
    ]


# "projected" is the embedding that CLIP compares with text; a number counts the vision tower's blocks from 1.
Layer = Literal["projected"] | Count


class CLIPConfig(Section):
    """The picture embedding by which pictures are matched."""

    model: PlainText = Field(
        "ViT-L-14-quickgelu", description="open_clip architecture; OpenAI's weights want a -quickgelu name."
    )
    batch_size: Count = Field(
        64, description="Pictures a forward pass; a GPU whose memory is too small for them takes fewer."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Number format of CLIP's products; auto: bf16 on a GPU that has it, else fp32, which "
        "recent GPUs compute as TF32.",
    )
    preprocess: Preprocess = Field(
        "auto",
        description="How pictures are prepared for weights from a file or URL: auto, as their metadata, the "
        "open_clip_config.json beside them, or all tags of the model say; the tag that they are weights of; "
        "or mean and std (three numbers each), interpolation (bicubic, bilinear) and resize_mode (shortest, "
        "longest, squash).",
    )

    layers: Annotated[list[Layer], Field(min_length=1)] = Field(
        ["projected"],
        description="Features from which the picture encoder may choose: projected, by which pictures are "
        "matched, or numbers of the vision transformer's blocks, 1 the first (class token and mean over "
        "patches).",
    )

    @model_validator(mode="after")
    def _differ(self) -> "CLIPConfig":
        if len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers lists one twice, got {self.layers}")
        return self


class LMDBConfig(Section):
    """The training set of each pair of brains."""

    eeg_dtype: Literal["float32", "float16"] = Field(
        "float32",
        description="How samples are stored; float16 halves the file, the log says by how much it is off.",
    )


class PictureEncoderConfig(Section):
    """From CLIP features to fMRI embeddings: fitted on scanned pictures, it predicts those of all others."""

    methods: Annotated[list[Literal["ridge", "kernel_ridge", "knn"]], Field(min_length=1)] = Field(
        ["ridge", "kernel_ridge"],
        description="Candidates, of which the one that predicts unseen pictures best is taken: ridge "
        "regression, linear or with an RBF kernel, or a mean of the 50 nearest pictures.",
    )
    n_folds: Annotated[int, Field(ge=2, le=100)] = Field(
        5, description="Folds of scanned pictures: each is predicted by a fit on the others."
    )
    seed: Seed = Field(0, description="Seed of the folds.")

    @model_validator(mode="after")
    def _differ(self) -> "PictureEncoderConfig":
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"methods lists one twice, got {self.methods}")
        return self


PICTURES_PER_SESSION, N_SHARED = 250, 1000  # of NSD


class SimulateConfig(Section):
    """Synthetic raw data in the real files' formats, for the demo and the tests."""

    n_concepts: Annotated[int, Field(ge=5)] = Field(60, description="THINGS training concepts (really 1654).")
    images_per_concept: Count = Field(5, description="Pictures of each concept (really 10).")
    n_test_concepts: Count = Field(10, description="THINGS test concepts, one picture each (really 200).")
    n_nsd_sessions: Annotated[int, Field(ge=1, le=20)] = Field(
        2, description="NSD sessions of 750 trials, 250 pictures seen three times each (really 40)."
    )
    nsd_shared: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Share of an NSD subject's pictures that all subjects saw (really a tenth)."
    )
    n_voxels: Annotated[int, Field(ge=16)] = Field(400, description="Voxels (really about 15,000).")
    n_latents: Annotated[int, Field(ge=2, le=48)] = Field(
        12, description="Dimensions of what the pictures show."
    )
    n_features: Annotated[int, Field(ge=2)] = Field(
        256, description="Width of the MindEye2-like embedding (really 4096)."
    )
    eeg_snr: Positive = Field(
        0.3,
        description="Root mean square of response over noise, in one trial of the median person.",
    )
    seed: Seed = Field(0, description="Seed of everything that is drawn.")

    @model_validator(mode="after")
    def _has_shared(self) -> "SimulateConfig":
        n_shared = round(PICTURES_PER_SESSION * self.n_nsd_sessions * self.nsd_shared)
        if not 1 <= n_shared <= N_SHARED:
            raise ValueError(
                f"expected 1 to {N_SHARED} shared pictures, as NSD has, got {n_shared} (n_nsd_sessions x "
                f"{PICTURES_PER_SESSION} x nsd_shared)"
            )
        return self
