"""Pictures to CLIP embeddings."""


rule embed_images:
    input:
        images="<results>/{dataset}/images.parquet",
        pixels=lambda wildcards: PIXELS[wildcards.dataset](wildcards),
        weights=weights_file("clip"),
        preparation=clip_config,
    output:
        embeddings="<results>/clip/{dataset}.npy",
    log:
        "<logs>/embed_images/{dataset}.log",
    benchmark:
        "<benchmarks>/embed_images/{dataset}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
        gpu=1,
    params:
        code=code("embed_images"),
        root=lambda wildcards: PIXEL_ROOTS[wildcards.dataset],
        clip=cfg.clip.model_dump() | {"tag": CLIP_TAG},
    script:
        "../workflow/scripts/embed_images.py"
