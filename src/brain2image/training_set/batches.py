"""The LMDB as batches of training examples, and as means of every pair."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from brain2image.core.errors import InputError
from brain2image.training_set.examples import TARGETS, Trials, draw_trials, list_examples
from brain2image.training_set.items import Pictures, Targets, item_weights, list_items, target_sources
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import list_eeg_trials, trial_weights

GIGABYTE = 1e9
LOAD_BLOCK = 256  # trials copied to the device at once
ORDER, DRAWS = 0, 1  # two streams of random numbers for every (seed, epoch)


class AlignmentDataset(Dataset):
    """EEG trials with the embeddings that are learned from.

    ``dataset[3]`` is one example: eeg (n_channels, n_times) float32 in its stored unit, target
    (n_features,) float32 in embedding units, image (of the EEG), person (its number), cluster and weight.
    ``dataset[[3, 1, 4]]`` is a batch: the same as tensors with an axis ahead. Which trials an example
    averages and which repetition it takes follows from (seed, epoch), so that it is the same in memory and
    from the file, in this process and in a worker.

    Parameters
    ----------
    source : the LMDB file, or a reader, of several people too.
    split : ``train``, ``val`` or ``test``.
    average_trials : the example is the mean of a random number, from one to this many, of the picture's
        trials, its own one included.
    fmri : a measured target of an EEG trial is the ``mean`` over the picture's fMRI repetitions, or a random
        one (``sample``); with ``cross`` every repetition makes an example with every EEG trial.
    targets, pictures : what is learned from, see `items.list_items`.
    measured_weight, similarity_weight : see `items.item_weights`.
    seed : seed of the draws.
    memory_limit_gb : a split of at most this size is held in memory, a larger one is read batch by batch.
    device : where it is held.
    coordinates : (n_trials, linear_axes) float32, what the linear path makes of each EEG trial of the
        split, in the order of their numbers; examples then hold its mean over their trials.

    Attributes
    ----------
    items : the table of what is learned from.
    n_clusters : number of clusters of the pictures of all splits.

    Raises
    ------
    InputError
        When the split has no pairs, an option is unknown, or values are not finite.
    """

    def __init__(
        self,
        source: str | Path | LMDBReader,
        split: str,
        *,
        average_trials: int = 1,
        fmri: Literal["mean", "sample", "cross"] = "mean",
        targets: Targets = "measured",
        pictures: Pictures = "paired",
        measured_weight: float = 1.0,
        similarity_weight: float = 0.0,
        seed: int = 0,
        memory_limit_gb: float = 0.0,
        device: str = "cpu",
        coordinates: np.ndarray | None = None,
    ):
        if average_trials < 1:
            raise InputError(f"average_trials: expected 1 or more, got {average_trials}")
        if fmri not in TARGETS:
            raise InputError(f"fmri: expected one of {', '.join(TARGETS)}, got {fmri!r}")
        self.reader = source if isinstance(source, LMDBReader) else LMDBReader(source)
        self.average_trials, self.fmri, self.seed = average_trials, fmri, seed
        self.items = list_items(self.reader, split, targets=targets, pictures=pictures)
        self.n_clusters = int(max(table["cluster"].max() for table in (self.reader.pairs, self.items))) + 1
        self._trials = {
            "eeg": Trials(list_eeg_trials(self.reader, self.items)),
            "target": Trials(_number_targets(self.reader, self.items)),
        }
        self._examples = list_examples(*self._trials.values(), cross=fmri == "cross")
        size = sum(
            len(trials.numbers) * 4 * np.prod(self.reader.shape(name))
            for name, trials in self._trials.items()
        )
        self.in_memory = size <= memory_limit_gb * GIGABYTE
        self.device = torch.device(device if self.in_memory else "cpu")
        self._tables = {name: self._load(name) for name in self._trials if self.in_memory}
        if coordinates is not None:
            self._tables["coordinates"] = torch.from_numpy(coordinates).to(self.device)
        # a trial's weight, and an item's
        self._counts = trial_weights(self.reader, "eeg")[self._trials["eeg"].numbers]
        weights = item_weights(self.items, measured=measured_weight, similarity=similarity_weight)
        columns = {
            "image": self.items["image"].to_numpy(np.int64),
            "person": self.items["person"].to_numpy(np.int64),
            "cluster": self.items["cluster"].to_numpy(np.int64),
            "weight": weights,
        }
        self._numbers = {
            name: torch.from_numpy(column[self._examples.item]).to(self.device)
            for name, column in columns.items()
        }
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draw what the examples of an epoch consist of."""
        rng = np.random.default_rng((self.seed, epoch, DRAWS))
        rows = {
            "eeg": draw_trials(self._examples, self._trials["eeg"], self.average_trials, rng),
            "target": TARGETS[self.fmri](self._examples, self._trials["target"], rng),
        }
        counts = {"eeg": self._counts, "target": np.ones(len(self._trials["target"].numbers), np.float32)}
        # on the device once an epoch: a transfer in every step would wait for the step before
        self._draws = {name: _weighted(table, counts[name], self.device) for name, table in rows.items()}
        self._draws["coordinates"] = self._draws["eeg"]  # linear in the EEG, so their mean is the mean's

    def __len__(self) -> int:
        return len(self._examples.item)

    def __getitem__(self, examples: int | Sequence[int] | Tensor) -> dict[str, Any]:
        if isinstance(examples, int | np.integer):
            batch = self[[examples]]
            return {name: value[0] if value.ndim > 1 else value.item() for name, value in batch.items()}
        examples = torch.as_tensor(examples, device=self.device)
        eeg, target = (self._means(name, examples) for name in ("eeg", "target"))
        n_channels = self.reader.shape("eeg")[0]
        batch = {
            "eeg": rearrange(eeg, "trials (channels times) -> trials channels times", channels=n_channels),
            "target": target,
            **{name: values[examples] for name, values in self._numbers.items()},
        }
        if "coordinates" in self._tables:
            batch["coordinates"] = self._means("coordinates", examples)
        return batch

    def _load(self, name: str) -> Tensor:
        """Load all trials as (n_trials, n_values) float32 on the device."""
        numbers = self._trials[name].numbers
        table = torch.empty(len(numbers), int(np.prod(self.reader.shape(name))), device=self.device)
        for start in range(0, len(numbers), LOAD_BLOCK):
            rows = self._read(name, numbers[start : start + LOAD_BLOCK])
            table[start : start + len(rows)] = rearrange(torch.from_numpy(rows), "trials ... -> trials (...)")
        return table

    def _read(self, name: str, numbers: np.ndarray) -> np.ndarray:
        """Read EEG trials or targets; predicted ones are numbered behind the measured ones."""
        if name == "eeg":
            return self.reader.read("eeg", numbers)
        n_measured = len(self.reader.fmri_index)
        is_measured = numbers < n_measured
        rows = np.empty((len(numbers), *self.reader.shape(name)), np.float32)
        rows[is_measured] = self.reader.read("fmri", numbers[is_measured])
        rows[~is_measured] = self.reader.read("predicted", numbers[~is_measured] - n_measured)
        return rows

    def _means(self, name: str, examples: Tensor) -> Tensor:
        """Average the trials that each example draws, (n_examples, n_values) float32."""
        rows, weights = (table[examples] for table in self._draws[name])
        if name in self._tables:
            table = self._tables[name]
        else:
            used, rows = rows.unique(return_inverse=True)
            values = self._read(name, self._trials[name].numbers[used.numpy()])
            table = rearrange(torch.from_numpy(values), "trials ... -> trials (...)")
        # gathers and adds in one pass, in a quarter of the time of table[rows].mean(1)
        return F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")


