"""A look at the raw data and weights before hours are spent: `snakemake --cores 1 check_data`."""

# Where the workflow keeps what it downloads.
DOWNLOADED = FETCHED | {"mindeye2": f"{cfg.results}/projection/{{subj}}_ridge.safetensors"}


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
        code=code("check_data"),
        inventory={
            "data": cfg.data.model_dump(),
            "weights": {key: redact(source) for key, source in cfg.weights},
            "pairs": PAIRS,
            "left_out": LEFT_OUT,
            "fetched": {key: path for key, path in DOWNLOADED.items() if is_fetched(key)},
        },
    script:
        "../workflow/scripts/check_data.py"
