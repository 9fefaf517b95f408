"""Where the results of pictures, embeddings and pairs lie: the part of the plan about pictures."""

from functools import cached_property
from itertools import product
from typing import Any

from brain2image.config import TrainingConfig
from brain2image.constants.brain_names import PICTURES, divide_brains, has_fmri, members
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

    def partner_pictures(self, dataset: str, subj: str) -> str:
        """Return the table of the pictures on the other side of pairs: the fMRI's, or the data set's own."""
        return self.fmri_pictures if has_fmri(subj) else self.pictures_of(dataset)

    def partner_pictures_of(self, person: str, subj: str) -> str:
        """Return the table of the pictures on the other side of an EEG person's pairs."""
        return self.partner_pictures(data_set_of(person), subj)

    def sets(self, dataset: str, subj: str) -> tuple[str, str]:
        """Return the names of the pictures of both sides: the data set's, and the fMRI's or its own again."""
        own = self.data.picture_set(dataset)
        return own, FMRI if has_fmri(subj) else own

    def sets_of(self, person: str, subj: str) -> tuple[str, str]:
        """Return the names of the pictures of both sides: the EEG person's, and the fMRI's."""
        return self.sets(data_set_of(person), subj)

    def eeg_embeddings(self, person: str) -> list[str]:
        """List the CLIP embeddings of the pictures that an EEG person saw."""
        return self.shown_embeddings(self.data.eeg_dataset(person).name)

    def of_pairs(self, dataset: str, subj: str) -> dict[str, list[str]]:
        """Return the embeddings of the pictures of both sides, by the names of the scripts' inputs."""
        own = self.shown_embeddings(dataset)
        scanned = self._embeddings(FMRI, self.data.parts(FMRI, members(subj))) if has_fmri(subj) else own
        return {"eeg_embeddings": own, "fmri_embeddings": scanned}

    def of_matching(self, dataset: str, subj: str) -> dict[str, list[str]]:
        """Return the embeddings by which pictures are matched, none for exact pairs."""
        return {} if self.is_exact(dataset, subj) else self.of_pairs(dataset, subj)

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

    def projection(self, subj: str) -> str | list[str]:
        """Return the measured embeddings of the fMRI, nothing where there is none."""
        return f"{self.results}/projection/{subj}.h5" if has_fmri(subj) else []

    def is_exact(self, dataset: str, subj: str) -> bool:
        """Tell whether the pairs of a data set are of one picture each."""
        is_nsd = self.data.picture_set(dataset) == FMRI
        return not has_fmri(subj) or (self.config.matching.mode != "look_alike" and is_nsd)

    def is_exact_of(self, person: str, subj: str) -> bool:
        """Tell whether the pairs of an EEG person are of one picture each."""
        return self.is_exact(data_set_of(person), subj)

    def split_options(self, dataset: str, subj: str) -> dict[str, Any]:
        """Return how the pairs of a data set are divided: the block `split`, and how many pairs there are.

        ``test_from`` stays ``auto`` where only the table of pictures says whether some were kept for testing.

        Raises
        ------
        InputError
            When what is to be tested is not there.
        """
        options = self.config.split.model_dump(exclude={"train", "drop_overlapping_trials"})
        is_exact, owner = self.is_exact(dataset, subj), self.data.datasets[dataset]
        keeps = owner.has_test_pictures if isinstance(owner, EEGDataset) else False
        why_not = {
            "any": "",
            "shared1000": "" if has_fmri(subj) else "as there is no fMRI",
            "test_partition": "which keeps no pictures for testing" if keeps is False else "",
        }
        if is_exact and has_fmri(subj):
            why_not["test_partition"] = "whose pairs are exact"
        if reason := why_not.get(options["test_from"]):
            allowed = " or ".join(name for name in reversed(why_not) if not why_not[name])
            raise InputError(
                f"config: split.test_from: expected {allowed} for {owner.title}, {reason}, got "
                f"{options['test_from']}"
            )
        if options["test_from"] == "auto" and (keeps is not None or why_not["test_partition"]):
            options["test_from"] = next(name for name in reversed(why_not) if not why_not[name])
        return options | {"n_pairs": None if is_exact else self.config.matching.top_k}

    def split_options_of(self, person: str, subj: str) -> dict[str, Any]:
        """Return how the pairs of an EEG person are divided."""
        return self.split_options(data_set_of(person), subj)

    def check_pairs(self) -> None:
        """Refuse pairs that cannot be made of the data sets of the config."""
        sides = sorted({divide_brains(brains)[1] for brains in self.brains})
        names = sorted({data_set_of(person) for person in self.data.people})
        for dataset, subj in product(names, sides):
            self.split_options(dataset, subj)
            title, pictures = self.data.datasets[dataset].title, self.data.picture_set(dataset)
            if pictures == FMRI and not has_fmri(subj):
                raise InputError(
                    f"config: brains: expected somebody's fMRI for {title}, whose pictures are "
                    f"{self.data.fmri_dataset.title}'s, got {PICTURES}"
                )
            if self.config.matching.mode == "exact" and pictures != FMRI:
                raise InputError(
                    f"config: matching.mode: expected look_alike or auto for {title}, whose pictures are not "
                    f"{self.data.fmri_dataset.title}'s, got exact"
                )
            if self.config.simulate and pictures == FMRI and not self.is_exact(dataset, subj):
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

    def check_without_fmri(self) -> None:
        """Refuse what needs fMRI where brains are of pictures alone."""
        alone = [brains for brains in self.brains if not has_fmri(brains)]
        if not alone:
            return
        if len(alone) < len(self.brains):
            raise InputError(
                f"config: brains: expected either somebody's fMRI everywhere or pictures alone, got "
                f"{alone[0]} beside others; write a config for each"
            )
        needing = {
            f"runs.{run}.training.targets": "clip"
            for run in self.config.runs
            if not self.has_clip_targets(run)
        }
        needing |= {"baselines": "[]"} if self.config.baselines else {}
        needing |= {"decoding.tokens": "false"} if self.config.decoding.tokens else {}
        for key, expected in needing.items():
            raise InputError(f"config: {key}: expected {expected}, as {alone[0]} has no fMRI")

    def pairs(self, person: str, subj: str) -> str:
        """Return the table of pairs, which all people of a data set share."""
        return f"{self.results}/pairs/{self._pairs_name(person, subj)}.parquet"

    @cached_property
    def trainings(self) -> list[TrainingConfig]:
        """List the training blocks of all that learns: the runs', and the one that baselines follow."""
        return [self.config.training, *(run.training for run in self.runs.values())]

    def predicted(self, person: str, subj: str) -> str | list[str]:
        """Return the predicted embeddings of the EEG's pictures, nothing where nobody learns from them."""
        if not has_fmri(subj) or all(one.targets in ("measured", CLIP) for one in self.trainings):
            return []
        return f"{self.results}/projection/{self._pairs_name(person, subj)}.predicted.h5"

    def clip_targets(self, brains: str, run: str) -> list[str]:
        """List the embeddings from which a training learns, nothing where it learns from fMRI."""
        if not self.has_clip_targets(run):
            return []
        return self.eeg_embeddings(self.learners(brains, run)[0])  # all saw the pictures of one data set

    def thumbnails(self, brains: str, run: str) -> list[str]:
        """List the small pictures that a training shows, in the order of its `training_sets`."""
        subj = divide_brains(brains)[1]
        names = (self._pairs_name(person, subj) for person in self.learners(brains, run))
        return [f"{self.results}/pairs/{name}.thumbnails.parquet" for name in names]

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
