"""Pairs of a THINGS and an NSD picture that look alike, their splits and clusters."""


rule match_images:
    input:
        things_images="<results>/things/images.parquet",
        nsd_images="<results>/nsd/images.parquet",
        things_embeddings="<results>/clip/things.npy",
        nsd_embeddings="<results>/clip/nsd.npy",
        eeg="<results>/things/{sub}/eeg.h5",
        betas=lambda wildcards: expand(rules.repack_nsd_fmri.output.betas, subj=members(wildcards.subj)),
    output:
        pairs="<results>/matching/{sub}_{subj}/matched.parquet",
    log:
        "<logs>/match_images/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/match_images/{sub}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 4
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code("match_images"),
        matching=cfg.matching.model_dump(),
    script:
        "../workflow/scripts/match_images.py"


rule split_pairs:
    input:
        pairs="<results>/matching/{sub}_{subj}/matched.parquet",
        things_images="<results>/things/images.parquet",
        nsd_images="<results>/nsd/images.parquet",
    output:
        pairs="<results>/matching/{sub}_{subj}/split.parquet",
    log:
        "<logs>/split_pairs/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/split_pairs/{sub}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("split_pairs"),
        split=cfg.split.model_dump(),
    script:
        "../workflow/scripts/split_pairs.py"


rule cluster_pairs:
    input:
        pairs="<results>/matching/{sub}_{subj}/split.parquet",
        nsd_images="<results>/nsd/images.parquet",
        things_embeddings="<results>/clip/things.npy",
        nsd_embeddings="<results>/clip/nsd.npy",
    output:
        pairs="<results>/pairs/{sub}_{subj}.parquet",
    log:
        "<logs>/cluster_pairs/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/cluster_pairs/{sub}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("cluster_pairs"),
        clustering=cfg.clustering.model_dump(),
    script:
        "../workflow/scripts/cluster_pairs.py"


rule audit_split:
    input:
        matched="<results>/matching/{sub}_{subj}/matched.parquet",
        pairs="<results>/pairs/{sub}_{subj}.parquet",
        things_images="<results>/things/images.parquet",
        nsd_images="<results>/nsd/images.parquet",
        things_embeddings="<results>/clip/things.npy",
        nsd_embeddings="<results>/clip/nsd.npy",
        eeg="<results>/things/{sub}/eeg.h5",
        projection="<results>/projection/{subj}.h5",
    output:
        audit="<results>/pairs/{sub}_{subj}.audit.json",
    log:
        "<logs>/audit_split/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/audit_split/{sub}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("audit_split"),
        is_ridge_fitted=not cfg.simulate,  # the simulated ridge was fitted on no picture
    script:
        "../workflow/scripts/audit_split.py"
