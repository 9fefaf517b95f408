"""A look at the raw data and weights before hours are spent: `snakemake --cores 1 check_data`."""


rule check_data:
    log:
        "<logs>/check_data.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=plan.code("check_data"),
        inventory=plan.inventory(),
    message:
        "Look for the data and weights that the config names"
    script:
        "../workflow/scripts/check_data.py"
