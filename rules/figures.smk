"""Figures of the report."""


rule plot_pairs:
    input:
        pairs="<results>/pairs/{sub}_{subj}.parquet",
        things_images="<results>/things/images.parquet",
        nsd_images="<results>/nsd/images.parquet",
        pixels=all_pixels,
    output:
        figure=report(
            "<results>/figures/{sub}_{subj}/pairs.svg",
            caption="../workflow/report/pairs.rst",
            category="2 Pairs",
            labels={"figure": "example pairs", "pair": "{sub} × {subj}"},
        ),
    log:
        "<logs>/plot_pairs/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/plot_pairs/{sub}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("plot_pairs"),
        roots=PIXEL_ROOTS,
    script:
        "../workflow/scripts/plot_pairs.py"


rule plot_clusters:
    input:
        pairs="<results>/pairs/{sub}_{subj}.parquet",
        nsd_images="<results>/nsd/images.parquet",
        things_embeddings="<results>/clip/things.npy",
        nsd_embeddings="<results>/clip/nsd.npy",
    output:
        figure=report(
            "<results>/figures/{sub}_{subj}/clusters.svg",
            caption="../workflow/report/clusters.rst",
            category="2 Pairs",
            labels={"figure": "cluster map", "pair": "{sub} × {subj}"},
        ),
    log:
        "<logs>/plot_clusters/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/plot_clusters/{sub}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("plot_clusters"),
    script:
        "../workflow/scripts/plot_clusters.py"


rule plot_training:
    input:
        histories=lambda wildcards: expand(rules.train.output.history, run=RUNS, **wildcards),
    output:
        figure=report(
            "<results>/figures/{sub}_{subj}/training.svg",
            caption="../workflow/report/training.rst",
            category="3 Training",
            labels={"figure": "training curves", "pair": "{sub} × {subj}"},
        ),
    log:
        "<logs>/plot_training/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/plot_training/{sub}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("plot_training"),
        runs=list(RUNS),
    script:
        "../workflow/scripts/plot_training.py"


rule plot_retrieval:
    input:
        summary=rules.summarise.output.summary,
    output:
        figure=report(
            "<results>/figures/{sub}_{subj}/retrieval.svg",
            caption="../workflow/report/retrieval.rst",
            category="1 Scores",
            labels={"figure": "retrieval", "pair": "{sub} × {subj}"},
        ),
    log:
        "<logs>/plot_retrieval/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/plot_retrieval/{sub}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("plot_retrieval"),
        pair="{sub}_{subj}",
    script:
        "../workflow/scripts/plot_retrieval.py"


rule plot_gallery:
    input:
        predictions="<results>/runs/{sub}_{subj}/{run}/predictions.npz",
        things_images="<results>/things/images.parquet",
        nsd_images="<results>/nsd/images.parquet",
        pixels=all_pixels,
    output:
        figure=report(
            "<results>/figures/{sub}_{subj}/gallery_{run}.svg",
            caption="../workflow/report/gallery.rst",
            category="4 Gallery",
            labels={"figure": "retrieved pictures", "pair": "{sub} × {subj}", "run": "{run}"},
        ),
    log:
        "<logs>/plot_gallery/{sub}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/plot_gallery/{sub}_{subj}/{run}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("plot_gallery"),
        roots=PIXEL_ROOTS,
    script:
        "../workflow/scripts/plot_gallery.py"