class Batches:
    """The batches of a dataset for Lightning, in an order that follows from (seed, epoch).

    Where several processes train together, each gets an equal share of every batch; rows that cannot be
    shared equally are left out. Lightning asks for the state when it saves a checkpoint; an epoch that was
    cut off goes on at the next batch.

    Parameters
    ----------
    dataset : the training examples, at least two.
    batch_size : examples of a step, in all processes together.
    n_workers : processes that read a dataset that is not in memory.
    """

    def __init__(self, dataset: AlignmentDataset, batch_size: int, *, n_workers: int = 0):
        self.dataset, self.batch_size = dataset, min(batch_size, len(dataset))
        self.n_workers = 0 if dataset.in_memory else n_workers
        self.epoch = self.position = 0
        self.sampler = self  # where Lightning looks for set_epoch

    def __len__(self) -> int:
        # a batch of one row has no negatives and no prototypes
        n_processes, n_left = _process()[1], len(self.dataset) % self.batch_size
        return len(self.dataset) // self.batch_size + (n_left >= max(2, n_processes))

    def set_epoch(self, epoch: int) -> None:
        """Pass on the epoch, which Lightning tells at its start."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        """Return how many batches of the epoch are done."""
        return {"position": self.position % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after so many batches."""
        self.position = state["position"]

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        self.position %= len(self)
        self.dataset.set_epoch(self.epoch)
        order = np.random.default_rng((self.dataset.seed, self.epoch, ORDER)).permutation(len(self.dataset))
        rank, n_processes = _process()
        batches = torch.from_numpy(order).to(self.dataset.device).split(self.batch_size)[: len(self)]
        shares = [batch[: len(batch) // n_processes * n_processes][rank::n_processes] for batch in batches]
        try:
            for batch in self._read(shares[self.position :]):
                self.position += 1
                yield batch
        except InputError as error:  # a worker's has its traceback around it
            raise InputError(str(error).splitlines()[-1].rpartition("InputError: ")[2]) from None

    def _read(self, shares: list[Tensor]) -> Iterable[dict[str, Tensor]]:
        if not self.n_workers:
            return (self.dataset[share] for share in shares)
        return DataLoader(
            self.dataset,
            batch_size=None,
            sampler=shares,
            num_workers=self.n_workers,
            pin_memory=torch.cuda.is_available(),
        )


def _process() -> tuple[int, int]:
    """Return the rank of this process and the number of processes that train together."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def _number_targets(reader: LMDBReader, items: pd.DataFrame) -> list[np.ndarray]:
    """List the numbers of each item's targets; those of predicted ones come behind all measured ones."""
    numbers: list[np.ndarray] = [np.empty(0, np.int64)] * len(items)
    for kind, rows in items.groupby("kind"):
        name, trials = target_sources(reader, str(kind), rows)
        first = 0 if name == "fmri" else len(reader.fmri_index)
        for row, own in zip(rows.index, trials, strict=True):
            numbers[row] = own + first
    return numbers


def _weighted(rows: np.ndarray, counts: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return rows to average, each (n_examples, width), and their weights; padding (-1) weighs nothing."""
    exists = rows >= 0
    weights = np.where(exists, counts[rows], 0)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    rows = np.where(exists, rows, rows[:, :1])
    return torch.from_numpy(rows).to(device), torch.from_numpy(weights).to(device)
