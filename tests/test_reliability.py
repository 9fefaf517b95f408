"""docs/reliability.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_promise_has_its_test():
    rows = [
        row
        for row in (ROOT / "docs/reliability.md").read_text().splitlines()
        if row.startswith("| ") and not row.startswith(("| promise", "| ---"))
    ]
    assert len(rows) > 20
    for row in rows:
        name = re.fullmatch(r"\| .+ \| `(tests/\S+\.py)::(test_\w+)` \|", row)
        assert name, row
        assert f"\ndef {name[2]}(" in (ROOT / name[1]).read_text(), row


def test_every_fault_test_is_listed():
    text = (ROOT / "docs/reliability.md").read_text()
    for file in (ROOT / "tests/faults").glob("test_*.py"):
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE):
            assert f"`tests/faults/{file.name}::{name}`" in text
