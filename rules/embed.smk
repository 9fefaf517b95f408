"""Pictures to CLIP embeddings, a file for each part of a picture set: what is added later is embedded alone."""


rule embed_images:
    input:
        images="<results>/pictures/{dataset}.parquet",
        pixels=lambda wildcards: asked(plan.data.pixels, wildcards.dataset),
        weights=lambda wildcards: asked(plan.weights.find, "clip"),
        preparation=lambda wildcards: plan.weights.clip_config(),
    output:
        embeddings="<results>/clip/{dataset}/{part}.npz",
    log:
        "<logs>/embed_images/{dataset}/{part}.log",
    benchmark:
        "<benchmarks>/embed_images/{dataset}/{part}.tsv"
    priority: 1  # all that comes after the pictures waits for the last of them; the EEG is needed later
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
        gpu=1,
    params:
        code=lambda wildcards: plan.code_with_pictures("embed_images", wildcards.dataset),
        pictures=lambda wildcards: plan.data.reading(wildcards.dataset) | {"part": wildcards.part},
        clip=cfg.clip.model_dump() | {"tag": plan.weights.clip_tag()},
    message:
        "Embed the pictures of {wildcards.dataset} ({wildcards.part})"
    script:
        "../workflow/scripts/embed_images.py"
