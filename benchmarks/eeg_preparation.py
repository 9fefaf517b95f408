"""What whitening, clamping and weights of trials are worth where EEG is clean and where it is not.

Synthetic trials of two sessions, with the spatial covariance of a head model, are prepared in each way; ridge
from their means to look-alikes' latents is fitted on 400 pictures and ranks 200 others.
"""

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from recovery import markdown
from scipy.signal import butter, sosfilt
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits

from brain2image.datasets.bad_channels import read_amplitudes
from brain2image.datasets.signals import cut_epochs, filter_eeg
from brain2image.datasets.whitening import (
    channel_scales,
    clip_trials,
    fit_whitening,
    mix_channels,
    trial_weights,
)
from brain2image.evaluation.metrics import ranks, similarity_matrix
from brain2image.synthetic.eeg import SFREQ, draw_evoked
from brain2image.synthetic.heads import CHANNELS, Head, draw_head
from brain2image.synthetic.latents import KINSHIP, generator, things_latents
from brain2image.synthetic.raw_files import record

SUBJECT = "sub-01"
N_TRAIN, N_TEST, IMAGES_PER_CONCEPT, N_LATENTS = 400, 200, 5, 12
SEQUENCE, N_SESSIONS, N_REPETITIONS = 20, 2, 2  # pictures; each picture so often in each session
SNR = 0.3  # of one trial, root mean squares
RATE, WINDOW = 200, 4  # Hz; samples whose means ridge sees, 20 ms
PENALTIES = np.logspace(1, 7, 13)
BURST_SHARE, BURST_SECONDS, BURST_BAND = 0.05, 1.0, (1.0, 20.0)  # of the time; s; Hz
BURST_RMS = 150.0  # uV
LOOSE, LOOSE_RMS, LOOSE_SHARE = "Oz", 300.0, 1 / 3  # uV; of the time of the second session, all of the first


CONDITIONS = ("clean", "bursts", "bursts and a loose electrode")


class Session(NamedTuple):
    """One session: what a clean recording gives, and where the trials lie in it."""

    eeg: np.ndarray  # (n_trials, 63, 200) float32, uV
    images: np.ndarray  # (n_trials,)
    onsets: np.ndarray  # (n_trials,), samples at 200 Hz
    n_times: int  # of the recording, at 200 Hz


