# Brain2Image: from THINGS-EEG2 and NSD as they are released to an EEG encoder in fMRI space.
# This file is the table of contents: each stage has a file in rules/, README.md draws the chain.

from snakemake.utils import min_version

from brain2image.core.containers import choose_image

min_version("9.27")  # brain2image.core.records extends its notes


report: "workflow/report/workflow.rst"


include: "rules/common.smk"


container: asked(choose_image, cfg.container, workflow.deployment_settings.deployment_method)


include: "rules/check.smk"
include: "rules/repack.smk"
include: "rules/embed.smk"
include: "rules/match.smk"
include: "rules/project.smk"
include: "rules/dataset.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/quality.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


if cfg.decoding.tokens:

    include: "rules/decode.smk"


if cfg.simulate:

    include: "rules/demo.smk"

else:

    include: "rules/fetch.smk"


rule all:
    default_target: True
    input:
        "<results>/summary.csv",
        expand("<results>/pairs/{brains}.{kind}.json", brains=plan.brains, kind=["audit", "bounds"]),
        plan.figures(),
        plan.pages(),
        rules.write_site.output,


rule fetch_weights:
    input:
        plan.downloads(),
