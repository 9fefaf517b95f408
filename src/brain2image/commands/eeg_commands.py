"""The commands that take new EEG: ``brain2image translate`` and ``calibrate``."""

import argparse
import logging
from typing import Any

import yaml

from brain2image.core.errors import InputError
from brain2image.datasets.units import RMS_RANGES

NSD = "data/nsd"  # as in the config
# Options that say where what was translated goes.
PLACES = ("out", "derivatives", "pictures", "nsd", "decoder")


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a command that takes EEG, by the names of the function that it calls."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given = {
        name: value for name, value in vars(options).items() if name not in ("call", "command", "further")
    }
    return given | {"rename": dict(options.rename or ())}


def translate_file(options: argparse.Namespace) -> None:
    """Write the embeddings of an EEG file, and pictures where these are asked for."""
    from brain2image.translation.derivatives import write_derivative
    from brain2image.translation.embeddings import write_translation

    given = _given(options)
    out, derivatives, folder, release, decoder = map(given.pop, PLACES)
    if folder is None and (alone := "--nsd" * bool(release) or "--decoder" * bool(decoder)):
        raise InputError(f"expected {alone} with --pictures FOLDER alone; name the folder, or leave it out")
    found = None
    if folder is not None:
        from brain2image.commands.translated_pictures import check_folder, find_files, write_pictures

        check_folder(folder)
        found = find_files(options.run, gallery=options.gallery, decoder=decoder, release=release or NSD)
        given["gallery"] = found.gallery
    if derivatives:
        out = write_derivative(derivatives, **given)
    else:
        write_translation(out, **given)
    print(f"Embeddings: {out}")
    if found:
        n_trials = write_pictures(folder, out, found, run=options.run)
        print(f"Pictures of {n_trials} trials: {folder}/index.html")


def calibrate_run(options: argparse.Namespace) -> None:
    """Fit a run to somebody new, and say how much that helps."""
    from brain2image.translation.calibrating import calibrate
    from brain2image.translation.personal import describe

    found = calibrate(**_given(options))
    print(f"{describe(found)}\nCalibrated run: {options.out}")


def _renaming(text: str) -> tuple[str, str]:
    """Divide ``OLD=NEW`` into its two names; an old name may hold the sign."""
    old, _, new = text.rpartition("=")
    if not old or not new:
        raise argparse.ArgumentTypeError(f"expected OLD=NEW, got {text!r}")
    return old, new


def _preparation(text: str) -> Any:
    """Read a value of ``clip.preprocess`` as the config's YAML has it."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"expected a value of clip.preprocess, got {text!r}") from None


def _add_eeg(command: argparse.ArgumentParser) -> None:
    """Add the arguments of EEG, which are the same wherever it is taken."""
    add = command.add_argument
    add("--run", required=True, help="folder of a trained run: results/runs/BRAINS/RUN")
    add(
        "--eeg", required=True, help="what MNE reads (BrainVision, EDF, FIF, …epo.fif, BIDS), .npy, or eeg.h5"
    )
    add("--unit", choices=list(RMS_RANGES), help="of the samples; what MNE reads is V")
    add("--channels", nargs="+", metavar="NAME", help="of all channels, in the file's order")
    add("--sfreq", type=float, metavar="HZ", help="rate of a .npy file")
    add("--events", nargs="+", metavar="EVENT", help="take these alone, as they stand in the file")
    add("--event-column", metavar="NAME", help="of a BIDS events.tsv, the column that names the events")
    add("--shift", type=float, default=0.0, metavar="MS", help="from the event to the picture (0)")
    add("--line-freq", type=float, metavar="HZ", help="power line of a recording that does not say so")
    add("--reference", nargs="+", metavar="NAME", help="average, or channels to reference the EEG to")
    add("--rename", nargs="+", type=_renaming, metavar="OLD=NEW", help="names of single channels")
    add("--rename-table", metavar="FILE", help="old and new names, two columns (TSV or CSV)")
    add("--montage", metavar="CAP", help="map a cap by position: biosemi128, GSN-HydroCel-128, … as MNE says")
    add("--interpolate", action="store_true", help="make up for missing, bad and flat channels")
    add("--min-channels", type=int, metavar="N", help="that must have an electrode within 20 mm (half)")


def add_translate(commands: argparse._SubParsersAction) -> None:
    """Add ``brain2image translate``."""
    command = commands.add_parser("translate", help="predict the fMRI embeddings of new EEG")
    _add_eeg(command)
    add = command.add_argument
    place = command.add_mutually_exclusive_group(required=True)
    place.add_argument("--out", metavar="FILE", help="to write: .h5 or .parquet")
    place.add_argument(
        "--derivatives", metavar="FOLDER", help="of BIDS derivatives to write to, of a BIDS recording"
    )
    add("--person", metavar="NAME", help="whom a run of several people knows; without it somebody new")
    add("--average", action="store_true", help="one embedding an event, from the mean EEG of its trials")
    add("--gallery", metavar="FILE", help="look up the nearest pictures of results/projection/SUBJ.h5")
    add("--top-k", type=int, default=5, metavar="N", help="number of nearest pictures (5)")
    add("--pictures", metavar="FOLDER", help="write the nearest pictures, and drawn ones, and a page of them")
    add("--nsd", metavar="FOLDER", help="NSD's release, with these pictures (data/nsd)")
    add("--decoder", metavar="FILE", help="to draw by, results/decoding/BRAINS.linear.h5 (the run's)")
    command.set_defaults(call=translate_file)


def add_calibrate(commands: argparse._SubParsersAction) -> None:
    """Add ``brain2image calibrate``."""
    command = commands.add_parser("calibrate", help="fit a run to somebody new, by EEG of pictures they saw")
    _add_eeg(command)
    add = command.add_argument
    add(
        "--pictures",
        required=True,
        metavar="PATH",
        help="folder of pictures called as their events, or table",
    )
    add("--out", required=True, metavar="FOLDER", help="of the calibrated run, to write")
    add("--person", metavar="NAME", help="whose EEG it is (the name of its file)")
    add("--encoder", metavar="FILE", help="results/projection/DATASET_SUBJ.encoder.safetensors of the run")
    add("--clip", metavar="WEIGHTS", help="with which the encoder was fitted: a file or an open_clip tag")
    add(
        "--preprocess",
        type=_preparation,
        default="auto",
        metavar="HOW",
        help="how pictures are prepared for those weights, as in the config's clip.preprocess (auto)",
    )
    command.set_defaults(call=calibrate_run)
