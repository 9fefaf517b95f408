"""A change of the schema or of core reruns nothing, so no computation may depend on what is there."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
from pydantic import BaseModel

from brain2image.core.fingerprint import NEUTRAL, PACKAGE, imported_modules

SCRIPTS = sorted((PACKAGE.parents[1] / "workflow/scripts").glob("*.py"))
# These plan and print. What is imported for them alone, and by no computation, computes nothing either.
PLANNING = {"brain2image.__main__", "brain2image.plan"}
PLANNING |= {f"brain2image.commands.{file.stem}" for file in (PACKAGE / "commands").glob("*.py")}
# Written down with a result as what made it.
# a version that is written down, what an error says, and the check of a block that a command is given
NOTED = {
    ("brain2image", "__version__"),
    ("brain2image.config.messages", "block_reason"),
    ("brain2image.config.messages", "validate"),
}


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
NEUTRAL_MODULES = {name: path for name, path in MODULES.items() if NEUTRAL.fullmatch(name)}
ROOTS = MODULES.keys() - NEUTRAL_MODULES - PLANNING - {*imported_modules("brain2image.plan")}
COMPUTING = [
    *SCRIPTS,
    *(MODULES[name] for name in sorted(ROOTS.union(imported_modules(*SCRIPTS, *sorted(ROOTS))))),
]


def bound_modules(tree):
    """The modules of the package that names in a file stand for, and what it imports from neutral ones."""
    modules, names = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    modules[alias.asname] = alias.name
                else:
                    top = alias.name.partition(".")[0]
                    modules[top] = top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports here are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in MODULES:
                    modules[alias.asname or alias.name] = full
                elif node.module in NEUTRAL_MODULES:
                    names.add((node.module, alias.name))
    return modules, names


def dotted(node):
    """The parts of ``a.b.c``; of anything else an empty one."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if parts and isinstance(node, ast.Name) else [""]


def taken(source):
    """What a file takes from neutral modules, imported or as an attribute: ``(module, name)``."""
    tree = ast.parse(source)
    modules, names = bound_modules(tree)
    for node in ast.walk(tree):
        first, *rest = dotted(node)  # the walk comes to what is in brackets
        if first not in modules:
            continue
        module = modules[first]
        while rest and f"{module}.{rest[0]}" in MODULES:
            module = f"{module}.{rest.pop(0)}"
        if rest and module in NEUTRAL_MODULES:
            names.add((module, rest[0]))
    return names


TAKEN = {path: taken(path.read_text()) for path in COMPUTING}


def is_harmless(module, name):
    """Whether something is a block of the schema, whose values are params, or what core does around a job."""
    thing = getattr(importlib.import_module(module), name, None)
    if module.startswith("brain2image.config"):
        return inspect.isclass(thing) and issubclass(thing, BaseModel)
    return callable(thing) and thing.__module__.startswith("brain2image.core.")


def test_computations_take_only_blocks_of_the_schema_and_services_of_core():
    assert len(COMPUTING) > 100
    assert any(("brain2image.core.errors", "InputError") in names for names in TAKEN.values())
    wrong = {
        (str(path.relative_to(PACKAGE.parents[1])), *use)
        for path, names in TAKEN.items()
        for use in names - NOTED
        if not is_harmless(*use)
    }
    assert not wrong


def constants(path):
    """The names in capitals that a module assigns at its top."""
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            for name in ast.walk(target) if target else ():
                if isinstance(name, ast.Name) and name.id.isupper():
                    yield name.id


CONSTANTS = {(module, name) for module, path in NEUTRAL_MODULES.items() for name in constants(path)}


def test_no_computation_reads_a_constant_of_a_neutral_module():
    """Whichever neutral module hands it on."""
    assert ("brain2image.core.errors", "LONGEST") in CONSTANTS
    names = {name for _, name in CONSTANTS}
    read = {(str(path), *use) for path, uses in TAKEN.items() for use in uses if use[1] in names}
    assert not read


@pytest.mark.parametrize("path", COMPUTING, ids=lambda path: path.stem)
def test_no_computation_reads_the_schema_itself(path):
    """Its keys and its defaults are constants too: values come as params, all of them."""
    blocks = {name for module, name in TAKEN[path] if module.startswith("brain2image.config")}
    for node in ast.walk(ast.parse(path.read_text())):
        assert getattr(node, "attr", None) not in ("model_fields", "model_json_schema"), ast.unparse(node)
        is_call = isinstance(node, ast.Call) and not (node.args or node.keywords)
        assert not (is_call and ast.unparse(node.func) in blocks), ast.unparse(node)


@pytest.mark.parametrize(
    "source",
    [
        "from brain2image.core.errors import LONGEST",
        "from brain2image.core.errors import LONGEST as longest",
        "def f():\n    from brain2image.core.errors import LONGEST",
        "from brain2image.core import errors\nerrors.LONGEST",
        "from brain2image.core import errors as e\nprint(e.LONGEST[0].x)",
        "import brain2image.core.errors\nbrain2image.core.errors.LONGEST",
        "import brain2image.core.errors as e\ne.LONGEST",
        "import brain2image as b\nb.core.errors.LONGEST",
    ],
)
def test_every_way_to_read_a_constant_is_seen(source):
    """The tests above would see it in a computing module."""
    assert taken(source) == {("brain2image.core.errors", "LONGEST")}
    assert not is_harmless("brain2image.core.errors", "LONGEST")


def test_what_is_imported_whole_is_seen():
    (use,) = taken("from brain2image.config import *")
    assert not is_harmless(*use)
    assert is_harmless("brain2image.config", "ModelConfig")
    assert not is_harmless("brain2image.config", "load_config")
    assert not is_harmless("brain2image.config.training_run", "UNUSED_OPTIONS")


def test_the_preparation_of_pictures_has_the_keys_of_the_schema():
    """They are written down twice, as the schema may not be read."""
    from brain2image.config.data import PreprocessConfig
    from brain2image.pairs.preparation import KEYS

    assert tuple(PreprocessConfig.model_fields) == KEYS
    assert Path(importlib.import_module("brain2image.pairs.preparation").__file__) in COMPUTING
