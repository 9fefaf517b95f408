"""Promises of the project's own files: rules, scripts, environments, packaging."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from helpers.rules import RULES

from brain2image.core.fingerprint import imported_modules

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# The name that conda-forge gives to a package of the Python index.
CONDA_NAMES = {
    "lmdb": "python-lmdb",
    "matplotlib": "matplotlib-base",
    "mne": "mne-base",
    "open_clip_torch": "open-clip-torch",
    "torch": "pytorch",
}
# Rules that only print.
WITHOUT_OUTPUT = {"check_data"}
# Rules that import a module that claims a device, for another function of it.
CLAIM_NOTHING = {"combine_projections", "extract_backbone", "extract_prior", "extract_unclip", "fetch_clip"}
# Packages that run the workflow itself, or only the command line, and no job.
NOT_IN_JOBS = {"pygments", "snakemake"}


def test_the_profile_makes_incomplete_outputs_again():
    profile = yaml.safe_load((ROOT / "profiles/default/profile.yaml").read_text())
    assert profile["rerun-incomplete"] is True


def directives(rule):
    return re.findall(r"^    (\w+):", RULES[rule], re.MULTILINE)


def test_rules_were_found():
    assert len(RULES) > 20


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_complete(rule):
    found = directives(rule)
    assert {"log", "conda", "resources", "params", "message", "script"} <= set(found)
    assert rule in WITHOUT_OUTPUT or {"output", "benchmark"} <= set(found)
    order = [
        "input",
        "output",
        "log",
        "benchmark",
        "wildcard_constraints",
        "priority",
        "localrule",
        "conda",
        "threads",
        "resources",
        "params",
        "message",
    ]
    assert found == [name for name in [*order, "script"] if name in found]
    assert "mem_mb=growing(" in RULES[rule]
    assert "runtime=growing(" in RULES[rule]
    assert re.search(rf'code=.*plan\.code(_with_\w+)?\(\s*"{rule}"', RULES[rule]), rule
    assert f'"../workflow/scripts/{rule}.py"' in RULES[rule]


@pytest.mark.parametrize("rule", RULES)
def test_a_message_names_wildcards_of_its_rule(rule):
    """Snakemake fills them in when the job starts."""
    message = re.search(r"^    message:\n((?:        .*\n)+)", RULES[rule], re.MULTILINE)[1]
    output = RULES[rule].partition("    output:")[2].partition("    log:")[0]
    named = re.findall(r"\{wildcards\.(\w+)\}", message)
    assert re.match(r'        "[A-Z]', message)
    assert set(named) <= {*re.findall(r"\{(\w+)\}", output), *re.findall(r"rules\.\w+\.output", output)}


@pytest.mark.parametrize("rule", [rule for rule, text in RULES.items() if "caption=" in text])
def test_captions_name_wildcards_of_their_rule(rule):
    """Snakemake fills them in when the report is written, after hours."""
    output = RULES[rule].partition("    output:")[2].partition("    log:")[0]
    wildcards = set(re.findall(r"\{(\w+)\}", output))
    captions = re.findall(r'caption="\.\./(.+?)"', output)
    assert captions
    for caption in captions:
        used = re.findall(r"wildcards\.(\w+)", (ROOT / caption).read_text())
        assert set(used) <= wildcards, caption


def test_every_script_has_its_rule():
    assert {script.stem for script in SCRIPTS} == set(RULES)


def test_contributing_says_which_rules_write_predictions():
    """Of their outputs, which stand before the log."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.search(r"Which rule writes predictions\.npz\?\n(.*?)\n#", text, re.DOTALL)[1]
    outputs = {rule: re.search(r"    output:(.*?)    log:", text, re.DOTALL) for rule, text in RULES.items()}
    writing = {rule for rule, output in outputs.items() if output and "/predictions.npz" in output[1]}
    assert set(re.findall(r"`rule (\w+)`", named)) == writing


def claims_a_device(script):
    """Whether a script or a module behind it imports the choice of device."""
    files = (importlib.util.find_spec(name).origin for name in imported_modules(script))
    return any("from brain2image.core.devices import" in Path(file).read_text() for file in (script, *files))


def test_rules_that_compute_on_a_gpu_ask_for_one():
    """And no others: what claims no device, like the baselines, computes on the CPU."""
    claiming = {script.stem for script in SCRIPTS if claims_a_device(script)}
    assert claiming - CLAIM_NOTHING == {rule for rule, text in RULES.items() if "gpu=1" in text}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_thin(script):
    text = script.read_text()
    assert len(text.splitlines()) <= 40
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.While) for node in ast.walk(tree))
    assert "snakemake.config" not in text


def test_the_snakefile_is_a_table_of_contents():
    text = (ROOT / "Snakefile").read_text()
    assert len(text.splitlines()) < 60
    assert "def " not in text


def requirements(entries):
    """Name and version range of each requirement."""
    return dict(re.fullmatch(r"([A-Za-z0-9_.-]+?)((?:[<>=!]=?.*)?)", entry).groups() for entry in entries)


