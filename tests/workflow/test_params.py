"""The traps of Snakemake's change detection (version 9.27), and why none can catch this workflow.

A job's params are kept as a set of texts, the `repr` of each value, without the names. So a change is missed
where

- a value is not plain, or comes from a function of resources, threads, input or output:
  `test_every_value_is_recorded`;
- two params change places, or a new one equals an old one: `test_no_two_values_can_change_places`;
- a script reads `snakemake.config`, or code stands in `shell:` or `run:`: `test_scripts_get_all_by_params`;

and a job runs without need where

- a block holds keys that the script does not use: `test_a_block_holds_what_its_script_reads`;
- a text differs from start to start or folder to folder (sets, absolute paths, times):
  `test_texts_are_the_same_elsewhere`;
- the keys stand in another order, or `1` is written for `1.0`: `harmless` in tests/staleness.yaml;
- a script was touched: the profile leaves out the trigger `code` (`test_the_profile`); and the fingerprint in
  every rule's params follows imports, which no trigger does: `modules` in tests/staleness.yaml;
- an input was touched: `touched results` there, by the checksums for which the profile asks.

Other functions in the rules need no watch, as Snakemake compares what they return. Threads and resources make
nothing stale, nor should they: what is computed does not depend on them. Folders are not looked into (`raw`
there).
Where the notes beside the results (tests/core/test_manifest.py) are missing, `brain2image status` says so.
"""

import ast
import importlib
import inspect
import itertools
import re
from pathlib import Path

import pytest
import yaml
from helpers.checkouts import ROOT, TINY, copy_checkout
from helpers.dry_runs import job_params
from helpers.empty_releases import NSD, THINGS, touch

from brain2image.config import RunConfig
from brain2image.core.encoder_names import encoder_module
from brain2image.core.fingerprint import imported_modules
from brain2image.datasets.nsd.layout import MASK

