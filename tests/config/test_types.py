"""Types of the config's values: what each lets through, and in which spelling."""

import pytest
from pydantic import TypeAdapter, ValidationError

from brain2image.config.types import Frequencies, Name, PathText, Section, Seed, SubjectSourceText


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        (PathText, "results//x/../y/", "results/y"),
        (SubjectSourceText, "weights/{subj}.pth", "weights/{subj}.pth"),
        (Frequencies, 50, [50.0]),
        (Frequencies, [16.7, 50.0], [16.7, 50.0]),
        (Name, "flatten_seed-1", "flatten_seed-1"),
        (Seed, 2**32 - 1, 2**32 - 1),
    ],
)
def test_values_are_kept_in_one_spelling(kind, given, kept):
    assert TypeAdapter(kind).validate_python(given) == kept


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (PathText, ""),
        (PathText, "results/{run}"),
        (PathText, "<script>"),
        (SubjectSourceText, "weights/{sub}.pth"),
        (Frequencies, [5.0]),
        (Frequencies, True),
        (Name, "../flatten"),
        (Seed, 2**32),
    ],
)
def test_other_values_are_refused(kind, given):
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(given)


def test_a_section_takes_known_keys_and_values_of_their_type():
    class Block(Section):
        number: int

    assert Block(number=1).number == 1
    for content in ({"number": "1"}, {"number": 1, "other": 2}):
        with pytest.raises(ValidationError):
            Block(**content)
