"""An unpickler that runs no code and whose work has limits, whatever a file holds."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

# A few thousand nested tuples are a kilobyte: hashed, they end Python; printed, they fill the memory, if each
# holds the one before twice. All names of a whole EEG release are 200,000 instructions.
MOST_INSTRUCTIONS = 2_000_000
MOST_OBJECTS = 2_000_000  # counted each time that they are held
DEEPEST = 32  # containers within containers
MOST_AXES, LONGEST_AXIS = 32, 2**48
KEYS = str | bytes | int | float | None  # True and False are integers, too


if (
    TYPE_CHECKING
):  # members of Python's own unpickler on which the readers build, and which typeshed leaves out

    class _Unpickler(pickle._Unpickler):
        stack: list[Any]
        memo: dict[int, Any]
        append: Callable[[Any], None]
        read: Callable[[int], bytes]
        _unframer: Any

        def load_build(self) -> None: ...
        def load_dict(self) -> None: ...
        def load_reduce(self) -> None: ...
        def load_setitem(self) -> None: ...
        def load_setitems(self) -> None: ...

else:
    _Unpickler = pickle._Unpickler


class LimitedUnpickler(_Unpickler):
    """What both readers of pickles share: a subclass lists in ``find_class`` what may be called.

    The pure Python unpickler is the one whose instructions can be overridden. Nothing but single values is
    hashed, as tuples and sets can be nested without end, and nothing is printed before `load` has looked at
    all of it.
    """

    n_instructions = n_objects = 0

    def load(self) -> Any:
        """Load the object, which is not nested deeper, nor larger, than a release needs it.

        Raises
        ------
        pickle.UnpicklingError
            When it is, or something is named that may not be called.
        """
        content = super().load()
        self.check_size(content)
        return content

    def check_size(self, content: Any) -> None:
        """Raise UnpicklingError where containers are nested too deep, or hold too much in all."""
        waiting = [(content, 0)]
        while waiting:
            value, depth = waiting.pop()
            held = _held(value)
            self.n_objects += len(held)
            if depth > DEEPEST or self.n_objects > MOST_OBJECTS:
                raise pickle.UnpicklingError(
                    f"its containers are nested deeper than {DEEPEST} or hold over {MOST_OBJECTS} objects"
                )
            waiting.extend((item, depth + 1) for item in held if _held(item))

    def load_setitem(self) -> None:
        """Set an item of a dict."""
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Set several items of a dict."""
        _check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        """Make a dict of what stands behind a mark."""
        _check_keys(self.stack[::2])
        super().load_dict()

    def refuse_set(self) -> None:
        """Refuse a set, whose members would be hashed; no release has one."""
        raise pickle.UnpicklingError("it holds a set")

    def refuse_number(self) -> None:
        """Refuse an integer of more than 255 bytes, which Python does not print."""
        raise pickle.UnpicklingError("it holds an integer of more than 255 bytes")


def _counted(instruction: Callable) -> Callable:
    """Make an instruction that counts how many there were."""

    def run(self: LimitedUnpickler) -> None:
        self.n_instructions += 1
        if self.n_instructions > MOST_INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it has more than {MOST_INSTRUCTIONS} instructions")
        instruction(self)

    return run


def dispatch(**own: Callable) -> dict[int, Callable]:
    """Return the instructions of an unpickler by their code, counted.

    Parameters
    ----------
    own : those that a subclass has in place of Python's, by their name in `pickle`.
    """
    limited: dict[str, Callable] = {
        "SETITEM": LimitedUnpickler.load_setitem,
        "SETITEMS": LimitedUnpickler.load_setitems,
        "DICT": LimitedUnpickler.load_dict,
        **dict.fromkeys(("EMPTY_SET", "ADDITEMS", "FROZENSET"), LimitedUnpickler.refuse_set),
        "LONG4": LimitedUnpickler.refuse_number,
    }
    replaced = {getattr(pickle, name)[0]: method for name, method in {**limited, **own}.items()}
    instructions: dict[int, Callable] = {**pickle._Unpickler.dispatch, **replaced}
    return {code: _counted(method) for code, method in instructions.items()}


def ordered_dict() -> OrderedDict:
    """Return an empty OrderedDict, whose items follow; Python 2 gave it all of them in a call."""
    return OrderedDict()


def _held(value: Any) -> Any:
    """Return what a container holds; nothing for anything else."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype.hasobject else ()
    return value if isinstance(value, list | tuple) else ()


def check_shape(shape: Any) -> None:
    """Raise UnpicklingError unless a shape is one: a tuple of lengths, whose product can be computed."""
    is_shape = isinstance(shape, tuple) and len(shape) <= MOST_AXES
    if not is_shape or not all(type(length) is int and 0 <= length < LONGEST_AXIS for length in shape):
        raise pickle.UnpicklingError("it holds an array whose state is not NumPy's")


def _check_keys(keys: list) -> None:
    for key in keys:
        if not isinstance(key, KEYS):
            raise pickle.UnpicklingError(f"it holds a dictionary with a {type(key).__name__} as a key")
