"""Pretrained weights from the network; `snakemake fetch_weights` runs these rules and extract_ridge alone."""


rule fetch_encoder:
    output:
        weights="<results>/weights/{encoder}.pth",
        record="<results>/weights/{encoder}.json",
    log:
        "<logs>/fetch_encoder/{encoder}.log",
    benchmark:
        "<benchmarks>/fetch_encoder/{encoder}.tsv"
    wildcard_constraints:
        encoder="|".join(plan.weights.fetched_encoders) or "(?!)",
    priority: 1
    localrule: True
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        code=plan.code("fetch_encoder"),
        source=lambda wildcards: plan.weights.shown(plan.weights.fetched_encoders[wildcards.encoder]),
    message:
        "Download the published weights of {wildcards.encoder} (cbramod: 20 MB) from {params.source}"
    script:
        "../workflow/scripts/fetch_encoder.py"


rule fetch_clip:
    output:
        weights=directory("<results>/weights/{clip}"),
        record="<results>/weights/{clip}.json",
    log:
        "<logs>/fetch_clip/{clip}.log",
    benchmark:
        "<benchmarks>/fetch_clip/{clip}.tsv"
    wildcard_constraints:
        clip="clip|token_clip",
    priority: 1
    localrule: True
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        code=plan.code("fetch_clip"),
        clip=lambda wildcards: {
            "model": cfg.clip.model if wildcards.clip == "clip" else cfg.decoding.model,
            "weights": plan.weights.shown(wildcards.clip),
        },
    message:
        "Download the CLIP weights {params.clip[weights]} of {params.clip[model]}"
        " (ViT-L-14: 1.7 GB, ViT-H-14: 3.9 GB, ViT-bigG-14: 10.2 GB)"
    script:
        "../workflow/scripts/fetch_clip.py"