SCRIPTS = ROOT / "workflow" / "scripts"
PLAIN = (str, int, float, bool, type(None))
# What must make nothing stale, and is hidden on purpose.
UNRECORDED = {("train", "without_effect")}
RULES = re.findall(
    r"^rule (\w+):", "".join(path.read_text() for path in ROOT.glob("rules/*.smk")), re.MULTILINE
)
REAL = {
    "brains": ["things-01_subj02-subj05", "things-02_subj02"],
    "weights": {"mindeye2": "hf://datasets/pscotti/mindeyev2/train_logs/final_multisubject_subj01/last.pth"},
    "data": {"nsddata": "data/nsddata"},
    "decoding": {"tokens": True, "prior": True, "pictures": "unclip"},
    # several encoders, which have a page of their own
    "runs": {"multitoken_vit": {}, "tsconv": {"model": {"encoder": "tsconv"}}},
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with empty files where the releases of two subjects each belong."""
    folder = copy_checkout(tmp_path_factory.mktemp("params") / "checkout")
    for person in ("things-01", "things-02"):
        touch(folder / "data/things/eeg", THINGS, "raw", person)
    for subj in ("subj02", "subj05"):
        touch(folder / "data/nsd", NSD, "mindeye2", subj)
        mask = folder / "data/nsddata" / MASK.format(person=subj)
        mask.parent.mkdir(parents=True)
        mask.touch()
    for name in ("training_images", "test_images", "image_metadata.npy"):
        (folder / "data/things/images" / name).mkdir(parents=True)
    (folder / "real.yaml").write_text(yaml.safe_dump(REAL))
    return folder


@pytest.fixture(scope="module")
def jobs(checkout, pool):
    """All jobs of the smallest run, and of one on downloaded data."""
    return [
        *pool.apply(job_params, (checkout, TINY)),
        *pool.apply(job_params, (checkout, "real.yaml", "all", "check_data", "fetch_weights")),
    ]


def test_the_jobs_are_of_all_rules(jobs):
    # of several people, as in tests/cluster, and of exact pairs alone
    others = {"calibrate", "list_shown", "list_tested", "simulate_alljoined", "simulate_expdesign"}
    assert {job.rule for job in jobs} - {"all", "fetch_weights"} == set(RULES) - others


def is_plain(value):
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    return all(map(is_plain, value)) if type(value) is list else type(value) in PLAIN


def test_every_value_is_recorded(jobs):
    for job in jobs:
        values = [value for name, value in job.params.items() if (job.rule, name) not in UNRECORDED]
        assert all(map(is_plain, values)), job
        texts = (repr(value).replace("'results/", "'<results>/") for value in values)
        assert job.recorded == sorted(texts), job


def kind(name, value, wildcards):
    """What two values share that can be taken for each other; what the job's wildcards fix stays itself."""
    if name == "code" or value in wildcards.values():
        return name
    return ("block", *sorted(value)) if isinstance(value, dict) else type(value)


def test_no_two_values_can_change_places(jobs):
    for job in jobs:
        kinds = [kind(name, value, job.wildcards) for name, value in job.params.items()]
        assert len(kinds) == len(set(kinds)), job


def test_scripts_get_all_by_params():
    for script in SCRIPTS.glob("*.py"):
        assert "snakemake.config" not in script.read_text(), script
    for path in (ROOT / "rules").glob("*.smk"):
        assert not re.search(r"^    (shell|run|notebook|wrapper):", path.read_text(), re.MULTILINE), path


def test_texts_are_the_same_elsewhere(jobs, pool, tmp_path):
    other = copy_checkout(tmp_path / "elsewhere")
    expected = [(job.rule, job.recorded) for job in jobs]
    for rule, _, _, recorded in pool.apply(job_params, (other, TINY)):
        assert (rule, recorded) in expected


def test_the_profile():
    profile = yaml.safe_load((ROOT / "profiles/default/profile.yaml").read_text())
    assert profile["rerun-triggers"] == ["mtime", "params", "input", "software-env"]
    assert profile["max-checksum-file-size"] >= 10**10
    assert profile["rerun-incomplete"]


def test_a_block_holds_what_its_script_reads(jobs):
    blocks = {
        (job.rule, name, tuple(value), job.params.get("reader"))
        for job in jobs
        for name, value in job.params.items()
        if isinstance(value, dict) and value
    }
    assert len({rule for rule, *_ in blocks}) > 10
    for rule, name, keys, reader in blocks:
        assert set(keys) <= keys_read(rule, name, reader), (rule, name)


def keys_read(rule, name, reader):
    """The keys of a params block that a rule's script uses, itself or through the function that it calls.

    The function may be one of a reader, a module that the script imports by name.
    """
    tree = ast.parse((SCRIPTS / f"{rule}.py").read_text())
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = set()
    for node in ast.walk(tree):
        if ast.unparse(node) == f"snakemake.params.{name}":
            found |= USES[type(parents[node])](node, parents, tree, reader)
    return found


def by_subscript(node, parents, *_):
    """``snakemake.params.block["key"]``"""
    return {parents[node].slice.value}


def by_assignment(node, parents, tree, _):
    """``block = snakemake.params.block``, then ``block["key"]``"""
    (target,) = parents[node].targets
    return subscripts(tree, target.id)


def by_argument(node, parents, tree, reader):
    """``function(**snakemake.params.block)`` or ``function(..., snakemake.params.block, ...)``"""
    is_keyword = isinstance(parents[node], ast.keyword)
    call = parents[parents[node]] if is_keyword else parents[node]
    function = (
        getattr(importlib.import_module(reader), call.func.attr)
        if isinstance(call.func, ast.Attribute)
        else imported(tree, call.func.id)
    )
    if function is RunConfig:
        return attributes(SCRIPTS / "train.py")
    if is_keyword and parents[node].arg is None:
        return used_parameters(function)
    parameters = list(inspect.signature(function).parameters)
    name = parents[node].arg if is_keyword else parameters[call.args.index(node)]
    return keys_through(function, name)


def by_union(node, parents, tree, reader):
    """``function(block=snakemake.params.block | {...})``"""
    return by_argument(parents[node], parents, tree, reader)


USES = {
    ast.Subscript: by_subscript,
    ast.Assign: by_assignment,
    ast.keyword: by_argument,
    ast.Call: by_argument,
    ast.BinOp: by_union,
}


def imported(tree, name):
    """What a script imports under a name."""
    (module,) = (
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]
    )
    return getattr(importlib.import_module(module), name)


def used_parameters(function):
    """Parameters that a function reads, and those it hands on as ``**options`` to others of its module."""
    tree, parameters = ast.parse(inspect.getsource(function)), inspect.signature(function).parameters
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    own = set(parameters) & loaded
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return own
    others = (function.__globals__.get(name) for name in loaded)
    return own.union(*(used_parameters(other) for other in others if inspect.isfunction(other)))


def subscripts(tree, name):
    """The constant keys with which a variable is read."""
    return {
        node.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
        and isinstance(node.slice, ast.Constant)
    }


def keys_through(function, name):
    """The constant keys with which a function reads a parameter, itself or through what it hands it on to.

    What gets it as ``**options`` reads it by the names of its own parameters.
    """
    tree = ast.parse(inspect.getsource(function))
    found = subscripts(tree, name)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        other = function.__globals__.get(call.func.id) if isinstance(call.func, ast.Name) else None
        if inspect.isfunction(other):
            given = [*zip(inspect.signature(other).parameters, call.args, strict=False)]
            given += [(keyword.arg, keyword.value) for keyword in call.keywords]
            handed = [own for own, value in given if isinstance(value, ast.Name) and value.id == name]
            found = found.union(*(keys_through(other, own) for own in handed if own))
            found |= used_parameters(other) if None in handed else set()
    return found


def attributes(script):
    """All attributes that the modules behind a script read."""
    encoder = encoder_module("cbramod")  # imported by name
    modules = map(importlib.import_module, [encoder, *imported_modules(script, encoder)])
    files = [Path(module.__file__).read_text() for module in modules]  # some packages are empty
    nodes = itertools.chain.from_iterable(ast.walk(ast.parse(text)) for text in files)
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
