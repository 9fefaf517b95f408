"""What people find beside the code agrees with it: versions, hooks, continuous integration."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import brain2image

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def test_one_version_and_its_date_everywhere():
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "brain2image.__version__"}
    newest = re.search(r"^## (\d\S*) - (\S+)$", CHANGELOG, re.MULTILINE).groups()
    assert newest == (brain2image.__version__, CITATION["date-released"])
    assert CITATION["version"] == brain2image.__version__


def test_the_citation_has_the_licence_and_the_keywords_of_the_package():
    project = PYPROJECT["project"]
    assert (CITATION["license"], CITATION["keywords"]) == (project["license"], project["keywords"])


def test_the_hooks_run_the_linters_of_make_test_and_no_second_version_of_them():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    tools = {re.fullmatch(r"\.venv/bin/(\S+).*", hook["entry"])[1] for hook in repository["hooks"]}
    used = set(re.findall(r"\$\(BIN\)/(\w+)", (ROOT / "Makefile").read_text()))
    assert used - {"brain2image", "mkdocs", "pip", "pytest", "python", "snakemake"} <= tools
    assert {"ruff", "snakefmt", "codespell", "mypy"} == tools
    installed = {
        re.split("[<>=]", entry)[0] for entry in PYPROJECT["project"]["optional-dependencies"]["dev"]
    }
    assert tools <= installed


def test_github_runs_what_continuous_integration_runs():
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert {"run": ".ci/run"} in job["steps"]
    assert f">={job['strategy']['matrix']['python'][0]}" == PYPROJECT["project"]["requires-python"]


@pytest.mark.parametrize(
    "file", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[0-9]*.yml")), ids=lambda path: path.stem
)
def test_forms_for_issues_can_be_filled_in(file):
    form = yaml.safe_load(file.read_text())
    assert {"name", "description", "body"} <= set(form)
    fields = [field["id"] for field in form["body"]]
    assert len(set(fields)) == len(fields)
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_what_is_ignored_is_not_read_for_its_spelling():
    skipped = set(PYPROJECT["tool"]["codespell"]["skip"].split(","))
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    for path in ignored:
        name = re.sub(r"^\..*_cache$", ".*_cache", path)
        assert {name, f"./{name.lstrip('/')}"} & skipped, path
