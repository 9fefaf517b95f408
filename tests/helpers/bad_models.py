"""Bad weights, and bad files that the workflow itself made: name, damage and message of every case."""

import json

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from helpers.damage import Payload, edit_dataset, edit_hdf5, overwrite, save_pickle
from helpers.small_releases import N_FEATURES, N_VOXELS, write_checkpoint, write_projection, write_ridge

# ---- weights


def checkpoint(**tensors):
    return lambda root: write_checkpoint(root, **tensors)


def save_torch(name, make, **options):
    return lambda root: torch.save(make(root), root / name, **options)


def flip_in_storage(root):
    """Damage one bit of the ridge's weight, whose ones are easily found."""
    content = bytearray((root / "last.pth").read_bytes())
    content[content.find(np.ones(9, np.float32).tobytes())] ^= 1
    (root / "last.pth").write_bytes(content)


CHECKPOINT = {
    "other keys": (save_torch("last.pth", lambda root: {"weights": 1}), r"with 'model_state_dict', but "),
    "no ridge": (checkpoint(weight=None, bias=None), r"expected one ridge .*got 0;"),
    "bias missing": (checkpoint(bias=None), r"got \(8, 6\) and None;"),
    "other shapes": (checkpoint(bias=torch.zeros(3)), r"got \(8, 6\) and \(3,\);"),
    "NaN": (
        checkpoint(bias=torch.full((N_FEATURES,), torch.nan)),
        r"last\.pth: expected finite weights, got NaN or infinity in bias; download",
    ),
    "integers": (checkpoint(bias=torch.arange(N_FEATURES)), r"got a LongStorage"),
    "transposed": (checkpoint(weight=torch.ones(N_VOXELS, N_FEATURES).T), r"expected a contiguous tensor"),
    "another subject": (
        checkpoint(weight=torch.ones(N_FEATURES, 14278)),
        r"15724 voxels, got 14278, .*subj02",
    ),
    "a bit flipped": (flip_in_storage, r"weight \(its checksum \(CRC-32\) is wrong\)"),
    "old format": (
        save_torch("last.pth", lambda root: {"model_state_dict": {}}, _use_new_zipfile_serialization=False),
        r"it has the format of PyTorch before 1\.6.*; load it with PyTorch and save it again",
    ),
    "code": (
        save_torch("last.pth", lambda root: {"model_state_dict": Payload(root)}),
        r"last\.pth: expected .*but it would call \w+\.mkdir",
    ),
}
RIDGE = "ridge.safetensors"


def betas_dataset(change):
    return edit_dataset("betas.h5", "betas", change)


def with_sample(value):
    def change(array):
        array[9, 3] = value
        return array

    return change


def delete(name, key):
    return edit_hdf5(name, lambda file: file.__delitem__(key))


PROJECT = {
    "NaN": (betas_dataset(with_sample(np.nan)), r"betas\.h5: expected finite betas, got NaN .* in row 9;"),
    "infinity": (betas_dataset(with_sample(-np.inf)), r"betas\.h5: expected finite betas, got .* in row 9;"),
    "overflow": (betas_dataset(with_sample(1e30)), r"betas\.h5: expected z-scored betas .*got inf;"),
    "not z-scored": (betas_dataset(lambda a: 300 * a), r"z-scored betas .* of 0\.3 to 3\.0, got [23]\d\d;"),
    "silence": (betas_dataset(lambda a: 0 * a), r"expected z-scored betas .*got 0;"),
    "float64": (betas_dataset(lambda a: a.astype(float)), r"betas float32 .*got float64 \(10, 6\);"),
    "one axis": (betas_dataset(lambda a: a[:, 0]), r"betas float32 .*got float32 \(10,\);"),
    "rows not the trials": (betas_dataset(lambda a: a[:-1]), r"as its table, 10, got float32 \(9, 6\);"),
    "no trials": (delete("betas.h5", "trials"), r"betas\.h5: expected a table of trials, got betas;"),
    "a column missing": (delete("betas.h5", "trials/image"), r"betas\.h5: cannot read this HDF5 file"),
    "overwritten": (overwrite("betas.h5", "betas"), r"betas\.h5: cannot read this HDF5 file"),
    "ridge of another width": (
        lambda root: write_ridge(root, torch.ones(N_FEATURES, 7), torch.zeros(N_FEATURES)),
        r"betas\.h5: expected betas of 7 voxels, the width of .*ridge\.safetensors, got 6; .*same NSD",
    ),
    "ridge and bias": (
        lambda root: write_ridge(root, torch.ones(N_FEATURES, N_VOXELS), torch.zeros(3)),
        r"ridge\.safetensors: expected .*got float32 \(8, 6\), float32 \(3,\)",
    ),
    "ridge in float64": (
        lambda root: write_ridge(root, torch.ones(N_FEATURES, N_VOXELS).double(), torch.zeros(N_FEATURES)),
        r"ridge\.safetensors: expected .*got float64",
    ),
    "ridge with NaN": (
        lambda root: write_ridge(
            root, torch.full((N_FEATURES, N_VOXELS), torch.nan), torch.zeros(N_FEATURES)
        ),
        r"ridge\.safetensors: expected finite weights, got NaN or infinity in weight; download the",
    ),
    "ridge without bias": (
        lambda root: save_file({"weight": np.ones((2, 6), np.float32)}, root / RIDGE),
        r"ridge\.safetensors: cannot read this ridge \(.*bias",
    ),
    "ridge without source": (
        lambda root: save_file({"weight": np.ones((2, 6), "f4"), "bias": np.ones(2, "f4")}, root / RIDGE),
        r"ridge\.safetensors: expected .*checkpoint, sha256.*and nothing;",
    ),
    "ridge in bfloat16": (
        lambda root: write_ridge(root, torch.ones(N_FEATURES, N_VOXELS).bfloat16(), torch.zeros(N_FEATURES)),
        r"ridge\.safetensors: cannot read this ridge \(.*bfloat16",
    ),
    "no voxels": (betas_dataset(lambda a: a[:, :0]), r"betas float32 .*got float32 \(10, 0\);"),
    "a pickle for a ridge": (
        lambda root: save_pickle(Payload(root), root / RIDGE),
        r"ridge\.safetensors: cannot read this ridge",
    ),
}


def projection(**source):
    return lambda root: write_projection(root / "subj02.h5", **source)


COMBINE = {
    "another checkpoint": (projection(sha256="cd" * 32), r"subj02\.h5: expected .* last\.pth, .*of its own"),
    "another file": (projection(checkpoint="other.pth"), r"subj02\.h5: expected .*got other\.pth"),
    "no source": (
        edit_hdf5("subj02.h5", lambda file: file.attrs.__delitem__("sha256")),
        r"subj02\.h5: expected the attributes checkpoint, sha256, got checkpoint;",
    ),
    "rows not the trials": (
        edit_dataset("subj02.h5", "embedding", lambda array: array[1:]),
        r"subj02\.h5: expected embedding .*as its table, 12, got float32 \(11, 8\);",
    ),
    "another width": (
        edit_dataset("subj02.h5", "embedding", lambda array: array[:, 1:]),
        r"subj02\.h5: expected 8 features, as in .*subj01\.h5, got 7;",
    ),
    "no embedding": (
        delete("subj02.h5", "embedding"),
        r"subj02\.h5: expected a dataset 'embedding', got trials;",
    ),
    "no trials": (delete("subj01.h5", "trials"), r"subj01\.h5: expected a table of trials, got embedding;"),
}
WRITE_LMDB = {
    "EEG rows not the trials": (
        edit_dataset("eeg.h5", "eeg", lambda array: array[1:]),
        r"eeg\.h5: expected eeg .*as its table, 12, got float32 \(11, 4, 200\);",
    ),
    "EEG with two axes": (
        edit_dataset("eeg.h5", "eeg", lambda a: a[:, 0]),
        r"eeg\.h5: .*got float32 \(12, 200\);",
    ),
    "EEG without unit": (
        edit_hdf5("eeg.h5", lambda file: file.attrs.__delitem__("unit")),
        r"eeg\.h5: expected the attributes unit, sfreq, t0, channels, got .*channels",
    ),
    "EEG of other pictures": (
        edit_hdf5("eeg.h5", lambda file: file["trials/image"].__setitem__(slice(None), 7)),
        r"eeg\.h5: expected trials of some pairs of each split, got none for train and val and test \(6 of",
    ),
    "EEG overwritten": (overwrite("eeg.h5", "eeg"), r"eeg\.h5: cannot read this HDF5 file"),
    "no embedding": (delete("projection.h5", "embedding"), r"projection\.h5: expected a dataset 'embedding'"),
    "embedding float64": (
        edit_dataset("projection.h5", "embedding", lambda array: array.astype(float)),
        r"projection\.h5: expected embedding float32 .*got float64",
    ),
}


