"""The contract of data sets: what one says of itself, so that no rule, script, figure or table names it.

A data set is a module with an object ``DATASET`` of one of the classes below: a folder here, an entry point
of an installed package in the group ``brain2image.datasets``, or a file that the config's ``datasets`` lists.
Whenever the workflow is parsed these modules are imported, so they look at names of files alone and import
nothing heavy. What opens files are readers, modules that jobs import by name (`modules.load_module`):

- of pictures: ``repack_images(*files, out=...)`` writes the table of all pictures, Parquet with ``image``
  (int64), ``part`` and what ``read_images(table, root)`` needs to read them; of EEG also ``partition``
  (``train`` or ``test``) and ``concept``, of fMRI also ``shared1000``;
- of EEG: ``repack_eeg(files, images, out=..., n_threads=..., **options)`` writes the HDF5 file of one person
  that the readers here describe, 200 samples a trial at 200 Hz;
- of fMRI: ``repack_fmri(*files, subject=..., out=...)`` writes that of `betas.repack_fmri`;
- for ``check_data``, if there are such: ``describe_pictures(data)`` and ``describe_person(data, person)``,
  a sentence on what lies in the folders.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from brain2image.core.errors import InputError
from brain2image.datasets import releases

if TYPE_CHECKING:
    from brain2image.config.data import EEGConfig


class Source(NamedTuple):
    """Where something is read: the name of the release, the module that reads it, and its files."""

    release: str
    reader: str
    files: list[str]


class Brain(NamedTuple):
    """The files that say where in a person's brain the voxels of the betas lie.

    Attributes
    ----------
    mask : volume of where they lie, see `volumes.read_mask`.
    surfaces : of the left, then of the right hemisphere: inflated surface, depth of sulci, and place of each
        vertex in the volume, see `surfaces.read_hemisphere`; none: there are no surfaces.
    """

    mask: str
    surfaces: list[str]


class Dataset:
    """What every data set says of itself.

    Attributes
    ----------
    name : in the names of people and files: lower-case letters and digits.
    title : in messages and figures.
    picture_title : what its pictures are called there.
    folders : keys of the config's ``data`` under which its files lie; the first one holds what is measured,
        the last one the pictures.
    further : keys under which more of it may lie; the path may be empty.
    people : everybody, also those whose files are not there.
    releases : for each known release the paths of a person's files, with ``{person}`` for `label`.
    partial : releases of which what is there is read, with a pattern of what must be.
    superseded : outdated files by path, with the reason; they are named and not read.
    download : where the pictures come from, for the message about missing ones.
    licence : under which terms it may be used and passed on, for the model card of what was learned from it.
    simulated : the release that the synthetic data imitate; None: there are none.
    picture_reader : module that reads the pictures.
    inspector : module that describes what is there, for ``check_data``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    picture_title: ClassVar[str]
    folders: ClassVar[tuple[str, ...]]
    further: ClassVar[tuple[str, ...]] = ()
    people: ClassVar[tuple[str, ...]]
    releases: ClassVar[Mapping[str, Sequence[str]]]
    partial: ClassVar[Mapping[str, str]] = {}
    superseded: ClassVar[Mapping[str, str]] = {}
    download: ClassVar[str] = "them"
    licence: ClassVar[str] = "the terms of its owners"
    simulated: ClassVar[str | None] = None
    picture_reader: ClassVar[str]
    inspector: ClassVar[str | None] = None

    def label(self, person: str) -> str:
        """Return what a person is called in the paths of the releases."""
        return person

    def root(self, data: Mapping[str, str]) -> str:
        """Return the folder that `picture_reader` is given."""
        return data[self.folders[-1]]

    def parts(self, person: str) -> tuple[str, ...]:
        """Return the parts of the picture set that a person saw, each of which is embedded once for all."""
        return ("all",)

    def find_images(self, data: Mapping[str, str], people: Sequence[str], *, must_exist: bool) -> Source:
        """Find what the table of pictures is made of; by default the files of all people."""
        found = [self.find_release(data, person, must_exist=must_exist) for person in people]
        files = dict.fromkeys(file for source in found for file in source.files)
        return Source(found[0].release, self.picture_reader, list(files))

    def find_pixels(self, data: Mapping[str, str], people: Sequence[str], *, must_exist: bool) -> list[str]:
        """Find what must be there before pictures are read; by default what their table is made of."""
        return self.find_images(data, people, must_exist=must_exist).files

    def find_release(self, data: Mapping[str, str], person: str, *, must_exist: bool) -> Source:
        """Find which release of a person is there, and its files.

        Raises
        ------
        InputError
            When none is whole, or several lie in one folder; not where the files need not exist yet.
        """
        folder = data[self.folders[0]]
        if not must_exist and self.simulated:
            paths = self.releases[self.simulated]
            files = [str(Path(folder, path.format(person=self.label(person)))) for path in paths]
            return Source(self.simulated, self.reader(self.simulated), files)
        try:
            name, files = releases.find_release(
                folder, self.releases, self.label(person), partial=self.partial, superseded=self.superseded
            )
        except InputError as error:
            raise InputError(
                f"{error}. docs/data.md says from where; or change data.{self.folders[0]}"
            ) from None
        return Source(name, self.reader(name), files)

    def reader(self, release: str) -> str:
        """Return the module that reads a person's files of a release."""
        raise NotImplementedError

    def find_people(self, data: Mapping[str, str]) -> list[str]:
        """List the people of whom a whole release is there."""
        labels = {self.label(person): person for person in self.people}
        found = releases.find_subjects(
            data[self.folders[0]], self.releases, list(labels), partial=self.partial
        )
        return [labels[label] for label in found]

    def find_left_out(self, data: Mapping[str, str]) -> dict[str, str]:
        """List the people of whom something, but no whole release, is there, with what each lacks."""
        labels = {self.label(person): person for person in self.people}
        found = releases.left_out(
            data[self.folders[0]],
            self.releases,
            list(labels),
            partial=self.partial,
            superseded=self.superseded,
        )
        return {labels[label]: reason for label, reason in found.items()}


