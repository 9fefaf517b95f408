"""What values of the configuration may be."""

import os
import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from brain2image.releases import PAIR
from brain2image.sources import normalise

# What Snakemake takes for wildcards and path variables, and what no path should hold.
UNUSABLE = re.compile(r"[{}<\x00-\x1f\x7f]")
MAX_SEED = 2**32 - 1  # NumPy's

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


def _usable(path: str, placeholder: str = "") -> str:
    """The path, unless Snakemake would read more in it than a path."""
    if found := UNUSABLE.search(path.replace(placeholder, "")):
        raise ValueError(
            f"expected a path without braces, < and control characters, got {found[0]!r} in {path!r}"
        )
    return path


# A path in one spelling, as Snakemake takes another one for another file.
PathText = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(_usable),
    AfterValidator(lambda path: os.path.normpath(os.path.expanduser(path))),
]
# A local file, or a URL, which must stay as it is; of each NSD subject, or of all.
SourceText = Annotated[str, Field(min_length=1), AfterValidator(_usable), AfterValidator(normalise)]
SubjectSourceText = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(lambda path: _usable(path, "{subj}")),
    AfterValidator(normalise),
]
Subject = Annotated[str, Field(pattern=r"^sub-\d{2}$")]  # of THINGS-EEG2
# Frequencies of power lines, 16.7, 50 or 60 Hz, and of displays; a single one may stand for itself.
Frequencies = Annotated[
    list[Annotated[float, Field(ge=10, le=100)]],
    BeforeValidator(
        lambda value: [value] if isinstance(value, int | float) and not isinstance(value, bool) else value
    ),
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _all_or_list(value: Any, check_list: ValidatorFunctionWrapHandler) -> Any:
    """Let the word all pass; a union of types would report a wrong list twice."""
    if isinstance(value, str) and value != "all":
        raise ValueError(f"expected all or a list of pairs, got {value!r}")
    return value if value == "all" else check_list(value)


def text_or_block(value: Any, check_block: ValidatorFunctionWrapHandler) -> Any:
    """Let a text pass where a block may stand; a union of types would report a wrong block twice."""
    return value if isinstance(value, str) and value else check_block(value)


def dump_block(value: Any) -> Any:
    """A block as a dictionary, a text as it is."""
    return value.model_dump() if isinstance(value, BaseModel) else value


Pairs = Annotated[
    list[Annotated[str, Field(pattern=f"^{PAIR.pattern}$")]],
    Field(min_length=1),
    WrapValidator(_all_or_list),
    PlainSerializer(lambda pairs: pairs),  # pydantic's own would warn of the word all
]


class Section(BaseModel):
    """A block of the configuration. Unknown keys, and values of another type, are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )
