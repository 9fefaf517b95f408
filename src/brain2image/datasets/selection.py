"""What of the data sets a config reads: files of people, tables of pictures, readers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from brain2image.datasets.base import Brain, Dataset, EEGDataset, FMRIDataset, Source

if TYPE_CHECKING:
    from brain2image.config.data import EEGConfig


class Selection:
    """The data of the people of a config.

    Parameters
    ----------
    datasets : all data sets by name.
    folders : the config's block ``data``.
    people, subjects : those whose EEG and whose fMRI are read.
    fmri : name of the data set of the fMRI.
    must_exist : whether the files must be there; simulated ones are made first.
    """

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        folders: Mapping[str, str],
        *,
        people: Sequence[str],
        subjects: Sequence[str],
        fmri: str,
        must_exist: bool,
    ):
        self.datasets, self.folders = dict(datasets), dict(folders)
        self.people, self.subjects = list(people), list(subjects)
        self.fmri_name, self.must_exist = fmri, must_exist

    def eeg_dataset(self, person: str) -> EEGDataset:
        """Return the data set of an EEG person."""
        dataset = self.datasets[person.rpartition("-")[0]]
        assert isinstance(dataset, EEGDataset)  # the plan has checked the people
        return dataset

    @property
    def fmri_dataset(self) -> FMRIDataset:
        """Return the data set of the fMRI."""
        dataset = self.datasets[self.fmri_name]
        assert isinstance(dataset, FMRIDataset)
        return dataset

    def people_of(self, dataset: str) -> list[str]:
        """List the people of a data set whose data are read."""
        return [who for who in (*self.people, *self.subjects) if who in self.datasets[dataset].people]

    def picture_set(self, dataset: str) -> str:
        """Return the name of the pictures that the people of a data set saw, a data set's too."""
        owner = self.datasets[dataset]
        return (owner.picture_set if isinstance(owner, EEGDataset) else None) or dataset

    def picture_set_of(self, person: str) -> str:
        """Return the name of the pictures that an EEG person saw."""
        return self.picture_set(self.eeg_dataset(person).name)

    def images(self, dataset: str) -> Source:
        """Return what the table of a data set's pictures is made of."""
        return self.datasets[dataset].find_images(
            self.folders, self.people_of(dataset), must_exist=self.must_exist
        )

    def pixels(self, *datasets: str) -> list[str]:
        """List what must be there before pictures of data sets are read."""
        found = (
            self.datasets[name].find_pixels(self.folders, self.people_of(name), must_exist=self.must_exist)
            for name in datasets
        )
        return [file for files in found for file in files]

    def reading(self, dataset: str) -> dict[str, str]:
        """Return what a script needs to read pictures of a data set: the reader and the folder."""
        owner = self.datasets[dataset]
        return {"reader": owner.picture_reader, "root": owner.root(self.folders)}

    def pictures(self, *datasets: str) -> list[dict[str, str]]:
        """List what a script needs to read and name pictures of data sets."""
        return [self.reading(name) | {"title": self.datasets[name].picture_title} for name in datasets]

    def parts(self, dataset: str, people: Sequence[str] = ()) -> list[str]:
        """List the parts of the pictures that people saw; by default all whose data are read."""
        owner = self.datasets[dataset]
        return list(
            dict.fromkeys(part for who in people or self.people_of(dataset) for part in owner.parts(who))
        )

    def eeg(self, person: str) -> Source:
        """Return what the EEG of a person is made of."""
        return self.eeg_dataset(person).find_release(self.folders, person, must_exist=self.must_exist)

    def eeg_options(self, person: str, config: "EEGConfig") -> dict[str, Any]:
        """Return the options with which the EEG of a person is read."""
        return self.eeg_dataset(person).eeg_options(config, person, self.eeg(person).release)

    def eeg_resources(self, person: str) -> dict[str, int]:
        """Return the threads and the memory, MB, that reading the EEG of a person takes."""
        return self.eeg_dataset(person).resources(self.eeg(person).release)

    def fmri(self, subject: str) -> Source:
        """Return what the fMRI of a subject is made of."""
        return self.fmri_dataset.find_release(self.folders, subject, must_exist=self.must_exist)

    def betas(self, subject: str) -> list[str]:
        """List the files to which the repacked fMRI of a subject links."""
        return self.fmri_dataset.find_betas(self.folders, subject, must_exist=self.must_exist)

    def brain(self, subject: str) -> Brain | None:
        """Return where in the brain a subject's voxels lie; None: nobody says so."""
        return self.fmri_dataset.find_brain(self.folders, subject, must_exist=self.must_exist)