def state(name, change):
    def damage(root):
        tensors = torch.load(root / name, weights_only=True)
        torch.save(change(dict(tensors)), root / name)

    return damage


def code_in(name):
    return save_torch(name, lambda root: {"state_dict": Payload(root)})


MASK = "patch_embedding.mask_encoding"
CBRAMOD = {
    "key missing": (
        state("cbramod.pth", lambda s: s.pop("proj_out.0.bias") is None or s),
        r"1 missing .first: proj",
    ),
    "key added": (
        state("cbramod.pth", lambda s: s | {"x": torch.zeros(2)}),
        r"1 are unknown and 0 missing .*x\)",
    ),
    "another shape": (
        state("cbramod.pth", lambda s: s | {MASK: torch.zeros(9)}),
        r"of shape \(200,\), got \(9,\)",
    ),
    "no tensor": (state("cbramod.pth", lambda s: s | {MASK: 3}), r"of shape \(200,\), got None"),
    "a list": (state("cbramod.pth", list), r"expected a dictionary of tensors, got list"),
    "NaN": (
        state("cbramod.pth", lambda s: s | {MASK: torch.full_like(s[MASK], torch.nan)}),
        rf"cbramod\.pth: expected finite weights, got NaN or infinity in {MASK}; download",
    ),
    "code": (code_in("cbramod.pth"), r"cbramod\.pth: expected .*but they cannot be read"),
}
POSITIONS = "visual.positional_embedding"
CLIP = {
    "another shape": (
        state("clip.pt", lambda s: s | {"visual.proj": torch.zeros(3, 3)}),
        r"clip\.pt: expected weights of ViT-S-32-alt, but they cannot be loaded \(.*; download them again",
    ),
    "infinity": (
        state("clip.pt", lambda s: s | {"visual.proj": s["visual.proj"] * torch.inf}),
        r"clip\.pt: expected finite weights, got NaN or infinity in visual\.proj; download them again",
    ),
    "another picture size": (
        state("clip.pt", lambda s: s | {POSITIONS: s[POSITIONS].repeat(2, 1)[:82]}),
        r"clip\.pt: expected weights of ViT-S-32-alt, with 50 positions of a picture, got 82, those of",
    ),
    "code": (code_in("clip.pt"), r"clip\.pt: expected weights of ViT-S-32-alt, but they cannot be loaded"),
}

# ---- what the workflow itself made


def edit_config(**values):
    def damage(root):
        config = json.loads((root / "config.json").read_text()) | values
        (root / "config.json").write_text(json.dumps(config))

    return damage


RUN = {
    "another width": (edit_config(n_features=16), r"expected a trained run .*but Error.* train it again"),
    "NaN": (
        lambda root: save_file(
            {
                name: np.full_like(array, np.nan)
                for name, array in load_file(root / "model.safetensors").items()
            },
            root / "model.safetensors",
        ),
        r"model\.safetensors: expected finite weights, got NaN or infinity in .*; train it again",
    ),
    "config without channels": (
        edit_config(eeg={}),
        r"expected a trained run with config\.json .*'channels'",
    ),
    "code": (
        lambda root: save_pickle(Payload(root), root / "model.safetensors"),
        r"expected a trained run with config\.json and model\.safetensors, but",
    ),
}


def predictions(**change):
    def damage(root):
        with np.load(root / "predictions.npz") as file:
            arrays = {**file, **change}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        np.savez(root / "predictions.npz", **arrays)

    return damage


def code_in_predictions(root):
    predictions(targets=np.array([Payload(root)], object))(root)


PREDICTIONS = {
    "array missing": (predictions(targets=None), r"predictions\.npz: expected .*but .*targets"),
    "other rows": (
        predictions(targets=np.ones((3, N_FEATURES))),
        r"predictions\.npz: expected .*one row a pair, got .*\(6, 8\), .*\(3, 8\)",
    ),
    "NaN": (predictions(predictions=np.full((6, N_FEATURES), np.nan)), r"expected finite .*got NaN"),
    "code": (code_in_predictions, r"predictions\.npz: expected .*but .*Object arrays"),
}

CASES = {
    "checkpoint": CHECKPOINT,
    "project": PROJECT,
    "combine": COMBINE,
    "write lmdb": WRITE_LMDB,
    "cbramod": CBRAMOD,
    "clip": CLIP,
    "run": RUN,
    "predictions": PREDICTIONS,
}