# What `pip install 'brain2image[workflow]'` installs, by name and range.
WORKFLOW = requirements(
    [
        *PYPROJECT["project"]["dependencies"],
        *(
            entry
            for extra in ("workflow", "report", "encoders", "pictures")
            for entry in PYPROJECT["project"]["optional-dependencies"][extra]
            if not entry.startswith("brain2image[")
        ),
    ]
)


@pytest.mark.parametrize("env", ["data", "torch"])
def test_conda_environments_have_the_ranges_of_pyproject(env):
    content = yaml.safe_load((ROOT / "envs" / f"{env}.yaml").read_text())["dependencies"]
    entries = [entry for entry in content if isinstance(entry, str)]
    pip = next((entry["pip"] for entry in content if isinstance(entry, dict)), [])
    ours = WORKFLOW
    expected = {CONDA_NAMES.get(name, name): version for name, version in ours.items()}
    expected |= {"python": PYPROJECT["project"]["requires-python"], "pip": ""}
    for name, version in requirements(entries).items():
        assert expected[name] == version, name
    for name, version in requirements(pip).items():
        assert ours[name] == version, name


def test_every_dependency_is_in_an_environment():
    text = (ROOT / "envs" / "data.yaml").read_text() + (ROOT / "envs" / "torch.yaml").read_text()
    for name in set(WORKFLOW) - NOT_IN_JOBS:
        assert f"- {CONDA_NAMES.get(name, name)}>=" in text, name


def test_the_lock_holds_every_dependency_and_no_host():
    text = (ROOT / "requirements.lock").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    locked = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    entries = [*project["dependencies"], *(entry for extra in extras.values() for entry in extra)]
    wanted = requirements(entry for entry in entries if not entry.startswith("brain2image["))
    assert {name.lower().replace("_", "-") for name in wanted} <= locked
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+(; .*)?", line) for line in lines)
    assert "://" not in text


