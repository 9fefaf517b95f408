"""Write how the results were made: configuration, versions, time and memory."""

from pathlib import Path

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.formats.tables import read_result
from brain2image.report.pages.provenance_pages import (
    configuration_page,
    read_benchmarks,
    resources_page,
    versions_page,
)

with job(snakemake):
    facts = snakemake.params.facts
    fingerprints = facts["fingerprints"]
    benchmarks = read_benchmarks(Path(facts["benchmarks"]), rules=fingerprints, names=facts["names"])
    pages = {
        "configuration": configuration_page(facts["settings"], facts["runs"]),
        "versions": versions_page(
            [read_result(file, ["versions"])["versions"] for file in snakemake.input.configs],
            fingerprints,
        ),
        "resources": resources_page(benchmarks),
    }
    for name, text in pages.items():
        with atomic_path(snakemake.output[name]) as path:
            path.write_text(text, encoding="utf-8")
