"""Where the results of pictures, embeddings and pairs lie: the part of the plan about pictures."""

from functools import cached_property
from typing import Any

from brain2image.config import TrainingConfig
from brain2image.constants.brain_names import members
from brain2image.constants.electrodes import ALL
from brain2image.constants.pooling_names import ENCODERLESS
from brain2image.constants.target_kinds import CLIP
from brain2image.core.errors import InputError
from brain2image.datasets.base import EEGDataset
from brain2image.datasets.channel_names import find_channels, shared_channels
from brain2image.datasets.selection import Selection
from brain2image.plan_people import PeopleFiles, data_set_of

FMRI = "nsd"  # the data set whose embeddings the checkpoints of MindEye2 give


class PictureFiles(PeopleFiles):
    """The files of pictures and their pairs, as the rules spell them.

    Attributes
    ----------
    data : the data of the people of the config.
    """

    data: Selection

    def picture_set_table(self, person: str) -> str:
        """Return the table of the set of pictures of which an EEG person saw some or all."""
        return f"{self.results}/pictures/{self.data.picture_set_of(person)}.parquet"

    def picture_table(self, person: str) -> str:
        """Return the table of the pictures that an EEG person saw."""
        return self.pictures_of(self.data.eeg_dataset(person).name)

    @property
    def fmri_pictures(self) -> str:
        """Return the table of the pictures of the fMRI."""
        return f"{self.results}/pictures/{FMRI}.parquet"

    def pictures_of(self, dataset: str) -> str:
        """Return the table of the pictures that the people of a data set saw, with their concepts."""
        if self.data.picture_set(dataset) == FMRI:
            return f"{self.results}/pictures/{dataset}.shown.parquet"
        return f"{self.results}/pictures/{self.data.picture_set(dataset)}.parquet"

    def sets(self, dataset: str) -> tuple[str, str]:
        """Return the names of the pictures of both sides: the data set's, and the fMRI's."""
        return self.data.picture_set(dataset), FMRI

    def sets_of(self, person: str) -> tuple[str, str]:
        """Return the names of the pictures of both sides: the EEG person's, and the fMRI's."""
        return self.sets(self.data.eeg_dataset(person).name)

    def eeg_embeddings(self, person: str) -> list[str]:
        """List the CLIP embeddings of the pictures that an EEG person saw."""
        return self.shown_embeddings(self.data.eeg_dataset(person).name)

    def of_pairs(self, dataset: str, subj: str) -> dict[str, list[str]]:
        """Return the embeddings of the pictures of both sides, by the names of the scripts' inputs."""
        return {
            "eeg_embeddings": self.shown_embeddings(dataset),
            "fmri_embeddings": self._embeddings(FMRI, self.data.parts(FMRI, members(subj))),
        }

    def of_matching(self, dataset: str, subj: str) -> dict[str, list[str]]:
        """Return the embeddings by which pictures are matched, none for exact pairs."""
        return {} if self.is_exact(dataset) else self.of_pairs(dataset, subj)

    def of_other_sets(self, person: str, subj: str, run: str) -> dict[str, list[str]]:
        """Return what the audit of a run needs that learned from other data sets than the person's."""
        learned = {data_set_of(who) for who in self.learners(f"{person}_{subj}", run)}
        sets = {self.data.picture_set(name): self.shown_embeddings(name) for name in sorted(learned)}
        sets.pop(self.data.picture_set_of(person), None)
        if not sets:
            return {}
        return {
            **{f"of_{name}": files for name, files in sets.items()},
            "tested": [f"{self.results}/matching/{self._pairs_name(person, subj)}/tested.npz"],
            "fmri_embeddings": self.of_brains(person, subj)["fmri_embeddings"],
        }

    def of_brains(self, person: str, subj: str) -> dict[str, list[str]]:
        """Return the embeddings of the pictures of brains."""
        return self.of_pairs(self.data.eeg_dataset(person).name, subj)

    def shown_embeddings(self, dataset: str) -> list[str]:
        """List the CLIP embeddings of the pictures that the people of a data set saw."""
        return self._embeddings(self.data.picture_set(dataset), self.data.parts(dataset))

    def _embeddings(self, pictures: str, parts: list[str]) -> list[str]:
        return [f"{self.results}/clip/{pictures}/{part}.npz" for part in parts]

    def is_exact(self, dataset: str) -> bool:
        """Tell whether the pairs of a data set are of one picture each."""
        return self.config.matching.mode != "look_alike" and self.data.picture_set(dataset) == FMRI

    def is_exact_of(self, person: str) -> bool:
        """Tell whether the pairs of an EEG person are of one picture each."""
        return self.is_exact(self.data.eeg_dataset(person).name)

    def split_options(self, dataset: str) -> dict[str, Any]:
        """Return how the pairs of a data set are divided: the block `split`, and how many pairs there are.

        Raises
        ------
        InputError
            When what is to be tested is not there.
        """
        options = self.config.split.model_dump(exclude={"train", "drop_overlapping_trials"})
        is_exact, owner = self.is_exact(dataset), self.data.datasets[dataset]
        has_partition = isinstance(owner, EEGDataset) and owner.has_test_pictures and not is_exact
        if options["test_from"] == "auto":
            options["test_from"] = "test_partition" if has_partition else "shared1000"
        elif options["test_from"] == "test_partition" and not has_partition:
            raise InputError(
                f"config: split.test_from: expected shared1000 or any for {owner.title}, "
                f"{'whose pairs are exact' if is_exact else 'which keeps no pictures for testing'}, got "
                "test_partition"
            )
        return options | {"n_pairs": None if is_exact else self.config.matching.top_k}

    def split_options_of(self, person: str) -> dict[str, Any]:
        """Return how the pairs of an EEG person are divided."""
        return self.split_options(self.data.eeg_dataset(person).name)

    def check_pairs(self) -> None:
        """Refuse pairs that cannot be made of the data sets of the config."""
        for dataset in sorted({self.data.eeg_dataset(person).name for person in self.data.people}):
            self.split_options(dataset)
            title, pictures = self.data.datasets[dataset].title, self.data.picture_set(dataset)
            if self.config.matching.mode == "exact" and pictures != FMRI:
                raise InputError(
                    f"config: matching.mode: expected look_alike or auto for {title}, whose pictures are not "
                    f"{self.data.fmri_dataset.title}'s, got exact"
                )
            if self.config.simulate and pictures == FMRI and not self.is_exact(dataset):
                raise InputError(
                    f"config: matching.mode: expected exact or auto for simulated {title}, got look_alike"
                )

    def heard_channels(self, brains: str, run: str) -> list[str]:
        """List the channels that the encoder of a run, or a baseline, hears, in their order.

        It may hear those that all have who are learned from or tested, or that any has where missing ones are
        interpolated. Where a data set does not name its channels there are none.

        Raises
        ------
        InputError
            When the run chooses others, or chooses among those of a data set that does not name them.
        """
        chosen = self.runs[run].model.channels if run in self.runs else ALL
        owners = [self.data.eeg_dataset(who) for who in self.heard_people(brains, run)]
        if unnamed := next((owner for owner in owners if not owner.channels), None):
            if chosen == ALL:
                return []
            raise InputError(
                f"config: runs.{run}: expected {unnamed.title} to name its channels, of which model.channels "
                "chooses some, got none; give its class `channels = ('Oz', ...)`"
            )
        interpolates = run in self.runs and self.interpolates(run)
        try:
            heard = shared_channels([owner.channels for owner in owners], interpolates=interpolates)
            return [heard[row] for row in find_channels(chosen, heard)]
        except InputError as error:
            raise InputError(f"config: runs.{run}: {error}") from None

    def check_channels(self) -> None:
        """Refuse runs whose encoder is to hear channels that the EEG does not have."""
        for run, blocks in self.runs.items():
            for brains in self.brains if blocks.model.pooling != ENCODERLESS else ():
                self.heard_channels(brains, run)

    def pairs(self, person: str, subj: str) -> str:
        """Return the table of pairs, which all people of a data set share."""
        return f"{self.results}/pairs/{self._pairs_name(person, subj)}.parquet"

    @cached_property
    def trainings(self) -> list[TrainingConfig]:
        """List the training blocks of all that learns: the runs', and the one that baselines follow."""
        return [self.config.training, *(run.training for run in self.runs.values())]

    def predicted(self, person: str, subj: str) -> str | list[str]:
        """Return the predicted embeddings of the EEG's pictures, nothing where nobody learns from them."""
        if all(training.targets in ("measured", CLIP) for training in self.trainings):
            return []
        return f"{self.results}/projection/{self._pairs_name(person, subj)}.predicted.h5"

    def clip_targets(self, brains: str, run: str) -> list[str]:
        """List the embeddings from which a training learns, nothing where it learns from fMRI."""
        if not self.has_clip_targets(run):
            return []
        return self.eeg_embeddings(self.learners(brains, run)[0])  # all saw the pictures of one data set

    def clip_targets_of(self, person: str, run: str) -> list[str]:
        """List the embeddings on which a training is tested, nothing where it is on fMRI."""
        return self.eeg_embeddings(person) if self.has_clip_targets(run) else []

    def encoder_record(self, person: str, subj: str) -> str | list[str]:
        """Return what is known of the picture encoder, nothing where nobody learns from its predictions."""
        predicted = self.predicted(person, subj)
        return predicted and str(predicted).replace(".predicted.h5", ".encoder.json")

    def learnable(self, person: str, subj: str) -> str | list[str]:
        """Return the table of all pictures that may be learned from, nothing where the pairs are enough."""
        if all(training.pictures == "paired" for training in self.trainings):
            return []
        return f"{self.results}/pairs/{self._pairs_name(person, subj)}.pictures.parquet"

    def candidates(self, person: str, subj: str) -> str:
        """Return the table of all pairs of pictures, of which the best are used."""
        return f"{self.results}/matching/{self._pairs_name(person, subj)}/candidates.parquet"

    def _pairs_name(self, person: str, subj: str) -> str:
        return f"{data_set_of(person)}_{subj}"
