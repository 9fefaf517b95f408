"""Which files the public releases consist of. Only names are looked at here; readers look inside."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from brain2image.errors import InputError

THINGS_EEG: Mapping[str, Sequence[str]] = {
    "raw": [
        f"{{sub}}/ses-{session:02d}/raw_eeg_{part}.npy"
        for session in (1, 2, 3, 4)
        for part in ("training", "test")
    ],
    "ubp": ["{sub}/train.pt", "{sub}/test.pt"],
    "nice": ["{sub}/preprocessed_eeg_training.npy", "{sub}/preprocessed_eeg_test.npy"],
    "neurobridge": ["{sub}/train.npy", "{sub}/test.npy", "info.json"],
}

NSD: Mapping[str, Sequence[str]] = {
    "mindeye2": [
        "betas_all_{subj}_fp32_renorm.hdf5",
        "wds/{subj}",
        "COCO_73k_subj_indices.hdf5",
        "shared1000.npy",
        "coco_images_224_float16.hdf5",
    ],
    "mindeye1": [
        *(f"webdataset_avg_new/train/train_{{subj}}_{shard}.tar" for shard in range(18)),
        "webdataset_avg_new/val/val_{subj}_0.tar",
        *(f"webdataset_avg_new/test/test_{{subj}}_{shard}.tar" for shard in range(2)),
    ],
}


def find_release(
    folder: str | Path, releases: Mapping[str, Sequence[str]], **subject: str
) -> tuple[str, list[str]]:
    """The release that lies in a folder, and its files.

    Parameters
    ----------
    folder : where the release was unpacked.
    releases : `THINGS_EEG` or `NSD`: patterns of the paths below ``folder``.
    subject : ``sub="sub-01"`` or ``subj="subj01"``, filled into the patterns.

    Raises
    ------
    InputError
        When none is whole (naming what the most complete one lacks), or several lie in the same folder.
    """
    files = {
        name: [str(Path(folder, pattern.format(**subject))) for pattern in patterns]
        for name, patterns in releases.items()
    }
    missing = {name: [path for path in paths if not Path(path).exists()] for name, paths in files.items()}
    whole = [name for name in files if not missing[name]]
    if len(whole) == 1:
        return whole[0], files[whole[0]]
    who = next(iter(subject.values()))
    if whole:
        raise InputError(
            f"{folder}: expected one release of {who}, got {' and '.join(whole)}; "
            "keep them in separate folders"
        )
    nearest = min(files, key=lambda name: len(missing[name]) / len(files[name]))
    if len(missing[nearest]) == len(files[nearest]):
        known = "; ".join(f"{name}: {paths[0]}, ..." for name, paths in files.items())
        raise InputError(f"{folder}: expected a release of {who}, got no file of any ({known})")
    raise InputError(
        f"{folder}: expected the {len(files[nearest])} files of the {nearest} release of {who}, "
        f"{len(missing[nearest])} are missing: {', '.join(missing[nearest][:5])}"
        f"{', ...' if len(missing[nearest]) > 5 else ''}; download them"
    )
