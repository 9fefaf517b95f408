"""The Natural Scenes Dataset: eight people, 73,000 COCO pictures, as MindEye1 or MindEye2 released it.

Traps, each with its reader: lists that count from 1 or from 0 (`checks`), outdated files without the last
sessions (`superseded`, `checks`), betas of other normalisations (`mindeye1`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from brain2image.core.errors import InputError
from brain2image.datasets.base import Brain, FMRIDataset, Source
from brain2image.datasets.nsd.layout import BETAS, INDICES, MASK, PIXELS, SHARED, SHARED1000, SURFACES

ROOM = "brain2image.datasets.nsd"


class NSD(FMRIDataset):
    """Allen et al., Nature Neuroscience 2022, https://naturalscenesdataset.org."""

    name = "nsd"
    title = "NSD"
    picture_title = "NSD"
    folders = ("nsd",)
    further = ("nsddata",)
    people = tuple(f"subj{number:02d}" for number in range(1, 9))
    releases: ClassVar = {
        "mindeye2": [BETAS, "wds/{person}", INDICES, SHARED1000, PIXELS],
        "mindeye1": [
            *(f"webdataset_avg_new/train/train_{{person}}_{shard}.tar" for shard in range(18)),
            "webdataset_avg_new/val/val_{person}_0.tar",
            *(f"webdataset_avg_new/test/test_{{person}}_{shard}.tar" for shard in range(2)),
        ],
    }
    # What lay on the Hub before, under these names.
    superseded: ClassVar = {
        "betas_all_{person}.hdf5": "37 sessions in float16",
        "betas_all_{person}_fp32.hdf5": "not normalised anew",
        "webdataset_avg_split": "37 sessions",
    }
    licence = (
        "the terms and conditions that its users agree to (naturalscenesdataset.org); neither betas nor "
        "pictures may be passed on, and its authors ask for the paper to be cited"
    )
    simulated = "mindeye2"
    picture_reader = f"{ROOM}.nsd_images"
    inspector = f"{ROOM}.nsd_inventory"

    # Of MindEye2's release, in the order in which the readers take them.
    _images = (PIXELS, INDICES, SHARED1000)
    _fmri = (BETAS, INDICES, SHARED1000, "wds/{person}")

    def parts(self, person: str) -> tuple[str, ...]:
        """Return the parts of the pictures that a person saw: the shared ones, and own ones."""
        return (SHARED, person)

    def reader(self, release: str) -> str:
        """Return the module that reads the betas of a release."""
        return f"{ROOM}.{'betas' if release == 'mindeye2' else 'mindeye1'}"

    def find_release(self, data: Mapping[str, str], person: str, *, must_exist: bool) -> Source:
        """Find the release of a person, and the files that its reader takes."""
        found = super().find_release(data, person, must_exist=must_exist)
        if found.release != "mindeye2":
            return found
        return found._replace(files=self._paths(data, self._fmri, person))

    def find_images(self, data: Mapping[str, str], people: Sequence[str], *, must_exist: bool) -> Source:
        """Find what the table of pictures is made of: MindEye2's lists, or the tars of all people."""
        found = {person: self.find_release(data, person, must_exist=must_exist) for person in people}
        kinds = {person: source.release for person, source in found.items()}
        if len(set(kinds.values())) > 1:
            raise InputError(f"{data['nsd']}: expected one release for all NSD subjects, got {kinds}")
        if set(kinds.values()) == {"mindeye2"}:
            return Source("mindeye2", self.picture_reader, self._paths(data, self._images))
        files = [file for source in found.values() for file in source.files]
        return Source("mindeye1", self.reader("mindeye1"), files)

    def find_pixels(self, data: Mapping[str, str], people: Sequence[str], *, must_exist: bool) -> list[str]:
        """Find MindEye2's file of pixels, or the tars."""
        source = self.find_images(data, people, must_exist=must_exist)
        return source.files[:1] if source.release == "mindeye2" else source.files

    def find_betas(self, data: Mapping[str, str], subject: str, *, must_exist: bool) -> list[str]:
        """Find MindEye2's betas, to which the repacked file links; MindEye1's are copied."""
        source = self.find_release(data, subject, must_exist=must_exist)
        return source.files[:1] if source.release == "mindeye2" else []

    def find_brain(self, data: Mapping[str, str], subject: str, *, must_exist: bool) -> Brain | None:
        """Find the ROI nsdgeneral, and the surfaces where all their files are there."""
        folder = data.get("nsddata")
        if not folder:
            return None
        mask, *surfaces = (f"{folder}/{path.format(person=subject)}" for path in (MASK, *SURFACES))
        if must_exist and not Path(mask).is_file():
            raise InputError(f"{mask}: no such file; docs/cortex.md says from where, or empty data.nsddata")
        has_surfaces = must_exist and all(Path(path).is_file() for path in surfaces)
        return Brain(mask, surfaces if has_surfaces else [])

    def _paths(self, data: Mapping[str, str], patterns: Sequence[str], person: str = "") -> list[str]:
        return [f"{data['nsd']}/{pattern.format(person=person)}" for pattern in patterns]


DATASET = NSD()
