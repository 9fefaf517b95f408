"""Alljoined1: eight people, who saw 960 of NSD's shared 1,000 pictures, in raw recordings of two sessions.

Traps, each with its reader: triggers before their pictures (`alljoined_eeg`), recordings that are missing,
broken or short of a channel (`biosemi`), event codes that only NSD's design resolves (`shown_pictures`).
"""

from typing import TYPE_CHECKING, Any, ClassVar

from brain2image.datasets.alljoined1.alljoined_channels import CHANNELS
from brain2image.datasets.base import EEGDataset
from brain2image.datasets.nsd.layout import SHARED

if TYPE_CHECKING:
    from brain2image.config.data import EEGConfig

ROOM = "brain2image.datasets.alljoined1"


class Alljoined1(EEGDataset):
    """Xu et al., 2024, https://arxiv.org/abs/2404.05553; files: https://osf.io/kqgs8."""

    name = "alljoined"
    title = "Alljoined1"
    picture_title = "NSD"
    folders = ("alljoined1", "nsd")
    people = tuple(f"alljoined-{number:02d}" for number in range(1, 9))
    # What says which picture an event shows: the design of NSD, or the table of the released epochs.
    releases: ClassVar = {
        "raw": [
            *(f"raw/{{person}}_session{session}_eeg.fif" for session in (1, 2)),
            *(f"05_125/{{person}}_session{session}.h5" for session in (1, 2)),
            "nsd_expdesign.mat",
        ]
    }
    partial: ClassVar = {"raw": "*_eeg.fif"}
    has_test_pictures = False
    channels = CHANNELS
    licence = (
        "not stated where it lies (osf.io/kqgs8); the copy on NEMAR (nm000133) says CC BY-NC-ND 4.0, so ask "
        "before you pass on what was derived from it"
    )
    simulated = "raw"
    picture_set = "nsd"
    picture_reader = "brain2image.datasets.nsd.nsd_images"
    eeg_reader = f"{ROOM}.alljoined_eeg"
    inspector = f"{ROOM}.alljoined_inventory"

    def label(self, person: str) -> str:
        """Return what a person is called in the paths: ``subj01``."""
        return person.replace(f"{self.name}-", "subj")

    def parts(self, person: str) -> tuple[str, ...]:
        """Return the part of NSD's pictures that everybody saw: its shared 1,000."""
        return (SHARED,)

    def eeg_options(self, config: "EEGConfig", person: str, release: str) -> dict[str, Any]:
        """Return the block ``eeg``, all of which applies."""
        return self.raw_options(config, person)

    def resources(self, release: str) -> dict[str, int]:
        """Return the threads and the memory, MB: a recording and a filtered part of it are held at once."""
        return {"threads": 1, "mem_mb": 4000}


DATASET = Alljoined1()
