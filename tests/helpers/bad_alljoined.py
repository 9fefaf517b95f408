"""Bad files of Alljoined1: of every case a name, the damage, and the message."""

import h5py
import numpy as np

from brain2image.synthetic.alljoined_files import BIOSEMI_CAP, write_recording, write_table
from helpers.alljoined_files import DESIGN, SFREQ, SHARED, make_session, paths, write_design
from helpers.damage import edit_hdf5, put, replace, write_hdf5

FIF, TABLE = paths(1)


def recording(change, **options):
    """Write the recording again with other content."""

    def damage(root):
        new = make_session(0)
        change(new)
        (root / FIF).unlink()
        write_recording(root / FIF, new.volts, new.onsets, new.codes, **options)

    return damage


def without(n_channels):
    def change(new):
        new.volts = new.volts[n_channels:]

    return recording(change, channels=BIOSEMI_CAP.channels[n_channels:])


def saved(change):
    """Save the recording again after ``change`` of MNE's object."""

    def damage(root):
        import mne

        raw = mne.io.read_raw_fif(root / FIF, preload=True, verbose="error")
        change(raw)
        raw.save(root / FIF, overwrite=True, verbose="error")

    return damage


def in_microvolts(raw):
    raw.info["chs"][5]["unit_mul"] = -6


def scaled(factor):
    return recording(lambda new: setattr(new, "volts", new.volts * factor))


def table(change, **options):
    """Write the table again with other pictures and times."""

    def damage(root):
        new = make_session(0)
        new.times = new.onsets / SFREQ
        change(new)
        (root / TABLE).unlink()
        write_table(root / TABLE, new.images, new.times, **{"subject": 3, "session": 1} | options)

    return damage


def design(**change):
    return replace(DESIGN, lambda path: write_design(path, **change))


def twice(new):
    """The first two events have one code."""
    new.codes[1] = new.codes[0]
    new.images = SHARED[new.codes - 1]
    new.images[1] = SHARED[500]


def contradiction(root):
    recording(lambda new: new.codes.__setitem__(1, new.codes[0]))(root)
    table(twice)(root)


ALLJOINED = {
    "recording at 500 Hz": (
        saved(lambda raw: raw.resample(256, verbose="error")),
        r"fif: expected 62 to 64 channels .* at 512 Hz, got 65 at 256 Hz",
    ),
    "three channels missing": (
        without(3),
        r"at 512 Hz, got 62 at 512 Hz \(missing: Fp1, AF7, AF3; 'Status': th",
    ),
    "no Status": (saved(lambda raw: raw.drop_channels(["Status"])), r"'Status': missing\); use the authors'"),
    "another unit": (saved(in_microvolts), r"fif: expected volts, got another unit of F5"),
    "no events": (
        recording(lambda new: setattr(new, "codes", 0 * new.codes)),
        r"fif: expected event codes in 'Status', got none",
    ),
    "unknown codes": (
        recording(lambda new: new.codes.__setitem__(0, 961)),
        r"fif: expected at most 5 % of its events .*got 1 of 6",
    ),
    "NaN": (
        recording(lambda new: new.volts.__setitem__((0, 7), np.nan)),
        r"fif: expected finite volts, got NaN or infinity in Fp1",
    ),
    "microvolts": (scaled(1e6), r"fif: expected EEG in uV .*got 7.0\de\+06"),
    "silence": (scaled(0), r"fif: expected EEG in uV .*got 0"),
    "list missing": (design(subjectim=None), r"mat: expected subjectim \(8, 10000\), .*got none"),
    "list too short": (
        design(sharedix=SHARED[None, :900] + 1),
        r"sharedix \(1, 1000\), .*got \w+ \(1, 900\)",
    ),
    "list of texts": (design(sharedix=np.array([["a"] * 3])), r"sharedix \(1, 1000\), .*got <U1"),
    "counted from 0": (
        design(first=0),
        r"mat: expected subjectim .* from 1 to 73000, got int64 .* from 0 to 72",
    ),
    "shared pictures counted from 0": (
        design(sharedix=SHARED[None]),
        r"mat: expected 2951, counted from 1, as the first shared picture, got 2950",
    ),
    "of another experiment": (
        design(subjectim=np.tile(np.roll(np.arange(1, 10_001), 7), (8, 1))),
        r"h5: expected picture \d+ .* for event code \d+, as nsd_expdesign.mat says, got \d+",
    ),
    "mat is HDF5": (write_hdf5(DESIGN, "sharedix", SHARED), r"mat: cannot read this MATLAB file"),
    "another subject": (table(lambda new: None, subject=4), r"h5: expected trials of subject 3, session 1, "),
    "another session": (table(lambda new: None, session=2), r"h5: expected trials of subject 3, session 1, "),
    "picture too large": (
        table(lambda new: new.images.__setitem__(0, 73_000)),
        r"with pictures from 0 to 72999 and times, got .*73000",
    ),
    "NaN as a time": (table(lambda new: new.times.__setitem__(0, np.nan)), r"times, got .*nan"),
    "no trial": (
        table(lambda new: (setattr(new, "images", new.images[:0]), setattr(new, "times", new.times[:0]))),
        r"h5: expected trials of .* got no row",
    ),
    "of another recording": (
        table(lambda new: setattr(new, "times", new.times + 0.1)),
        r"h5: expected the times of its 6 trials among the recording's events, got 0",
    ),
    "pictures moved": (
        table(lambda new: setattr(new, "images", np.roll(new.images, 1))),
        r"h5: expected picture \d+ .* for event code \d+, as nsd_expdesign.mat says",
    ),
    "two pictures of a code": (
        contradiction,
        r"h5: expected one picture for event code \d+, got \d+ and \d+",
    ),
    "format table": (
        write_hdf5(TABLE, "df/table", np.zeros(3, [("index", int), ("values_block_0", float)])),
        r"h5: expected a table of pandas in the format 'fixed' .*got table",
    ),
    "no column of pictures": (
        edit_hdf5(TABLE, lambda file: file["df"].pop("block0_items")),
        r"h5: expected a table of pandas .*got",
    ),
    "a link": (
        edit_hdf5(
            TABLE,
            lambda file: (
                file["df"].pop("block0_values"),
                file["df"].__setitem__("block0_values", h5py.ExternalLink("/etc/passwd", "x")),
            ),
        ),
        r"h5: expected its own block0_values, got a link",
    ),
    "a table that is none": (put(TABLE, b"no table"), r"h5: cannot read this HDF5 file"),
}

CASES = {"alljoined": ALLJOINED}
