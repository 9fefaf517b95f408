"""Pairs of an EEG and an fMRI picture, their splits and clusters: once for all people of a data set."""


rule list_shown:
    input:
        pictures=plan.fmri_pictures,
        embeddings=ask("shown_embeddings", "dataset"),
    output:
        pictures="<results>/pictures/{dataset}.shown.parquet",
    log:
        "<logs>/list_shown/{dataset}.log",
    benchmark:
        "<benchmarks>/list_shown/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("list_shown"),
    message:
        "List the pictures that people of {wildcards.dataset} saw"
    script:
        "../workflow/scripts/list_shown.py"


rule match_images:
    input:
        unpack(ask("of_matching", "dataset", "subj")),
        eeg_pictures=ask("pictures_of", "dataset"),
        fmri_pictures=ask("partner_pictures", "dataset", "subj"),
        betas=lambda wildcards: expand(rules.repack_fmri.output.betas, subj=members(wildcards.subj)),
    output:
        candidates="<results>/matching/{dataset}_{subj}/candidates.parquet",
        test_partition="<results>/matching/{dataset}_{subj}/test_partition.parquet",
    log:
        "<logs>/match_images/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/match_images/{dataset}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 4
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=plan.code("match_images"),
        include_test=cfg.matching.include_test,
    message:
        "Match the pictures of {wildcards.dataset} and {wildcards.subj}"
    script:
        "../workflow/scripts/match_images.py"


rule split_pairs:
    input:
        candidates=rules.match_images.output.candidates,
        test_partition=rules.match_images.output.test_partition,
        eeg_pictures=ask("pictures_of", "dataset"),
        fmri_pictures=ask("partner_pictures", "dataset", "subj"),
    output:
        pairs="<results>/matching/{dataset}_{subj}/split.parquet",
    log:
        "<logs>/split_pairs/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/split_pairs/{dataset}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("split_pairs"),
        split=ask("split_options", "dataset", "subj"),
    message:
        "Split the pairs of {wildcards.dataset} and {wildcards.subj}"
    script:
        "../workflow/scripts/split_pairs.py"


rule list_tested:
    input:
        unpack(ask("of_pairs", "dataset", "subj")),
        pairs=rules.split_pairs.output.pairs,
    output:
        tested="<results>/matching/{dataset}_{subj}/tested.npz",
    log:
        "<logs>/list_tested/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/list_tested/{dataset}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("list_tested"),
        splits=lambda wildcards: plan.judged_splits(wildcards.dataset, wildcards.subj),
    message:
        "List what {wildcards.dataset} and {wildcards.subj} are tested on"
    script:
        "../workflow/scripts/list_tested.py"


rule cluster_pairs:
    input:
        unpack(ask("of_pairs", "dataset", "subj")),
        pairs=rules.split_pairs.output.pairs,
        elsewhere=ask("tested_elsewhere", "dataset", "subj"),
        eeg_pictures=ask("pictures_of", "dataset"),
    output:
        pairs="<results>/pairs/{dataset}_{subj}.parquet",
        pictures="<results>/pairs/{dataset}_{subj}.pictures.parquet",
    log:
        "<logs>/cluster_pairs/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/cluster_pairs/{dataset}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("cluster_pairs"),
        clustering=cfg.clustering.model_dump(),
    message:
        "Cluster the pairs of {wildcards.dataset} and {wildcards.subj}"
    script:
        "../workflow/scripts/cluster_pairs.py"


rule shrink_pictures:
    input:
        pairs=rules.cluster_pairs.output.pairs,
        eeg_pictures=ask("pictures_of", "dataset"),
        fmri_pictures=ask("partner_pictures", "dataset", "subj"),
        pixels=lambda wildcards: asked(plan.data.pixels, *plan.sets(wildcards.dataset, wildcards.subj)),
    output:
        thumbnails="<results>/pairs/{dataset}_{subj}.thumbnails.parquet",
    log:
        "<logs>/shrink_pictures/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/shrink_pictures/{dataset}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=lambda wildcards: plan.code_with_pictures(
            "shrink_pictures", *plan.sets(wildcards.dataset, wildcards.subj)
        ),
        pictures=lambda wildcards: plan.data.pictures(*plan.sets(wildcards.dataset, wildcards.subj)),
    message:
        "Shrink the validation pictures of {wildcards.dataset} and {wildcards.subj}"
    script:
        "../workflow/scripts/shrink_pictures.py"


rule audit_split:
    input:
        unpack(ask("of_brains", "person", "subj")),
        candidates=ask("candidates", "person", "subj"),
        pairs=ask("pairs", "person", "subj"),
        eeg_pictures=ask("picture_table", "person"),
        fmri_pictures=ask("partner_pictures_of", "person", "subj"),
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
        encoder=ask("encoder_record", "person", "subj"),
    output:
        audit="<results>/pairs/{person}_{subj}.audit.json",
    log:
        "<logs>/audit_split/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/audit_split/{person}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("audit_split"),
        origin=lambda wildcards: {
            # the simulated ridge was fitted on no picture
            "is_ridge_fitted": not cfg.simulate and has_fmri(wildcards.subj),
            "is_exact": asked(plan.is_exact_of, wildcards.person, wildcards.subj),
        },
    message:
        "Audit the splits of {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/audit_split.py"
