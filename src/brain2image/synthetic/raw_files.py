"""Write one synthetic THINGS-EEG2 subject: eight raw recordings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brain2image.core.atomic import atomic_path
from brain2image.formats.tables import read_npz
from brain2image.synthetic.design import TARGET, test_codes, training_codes
from brain2image.synthetic.eeg import SFREQ, Evoked, background, draw_evoked, sum_responses
from brain2image.synthetic.heads import CHANNELS, Head, draw_head
from brain2image.synthetic.latents import generator

SOA = 0.2  # s from picture to picture in a sequence
BLANK = 0.75  # s before and after a sequence
ANSWER = (0.5, 0.4, 2.0)  # s median of the time to answer, spread of its logarithm, s allowed at most
# The recording is started before the first sequence and stopped after the last: no picture lies in the 2 s of
# both ends that the filters distort.
LEAD = 2.0  # s
TAIL = 2.5  # s


def simulate_eeg(
    simulate: Mapping[str, Any], subject: str, *, latents: str | Path, sessions: Sequence[str | Path]
) -> None:
    """Simulate the raw recordings of one THINGS-EEG2 subject.

    Parameters
    ----------
    simulate : the fields of `config.SimulateConfig`.
    subject : ``sub-01`` and so on.
    latents : what `images.simulate_images` planted.
    sessions : the eight files to write, by session, training before test: np.save of a dict as the release
        has it, ``raw_eeg_data`` (64, n_times) float64 in V, whose last row is the codes of the events.
    """
    seed = simulate["seed"]
    things = read_npz(latents, what="planted arrays", names=["things"])["things"]
    n_training = simulate["n_concepts"] * simulate["images_per_concept"]
    shown = {"training": things[:n_training], "test": things[n_training:]}
    codes = {
        "training": training_codes(
            simulate["n_concepts"], simulate["images_per_concept"], seed=seed, subject=subject
        ),
        "test": test_codes(simulate["n_test_concepts"], seed=seed, subject=subject),
    }
    head = draw_head(seed=seed, subject=subject)
    snr = simulate["eeg_snr"] * head.snr_factor
    evoked = draw_evoked(simulate["n_latents"], snr=snr, seed=seed, subject=subject)
    order = [(session, partition) for session in range(4) for partition in ("training", "test")]
    for (session, partition), path in zip(order, sessions, strict=True):
        rng = generator(seed, "recording", subject, partition, str(session + 1))
        raw = np.concatenate(
            [record(part, shown[partition], evoked, head, rng=rng) for part in codes[partition][session]],
            axis=1,
        )
        _write(path, raw)


def record(
    codes: np.ndarray,
    latents: np.ndarray,
    evoked: Evoked,
    head: Head,
    *,
    rng: np.random.Generator,
    sfreq: int = SFREQ,
) -> np.ndarray:
    """Simulate one uninterrupted recording.

    Parameters
    ----------
    codes : (n_sequences, 20) int64, 1 for the first row of ``latents``, 99999 for targets.
    latents : (n_images, n_latents).
    evoked : the subject's responses; they overlap where pictures follow each other within a second.
    head : the subject's; ``evoked`` and its ``noise_fields`` have the same channels.
    sfreq : Hz, that of ``evoked``.

    Returns
    -------
    (n_channels + 1, n_times) float64: channels in V, and the code of each onset in the last row, else 0.
    """
    onsets, n_times = _onsets(*codes.shape, rng=rng, sfreq=sfreq)
    codes = codes.ravel()
    # A target is one and the same picture, which is not in the set.
    shown = np.concatenate([latents, np.zeros((1, latents.shape[1]))])
    amplitudes = evoked.amplitudes(shown[np.where(codes == TARGET, len(latents), codes - 1)])
    responses = evoked.topographies @ sum_responses(evoked, onsets, amplitudes, n_times=n_times)
    stim = np.zeros((1, n_times))
    stim[0, onsets] = codes
    noise = background(n_times, head, rng=rng, sfreq=sfreq)
    return np.concatenate([responses + noise, stim])


def _onsets(
    n_sequences: int, n_pictures: int, *, rng: np.random.Generator, sfreq: int
) -> tuple[np.ndarray, int]:
    """Return each onset's sample, (n_sequences * n_pictures,) int64, and the recording's number of them."""
    median, spread, longest = ANSWER
    answers = np.minimum(median * np.exp(spread * rng.normal(size=n_sequences)), longest)
    lengths = 2 * BLANK + SOA * n_pictures + answers
    ends = LEAD + np.cumsum(lengths)
    starts = ends - lengths + BLANK
    onsets = np.round(sfreq * starts).astype(int)[:, None] + round(sfreq * SOA) * np.arange(n_pictures)
    return onsets.ravel(), int(sfreq * (ends[-1] + TAIL))


def _write(path: str | Path, raw: np.ndarray) -> None:
    content = {
        "raw_eeg_data": raw,
        "ch_names": [*CHANNELS, "stim"],
        "ch_types": ["eeg"] * len(CHANNELS) + ["stim"],
        "sfreq": SFREQ,
        "highpass": 0.01,
        "lowpass": 100,
    }
    with atomic_path(path) as scratch:
        np.save(scratch, np.array(content), allow_pickle=True)
