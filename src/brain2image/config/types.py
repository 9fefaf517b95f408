"""What values of the configuration may be."""

import os
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator

from brain2image.errors import printable
from brain2image.releases import PAIR
from brain2image.sources import normalise

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]


def _check_plain(text: str) -> str:
    """Refuse markup, as Snakemake writes the paths and the params of jobs into its report as they are."""
    if {"<", ">"} & set(text) or text != printable(text):
        raise ValueError(f"expected a text without < and > and without control characters, got {text!r}")
    return text


PlainText = Annotated[str, Field(min_length=1), AfterValidator(_check_plain)]
# A path in one spelling, as Snakemake takes another one for another file.
PathText = Annotated[PlainText, AfterValidator(lambda path: os.path.normpath(os.path.expanduser(path)))]
# A local file, or a URL, which must stay as it is.
SourceText = Annotated[PlainText, AfterValidator(normalise)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _all_or_list(value: Any, check_list: ValidatorFunctionWrapHandler) -> Any:
    """Let the word all pass; a union of types would report a wrong list twice."""
    if isinstance(value, str) and value != "all":
        raise ValueError(f"expected all or a list of pairs, got {value!r}")
    return value if value == "all" else check_list(value)


Pairs = Annotated[
    list[Annotated[str, Field(pattern=f"^{PAIR.pattern}$")]],
    Field(min_length=1),
    WrapValidator(_all_or_list),
]


class Section(BaseModel):
    """A block of the configuration. Unknown keys, and values of another type, are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )
