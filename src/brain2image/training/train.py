"""Training: from the LMDB to a model whose EEG embeddings lie where the fMRI embeddings do."""

import logging
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset

from brain2image import __version__
from brain2image.config import RunConfig, TrainingConfig
from brain2image.constants.target_kinds import CLIP
from brain2image.core.atomic import atomic_path
from brain2image.core.devices import compute_devices, device_name
from brain2image.core.disk import explained_disk_errors
from brain2image.core.errors import InputError
from brain2image.formats.files import write_json
from brain2image.formats.precision import resolve_precision
from brain2image.models.alignment import AlignmentModel
from brain2image.training.board_pictures import BoardPictures
from brain2image.training.judging import is_finished
from brain2image.training.last_words import explained_errors, quiet_lightning
from brain2image.training.resume import (
    InBackground,
    Resumption,
    StateFile,
    computing_libraries,
    epochs_done,
    hand_on_signals,
    only_one,
    read_state,
    run_identity,
)
from brain2image.training.start import (
    build_model,
    check_frozen,
    frozen_weights,
    open_data,
    start_linearly,
)
from brain2image.training.task import AlignmentTask
from brain2image.training_set.batches import AlignmentDataset, Batches
from brain2image.training_set.items import describe_items, list_items
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_pairs

logger = logging.getLogger(__name__)

STRATEGY = "ddp_spawn"  # of several GPUs; a fork would inherit what CUDA has begun
# Lightning's names.
PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "fp32": "32-true",
    "tf32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def train(
    lmdbs: str | Path | Sequence[str | Path],
    *,
    run: RunConfig,
    weights: str | Path | None,
    code: str,
    state: str | Path,
    tested: Sequence[str | Path] = (),
    clip: Sequence[str | Path] = (),
    thumbnails: Sequence[str | Path] = (),
    n_devices: int = 1,
    n_workers: int = 0,
    model: str | Path,
    config: str | Path,
    history: str | Path,
    tensorboard: str | Path,
) -> None:
    """Train on the training pairs and keep the weights of the epoch with the lowest validation loss.

    Goes on with what an earlier, killed training of the same data, settings and code left in ``state``; also
    with a finished one whose number of epochs was raised since.

    Parameters
    ----------
    lmdbs : the training set, of `lmdb_build.write_lmdb`, or those of several people.
    run : model, loss and training blocks.
    weights : the encoder's published ones; None when ``run.model.pretrained`` is false.
    code : fingerprint of the source, the encoder's too.
    state : folder of the state and the TensorBoard events; it must outlive a failed job.
    tested, clip : see `start.open_data`.
    thumbnails : small pictures of the validation pairs, of `thumbnails.shrink_pictures`, a file for each of
        ``lmdbs``; without any TensorBoard shows no pictures.
    n_devices : GPUs that share every batch; without CUDA it is one CPU.
    n_workers : processes that read a training set above ``memory_limit_gb``.
    model, config, history, tensorboard : outputs: safetensors, JSON, CSV with a row an epoch, folder.

    Raises
    ------
    InputError
        When the pretrained weights are missing or wrong, a split has no pairs, values or the loss are not
        finite, or the memory is too small.
    """
    reader, state = open_data(lmdbs, run, tested=tested, clip=clip), Path(state)
    file, events = state / "state.ckpt", state / "tensorboard"
    with (
        quiet_lightning(),
        explained_errors(run.training),
        explained_disk_errors(state),
        only_one(state),
    ):
        devices = compute_devices(n_devices)
        precision = resolve_precision(run.training.precision, devices[0])
        logger.info("the model's products are computed in %s", precision)
        identity = run_identity(reader.paths, run=run, weights=weights, code=code, precision=precision)
        if tested:  # which are no sources of what is learned, but of their channels
            identity["channels"] = list(reader.meta["channels"])
        torch.manual_seed(run.training.seed)
        aligner = build_model(reader, run=run, weights=weights)
        frozen = frozen_weights(aligner)
        coordinates = start_linearly(aligner, reader, run) if run.model.linear_axes else None
        batches = _training_batches(reader, run, devices, n_workers, coordinates)
        pictures = _board_pictures(reader, run, thumbnails)
        task = AlignmentTask(aligner, run=run, batches=batches, identity=identity, pictures=pictures)
        kept = read_state(file, identity, epochs=run.training.epochs)
        if kept is None:
            shutil.rmtree(state, ignore_errors=True)
        if kept is None or not is_finished(epochs_done(kept), kept["best_epoch"], run.training):
            trainer = _trainer(run.training, devices, precision, file=file, events=events, kept=kept)
            validation = _validation_batches(reader, run, devices)
            with hand_on_signals(trainer):
                trainer.fit(task, val_dataloaders=validation, ckpt_path=file if kept else None)
    outputs = {"model": model, "config": config, "history": history, "tensorboard": tensorboard}
    # read from the file, as processes that trained together have ended with what they knew
    result = StateFile().load_checkpoint(file)["training"]
    check_frozen(frozen, result["best_weights"])
    made = {"precision": precision, "device": device_name(devices[0])}
    _write_best(aligner, reader, result, run=run, made=made, events=events, outputs=outputs)


def _training_batches(
    reader: LMDBReader, run: RunConfig, devices: list[str], n_workers: int, coordinates: np.ndarray | None
) -> Batches:
    options = run.training
    dataset = AlignmentDataset(
        reader,
        "train",
        average_trials=options.average_trials,
        fmri=options.fmri,
        targets=options.targets,
        pictures=options.pictures,
        measured_weight=options.measured_weight,
        similarity_weight=options.similarity_weight,
        seed=options.seed,
        memory_limit_gb=options.memory_limit_gb,
        device=_home(devices),
        coordinates=coordinates,
    )
    needed = max(2, len(devices))
    if min(len(dataset), options.batch_size) < needed:
        raise InputError(
            f"{reader.path}: expected at least {needed} training examples in a batch, got {len(dataset)} "
            f"in all and training.batch_size {options.batch_size}; make more pairs or use fewer GPUs"
        )
    if options.batch_size > len(dataset):
        logger.info(
            "training.batch_size %d is reduced to all %d training examples", options.batch_size, len(dataset)
        )
    return Batches(dataset, options.batch_size, n_workers=n_workers)


def _board_pictures(
    reader: LMDBReader, run: RunConfig, thumbnails: Sequence[str | Path]
) -> BoardPictures | None:
    if not thumbnails:
        return None
    answer = "eeg_image" if run.training.targets == CLIP else "fmri_image"
    pairs = reader.pairs_of("val")
    return BoardPictures(pairs, people=reader.people, thumbnails=thumbnails, answer=answer)


def _validation_batches(reader: LMDBReader, run: RunConfig, devices: list[str]) -> DataLoader:
    """Load the validation pairs, on the device once and for all."""
    eeg, targets, pairs = read_pairs(reader, "val")
    columns = eeg, targets, *(pairs[name].to_numpy(np.int64) for name in ("eeg_image", "cluster", "person"))
    parts = (torch.from_numpy(rows).to(_home(devices)).split(run.training.batch_size) for rows in columns)
    batches = cast(Dataset, list(zip(*parts, strict=True)))  # a list does all that PyTorch asks of one
    return DataLoader(batches, batch_size=None)


def _home(devices: list[str]) -> str:
    """Return where data are held: several processes share what is in the machine's memory."""
    return devices[0] if len(devices) == 1 else "cpu"


def _trainer(
    options: TrainingConfig,
    devices: list[str],
    precision: str,
    *,
    file: Path,
    events: Path,
    kept: dict[str, Any] | None,
) -> L.Trainer:
    on_gpu = devices != ["cpu"] * len(devices)
    if precision == "fp16" and not on_gpu:
        raise InputError("training.precision: fp16 needs a GPU and none was found; use bf16 or fp32")
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    n_done = epochs_done(kept) if kept else 0
    return L.Trainer(
        max_epochs=options.epochs,
        accelerator="gpu" if on_gpu else "cpu",
        devices=[torch.device(name).index for name in devices] if on_gpu else len(devices),
        strategy=STRATEGY if len(devices) > 1 else "auto",
        # Lightning starts the processes, also under SLURM, where it would else wait for srun to do so.
        plugins=[LightningEnvironment(), InBackground(StateFile())],
        precision=PRECISIONS[precision],
        accumulate_grad_batches=options.accumulate_batches,
        gradient_clip_val=options.gradient_clip,
        deterministic="warn" if on_gpu else None,
        # all of validation ahead of the first step, for the start competes with the epochs
        num_sanity_val_steps=0 if kept else -1,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=on_terminal,
        callbacks=[Resumption(file, options.save_minutes), *([RichProgressBar()] if on_terminal else [])],
        # events of an epoch that the state does not have are hidden
        logger=TensorBoardLogger(events.parent, name="", version=events.name, purge_step=n_done + 1),
        default_root_dir=file.parent,
    )


def _write_best(
    aligner: AlignmentModel,
    reader: LMDBReader,
    result: dict[str, Any],
    *,
    run: RunConfig,
    made: dict[str, str],
    events: Path,
    outputs: dict[str, str | Path],
) -> None:
    """Write the best epoch's weights and how they came about, from a finished training's state."""
    with atomic_path(outputs["model"]) as scratch:
        save_file(result["best_weights"], scratch)
    aligner.load_state_dict(result["best_weights"])
    eeg, targets, pairs = read_pairs(reader, "val")
    parts = map(torch.from_numpy, (eeg, targets, pairs["person"].to_numpy(np.int64)))
    outcome = {
        **made,
        "best_epoch": result["best_epoch"],
        "network_share": aligner.network_share.item() if aligner.encoder else None,
        "query_effect": aligner.query_effect(*parts),
    }
    write_json(outputs["config"], _resolved(reader, aligner, run) | outcome)
    with atomic_path(outputs["history"]) as scratch:
        pd.DataFrame(result["history"]).to_csv(scratch, index=False)
    with atomic_path(outputs["tensorboard"]) as scratch:
        shutil.copytree(events, scratch)


def _resolved(reader: LMDBReader, aligner: AlignmentModel, run: RunConfig) -> dict[str, Any]:
    data, options = reader.describe(), run.training
    items = list_items(reader, "train", targets=options.targets, pictures=options.pictures)
    return {
        **run.model_dump(),
        **data,
        "eeg": data["eeg"] | {"n_times": aligner.layout.n_times, "scale": aligner.eeg_scale.item()},
        "encoder": aligner.encoder.describe() if aligner.encoder else None,
        "learned_from": describe_items(reader, items, options.targets),
        "people_known": list(aligner.people),
        "seed": run.training.seed,
        "versions": {"brain2image": __version__} | {name: version(name) for name in computing_libraries(run)},
    }
