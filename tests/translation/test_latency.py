"""Whether new EEG comes as late, and against the same reference, as that of the training."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from brain2image.core.errors import InputError
from brain2image.translation import latency, reference
from brain2image.translation.channels import arrange_channels
from brain2image.translation.latency import LatencyCheck
from brain2image.translation.names import CapOptions
from brain2image.translation.new_eeg import Source

# a response with the time course of evoked potentials in eight channels, known beyond both ends of the window
LONG = gaussian_filter1d(np.random.default_rng(0).standard_normal((8, 2000)), 40, axis=1)
LONG *= 2 / LONG.std()


def response(milliseconds):
    """The response when it comes so much later: half a second at 200 Hz, from a grid of 0.5 ms."""
    start = 500 - round(2 * milliseconds)
    return LONG[:, start : start + 1000 : 10]


def check(milliseconds, *, n_trials=200, share=1.0, training=None, say=False, shift=0.0):
    training = response(0) if training is None else training
    found = LatencyCheck(training.astype(np.float32), n_trials)
    eeg = share * response(milliseconds) + 10 * np.random.default_rng(1).standard_normal(
        (n_trials, *training.shape)
    )
    for start in range(0, n_trials, 37):
        found.add(eeg[start : start + 37].astype(np.float32))
    return found.say(shift=shift, source="a") if say else found.estimate()


@pytest.mark.parametrize("milliseconds", [-40, -20, 12, 20, 45])
def test_the_latency_is_found_between_the_samples(milliseconds):
    found = check(milliseconds)
    assert found.is_clear
    assert abs(found.milliseconds - milliseconds) < 2
    assert found.similarity > found.unmoved


@pytest.mark.parametrize("n_trials", [40, 200, 1000])
def test_noise_has_no_clear_latency(n_trials, monkeypatch):
    assert not check(0, share=0.0, n_trials=n_trials).is_clear
    # nor would the agreement of the groups alone let it pass
    monkeypatch.setattr(latency, "LEAST_SIMILARITY", 0.0)
    assert not check(0, share=0.0, n_trials=n_trials).is_clear


def test_what_comes_in_time_or_looks_different_is_no_warning():
    assert not check(0).is_clear
    assert not check(3).is_clear  # people differ by as much
    other = gaussian_filter1d(np.random.default_rng(5).standard_normal(response(0).shape), 4, axis=1)
    assert not check(20, training=other).is_clear


def test_the_reference_does_not_count():
    training = response(0) - response(0)[2]
    assert abs(check(20, training=training).milliseconds - 20) < 2


def test_what_is_said(caplog):
    caplog.set_level("INFO")
    check(20, say=True)
    assert "a: the mean response comes 20 ms later than in training (similarity 0." in caplog.text
    assert "set the shift to 20 ms (--shift 20)" in caplog.text
    assert caplog.records[-1].levelname == "WARNING"
    check(-20, say=True, shift=50.0)
    assert "comes 20 ms earlier than" in caplog.text
    assert "set the shift to 30 ms (--shift 30)" in caplog.text
    for options, line in (
        ({"training": np.zeros_like(response(0))}, "does not hold the mean response of its training"),
        ({"n_trials": 39}, "39 trials are too few to compare their latency with the training's"),
        ({"share": 0.0}, "200 trials do not tell whether they are late (similarity to training's"),
        ({}, "the mean response comes when it did in training (similarity 0."),
    ):
        caplog.clear()
        check(0, say=True, **options)
        assert line in caplog.text
        assert caplog.records[-1].levelname == "INFO"


# ---- the reference

NAMES = ["Fz", "Cz", "Pz", "Oz", "A1", "A2"]


def source(eeg, **options):
    def blocks(rows):
        yield eeg[:, rows]

    defaults = {"bads": (), "reference": None} | options
    return Source("a", NAMES, unit="uV", trials=None, blocks=blocks, usable=None, **defaults)


@pytest.fixture
def eeg(rng):
    return rng.standard_normal((5, len(NAMES), 20)).astype(np.float32)


def test_eeg_is_measured_against_other_channels(eeg):
    own = source(eeg)
    model = arrange_channels(own, ["Pz", "Cz", "Oz"], CapOptions())
    for names, expected in (
        (["Fz"], eeg[:, [2, 1, 3]] - eeg[:, [0]]),
        (["Cz"], eeg[:, [2, 1, 3]] - eeg[:, [1]]),
        (["A1", "A2"], eeg[:, [2, 1, 3]] - eeg[:, [4, 5]].mean(axis=1, keepdims=True)),
        (["average"], eeg[:, [2, 1, 3]] - eeg[:, [2, 1, 3]].mean(axis=1, keepdims=True)),
    ):
        mixing = reference.Rereferenced(model, own, names)
        np.testing.assert_allclose(mixing(eeg[:, mixing.rows]), expected, atol=1e-6)
    with pytest.raises(InputError, match="expected good channels as reference, got M1, which the file"):
        reference.Rereferenced(model, own, ["M1"])
    with pytest.raises(InputError, match="got A1, which the file lacks or marks as bad"):
        reference.Rereferenced(model, source(eeg, bads=["A1"]), ["A1", "A2"])


@pytest.mark.parametrize(
    ("trained", "asked", "options", "level", "text"),
    [
        (
            "Fz",
            None,
            {"reference": "Cz"},
            "WARNING",
            "is Cz, and Fz in training, which costs hits; use reference",
        ),
        ("Fz", ["Cz"], {}, "WARNING", "its reference is Cz, and Fz in training"),
        ("Fz", ["Fz"], {}, None, ""),
        ("fz", None, {"reference": "FZ"}, None, ""),
        ("Fz", None, {}, "WARNING", "its reference is not Fz, which has EEG of its own, and Fz in training"),
        ("M1", None, {}, "INFO", "nothing says what it is referenced to; training's EEG is against M1"),
        ("M1", None, {"reference": "Cz"}, "WARNING", "use MNE's set_eeg_reference"),
        ("unknown", None, {}, "INFO", "the run does not name the reference of its training"),
        (None, ["Cz"], {}, "INFO", "the run does not name the reference of its training"),
    ],
)
def test_another_reference_is_told(eeg, caplog, trained, asked, options, level, text):
    caplog.set_level("INFO")
    reference.compare_reference(source(eeg, **options), trained, asked)
    assert [record.levelname for record in caplog.records] == ([level] if level else [])
    assert text in caplog.text


def test_a_flat_reference_is_the_training_s(eeg, caplog):
    eeg[:, 0] = 0
    with caplog.at_level("WARNING"):
        reference.compare_reference(source(eeg), "Fz", None)
    assert caplog.text == ""


def test_an_average_reference_is_seen(eeg, caplog):
    common = eeg + 2 * eeg[:, :1]
    reference.warn_of_average(common, source(common), "Fz")
    averaged = common - common.mean(axis=1, keepdims=True)
    reference.warn_of_average(averaged, source(averaged, reference="average"), "Fz")
    reference.warn_of_average(averaged, source(averaged), None)
    assert caplog.text == ""
    reference.warn_of_average(averaged, source(averaged), "Fz")
    assert "its reference is average, and Fz in training" in caplog.text
