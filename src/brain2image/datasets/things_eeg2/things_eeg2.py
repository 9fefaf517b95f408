"""THINGS-EEG2: ten people, 16,740 pictures of 1,854 concepts, raw or as one of three preprocessed releases.

Traps, each with its reader: the order of event codes (`things_images`), lost and additional pulses
(`sequences`), offsets between parts (`sessions`), epochs whitened by unknown covariances (`preprocessed`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from brain2image.core.errors import InputError
from brain2image.datasets.base import EEGDataset, Source
from brain2image.datasets.things_eeg2.things_channels import CHANNELS

if TYPE_CHECKING:
    from brain2image.config.data import EEGConfig

ROOM = "brain2image.datasets.things_eeg2"
# Names of the folder of training pictures; UBP and NeuroBridge use the second.
TRAINING_FOLDERS = ("training_images", "train_images")


class ThingsEEG2(EEGDataset):
    """Gifford et al., NeuroImage 2022, https://osf.io/3jk45."""

    name = "things"
    title = "THINGS-EEG2"
    picture_title = "THINGS"
    folders = ("things_eeg", "things_images")
    people = tuple(f"things-{number:02d}" for number in range(1, 11))
    releases: ClassVar = {
        "raw": [
            f"{{person}}/ses-{session:02d}/raw_eeg_{part}.npy"
            for session in (1, 2, 3, 4)
            for part in ("training", "test")
        ],
        "ubp": ["{person}/train.pt", "{person}/test.pt"],
        "nice": ["{person}/preprocessed_eeg_training.npy", "{person}/preprocessed_eeg_test.npy"],
        "neurobridge": ["{person}/train.npy", "{person}/test.npy", "info.json"],
    }
    partial: ClassVar = {"raw": "*/raw_eeg_training.npy"}
    download = (
        "training_images.zip and test_images.zip from osf.io/y63gw, image_metadata.npy from osf.io/qkgtf,"
    )
    licence = (
        "CC BY 4.0 for the recordings (osf.io/3jk45, Figshare+ 18470912); the pictures of THINGS are others' "
        "photographs, for research (osf.io/jum2f)"
    )
    has_test_pictures = True
    channels = CHANNELS
    simulated = "raw"
    picture_reader = f"{ROOM}.things_images"
    eeg_reader = f"{ROOM}.things_eeg"
    inspector = f"{ROOM}.things_inventory"

    def label(self, person: str) -> str:
        """Return what a person is called in the paths: ``sub-01``."""
        return person.replace(self.name, "sub")

    def find_images(self, data: Mapping[str, str], people: Sequence[str], *, must_exist: bool) -> Source:
        """Find the two folders of pictures and the authors' lists of them."""
        root = Path(data["things_images"])
        training = next((name for name in TRAINING_FOLDERS if (root / name).exists()), TRAINING_FOLDERS[0])
        files = [str(root / name) for name in (training, "test_images", "image_metadata.npy")]
        missing = [file for file in files if not Path(file).exists()]
        if missing and must_exist:
            raise InputError(
                f"{missing[0]}: no such file or folder. Download and unpack {self.download} into "
                f"{root.resolve()}, or change data.things_images in the config"
            )
        return Source("", self.picture_reader, files)

    def find_pixels(self, data: Mapping[str, str], people: Sequence[str], *, must_exist: bool) -> list[str]:
        """Find the two folders of pictures."""
        return self.find_images(data, people, must_exist=must_exist).files[:2]

    def eeg_options(self, config: "EEGConfig", person: str, release: str) -> dict[str, Any]:
        """Return the filters and the rest of the block ``eeg``; of preprocessed EEG little can be chosen."""
        options = self.raw_options(config, person)
        own = ("baseline", "clip", "weigh_trials", "bads")
        return options if release == "raw" else {name: options[name] for name in own}

    def resources(self, release: str) -> dict[str, int]:
        """Return the threads and the memory, MB: one raw session takes 5 GB, epochs are read in blocks."""
        return {"threads": 1, "mem_mb": 8000} if release == "raw" else {"threads": 4, "mem_mb": 2000}


DATASET = ThingsEEG2()
