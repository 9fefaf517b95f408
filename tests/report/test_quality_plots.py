"""Figures of data quality show the numbers that they are given, with intervals and units."""

import numpy as np
import pytest
from helpers.quality_files import described, epochs, simulate, trial_table, write_eeg

from brain2image.quality.eeg_quality import REGIONS, inspect_eeg
from brain2image.quality.fmri_quality import BINS
from brain2image.report.figures import quality_plots as figures
from brain2image.report.figures.style import save


@pytest.fixture(scope="module")
def eeg(tmp_path_factory):
    """A subject with one dead and one loud channel."""
    rng = np.random.default_rng(0)
    trials = trial_table(n_repetitions=4, rng=rng)
    samples = epochs(trials, rng)
    samples[:, 0] = 0
    samples[:, 5] *= 100
    return inspect_eeg(*write_eeg(tmp_path_factory.mktemp("eeg") / "eeg.h5", samples, trials))


@pytest.fixture
def fmri(rng):
    columns = described(*simulate(rng, ncsnr=np.ones(50)), n_shared=100)
    counts = {"n_trials": 1800, "n_images": 600, "n_sessions": None, "repetitions": {"3": 600}}
    return {"trials": counts, "bins": list(BINS), "voxels": columns, "embedding": columns}


def shown(panel):
    return [text.get_text() for text in panel.texts]


@pytest.mark.slow
def test_broken_channels_are_named_and_stay_inside(eeg):
    channels, sessions, training, test = figures.plot_channels(eeg).axes
    assert {"flat, too low", "too high"} <= set(shown(channels))
    low, high = channels.get_ylim()
    assert all(low < y < high for line in channels.lines for y in line.get_ydata())
    assert "µV" in channels.get_ylabel()
    assert sum(bar.get_height() for bars in sessions.containers for bar in bars) == 64
    assert training.get_title() == "12 training pictures, 48 trials"
    assert shown(test) == ["4"]


def test_what_was_left_out_and_interpolated_is_said(eeg):
    changed = eeg | {"notes": ["Dropped 2 sequences.", "No file of session 3."], "interpolated": ["Fp2"]}
    figure = figures.plot_channels(changed)
    assert figure.get_supxlabel() == "Dropped 2 sequences.\nNo file of session 3."
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend[-2:] == ["flagged", "interpolated"]
    assert figures.plot_channels(eeg).get_supxlabel() == ""
    assert (eeg["recordings"], eeg["notes"], eeg["interpolated"]) == (None, [], [])


def test_sessions_that_nobody_knows_are_one_bar(eeg):
    counts = {name: eeg["trials"][name] | {"sessions": {}} for name in ("train", "test")}
    sessions = figures.plot_channels(eeg | {"trials": counts}).axes[1]
    assert [label.get_text() for label in sessions.get_xticklabels()] == ["unknown"]


def test_spectra_have_a_line_a_region_and_a_band(eeg):
    (panel,) = figures.plot_spectra(eeg | {"mains": 50.0}).axes
    assert [line.get_label() for line in panel.lines] == [*REGIONS, "mains, 50 Hz"]
    assert [line.get_label() for line in figures.plot_spectra(eeg).axes[0].lines] == [*REGIONS]
    assert len(panel.collections) == 1
    assert figures.plot_spectra(eeg | {"unit": "whitened"}).axes[0].get_ylabel().endswith("whitened)")


@pytest.mark.slow
def test_responses_have_intervals_and_maps_without_broken_channels(eeg, tmp_path):
    figure = figures.plot_responses(eeg)
    response, *maps, scale, training, test = figure.axes
    for panel in (response, training, test):
        assert len(panel.collections) == len(REGIONS)  # the bands
    assert [panel.get_title() for panel in maps] == ["100 ms", "150 ms", "200 ms", "300 ms", "400 ms"]
    limit = max(scale.get_ylim())
    kept = [
        abs(value)
        for values in eeg["responses"]["topographies"].values()
        for name, value in values.items()
        if name not in eeg["flagged"]
    ]
    assert limit == pytest.approx(max(kept))
    save(figure, tmp_path / "responses.svg")
    assert (tmp_path / "responses.svg").stat().st_size < 400_000


def test_without_repetitions_the_figure_says_so(eeg, fmri):
    *_, training, _ = figures.plot_responses(eeg | {"reliability": {"train": None, "test": None}}).axes
    assert shown(training) == ["fewer than 3 training pictures were shown twice:\nno reliability"]
    fmri["voxels"] = fmri["voxels"] | {"all": None, "shared1000": None}
    _, voxels, _ = figures.plot_noise_ceilings(fmri).axes
    assert shown(voxels) == ["too few pictures were shown twice:\nno noise ceiling"]


def test_noise_ceilings_have_medians_with_intervals_and_chance(fmri):
    _, voxels, features = figures.plot_noise_ceilings(fmri).axes
    single = fmri["voxels"]["all"]["single"]
    labels = [text.get_text() for text in voxels.get_legend().get_texts()]
    low, high = single["interval"]
    assert labels[0] == f"one trial, all pictures: {single['quantiles']['q50']:.1f} ({low:.1f} to {high:.1f})"
    assert len(labels) == 4
    assert voxels.lines[0].get_xdata()[0] == single["chance"]
    assert features.get_title() == "50 features, after the projection"
    values, edges, _ = voxels.patches[0].get_data()
    assert values.sum() == pytest.approx(100)
    assert (edges[0], edges[-1]) == (0, 100)
