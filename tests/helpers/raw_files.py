"""Raw files of THINGS-EEG2, a few pictures and seconds of them."""

import numpy as np

from brain2image.datasets.things_eeg2.things_channels import CHANNELS

# As recorded: 31 channels of the first amplifier, 32 of the second.
DISK_ORDER = (
    "Fp1 F3 F7 FT9 FC5 FC1 C3 T7 TP9 CP5 CP1 Pz P3 P7 O1 Oz O2 P4 P8 TP10 CP6 CP2 Cz C4 T8 FT10 FC6 FC2 F4 "
    "F8 Fp2 AF7 AF3 AFz F1 F5 FT7 FC3 FCz C1 C5 TP7 CP3 P1 P5 PO7 PO3 POz PO4 PO8 P6 P2 CPz CP4 TP8 C6 C2 "
    "FC4 FT8 F6 F2 AF4 AF8"
)
DISK_CHANNELS = DISK_ORDER.split()
N_TRAIN, N_TEST = 30, 4
LEAD, TAIL = 2000, 3000  # ms before a part's first picture and after its last: 2 s from both ends
PART = LEAD + 19 * 200 + TAIL
FILTERS = {"highpass": 1.0, "lowpass": 75.0, "notch": 50.0}  # 1 Hz: a short filter suffices


def make_raw(seed, *, n_parts, n_images, offset=0.0, amplitude=1e-5):
    """A raw dict of the release's format, one sequence a part, and the true parts.

    Each channel is a 10 Hz sine in volts whose phase tells the channel and the part; a part's own constant
    is ``offset`` times a random number.
    """
    rng = np.random.default_rng(seed)
    n_samples = n_parts * PART
    times = np.arange(PART) / 1000
    data = np.zeros((64, n_samples))
    for part in range(n_parts):
        here = slice(part * PART, (part + 1) * PART)
        for row, name in enumerate(DISK_CHANNELS):
            phase = phase_of(name, part)
            data[row, here] = amplitude * np.sin(2 * np.pi * 10 * times + phase) + offset * rng.uniform(
                0.2, 1
            )
    data[:63] += 1e-9 * rng.standard_normal((63, n_samples))
    onsets = np.concatenate([part * PART + LEAD + 200 * np.arange(20) for part in range(n_parts)])
    codes = rng.integers(1, n_images + 1, len(onsets))
    codes[rng.choice(len(codes), 2, replace=False)] = 99999
    data[63, onsets] = codes
    return {
        "raw_eeg_data": data,
        "ch_names": [*DISK_CHANNELS, "stim"],
        "ch_types": ["eeg"] * 63 + ["stim"],
        "sfreq": 1000,
        "highpass": 0.01,
        "lowpass": 100,
    }


def phase_of(name, part):
    return CHANNELS.index(name) * 0.1 + part
