"""Write the report, a folder of pages."""

from brain2image.core.jobs import job
from brain2image.report.site.site_writing import write_site

with job(snakemake):
    write_site(snakemake.input.shown, snakemake.params.shown, out=snakemake.output.site)
