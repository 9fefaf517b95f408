"""CONTRIBUTING's answers lead to files, functions, classes, constants and rules that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
LINKS = re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", TEXT)
ANSWERS = dict(re.findall(r"^### (.+)\?\n(.*?)(?=^##)", TEXT, re.DOTALL | re.MULTILINE))
TOPICS = (
    "band-pass",
    "pooling head",
    "encoder",
    "data set",
    "baseline",
    "metric",
    "InfoNCE",
    "predictions.npz",
)


def names(file):
    """Functions, classes and constants of a module, or rules of a stage."""
    text = file.read_text()
    if file.suffix == ".smk":
        return {f"rule {name}" for name in re.findall(r"^rule (\w+):", text, re.MULTILINE)}
    found = set()
    for node in ast.parse(text).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize(("label", "target"), LINKS)
def test_links_lead_to_what_they_name(label, target):
    file = ROOT / target  # an anchor would make this no file: lines move
    assert file.is_file()
    if label.startswith("`"):
        assert label.strip("`") in names(file)
    elif label.endswith((".py", ".smk")):
        assert f"/{target}".endswith(f"/{label}")


@pytest.mark.parametrize("topic", TOPICS)
def test_each_question_has_one_answer_with_names(topic):
    (answer,) = (text for question, text in ANSWERS.items() if topic in question)
    assert re.search(r"\[`[^`]+`\]\(", answer)