def record_session(latents: np.ndarray, number: int, seed: int) -> Session:
    """Record each picture twice, filtered and cut as raw data are."""
    rng = generator(seed, "recording", str(number))
    evoked = draw_evoked(N_LATENTS, snr=SNR, seed=seed, subject=SUBJECT)
    head = draw_head(seed=seed, subject=SUBJECT)
    shown = np.concatenate([rng.permutation(len(latents)) + 1 for _ in range(N_REPETITIONS)])
    raw = record(shown.reshape(-1, SEQUENCE), latents, evoked, head, rng=rng)
    onsets = np.flatnonzero(raw[-1])
    eeg = filter_eeg(1e6 * raw[:-1], SFREQ, highpass=0.3, lowpass=75.0, notch=50.0)
    eeg = cut_epochs(eeg, onsets, n_times=RATE, step=SFREQ // RATE)
    step = SFREQ // RATE
    return Session(eeg, raw[-1, onsets].astype(int) - 1, onsets // step, raw.shape[1] // step + 1)


def bursts(session: Session, head: Head, rng: np.random.Generator) -> np.ndarray:
    """Movement: in 5 % of the time, waves of three sources anywhere in the head, (n_trials, 63, 200) uV."""
    n_burst = round(BURST_SECONDS * RATE)
    field, noise = head.leadfield, np.zeros((len(CHANNELS), session.n_times))
    for _ in range(round(BURST_SHARE * session.n_times / n_burst)):
        start = rng.integers(session.n_times - n_burst)
        sources = field[:, rng.integers(field.shape[1], size=3)] @ rng.normal(size=(3,))
        noise[:, start : start + n_burst] += _unit(sources) @ _waves(3, n_burst, rng)
    return BURST_RMS * _cut(noise, session)


def loose_electrode(session: Session, share: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of one electrode, in a part of the time at a stretch, (n_trials, 63, 200) uV."""
    noise = np.zeros((len(CHANNELS), session.n_times))
    n_loose = round(share * session.n_times)
    start = rng.integers(session.n_times - n_loose + 1)
    noise[CHANNELS.index(LOOSE), start : start + n_loose] = LOOSE_RMS * _waves(1, n_loose, rng)[0]
    return _cut(noise, session)


def _unit(fields: np.ndarray) -> np.ndarray:
    return fields / np.sqrt(np.mean(np.sum(fields**2, axis=1)))


def _waves(n: int, n_times: int, rng: np.random.Generator) -> np.ndarray:
    waves = sosfilt(butter(2, BURST_BAND, "bandpass", fs=RATE, output="sos"), rng.normal(size=(n, n_times)))
    return waves / waves.std()


def _cut(noise: np.ndarray, session: Session) -> np.ndarray:
    return np.stack([noise[:, onset : onset + RATE] for onset in session.onsets]).astype(np.float32)


def damaged(sessions: Sequence[Session], condition: str, seed: int) -> np.ndarray:
    """Trials of all sessions in a condition, (n_trials, 63, 200) float32 uV."""
    rng, head, parts = generator(seed, "damage"), draw_head(seed=seed, subject=SUBJECT), []
    for number, session in enumerate(sessions):
        eeg = session.eeg.copy()
        if condition != "clean":
            eeg += bursts(session, head, rng)
        if condition == "bursts and a loose electrode":
            eeg += loose_electrode(session, LOOSE_SHARE if number else 1.0, rng)
        parts.append(eeg)
    return np.concatenate(parts)


class Preparation(NamedTuple):
    """How trials are prepared: the keys of the config's ``eeg``."""

    whiten: bool
    clip: float
    weigh_trials: bool

    @property
    def name(self) -> str:
        """What the table calls it."""
        parts = [
            "whitened" if self.whiten else "microvolts",
            f"clip {self.clip:g}" if self.clip else "",
            "weights" if self.weigh_trials else "",
        ]
        return ", ".join(part for part in parts if part)


PREPARATIONS = [
    Preparation(False, 0.0, False),
    Preparation(False, 5.0, True),
    Preparation(True, 0.0, False),
    Preparation(True, 5.0, False),
    Preparation(True, 0.0, True),
    *(Preparation(True, clip, True) for clip in (3.0, 5.0, 15.0)),
]


def prepare(
    eeg: np.ndarray, session: np.ndarray, is_training: np.ndarray, how: Preparation
) -> tuple[np.ndarray, np.ndarray]:
    """Prepare trials, (n_trials, 63, 200), as `things_eeg.repack_eeg` does; return them and their weights."""
    eeg = eeg.copy()
    for number in np.unique(session) if how.whiten else ():
        own = session == number
        whitening = fit_whitening(eeg, own & is_training, CHANNELS, unit="uV", source=f"session {number}")
        mix_channels(eeg, own, whitening.matrix)
    rms, _ = read_amplitudes(eeg, np.ones(len(eeg), bool))
    scale = channel_scales(rms[is_training])
    if how.clip:
        clip_trials(eeg, how.clip * scale)
    return eeg, trial_weights(rms, scale) if how.weigh_trials else np.ones(len(eeg), np.float32)


def picture_means(eeg: np.ndarray, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean trial of each picture in windows of 20 ms, (n_images, 63 * 50) float32."""
    n_images = images.max() + 1
    windows = eeg.reshape(len(eeg), len(CHANNELS), -1, WINDOW).mean(axis=3).reshape(len(eeg), -1)
    sums = np.zeros((n_images, windows.shape[1]), np.float32)
    np.add.at(sums, images, windows * weights[:, None])
    return sums / np.bincount(images, weights)[:, None].astype(np.float32)


def top1(features: np.ndarray, targets: np.ndarray) -> float:
    """Share of test pictures that ridge, fitted on the training pictures, finds first, in %."""
    train, test = slice(0, N_TRAIN), slice(N_TRAIN, None)
    mean, spread = features[train].mean(axis=0), features[train].std(axis=0) + 1e-12
    x = (features - mean) / spread
    model = RidgeCV(PENALTIES).fit(x[train], targets[train])
    similarity = similarity_matrix(model.predict(x[test]), targets[test])
    return 100 * float(np.mean(np.diag(ranks(similarity)) == 1))


def measure(seed: int) -> list[dict[str, Any]]:
    """Score each preparation in each condition."""
    n_images = N_TRAIN + N_TEST
    concepts = n_images // IMAGES_PER_CONCEPT
    latents = things_latents(concepts, IMAGES_PER_CONCEPT, N_LATENTS, partition="training", seed=seed)
    rng = generator(seed, "partners")
    targets = KINSHIP * latents + np.sqrt(1 - KINSHIP**2) * rng.normal(size=latents.shape)
    sessions = [record_session(latents, number, seed) for number in range(N_SESSIONS)]
    images = np.concatenate([session.images for session in sessions])
    session = np.repeat(np.arange(N_SESSIONS), [len(session.images) for session in sessions])
    rows = []
    for condition in CONDITIONS:
        trials = damaged(sessions, condition, seed)
        for how in PREPARATIONS:
            eeg, weights = prepare(trials, session, images < N_TRAIN, how)
            score = top1(picture_means(eeg, images, weights), targets)
            rows.append({"condition": condition, "preparation": how.name, "top1": score})
    return rows


def main() -> None:
    """Print the table: mean ± standard deviation over seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with threadpool_limits(arguments.threads):
        rows = [row for seed in arguments.seeds for row in measure(seed)]
    scores = pd.DataFrame(rows).groupby(["preparation", "condition"], sort=False)["top1"]
    text = scores.agg(lambda x: f"{x.mean():.1f} ± {x.std():.1f}").unstack("condition")
    print(markdown(text[list(CONDITIONS)].loc[[how.name for how in PREPARATIONS]]))


if __name__ == "__main__":
    main()
