"""Units of EEG: values of another unit are noticed."""

import pytest

from brain2image.core.errors import InputError
from brain2image.datasets.units import check_rms


def test_volts_taken_for_microvolts_are_noticed():
    check_rms(12.0, "uV", source="eeg")
    with pytest.raises(InputError, match=r"expected EEG in uV .* got 1\.2e-05"):
        check_rms(1.2e-5, "uV", source="eeg")
