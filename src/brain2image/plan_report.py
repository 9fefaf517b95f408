"""What the report shows: the outputs that rules mark with ``report(...)``, as in Snakemake's own report."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def list_shown(rules: Iterable[Any], *, results: str) -> list[dict[str, Any]]:
    """List what the rules' files are called, and how they are explained, in the order of the rules.

    Parameters
    ----------
    rules : the rules of a parsed workflow.
    results : the folder of results.

    Returns
    -------
    Dicts of ``pattern`` (a regular expression of the path below ``results``, a group a wildcard), ``caption``
    (a template of reStructuredText), ``category`` and ``labels`` (texts that may name wildcards).
    """
    from snakemake.io import regex_from_filepattern

    shown = []
    for output in (output for rule in rules for output in rule.output if "report" in output.flags):
        marked = output.flags["report"]
        shown.append(
            {
                "pattern": regex_from_filepattern(str(output).removeprefix(f"{results}/")),
                "caption": Path(marked.caption.get_path_or_uri(secret_free=True)).read_text(encoding="utf-8"),
                "category": marked.category,
                "labels": dict(marked.labels),
            }
        )
    return shown
