"""Figures of the report."""


rule plot_pairs:
    input:
        pairs="<results>/pairs/{dataset}_{subj}.parquet",
        eeg_pictures=ask("pictures_of", "dataset"),
        fmri_pictures=ask("partner_pictures", "dataset", "subj"),
        pixels=lambda wildcards: asked(plan.data.pixels, *plan.sets(wildcards.dataset, wildcards.subj)),
    output:
        figure=report(
            "<results>/figures/{dataset}_{subj}/pairs.svg",
            caption="../workflow/report/pairs.rst",
            category="2 Pairs",
            labels={"figure": "1 example pairs", "pictures": "{dataset} × {subj}"},
        ),
    log:
        "<logs>/plot_pairs/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/plot_pairs/{dataset}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=lambda wildcards: plan.code_with_pictures(
            "plot_pairs", *plan.sets(wildcards.dataset, wildcards.subj)
        ),
        pictures=lambda wildcards: plan.data.pictures(*plan.sets(wildcards.dataset, wildcards.subj)),
    message:
        "Draw pairs of {wildcards.dataset} and {wildcards.subj}"
    script:
        "../workflow/scripts/plot_pairs.py"


rule plot_clusters:
    input:
        unpack(ask("of_pairs", "dataset", "subj")),
        pairs="<results>/pairs/{dataset}_{subj}.parquet",
        eeg_pictures=ask("pictures_of", "dataset"),
        fmri_pictures=ask("partner_pictures", "dataset", "subj"),
        pixels=lambda wildcards: asked(plan.data.pixels, *plan.sets(wildcards.dataset, wildcards.subj)),
    output:
        figure=report(
            "<results>/figures/{dataset}_{subj}/clusters.svg",
            caption="../workflow/report/clusters.rst",
            category="2 Pairs",
            labels={"figure": "2 cluster map", "pictures": "{dataset} × {subj}"},
        ),
    log:
        "<logs>/plot_clusters/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/plot_clusters/{dataset}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=lambda wildcards: plan.code_with_pictures(
            "plot_clusters", *plan.sets(wildcards.dataset, wildcards.subj)
        ),
        pictures=lambda wildcards: plan.data.pictures(*plan.sets(wildcards.dataset, wildcards.subj)),
    message:
        "Draw the clusters of {wildcards.dataset} and {wildcards.subj}"
    script:
        "../workflow/scripts/plot_clusters.py"


rule plot_training:
    input:
        histories=ask("histories", "person", "subj"),
        audit="<results>/pairs/{person}_{subj}.audit.json",
    output:
        figure=report(
            "<results>/figures/{person}_{subj}/training.svg",
            caption="../workflow/report/training.rst",
            category="4 Training",
            labels={"figure": "training curves", "brains": "{person} × {subj}"},
        ),
    log:
        "<logs>/plot_training/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/plot_training/{person}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("plot_training"),
        runs=list(plan.runs),
    message:
        "Draw the trainings of {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/plot_training.py"


rule plot_scores:
    input:
        summary=rules.summarise.output.summary,
        comparisons=rules.summarise.output.comparisons,
        bounds="<results>/pairs/{person}_{subj}.bounds.json",
    output:
        retrieval=report(
            "<results>/figures/{person}_{subj}/retrieval.svg",
            caption="../workflow/report/retrieval.rst",
            category="5 Scores",
            labels={"figure": "1 retrieval and RSA", "brains": "{person} × {subj}"},
        ),
        curves=report(
            "<results>/figures/{person}_{subj}/curves.svg",
            caption="../workflow/report/curves.rst",
            category="5 Scores",
            labels={"figure": "2 curves", "brains": "{person} × {subj}"},
        ),
        comparisons=report(
            "<results>/figures/{person}_{subj}/comparisons.svg",
            caption="../workflow/report/differences.rst",
            category="6 Run comparison",
            labels={"figure": "1 differences", "brains": "{person} × {subj}"},
        ),
    log:
        "<logs>/plot_scores/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/plot_scores/{person}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("plot_scores"),
        brains="{person}_{subj}",
    message:
        "Draw the scores of {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/plot_scores.py"


rule plot_gallery:
    input:
        predictions="<results>/runs/{person}_{subj}/{run}/predictions.npz",
        eeg_pictures=ask("picture_table", "person"),
        fmri_pictures=plan.fmri_pictures,
        pixels=lambda wildcards: asked(plan.data.pixels, *plan.sets_of(wildcards.person, wildcards.subj)),
    output:
        figure=report(
            "<results>/figures/{person}_{subj}/gallery_{run}.svg",
            caption="../workflow/report/gallery.rst",
            category="7 Gallery",
            labels={"figure": "1 retrieved pictures", "brains": "{person} × {subj}", "run": "{run}"},
        ),
    log:
        "<logs>/plot_gallery/{person}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/plot_gallery/{person}_{subj}/{run}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=lambda wildcards: plan.code_with_pictures(
            "plot_gallery", *plan.sets_of(wildcards.person, wildcards.subj)
        ),
        pictures=lambda wildcards: plan.data.pictures(*plan.sets_of(wildcards.person, wildcards.subj)),
    message:
        "Draw what {wildcards.run} retrieves for {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/plot_gallery.py"


# asked for where there are several pairs of brains
rule plot_people:
    input:
        summary=rules.summarise.output.summary,
        metrics=rules.summarise.input.metrics,
    output:
        figure=report(
            "<results>/figures/people.svg",
            caption="../workflow/report/people.rst",
            category="5 Scores",
            labels={"figure": "6 methods on all people"},
        ),
        table=report(
            "<results>/figures/people.html",
            caption="../workflow/report/people_table.rst",
            category="5 Scores",
            labels={"figure": "7 table of people and methods"},
        ),
    log:
        "<logs>/plot_people.log",
    benchmark:
        "<benchmarks>/plot_people.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("plot_people"),
        predictors=plan.listed_predictors(),
    message:
        "Compare the methods on all people"
    script:
        "../workflow/scripts/plot_people.py"


rule plot_summary:
    input:
        summary=rules.summarise.output.summary,
        comparisons=rules.summarise.output.comparisons,
        metrics=rules.summarise.input.metrics,
    output:
        figure=report(
            "<results>/figures/summary.svg",
            caption="../workflow/report/summary_figure.rst",
            category="5 Scores",
            labels={"figure": "0 summary figure"},
        ),
        pdf="<results>/figures/summary.pdf",
    log:
        "<logs>/plot_summary.log",
    benchmark:
        "<benchmarks>/plot_summary.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("plot_summary"),
        predictors=plan.listed_predictors(),
    message:
        "Draw the summary figure"
    script:
        "../workflow/scripts/plot_summary.py"
