"""Which EEG encoders there are and what they declare, found without importing PyTorch.

An encoder is a module whose ``ENCODER`` is a class: built in, in ``brain2image.models.encoders``, or of an
installed package, by an entry point ``NAME = module`` of the group ``brain2image.encoders``. Or its class was
registered in this process. The contract is `brain2image.models.encoders.base.Encoder`.
"""

import ast
import csv
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from brain2image.core.errors import InputError
from brain2image.core.extras import missing

PACKAGE = "brain2image.models.encoders"
GROUP = "brain2image.encoders"
NO_ENCODERS = {"base"}  # modules of the package that hold none

# Encoders of this process alone, by name.
REGISTERED: dict[str, type] = {}


class Declaration(NamedTuple):
    """What the class of an encoder says of it in plain values."""

    options: tuple[str, ...] = ()  # keys of the configuration that it has and others have not
    fixed_width: int | None = None  # of its tokens, where the EEG and its options do not change it
    has_variants: bool = False  # whether a colon and one of its variants follow its name
    catalogue: str | None = None  # PACKAGE/FILE, a table whose column Model lists the variants
    published: tuple[str, ...] = ()  # of the catalogue, those with published weights
    millions: Mapping[str, int] = {}  # of the catalogue, the parameters of large ones, in millions
    unfit: Mapping[str, str] = {}  # of the catalogue, those that cannot be used, and why


def register_encoder(name: str) -> Callable[[type], type]:
    """Return a decorator that makes an encoder's class known to this process by a name.

    Raises
    ------
    InputError
        When an encoder is called so already.
    """
    if name in REGISTERED or name in _installed():
        raise InputError(f"register_encoder: expected a new name, got {name!r}, which is an encoder already")

    def register(encoder: type) -> type:
        REGISTERED[name] = encoder
        return encoder

    return register


def list_encoders() -> list[str]:
    """Return what ``model.encoder`` may be, sorted; ``KIND:NAME`` stands for all variants of an encoder."""
    kinds = sorted(_installed().keys() | REGISTERED.keys())
    return [f"{kind}:NAME" if _declared(kind).has_variants else kind for kind in kinds]


def check_encoder(name: str) -> str:
    """Return the name of an encoder, once it is clear that there is one.

    Raises
    ------
    InputError
        Lists the encoders when there is none of this name.
    """
    kind, colon, variant = name.partition(":")
    if (
        kind not in _installed().keys() | REGISTERED.keys()
        or bool(colon) != bool(variant)
        or bool(variant) != _declared(kind).has_variants
    ):
        raise InputError(f"expected an encoder, one of {', '.join(list_encoders())}, got {name!r}")
    if _declared(kind).catalogue:
        _check_variant(name)
    return name


def encoder_declaration(name: str) -> Declaration:
    """Return what an encoder declares, read from its source as it stands there.

    Of variants in a catalogue, those without published weights have no option ``pretrained``.
    """
    kind, _, variant = check_encoder(name).partition(":")
    declared = _declared(kind)
    if declared.catalogue and variant not in declared.published:
        return declared._replace(options=tuple(name for name in declared.options if name != "pretrained"))
    return declared


def encoder_millions(name: str) -> int:
    """Return the parameters of a large encoder in millions, 0 of others; a training needs memory for them."""
    return encoder_declaration(name).millions.get(name.partition(":")[2], 0)


def encoder_package(name: str) -> str | None:
    """Return the package that an encoder's variants are from; None where it has no catalogue."""
    catalogue = encoder_declaration(name).catalogue
    return catalogue and catalogue.partition("/")[0]


def encoder_module(name: str) -> str:
    """Return the module of an encoder, a root of the fingerprint of what computes with it."""
    kind = check_encoder(name).partition(":")[0]
    return REGISTERED[kind].__module__ if kind in REGISTERED else _installed()[kind]


