"""The unpickler of arrays calls its own stand-ins for what the allow-list names, and nothing else."""

import io
import pickle

import numpy as np
import pytest

from brain2image.formats.array_pickles import ALLOWED, HARMLESS, ArrayUnpickler


def unpickle(content):
    return ArrayUnpickler(io.BytesIO(content), lazy_bytes=float("inf")).load()


def test_every_allowed_name_has_a_stand_in():
    assert {name for _, name in ALLOWED} == HARMLESS.keys() | {"encode", "scalar"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_scalars_of_every_protocol_are_read(protocol):
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    content = unpickle(pickle.dumps({"array": array, "scalar": np.float64(2.5), "bytes": b"\xff"}, protocol))
    np.testing.assert_array_equal(content["array"], array)
    assert (content["scalar"], content["bytes"]) == (2.5, b"\xff")


def test_any_other_call_is_refused():
    with pytest.raises(pickle.UnpicklingError, match=r"it would call builtins\.print"):
        unpickle(pickle.dumps(print))
