"""Say in a table what the config's folders hold, what is missing, and what each release was recognised as."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from brain2image.errors import InputError
from brain2image.inventory import take_inventory
from brain2image.jobs import job

with job(snakemake):
    findings = take_inventory(**snakemake.params.inventory)
    table = Table("", "what", show_lines=True)
    table.add_column("found", overflow="fold")
    for finding in findings:
        table.add_row("ok" if finding.is_usable else "[red]--", finding.what, escape(finding.found))
    Console().print(table)
    if n_missing := sum(not finding.is_usable for finding in findings):
        raise InputError(f"{n_missing} of {len(findings)} are missing or wrong; see docs/data.md")