def find_encoder(name: str) -> type:
    """Import the class of an encoder.

    Raises
    ------
    InputError
        When there is no such encoder, or the class is not what its source declares.
    """
    kind = check_encoder(name).partition(":")[0]
    if kind in REGISTERED:
        return REGISTERED[kind]
    encoder = importlib.import_module(_installed()[kind]).ENCODER
    if _values(encoder) != _declared(kind):
        raise InputError(
            f"model.encoder {kind!r}: expected {', '.join(Declaration._fields)} in the body of its class "
            f"{encoder.__name__}, got some of them from elsewhere; write them there"
        )
    return encoder


def _check_variant(name: str) -> None:
    """Raise InputError unless the package of a catalogue is installed and its table lists the variant."""
    kind, _, variant = name.partition(":")
    file, unfit = catalogue_file(kind), _declared(kind).unfit
    known = [one for one in _read_catalogue(file) if one not in unfit]
    if variant in unfit:
        raise InputError(f"encoder {name!r} {unfit[variant]}; take another one")
    if variant not in known:
        near = get_close_matches(variant, known, n=3, cutoff=0.5) or known
        raise InputError(
            f"encoder {name!r}: expected a model of {kind}, such as {', '.join(near)}, got {variant!r}"
        )


def catalogue_file(kind: str) -> Path:
    """Return the table that lists the variants of an encoder, in another package; imports nothing.

    Raises
    ------
    InputError
        When the package is not installed.
    """
    catalogue = _declared(kind).catalogue
    assert catalogue is not None  # as the caller has looked
    package = catalogue.partition("/")[0]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise missing(package, f"encoder {kind}")
    return Path(spec.origin).parents[1] / catalogue


@cache
def _read_catalogue(file: Path) -> list[str]:
    """List the column Model of a table."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as table:
            return [row["Model"].strip() for row in csv.DictReader(table)]
    except (OSError, KeyError) as error:
        raise InputError(
            f"{file}: expected a table with a column Model, got none; install it again"
        ) from error


@cache
def _installed() -> dict[str, str]:
    """Return the module of each encoder that can be imported."""
    folder = Path(__file__).parents[1].joinpath(*PACKAGE.split(".")[1:])
    built_in = {module.name for module in pkgutil.iter_modules([str(folder)])} - NO_ENCODERS
    found = {name: f"{PACKAGE}.{name}" for name in built_in}
    for point in entry_points(group=GROUP):
        if found.setdefault(point.name, point.value) != point.value:
            raise InputError(
                f"encoder {point.name!r}: expected one module of this name, got {found[point.name]} and "
                f"{point.value}; uninstall the package of one"
            )
    return found


def _declared(kind: str) -> Declaration:
    if kind in REGISTERED:
        return _values(REGISTERED[kind])
    spec = find_spec(_installed()[kind])
    if spec is None or spec.origin is None:
        raise InputError(
            f"encoder {kind!r}: expected a module {_installed()[kind]}, got none; install it again"
        )
    return _read_declaration(Path(spec.origin))


def _values(encoder: type) -> Declaration:
    given = {field: getattr(encoder, field) for field in Declaration._fields if hasattr(encoder, field)}
    return Declaration(**given)


@cache
def _read_declaration(file: Path) -> Declaration:
    """Read what an encoder declares; names of its module stand for what they were set to."""
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    names = _assigned(tree) | {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def resolve(node: ast.AST) -> ast.AST:
        while isinstance(node, ast.Name) and node.id in names:
            node = names[node.id]
        return node

    encoder = resolve(ast.Name("ENCODER"))
    if not isinstance(encoder, ast.ClassDef):
        raise InputError(f"{file}: expected ENCODER, the class of an encoder that is written there, got none")
    values: dict[str, Any] = {}
    for field, node in _assigned(encoder).items():
        try:
            if field in Declaration._fields:
                values[field] = ast.literal_eval(resolve(node))
        except ValueError:
            raise InputError(
                f"{file}: expected a plain value for {field} of {encoder.name}, as it is read without an "
                f"import, got {ast.unparse(node)}"
            ) from None
    return Declaration(**values)


def _assigned(node: ast.Module | ast.ClassDef) -> dict[str, ast.AST]:
    """Return what each name in the body of a module or class is set to."""
    return {
        target.id: statement.value
        for statement in node.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    }
