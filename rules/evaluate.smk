"""Baselines and scores on the test pairs."""


rule fit_baseline:
    input:
        lmdb="<results>/lmdb/{sub}_{subj}.lmdb",
        things_images="<results>/things/images.parquet",
        things_embeddings="<results>/clip/things.npy",
        cbramod=cbramod_weights,
    output:
        predictions="<results>/runs/{sub}_{subj}/{run}/predictions.npz",
        model="<results>/runs/{sub}_{subj}/{run}/model.safetensors",
        config="<results>/runs/{sub}_{subj}/{run}/config.json",
    log:
        "<logs>/fit_baseline/{sub}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/fit_baseline/{sub}_{subj}/{run}.tsv"
    wildcard_constraints:
        run="|".join(cfg.baselines),
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        code=code("fit_baseline"),
    script:
        "../workflow/scripts/fit_baseline.py"


rule evaluate:
    input:
        predictions="<results>/runs/{sub}_{subj}/{run}/predictions.npz",
        lmdb="<results>/lmdb/{sub}_{subj}.lmdb",
        audit="<results>/pairs/{sub}_{subj}.audit.json",
        training=training_record,
    output:
        metrics="<results>/runs/{sub}_{subj}/{run}/metrics.json",
    log:
        "<logs>/evaluate/{sub}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/evaluate/{sub}_{subj}/{run}.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code("evaluate"),
        evaluation=cfg.evaluation.model_dump(),
    script:
        "../workflow/scripts/evaluate.py"


rule measure_ceilings:
    input:
        lmdb="<results>/lmdb/{sub}_{subj}.lmdb",
        things_images="<results>/things/images.parquet",
        nsd_images="<results>/nsd/images.parquet",
        things_embeddings="<results>/clip/things.npy",
        nsd_embeddings="<results>/clip/nsd.npy",
    output:
        ceilings="<results>/pairs/{sub}_{subj}.ceilings.json",
    log:
        "<logs>/measure_ceilings/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/measure_ceilings/{sub}_{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("measure_ceilings"),
    script:
        "../workflow/scripts/measure_ceilings.py"


rule summarise:
    input:
        metrics=[f"<results>/runs/{pair}/{run}/metrics.json" for pair in PAIRS for run in PREDICTORS],
    output:
        summary=report(
            "<results>/summary.csv",
            caption="../workflow/report/summary.rst",
            category="5 Scores",
            labels={"figure": "5 all rows (CSV)"},
        ),
        comparisons=report(
            "<results>/comparisons.csv",
            caption="../workflow/report/comparisons.rst",
            category="6 Run comparison",
            labels={"figure": "2 all rows (CSV)"},
        ),
    log:
        "<logs>/summarise.log",
    benchmark:
        "<benchmarks>/summarise.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("summarise"),
        predictors=[{"pair": pair, **PREDICTORS[run]} for pair in PAIRS for run in PREDICTORS],
        evaluation=cfg.evaluation.model_dump(),
    script:
        "../workflow/scripts/summarise.py"
