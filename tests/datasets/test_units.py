"""Units of EEG, and the scale that each gets."""

import numpy as np
import pytest

from brain2image.core.errors import InputError
from brain2image.datasets.units import cbramod_scale, check_rms


def test_volts_taken_for_microvolts_are_noticed():
    check_rms(12.0, "uV", source="eeg")
    with pytest.raises(InputError, match=r"expected EEG in uV .* got 1\.2e-05"):
        check_rms(1.2e-5, "uV", source="eeg")


def test_scales_for_cbramod(rng):
    whitened = rng.standard_normal((10, 63, 200)).astype(np.float32)
    assert cbramod_scale(whitened, "uV") == 0.01
    assert np.sqrt(np.mean((whitened * cbramod_scale(whitened, "whitened")) ** 2)) == pytest.approx(
        0.2, rel=1e-5
    )
    with pytest.raises(InputError, match="got unit 'V'"):
        cbramod_scale(whitened, "V")
