"""What every rule file uses: the checked configuration, folders, and the fingerprint of a rule's source."""

import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

import brain2image
from brain2image.config import PAIR, load_config
from brain2image.errors import InputError
from brain2image.fingerprint import source_fingerprint

try:
    cfg = load_config(config)
except InputError as error:
    raise WorkflowError(str(error))

# Jobs in conda environments import the very source that was fingerprinted here.
os.environ["PYTHONPATH"] = str(Path(brain2image.__file__).parents[1])


pathvars:
    results=cfg.results,
    logs=f"{cfg.results}/logs",
    benchmarks=f"{cfg.results}/benchmarks",


wildcard_constraints:
    sub=r"sub-\d{2}",
    subj=r"subj0[1-8]",
    run=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    dataset="things|nsd",


THINGS_SUBJECTS = sorted({PAIR.fullmatch(pair)[1] for pair in cfg.pairs})
NSD_SUBJECTS = sorted({PAIR.fullmatch(pair)[2] for pair in cfg.pairs})

# Everything that is evaluated: the runs, the ridge baseline and, where it is known, the ceiling.
PREDICTORS = [*cfg.runs, "ridge", *(["ceiling"] if cfg.simulate else [])]

DOWNLOADS = {
    "things_images": "training_images.zip and test_images.zip from osf.io/y63gw, image_metadata.npy from osf.io/qkgtf",
    "things_eeg": "the raw sub-XX.zip archives of THINGS-EEG2 (Figshare+ 18470912)",
    "nsd": "betas_all_subj0X_fp32_renorm.hdf5, wds/, coco_images_224_float16.hdf5, COCO_73k_subj_indices.hdf5 "
    "and shared1000.npy from huggingface.co/datasets/pscotti/mindeyev2",
}


def code(rule):
    """Fingerprint of the script and the library code that a rule runs (a change of either reruns the rule)."""
    return source_fingerprint(Path(workflow.basedir) / "workflow" / "scripts" / f"{rule}.py")


def raw(folder, *names):
    """Input function for files of the raw releases; says what to download where one is missing."""
    patterns = [f"{getattr(cfg.data, folder)}/{name}" for name in names]

    def find(wildcards):
        paths = [pattern.format(**wildcards) for pattern in patterns]
        missing = [path for path in paths if not Path(path).exists()]
        if missing and not cfg.simulate:
            raise WorkflowError(
                f"{missing[0]}: no such file or folder. Download {DOWNLOADS[folder]} into "
                f"{Path(getattr(cfg.data, folder)).resolve()}, or change data.{folder} in the config"
            )
        return paths

    return find


def weights_file(key):
    """Input function for a file of pretrained weights; an open_clip tag is no file and gives no input."""
    pattern = getattr(cfg.weights, key)

    def find(wildcards):
        path = pattern.format(**wildcards)
        is_tag = key == "clip" and not Path(path).suffix
        if is_tag:
            return []
        if not Path(path).exists() and not cfg.simulate:
            raise WorkflowError(
                f"{path}: no such file. README.md, 'Your own data', says where to download it; "
                f"or change weights.{key} in the config"
            )
        return path

    return find
