"""The one error class for what the user can mend."""


class InputError(ValueError):
    """Raised for bad input: says in one line what was expected, what came and what to do.

    Scripts and the Snakefile print it without a traceback; every other exception is a defect of ours.
    """
