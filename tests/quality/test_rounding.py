"""Numbers that people read have four digits."""

import numpy as np

from brain2image.quality.rounding import rounded


def test_numbers_of_any_kind_become_plain_floats_of_four_digits():
    values = {"one": np.float32(0.123456), "many": np.array([[1234567, 2e-7]]), "in": {"list": [3, 0.99999]}}
    assert rounded(values) == {"one": 0.1235, "many": [[1235000.0, 2e-7]], "in": {"list": [3.0, 1.0]}}
    assert type(rounded(values)["one"]) is float
