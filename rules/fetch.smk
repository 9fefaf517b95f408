"""Pretrained weights from the network; `snakemake fetch_weights` runs these rules and extract_ridge alone."""


rule fetch_cbramod:
    output:
        weights="<results>/weights/cbramod.pth",
        record="<results>/weights/cbramod.json",
    log:
        "<logs>/fetch_cbramod.log",
    benchmark:
        "<benchmarks>/fetch_cbramod.tsv"
    priority: 1
    localrule: True
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        code=plan.code("fetch_cbramod"),
        source=plan.weights.shown("cbramod"),
    message:
        "Download CBraMod's weights, about 20 MB, from {params.source}"
    script:
        "../workflow/scripts/fetch_cbramod.py"


rule fetch_clip:
    output:
        weights=directory("<results>/weights/clip"),
        record="<results>/weights/clip.json",
    log:
        "<logs>/fetch_clip.log",
    benchmark:
        "<benchmarks>/fetch_clip.tsv"
    priority: 1
    localrule: True
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        code=plan.code("fetch_clip"),
        clip={"model": cfg.clip.model, "weights": plan.weights.shown("clip")},
    message:
        "Download the CLIP weights {params.clip[weights]} of {params.clip[model]}"
        " (ViT-L-14: 1.7 GB, ViT-H-14: 3.9 GB, ViT-bigG-14: 10.2 GB)"
    script:
        "../workflow/scripts/fetch_clip.py"
