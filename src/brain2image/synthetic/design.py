"""Order of the pictures in a THINGS-EEG2 recording: sessions, parts, sequences and targets."""

import numpy as np
from einops import rearrange

from brain2image.synthetic.latents import generator

TARGET = 99_999  # code of the trials that the participant had to answer
TARGET_SHARE = 0.005
SEQUENCE_LENGTH = 20
TRAINING_PARTS = 5  # recordings that one training file joins
TRAINING_REPETITIONS = 2  # of each picture in a session
TEST_REPETITIONS = 20


def training_codes(n_concepts: int, images_per_concept: int, *, seed: int, subject: str) -> list[np.ndarray]:
    """Draw the codes shown in the four training sessions.

    Sessions 1 and 2 show complementary halves of the concepts, sessions 3 and 4 again with a new random half;
    so each picture is shown at least twice in two of the sessions.

    Returns
    -------
    Four arrays (5, n_sequences, 20) int64 of codes 1, 2, … and 99999, first axis the parts of the recording.
    """
    rng = generator(seed, "training order", subject)
    codes = np.arange(n_concepts * images_per_concept).reshape(n_concepts, images_per_concept) + 1
    halves = [half for _ in range(2) for half in np.array_split(rng.permutation(n_concepts), 2)]
    return [_fill(codes[half].ravel(), TRAINING_REPETITIONS, TRAINING_PARTS, rng=rng) for half in halves]


def test_codes(n_images: int, *, seed: int, subject: str) -> list[np.ndarray]:
    """Draw the codes shown in the four test sessions: every picture at least twenty times in each.

    Returns
    -------
    Four arrays (1, n_sequences, 20) int64 of codes 1, 2, … and 99999.
    """
    rng = generator(seed, "test order", subject)
    return [_fill(np.arange(1, n_images + 1), TEST_REPETITIONS, 1, rng=rng) for _ in range(4)]


def _fill(codes: np.ndarray, n_repetitions: int, n_parts: int, *, rng: np.random.Generator) -> np.ndarray:
    """Repeat codes, add targets, and fill whole sequences up with further repetitions, as the real design."""
    n_needed = n_repetitions * len(codes)
    n_targets = max(1, round(TARGET_SHARE * n_needed / n_parts))  # a part
    per_part = -(-(n_needed / n_parts + n_targets) // SEQUENCE_LENGTH)
    length = int(per_part) * SEQUENCE_LENGTH
    fillers = np.resize(rng.permutation(codes), n_parts * (length - n_targets) - n_needed)
    shown = rng.permutation(np.concatenate([np.repeat(codes, n_repetitions), fillers]))
    parts = np.full((n_parts, length), TARGET)
    for part, images in zip(parts, np.split(shown, n_parts), strict=True):
        # Positions among the pictures, then moved apart by one each: no two targets in a row.
        places = np.sort(rng.choice(length - n_targets, size=n_targets, replace=False)) + np.arange(n_targets)
        part[np.setdiff1d(np.arange(length), places)] = images
    pattern = "parts (sequences pictures) -> parts sequences pictures"
    return rearrange(parts, pattern, pictures=SEQUENCE_LENGTH)
