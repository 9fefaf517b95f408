"""What a PyTorch checkpoint's ``data.pkl`` says of its tensors, read without making or calling anything."""

import pickle
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from brain2image.formats.pickles import LimitedUnpickler, dispatch, ordered_dict

# bfloat16 is the upper half of a float32, so it is read as the integers it looks like.
DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8", "BFloat16Storage": "<u2"}
# Names of storages that a checkpoint may mention; what is not in DTYPES cannot be read.
OTHER_STORAGES = {
    f"{kind}Storage" for kind in ("Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat", "Untyped")
}


class Storage(NamedTuple):
    """What ``data.pkl`` says of a storage: type and key; its bytes are not read."""

    kind: str
    key: str


class Tensor(NamedTuple):
    """What ``data.pkl`` says of a tensor."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool = False
    hooks: Any = None
    metadata: Any = None


class Description(LimitedUnpickler):
    """Reads ``data.pkl`` into `Tensor` and `Storage`; nothing else can be made, and nothing is executed."""

    allowed: ClassVar[Mapping] = {
        ("collections", "OrderedDict"): ordered_dict,
        ("torch._utils", "_rebuild_tensor_v2"): Tensor,
        **{("torch", kind): kind for kind in (*DTYPES, *OTHER_STORAGES)},
    }

    def find_class(self, module: str, name: str) -> Any:
        """Take a name from those that are allowed."""
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return self.allowed[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        """Build a storage from ``("storage", type, key, device, number of values)``."""
        match pid:
            case ("storage", str(kind), str(key), *_):
                return Storage(kind, key)
        raise pickle.UnpicklingError("it names an unknown object")

    def load_build(self) -> None:
        """Drop the state of an object, that is the ``_metadata`` of a state dict."""
        self.stack.pop()

    dispatch: ClassVar[dict] = dispatch(BUILD=load_build)


class Anything(dict):
    """What stands for any object: it takes items, and forgets members."""

    append = extend = lambda *_: None


class TrainerDescription(Description):
    """Reads ``data.pkl`` of a checkpoint that also holds a trainer's state, of whatever classes.

    In their place stands `Anything`: as in `Description`, no name is looked up, and nothing is called.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Take a name from those that are allowed, or `Anything` in its place."""
        return self.allowed.get((module, name), Anything)

    def load_reduce(self) -> None:
        """Describe a tensor, or put something in place of what another call would give."""
        if self.stack[-2] is not Anything:
            super().load_reduce()
            return
        self.check_size(self.stack.pop())
        self.stack[-1] = Anything()

    dispatch: ClassVar[dict] = dispatch(BUILD=Description.load_build, REDUCE=load_reduce)


# Of each name that the state dict has in a checkpoint, what reads the description.
DESCRIPTIONS = {"model_state_dict": Description, "state_dict": TrainerDescription}


class Skeleton(LimitedUnpickler):
    """Reads what holds what in any pickle; no name is looked up, and nothing is called."""

    def find_class(self, module: str, name: str) -> Any:
        """Take `Anything` in place of a name."""
        return Anything

    def persistent_load(self, pid: Any) -> Any:
        """Put nothing in place of a storage."""
        self.check_size(pid)

    def load_reduce(self) -> None:
        """Put something in place of what a call would give."""
        self.check_size(self.stack.pop())
        self.stack[-1] = Anything()

    def load_newobj_ex(self) -> None:
        """Do the same for a class that is called with keywords."""
        self.check_size(self.stack.pop())
        self.load_reduce()

    dispatch: ClassVar[dict] = dispatch(
        BUILD=Description.load_build,
        REDUCE=load_reduce,
        NEWOBJ=load_reduce,
        NEWOBJ_EX=load_newobj_ex,
    )
