"""Where the results of pictures, embeddings and pairs lie: the part of the plan about pictures."""

from functools import cached_property

from brain2image.config import TrainingConfig
from brain2image.constants.brain_names import members
from brain2image.datasets.selection import Selection
from brain2image.plan_people import PeopleFiles

FMRI = "nsd"  # the data set whose embeddings the checkpoints of MindEye2 give


class PictureFiles(PeopleFiles):
    """The files of pictures and their pairs, as the rules spell them.

    Attributes
    ----------
    data : the data of the people of the config.
    """

    data: Selection

    def picture_table(self, person: str) -> str:
        """Return the table of the pictures that an EEG person saw."""
        return self.pictures_of(self.data.eeg_dataset(person).name)

    @property
    def fmri_pictures(self) -> str:
        """Return the table of the pictures of the fMRI."""
        return f"{self.results}/pictures/{FMRI}.parquet"

    def pictures_of(self, dataset: str) -> str:
        """Return the table of the pictures that the people of a data set saw."""
        return f"{self.results}/pictures/{self.data.picture_set(dataset)}.parquet"

    def sets(self, dataset: str) -> tuple[str, str]:
        """Return the names of the pictures of both sides: the data set's, and the fMRI's."""
        return self.data.picture_set(dataset), FMRI

    def sets_of(self, person: str) -> tuple[str, str]:
        """Return the names of the pictures of both sides: the EEG person's, and the fMRI's."""
        return self.sets(self.data.eeg_dataset(person).name)

    def eeg_embeddings(self, person: str) -> list[str]:
        """List the CLIP embeddings of the pictures that an EEG person saw."""
        return self._embeddings(self.data.picture_set_of(person))

    def of_pairs(self, dataset: str, subj: str) -> dict[str, list[str]]:
        """Return the embeddings of the pictures of both sides, by the names of the scripts' inputs."""
        return {
            "eeg_embeddings": self._embeddings(self.data.picture_set(dataset)),
            "fmri_embeddings": self._embeddings(FMRI, subj),
        }

    def of_brains(self, person: str, subj: str) -> dict[str, list[str]]:
        """Return the embeddings of the pictures of brains."""
        return self.of_pairs(self.data.eeg_dataset(person).name, subj)

    def _embeddings(self, dataset: str, subjects: str = "") -> list[str]:
        parts = self.data.parts(dataset, members(subjects) if subjects else ())
        return [f"{self.results}/clip/{dataset}/{part}.npz" for part in parts]

    def pairs(self, person: str, subj: str) -> str:
        """Return the table of pairs, which all people of a data set share."""
        return f"{self.results}/pairs/{self._pairs_name(person, subj)}.parquet"

    @cached_property
    def trainings(self) -> list[TrainingConfig]:
        """List the training blocks of all that learns: the runs', and the one that baselines follow."""
        return [self.config.training, *(run.training for run in self.runs.values())]

    def predicted(self, person: str, subj: str) -> str | list[str]:
        """Return the predicted embeddings of the EEG's pictures, nothing where nobody learns from them."""
        if all(training.targets == "measured" for training in self.trainings):
            return []
        return f"{self.results}/projection/{self._pairs_name(person, subj)}.predicted.h5"

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
        return f"{person.rpartition('-')[0]}_{subj}"
