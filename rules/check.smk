"""A look at the raw data and weights before hours are spent: `snakemake --cores 1 check_data`."""


rule check_data:
    log:
        "<logs>/check_data.log",
    localrule: True
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        code=plan.code("check_data"),
        inventory=lambda wildcards: asked(plan.inventory),
    message:
        "Look for the data and weights that the config names"
    script:
        "../workflow/scripts/check_data.py"