# A dry run, and what it has imported. SLURM's plugin imports pandas for a report of its own, so it is hidden.
DRY_RUN = """
import pkgutil, sys
everything, hidden = pkgutil.iter_modules, "snakemake_executor_plugin_slurm"
pkgutil.iter_modules = lambda *a, **b: (module for module in everything(*a, **b) if module.name != hidden)
from snakemake.cli import main
try:
    main(["--dry-run", "--quiet", "all", "--configfile", "tests/tiny.yaml", "--directory", sys.argv[1]])
finally:
    print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_parsing_the_workflow_imports_nothing_heavy(tmp_path):
    """Every job on a cluster parses the workflow twice."""
    command = [sys.executable, "-c", DRY_RUN, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(result.stdout.splitlines()[-1].split())
    assert "brain2image" in loaded
    heavy = {
        "torch",
        "lightning",
        "mne",
        "open_clip",
        "pandas",
        "pyarrow",
        "sklearn",
        "scipy",
        "h5py",
        "lmdb",
    }
    assert not heavy & loaded
    common = (ROOT / "rules" / "common.smk").read_text()
    assert len(common.splitlines()) < 60
    imports = set(re.findall(r"^(?:from|import) (brain2image[\w.]*)", common, re.MULTILINE))
    light = {"config", "constants", "core", "plan", "weights"}
    assert {name.split(".")[1] for name in imports} <= light


def test_nothing_is_unpickled_without_an_allow_list():
    for file in [*(ROOT / "src").rglob("*.py"), *SCRIPTS]:
        text = file.read_text()
        assert not re.search(r"pickle\.loads?\(|read_pickle|joblib\.load", text), file
        assert len(re.findall(r"torch\.load\(", text)) == len(re.findall(r"weights_only=True", text)), file
        assert "allow_pickle=True" not in text or "np.save(" in text, file
    for file in [*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        assert not re.search(r"weights_only=[F]", file.read_text()), file


# Readers that end in a traceback on a damaged file, and who may call them, for they turn that into a line.
READERS = {
    "np.load": {"formats/tables.py", "translation/opening.py"},
    "np.fromfile": {"formats/lazy_arrays.py"},
    "pd.read_parquet": {"formats/tables.py"},
    "pd.read_csv": {"formats/tables.py", "translation/beside.py", "translation/shown.py"},
    "json.load": set(),
    "json.loads": {
        "config/reading.py",
        "formats/files.py",
        "training_set/lmdb_store.py",
        "core/manifest.py",
        "core/versions.py",
        "pairs/preparation.py",
        "projection/picture_encoder.py",
        "weights/sources.py",
        "core/status.py",
    },
    "h5py.File": {
        "formats/files.py",
        "formats/hdf5.py",
        "synthetic/nsd_files.py",
        "translation/opening.py",
        "translation/outputs.py",
    },
    "Image.open": {"formats/pictures.py", "report/figures/style.py"},
    "tarfile.open": {"formats/tars.py", "synthetic/mindeye1_files.py", "synthetic/nsd_files.py"},
}


def test_files_are_read_by_the_reading_layer_alone():
    package = ROOT / "src" / "brain2image"
    for file in [*package.rglob("*.py"), *SCRIPTS]:
        name = str(file.relative_to(package)) if file.is_relative_to(package) else file.name
        for node in ast.walk(ast.parse(file.read_text())):
            call = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert name in READERS.get(call, {name}), f"{name}: {call}"
            assert not call.startswith("pd.read_") or call in READERS, f"{name}: {call}"


# The rooms of the house, from the cellar up: a module imports only from its own room and those below.
ROOMS = (
    "core",
    "constants",
    "formats",
    "weights",
    "config",
    "datasets",
    "pairs",
    "projection",
    "training_set",
    "models",
    "training",
    "evaluation",
    "decoding",
    "translation",
    "quality",
    "synthetic",
    "report",
    "sharing",
    "plan_people",
    "plan_files",
    "plan_decoding",
    "plan_weights",
    "plan_report",
    "plan",
    "commands",
    "__main__",
)


def test_modules_and_functions_are_short():
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text()
        assert len(text.splitlines()) <= 300, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                assert body[-1].end_lineno - body[0].lineno < 40, f"{file}: {node.name}"


def room(name: str) -> int:
    """The room of a module, by its name within the package, as its place from the cellar up."""
    return ROOMS.index(name.partition(".")[0])


def test_no_module_imports_from_a_room_above():
    package = ROOT / "src" / "brain2image"
    for file in package.rglob("*.py"):
        own = ".".join(file.relative_to(package).with_suffix("").parts)
        if own == "__init__":
            continue
        for name in re.findall(r"^\s*from brain2image\.([\w.]+)", file.read_text(), re.MULTILINE):
            assert room(name) <= room(own), f"{file} imports {name} from a room above"


def test_contributing_shows_the_rooms():
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| room | holds |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == ROOMS


def test_no_two_modules_have_one_name():
    """So that a name says which room is meant."""
    names = [file.stem for file in (ROOT / "src" / "brain2image").rglob("*.py")]
    shared = {name for name in names if names.count(name) > 1}
    assert shared <= {"__init__", "base"}


def test_packages_are_empty():
    """A package is part of the fingerprint of all that imports from it."""
    for file in (ROOT / "src" / "brain2image").rglob("__init__.py"):
        if file.parent.name not in ("brain2image", "config"):
            assert not file.read_text(), file


# The words with which docstrings may open. Ruff's D401 refuses "The" and "What", not "Mean" and "Whether".
VERBS = """
Add Adjust Align Append Apply Ask Assign Attend Average Band-pass Bootstrap Bring Build Check Choose Clip
Cluster Collect Compare Compute Copy Correlate Count Cut Decode Describe Divide Do Download Draw Drop Embed
Encode Estimate Explain Find Fit Follow Gather Give Go Group Hand Hold Import Interpolate Keep Learn Leave Let
List Load Log Look Make Map Mark Match Measure Move Name Note Open Order Paint Pair Parse Pass Place Pool
Predict Prepare Print Project Put Raise Rank Re-reference Read Refuse Regress Remove Repeat Replace Resample
Return Run Sample Save Say Scale Score Select Set Show Shrink Simulate Spell Stack Start Stop Store Strip
Subtract Sum Tabulate Take Tell Train Turn Wait Warn Weigh Whiten Write Yield Z-score
"""


def test_docstrings_open_with_a_verb():
    verbs = set(VERBS.split())
    for file in [*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            text = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
            if text:
                first = text.split()[0].rstrip(".,:;")
                assert first in verbs, f"{file}: {node.name} opens with {first}; a new verb joins VERBS"


def imports(file: Path) -> set[str]:
    """Names of the modules that a file imports, and what it imports from them as if these were modules."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


DEFINITION = ast.FunctionDef | ast.ClassDef
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def test_no_test_file_imports_another():
    """What several need lies in tests/helpers, so that a test file can be moved, renamed or run alone."""
    names = {file.stem for file in TESTS if file.stem.startswith("test_")}
    for file in TESTS:
        assert not names & {part for name in imports(file) for part in name.split(".")}, file


# Modules that tests reach through the data sets, the plan and the workflow alone; one that gets a test of
# its own leaves this list.
THROUGH_OTHERS = {
    "brain2image.config.decoding",
    "brain2image.constants.brain_names",
    "brain2image.datasets.picture_sets",
    "brain2image.datasets.releases",
    "brain2image.datasets.selection",
    "brain2image.datasets.things_eeg2.raw",
    "brain2image.datasets.things_eeg2.sessions",
    "brain2image.datasets.things_eeg2.things_inventory",
    "brain2image.models.target_scales",
    "brain2image.plan_decoding",
    "brain2image.plan_weights",
    "brain2image.plan_people",
    "brain2image.report.assembly",
}


def test_every_module_that_does_something_is_imported_by_a_test():
    """And not only through another module: then a newcomer finds its test."""
    imported, own = set().union(*map(imports, TESTS)), set()
    for file in (ROOT / "src").rglob("*.py"):
        defined = [node for node in ast.parse(file.read_text()).body if isinstance(node, DEFINITION)]
        if defined and file.name != "__init__.py":
            own.add(".".join(file.relative_to(ROOT / "src").with_suffix("").parts))
    assert own - imported == THROUGH_OTHERS
