"""The one error class for what the user can mend."""


class InputError(ValueError):
    """Raised for bad input: says in one line what was expected, what came and what to do.

    Scripts and the Snakefile print it without a traceback; every other exception is a defect of ours.
    """

    def __init__(self, message: str):
        super().__init__(" ".join(message.splitlines()))  # names in damaged files may hold line breaks


def reason(error: BaseException) -> str:
    """What a library's exception says, in one line, for the message of an `InputError`."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