class EEGDataset(Dataset):
    """A data set of EEG; its people are called ``name-01`` and so on.

    Attributes
    ----------
    eeg_reader : module that reads the EEG.
    picture_set : the data set whose pictures were shown, of which `parts` names those that were; None: its
        own.
    has_test_pictures : whether its authors kept pictures for testing, of partition ``test``; None: the table
        of its pictures says it.
    channels : those that the reader writes for everybody, by name; only runs with ``model.channels`` need it.
    """

    eeg_reader: ClassVar[str]
    channels: ClassVar[tuple[str, ...]] = ()
    picture_set: ClassVar[str | None] = None
    has_test_pictures: ClassVar[bool | None] = None

    def reader(self, release: str) -> str:
        """Return the module that reads a person's files of a release."""
        return self.eeg_reader

    def eeg_options(self, config: "EEGConfig", person: str, release: str) -> dict[str, Any]:
        """Return what of the config's block ``eeg`` the reader is given; by default nothing."""
        return {}

    def raw_options(self, config: "EEGConfig", person: str) -> dict[str, Any]:
        """Return the whole block ``eeg`` as options of a reader, the person's bad channels as ``bads``."""
        options = config.model_dump()
        listed = options.pop("bad_channels").get(person)
        # None: those that are flagged
        options["bads"] = listed if options.pop("interpolate_bads") else []
        return options

    def resources(self, release: str) -> dict[str, int]:
        """Return the threads and the memory, MB, that the reader takes."""
        return {"threads": 1, "mem_mb": 4000}


class FMRIDataset(Dataset):
    """A data set of fMRI, for whose people there are checkpoints of MindEye2."""

    def find_betas(self, data: Mapping[str, str], subject: str, *, must_exist: bool) -> list[str]:
        """Find the files to which the repacked fMRI links; by default none."""
        return []

    def find_brain(self, data: Mapping[str, str], subject: str, *, must_exist: bool) -> Brain | None:
        """Find where in the brain the voxels lie; by default nobody says so.

        Raises
        ------
        InputError
            When the folder of these files is named, but the mask is not there.
        """
        return None
