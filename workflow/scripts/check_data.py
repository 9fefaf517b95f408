"""Say in a table what the config's folders hold, what is missing, and what each release was recognised as."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from brain2image.core.errors import InputError
from brain2image.core.jobs import job
from brain2image.datasets.inventory import take_inventory

with job(snakemake):
    findings = take_inventory(**snakemake.params.inventory)
    table = Table("", "what", show_lines=True)
    table.add_column("found", overflow="fold")
    for finding in findings:
        table.add_row("ok" if finding.is_usable else Text("--", "red"), finding.what, finding.found)
    Console(markup=False).print(table)  # paths may hold square brackets
    if n_missing := sum(not finding.is_usable for finding in findings):
        raise InputError(f"{n_missing} of {len(findings)} are missing or wrong; see docs/data.md")
