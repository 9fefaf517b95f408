"""Baselines and scores on the test pairs."""


rule fit_ridge:
    input:
        lmdb="<results>/lmdb/{sub}_{subj}.lmdb",
    output:
        predictions="<results>/runs/{sub}_{subj}/ridge/predictions.npz",
    log:
        "<logs>/fit_ridge/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/fit_ridge/{sub}_{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("fit_ridge"),
    script:
        "../workflow/scripts/fit_ridge.py"


rule evaluate:
    input:
        predictions="<results>/runs/{sub}_{subj}/{run}/predictions.npz",
    output:
        metrics="<results>/runs/{sub}_{subj}/{run}/metrics.json",
    log:
        "<logs>/evaluate/{sub}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/evaluate/{sub}_{subj}/{run}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("evaluate"),
        evaluation=cfg.evaluation.model_dump(),
    script:
        "../workflow/scripts/evaluate.py"


rule summarise:
    input:
        metrics=expand("<results>/runs/{pair}/{run}/metrics.json", pair=PAIRS, run=PREDICTORS),
    output:
        summary=report(
            "<results>/summary.csv",
            caption="../workflow/report/summary.rst",
            category="1 Scores",
            labels={"figure": "table of all runs", "pair": "all"},
        ),
    log:
        "<logs>/summarise.log",
    benchmark:
        "<benchmarks>/summarise.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("summarise"),
        predictors=[[pair, run] for pair in PAIRS for run in PREDICTORS],
    script:
        "../workflow/scripts/summarise.py"
