"""The one error class for what the user can mend."""

import unicodedata

LONGEST = 4000  # characters of a message: its beginning names the file, its end the remedy
HEAD = 3000


class InputError(ValueError):
    """Raised for bad input: says in one line what was expected, what came and what to do.

    Scripts and the Snakefile print it without a traceback; every other exception is a defect of ours. What it
    quotes of a file may be anything: too long a message loses its middle, and what is no text to read, line
    breaks, a terminal's commands or marks that turn the direction of writing, is replaced.
    """

    def __init__(self, message: str):
        super().__init__(printable(message))


def printable(text: str) -> str:
    """Return a text as one line that a terminal may show: shortened, and without control characters."""
    if len(text) > LONGEST:
        text = f"{text[:HEAD]} … {text[HEAD - LONGEST :]}"
    # of the categories "C..": controls, marks of format and direction, lone surrogates, unassigned codes
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character).startswith("C") else character
        for character in " ".join(text.splitlines())
    )


def reason(error: BaseException) -> str:
    """Put what a library's exception says in one line, for the message of an `InputError`."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
