"""Shared by all files here: the checked configuration, folders, input functions, fingerprints."""

import os
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

import brain2image
from brain2image.config import (
    SEED_SUFFIX,
    WITHOUT_EFFECT,
    check_config_file,
    list_runs,
    list_settings,
    load_config,
)
from brain2image.core.encoder_names import encoder_file
from brain2image.errors import InputError
from brain2image.fingerprint import source_fingerprint
from brain2image.records import keep_beside
from brain2image.releases import NSD, PAIR, THINGS_EEG, find_left_out, find_pairs, find_release, members
from brain2image.sources import CLIP_CONFIG, check_file, is_remote, redact, true_sources

# A --configfile replaces the user's file, it is not merged with it.
CONFIGFILES = workflow.overwrite_configfiles or ["config/config.yaml"]

try:
    for file in CONFIGFILES:
        check_config_file(file)
except InputError as error:
    raise WorkflowError(str(error))

if not workflow.overwrite_configfiles:

    configfile: CONFIGFILES[0]


try:
    cfg = load_config(config, checkout=workflow.basedir)
    # Sorted, so that the order of keys and lists in the config makes nothing stale.
    PAIRS = sorted(find_pairs(cfg.data.things_eeg, cfg.data.nsd) if cfg.pairs == "all" else cfg.pairs)
    LEFT_OUT = find_left_out(cfg.data.things_eeg, cfg.data.nsd) if cfg.pairs == "all" else {}
except InputError as error:
    raise WorkflowError(str(error))

if workflow.is_main_process:
    for subject, reason in LEFT_OUT.items():
        logger.warning(f"pairs: all leaves out {subject}: {reason}")

# What made a result is noted beside it, for other checkouts and copies.
keep_beside(cfg.results, workflow)

# Jobs, those in conda environments too, import the very source that was fingerprinted here.
SOURCE = str(Path(brain2image.__file__).parents[1])
os.environ.update(PYTHONPATH=os.pathsep.join([SOURCE, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))

# A variable and no param, as the device changes no result: nothing reruns when it changes.
os.environ.update(BRAIN2IMAGE_ALLOW_CPU=str(cfg.allow_cpu))

# OpenMP's threads spin while they wait, which halves the speed of jobs side by side; a short spin costs nothing
# (one training alone 9.1 -> 9.3 s, two on the same two cores 36 -> 17 s).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


pathvars:
    results=cfg.results,
    logs=f"{cfg.results}/logs",
    benchmarks=f"{cfg.results}/benchmarks",


wildcard_constraints:
    sub=r"sub-\d{2}",
    subj=r"subj0[1-8](-subj0[1-8])*",
    run=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    dataset="things|nsd",


THINGS_SUBJECTS = sorted({PAIR.fullmatch(pair)[1] for pair in PAIRS})
NSD_SUBJECTS = sorted({subj for pair in PAIRS for subj in members(PAIR.fullmatch(pair)[2])})

# Params, which Snakemake keeps and prints, hold sources without their secrets; jobs find the true ones here.
os.environ.update(
    true_sources(
        [
            cfg.weights.clip,
            cfg.weights.cbramod,
            *(cfg.weights.mindeye2.format(subj=subj) for subj in NSD_SUBJECTS),
        ]
    )
)

RUNS = cfg.seeded_runs()

# Everything that is evaluated, by the name of its folder: the runs, the baselines and, where it is known, the
# ceiling; with the run that it is a seed of.
PREDICTORS = {
    folder: {"run": folder.partition(SEED_SUFFIX)[0], "seed": run.training.seed}
    for folder, run in RUNS.items()
} | {
    name: {"run": name, "seed": None}
    for name in (*sorted(cfg.baselines), *(["ceiling"] if cfg.simulate else []))
}

# What starts from the published CBraMod.
FROM_CBRAMOD = {
    *(name for name, run in RUNS.items() if run.model.pretrained),
    *({"cbramod_linear"} & set(cfg.baselines)),
}

# What the fetch rules write; of a remote MindEye2 checkpoint, extract_ridge reads the parts that it needs.
FETCHED = {
    "cbramod": f"{cfg.results}/weights/cbramod.pth",
    "clip": f"{cfg.results}/weights/clip",
    "mindeye2": [],
}

DOWNLOADS = {
    "things_images": "training_images.zip and test_images.zip from osf.io/y63gw, image_metadata.npy from osf.io/qkgtf",
}

# What jobs read of the NSD releases: the pictures' table, the fMRI, the betas behind its links, the pixels.
NSD_INPUTS = {
    "mindeye2": {
        "images": ["coco_images_224_float16.hdf5", "COCO_73k_subj_indices.hdf5", "shared1000.npy"],
        "fmri": [
            "betas_all_{subj}_fp32_renorm.hdf5",
            "COCO_73k_subj_indices.hdf5",
            "shared1000.npy",
            "wds/{subj}",
        ],
        "betas": ["betas_all_{subj}_fp32_renorm.hdf5"],
        "pixels": ["coco_images_224_float16.hdf5"],
    },
    "mindeye1": {"images": NSD["mindeye1"], "fmri": NSD["mindeye1"], "betas": [], "pixels": NSD["mindeye1"]},
}


def code(rule):
    """Fingerprint of the script and the library code that a rule runs (a change of either reruns the rule)."""
    return source_fingerprint(Path(workflow.basedir) / "workflow" / "scripts" / f"{rule}.py")


def growing(first):
    """A resource that doubles with each attempt (`--retries`); `first` may depend on the wildcards."""
    return lambda wildcards, attempt: (first(wildcards) if callable(first) else first) * 2 ** (attempt - 1)


def raw(folder, *names):
    """Input function for files of the raw releases; says what to download where one is missing."""
    patterns = [f"{getattr(cfg.data, folder)}/{name}" for name in names]

    def find(wildcards):
        paths = [pattern.format(**wildcards) for pattern in patterns]
        missing = [path for path in paths if not Path(path).exists()]
        if missing and not cfg.simulate:
            raise WorkflowError(
                f"{missing[0]}: no such file or folder. Download and unpack {DOWNLOADS[folder]} into "
                f"{Path(getattr(cfg.data, folder)).resolve()}, or change data.{folder} in the config"
            )
        return paths if len(paths) > 1 else paths[0]

    return find


def things_eeg(wildcards):
    """Name and files of the release of a THINGS-EEG2 subject; the synthetic one is raw."""
    folder = cfg.data.things_eeg
    if cfg.simulate:
        return "raw", [f"{folder}/{pattern.format(**wildcards)}" for pattern in THINGS_EEG["raw"]]
    try:
        return find_release(folder, THINGS_EEG, **wildcards)
    except InputError as error:
        raise WorkflowError(
            f"{error}. README.md, 'Your own data', says from where; or change data.things_eeg"
        )


def is_raw(wildcards):
    """Whether the EEG of a THINGS-EEG2 subject is raw, not preprocessed."""
    return things_eeg(wildcards)[0] == "raw"


def eeg_options(wildcards):
    """What of the block eeg concerns a THINGS-EEG2 subject; of preprocessed EEG little can be chosen."""
    options = cfg.eeg.model_dump()
    listed = options.pop("bad_channels").get(wildcards.sub)
    # None: those that are flagged
    options["bads"] = listed if options.pop("interpolate_bads") else []
    return options if is_raw(wildcards) else {name: options[name] for name in ("baseline", "bads")}


def training_images(wildcards):
    """The folder of the THINGS training pictures; UBP and NeuroBridge call it train_images."""
    names = ("training_images", "train_images")
    found = (name for name in names if Path(cfg.data.things_images, name).exists())
    return raw("things_images", next(found, names[0]))(wildcards)


@cache
def nsd_release():
    """The release of NSD that lies in data.nsd; simulated data, which are not there yet, are MindEye2's."""
    if cfg.simulate:
        return "mindeye2"
    try:
        found = {subj: find_release(cfg.data.nsd, NSD, subj=subj)[0] for subj in NSD_SUBJECTS}
    except InputError as error:
        raise WorkflowError(f"{error}. README.md, 'Your own data', says from where; or change data.nsd")
    if len(set(found.values())) > 1:
        raise WorkflowError(f"{cfg.data.nsd}: expected one release for all NSD subjects, got {found}")
    return found[NSD_SUBJECTS[0]]


def nsd_files(use, subjects):
    """Paths of what jobs read of the NSD release, each once."""
    patterns = NSD_INPUTS[nsd_release()][use]
    return list(
        dict.fromkeys(
            f"{cfg.data.nsd}/{pattern}".format(subj=subj) for subj in subjects for pattern in patterns
        )
    )


# The open_clip tag of the CLIP weights; None where they are a file or a URL.
CLIP_TAG = None if "/" in cfg.weights.clip or Path(cfg.weights.clip).suffix else cfg.weights.clip


def is_fetched(key):
    """Whether the workflow downloads these weights."""
    return is_remote(getattr(cfg.weights, key)) or (key == "clip" and CLIP_TAG is not None)


def weights_file(key):
    """Input function for pretrained weights: the user's file, or where a fetch rule puts the download."""

    def find(wildcards):
        if is_fetched(key):
            return FETCHED[key]
        path = getattr(cfg.weights, key).format(**wildcards)
        try:
            if not cfg.simulate:
                check_file(path)
        except InputError as error:
            raise WorkflowError(f"config: weights.{key}: {error}")
        return path

    return find


def clip_config(wildcards):
    """The file beside the user's CLIP weights that says how pictures are prepared for them, if there is one."""
    beside = [] if is_fetched("clip") else [Path(cfg.weights.clip).with_name(CLIP_CONFIG)]
    return [str(path) for path in beside if path.exists()]


def cbramod_weights(wildcards):
    """The pretrained CBraMod weights, for the runs that start from them and the baseline that reads them."""
    return weights_file("cbramod")(wildcards) if wildcards.run in FROM_CBRAMOD else []


def training_record(wildcards):
    """Config and history of a network's training; baselines have none."""
    folder = "<results>/runs/{sub}_{subj}/{run}"
    return [f"{folder}/config.json", f"{folder}/history.csv"] if wildcards.run in RUNS else []


def fetched_weights():
    """Everything that this config downloads."""
    is_needed = {
        FETCHED["clip"]: is_fetched("clip"),
        FETCHED["cbramod"]: is_fetched("cbramod") and bool(FROM_CBRAMOD),
        "<results>/projection/{subj}_ridge.safetensors": is_fetched("mindeye2"),
    }
    return [expand(path, subj=NSD_SUBJECTS) for path in is_needed if is_needed[path]]


# Where the pixels of each dataset lie: what a job waits for, and the path that the dataset's reader takes.
PIXELS = {
    "things": lambda wildcards: [training_images(wildcards), raw("things_images", "test_images")(wildcards)],
    "nsd": lambda wildcards: nsd_files("pixels", NSD_SUBJECTS),
}
PIXEL_ROOTS = {"things": cfg.data.things_images, "nsd": cfg.data.nsd}


def all_pixels(wildcards):
    """The raw pictures of both datasets."""
    return [*PIXELS["things"](wildcards), *PIXELS["nsd"](wildcards)]


def all_figures():
    """Every figure of the report."""
    names = [
        "pairs",
        "clusters",
        "training",
        "retrieval",
        "curves",
        "comparisons",
        *(f"gallery_{run}" for run in [*RUNS, *({"ridge"} & set(cfg.baselines))]),
    ]
    return [
        *expand("<results>/figures/{pair}/{name}.svg", pair=PAIRS, name=names),
        *expand(
            "<results>/figures/{sub}/{name}.svg",
            sub=THINGS_SUBJECTS,
            name=["channels", "spectra", "responses"],
        ),
        *expand("<results>/figures/{subj}/noise_ceilings.svg", subj=NSD_SUBJECTS),
    ]


def all_tables():
    """Every page of the report but those on how it was made, which come last."""
    return [
        "<results>/figures/overview.html",
        *expand("<results>/figures/{pair}/{name}.html", pair=PAIRS, name=["scores", "ceilings", "audit"]),
    ]


def benchmark_names():
    """Names of subjects, pairs, runs and datasets that stand in the benchmark files of this config."""
    subjects = {subject for pair in PAIRS for subject in pair.split("_")}
    return sorted({*PAIRS, *subjects, *NSD_SUBJECTS, *PREDICTORS, "things", "nsd"})


def all_fingerprints():
    """The fingerprint of every rule that makes a result; complete once the whole workflow has been read."""
    return {rule.name: code(rule.name) for rule in workflow.rules if rule.script and rule.output}
