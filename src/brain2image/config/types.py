"""What values of the configuration may be."""

import os
from typing import TYPE_CHECKING, Annotated, Any, Literal

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

from brain2image.constants.brain_names import BRAINS
from brain2image.constants.electrodes import ALL, ELECTRODE_SETS
from brain2image.constants.notches import LINE_RANGE
from brain2image.core.errors import printable
from brain2image.weights.sources import normalise

# What Snakemake takes for wildcards and path variables, and what no path should hold.
MAX_SEED = 2**32 - 1  # NumPy's

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


def _check_plain(text: str) -> str:
    """Refuse markup, as Snakemake writes the paths and the params of jobs into its report as they are."""
    if {"<", ">"} & set(text) or text != printable(text):
        raise ValueError(f"expected a text without < and > and without control characters, got {text!r}")
    return text


def _check_braces(path: str, placeholder: str = "") -> str:
    """Refuse what Snakemake takes for a wildcard or a format field."""
    if {"{", "}"} & set(path.replace(placeholder, "")):
        raise ValueError(f"expected a path without braces, got {path!r}")
    return path


PlainText = Annotated[str, Field(min_length=1), AfterValidator(_check_plain)]
# A path in one spelling, as Snakemake takes another one for another file.
PathText = Annotated[
    PlainText,
    AfterValidator(_check_braces),
    AfterValidator(lambda path: os.path.normpath(os.path.expanduser(path))),
]
# The same of what may not be there; empty: nothing.
OptionalPathText = Annotated[
    str,
    AfterValidator(_check_plain),
    AfterValidator(_check_braces),
    AfterValidator(lambda path: path and os.path.normpath(os.path.expanduser(path))),
]
# A container image: a file or an address, in which Snakemake allows no blank; or nothing.
ImageText = Annotated[
    str, AfterValidator(_check_plain), AfterValidator(_check_braces), Field(pattern=r"^\S*$")
]
# A local file, or a URL, which must stay as it is; of each NSD subject, or of all.
SourceText = Annotated[PlainText, AfterValidator(_check_braces), AfterValidator(normalise)]
SubjectSourceText = Annotated[
    PlainText, AfterValidator(lambda path: _check_braces(path, "{subj}")), AfterValidator(normalise)
]
# Somebody of an EEG data set: its name and a number.
Person = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*-\d{2,}$")]
# Whose EEG a run learns from: the tested person's, everybody else's, everybody's, or that of a list.
PEOPLE_WORDS = ("own", "others", "all")
PeopleList = Annotated[list[Person], Field(min_length=1)]
# Frequencies of power lines, 16.7, 50 or 60 Hz, and of displays; a single one may stand for itself.
Frequency = Annotated[float, Field(ge=LINE_RANGE[0], le=LINE_RANGE[1])]
Frequencies = Annotated[
    list[Frequency],
    BeforeValidator(
        lambda value: [value] if isinstance(value, int | float) and not isinstance(value, bool) else value,
        json_schema_input_type=Frequency | list[Frequency],
    ),
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _all_or_list(value: Any, check_list: ValidatorFunctionWrapHandler) -> Any:
    """Let the word all pass; a union of types would report a wrong list twice."""
    if isinstance(value, str) and value != "all":
        raise ValueError(f"expected all or a list of brains, got {value!r}")
    return value if value == "all" else check_list(value)


def _mains_or_list(value: Any, check_list: ValidatorFunctionWrapHandler) -> Any:
    """Let the word mains pass; a union of types would report a wrong list twice."""
    if isinstance(value, str) and value != "mains":
        raise ValueError(f"expected mains, a frequency or a list of them, got {value!r}")
    return value if value == "mains" else check_list(value)


def text_or_block(value: Any, check_block: ValidatorFunctionWrapHandler) -> Any:
    """Let a text pass where a block may stand; a union of types would report a wrong block twice."""
    return _check_plain(value) if isinstance(value, str) and value else check_block(value)


def dump_block(value: Any) -> Any:
    """Return a block as a dictionary, a text as it is."""
    return value.model_dump() if isinstance(value, BaseModel) else value


def _word_or_people(value: Any, check_list: ValidatorFunctionWrapHandler) -> Any:
    """Let the words pass; a union of types would report a wrong list twice."""
    if isinstance(value, str) and value not in PEOPLE_WORDS:
        raise ValueError(f"expected {', '.join(PEOPLE_WORDS)} or a list of people, got {value!r}")
    return value if isinstance(value, str) else check_list(value)


if TYPE_CHECKING:
    Notch = Literal["mains"] | list[float]
else:
    Notch = Annotated[
        Frequencies,
        WrapValidator(_mains_or_list, json_schema_input_type=Literal["mains"] | Frequency | list[Frequency]),
        PlainSerializer(lambda notch: notch),
    ]


BrainsList = Annotated[list[Annotated[str, Field(pattern=f"^{BRAINS.pattern}$")]], Field(min_length=1)]
if TYPE_CHECKING:
    Brains = Literal["all"] | list[str]
else:
    Brains = Annotated[
        BrainsList,
        WrapValidator(_all_or_list, json_schema_input_type=Literal["all"] | BrainsList),
        PlainSerializer(lambda brains: brains),  # pydantic's own would warn of the word all
    ]


if TYPE_CHECKING:
    People = Literal["own", "others", "all"] | list[str]
else:
    People = Annotated[
        PeopleList,
        WrapValidator(_word_or_people, json_schema_input_type=Literal["own", "others", "all"] | PeopleList),
        PlainSerializer(lambda people: people),
    ]


def _word_or_electrodes(value: Any, check_list: ValidatorFunctionWrapHandler) -> Any:
    """Let the names of sets pass; a union of types would report a wrong list twice."""
    words = (ALL, *ELECTRODE_SETS)
    if isinstance(value, str) and value not in words:
        raise ValueError(f"expected {', '.join(words)} or a list of channel names, got {value!r}")
    if isinstance(value, list) and len(set(map(str, value))) < len(value):
        raise ValueError(f"expected each channel once, got {value}")
    return value if isinstance(value, str) else check_list(value)


ElectrodeList = Annotated[list[PlainText], Field(min_length=1)]
ElectrodeWords = Literal["all", "posterior"]
if TYPE_CHECKING:
    Electrodes = ElectrodeWords | list[str]
else:
    Electrodes = Annotated[
        ElectrodeList,
        WrapValidator(_word_or_electrodes, json_schema_input_type=ElectrodeWords | ElectrodeList),
        PlainSerializer(lambda channels: channels),
    ]


class Section(BaseModel):
    """A block of the configuration. Unknown keys, and values of another type, are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )
