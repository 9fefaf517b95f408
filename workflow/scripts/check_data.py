"""Say in a table what the config's folders hold, what is missing, and what each release was recognised as."""

from brain2image.core.jobs import job
from brain2image.datasets.inventory import print_inventory
from brain2image.models.published_check import describe_published

with job(snakemake):
    print_inventory(**snakemake.params.inventory, describe_published=describe_published)
