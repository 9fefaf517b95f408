"""Baselines and scores on the test pairs."""


rule fit_baseline:
    input:
        unpack(ask("of_brains", "person", "subj")),
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
        lmdbs=lambda wildcards: plan.training_sets(f"{wildcards.person}_{wildcards.subj}", wildcards.run),
        pairs=ask("pairs", "person", "subj"),
        projection=ask("projection", "subj"),
        cbramod=ask("encoder_weights", "run"),
    output:
        predictions="<results>/runs/{person}_{subj}/{run}/predictions.npz",
        model="<results>/runs/{person}_{subj}/{run}/model.safetensors",
        config="<results>/runs/{person}_{subj}/{run}/config.json",
    log:
        "<logs>/fit_baseline/{person}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/fit_baseline/{person}_{subj}/{run}.tsv"
    wildcard_constraints:
        run="|".join(cfg.baselines) or "(?!)",
    priority: 1  # decoding waits for all predictions
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(
            lambda wildcards: plan.memory(
                f"{wildcards.person}_{wildcards.subj}", wildcards.run, first=4000, further=1500
            )
        ),
        runtime=growing(60),
    params:
        code=plan.code("fit_baseline"),
        run=plan.baseline_run(),
    message:
        "Fit {wildcards.run} on {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/fit_baseline.py"


rule evaluate:
    input:
        unpack(ask("of_other_sets", "person", "subj", "run")),
        predictions="<results>/runs/{person}_{subj}/{run}/predictions.npz",
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
        audit="<results>/pairs/{person}_{subj}.audit.json",
        predicted=ask("predicted", "person", "subj"),
        clip=ask("clip_targets_of", "person", "run"),
        training=ask("training_record", "person", "subj", "run"),
        learned=ask("learned_sets", "person", "subj", "run"),
    output:
        metrics="<results>/runs/{person}_{subj}/{run}/metrics.json",
    log:
        "<logs>/evaluate/{person}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/evaluate/{person}_{subj}/{run}.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=plan.code("evaluate"),
        others=lambda wildcards: list(
            asked(plan.of_other_sets, wildcards.person, wildcards.subj, wildcards.run)
        ),
        evaluation=cfg.evaluation.model_dump(),
    message:
        "Score {wildcards.run} on {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/evaluate.py"


rule measure_bounds:
    input:
        unpack(ask("of_brains", "person", "subj")),
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
    output:
        bounds="<results>/pairs/{person}_{subj}.bounds.json",
    log:
        "<logs>/measure_bounds/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/measure_bounds/{person}_{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=plan.code("measure_bounds"),
    message:
        "Measure the bounds of {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/measure_bounds.py"


rule summarise:
    input:
        metrics=expand("<results>/runs/{brains}/{run}/metrics.json", brains=plan.brains, run=plan.predictors),
        decoded=plan.decoded_scores(),
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
        code=plan.code("summarise"),
        predictors=plan.listed_predictors(),
        evaluation=cfg.evaluation.model_dump(),
    message:
        "Summarise the scores"
    script:
        "../workflow/scripts/summarise.py"
