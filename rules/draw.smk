"""From CLIP tokens to pictures, and how these resemble what was seen; only where the config draws."""


rule draw_linear:
    input:
        tokens=rules.decode_tokens.output.tokens,
        gallery=ask("gallery", "person", "subj"),
        fmri_pictures=plan.fmri_pictures,
        pixels=lambda wildcards: asked(plan.data.pixels, plan.scanned_set),
    output:
        pictures="<results>/decoding/{person}_{subj}.linear.h5",
    log:
        "<logs>/draw_linear/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/draw_linear/{person}_{subj}.tsv"
    priority: 1  # as embed_tokens
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        code=plan.code_with_pictures("draw_linear", plan.scanned_set),
        pictures=plan.data.pictures(plan.scanned_set),
        drawing={"runs": plan.drawn_runs, "seed": cfg.decoding.seed},
    message:
        "Draw pictures from the tokens of {wildcards.person} and {wildcards.subj} by a ridge"
    script:
        "../workflow/scripts/draw_linear.py"


rule extract_unclip:
    input:
        checkpoint=lambda wildcards: asked(plan.weights.find, "unclip"),
    output:
        unclip="<results>/decoding/unclip.safetensors",
    log:
        "<logs>/extract_unclip.log",
    benchmark:
        "<benchmarks>/extract_unclip.tsv"
    localrule: plan.weights.is_fetched("unclip")
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(3000),
        runtime=growing(240),
    params:
        code=plan.code("extract_unclip"),
        checkpoint=plan.weights.shown("unclip"),
        kept={"dtype": cfg.decoding.dtype},
    message:
        "Keep what draws of {params.checkpoint}"
        + (" (downloads 10.2 GB of it)" if plan.weights.is_fetched("unclip") else "")
    script:
        "../workflow/scripts/extract_unclip.py"


rule draw_unclip:
    input:
        tokens=ask("drawn_tokens", "person", "subj"),
        unclip=rules.extract_unclip.output.unclip,
    output:
        pictures="<results>/decoding/{person}_{subj}.unclip.h5",
    log:
        "<logs>/draw_unclip/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/draw_unclip/{person}_{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(20000),  # on a CPU, where all of it is float32; on a GPU it takes 14000
        runtime=growing(720),
        gpu=1,
    params:
        code=plan.code("draw_unclip"),
        runs=plan.drawn_runs,
        drawing=cfg.decoding.model_dump(include={"steps", "n_samples", "seed"}),
    message:
        "Draw pictures from the tokens of {wildcards.person} and {wildcards.subj} by MindEye2's unCLIP"
    script:
        "../workflow/scripts/draw_unclip.py"


rule compare_pictures:
    input:
        drawn=ask("drawn", "person", "subj"),
        predictions=ask("tested_pairs", "person", "subj"),
        eeg_pictures=ask("picture_table", "person"),
        pixels=lambda wildcards: asked(plan.data.pixels, plan.sets_of(wildcards.person, wildcards.subj)[0]),
        weights=lambda wildcards: asked(plan.weights.find, "clip"),
        preparation=lambda wildcards: plan.weights.clip_config(),
        networks=lambda wildcards: list(asked(plan.picture_networks).values()),
    output:
        scores="<results>/decoding/{person}_{subj}.pictures.json",
    log:
        "<logs>/compare_pictures/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/compare_pictures/{person}_{subj}.tsv"
    priority: 1  # as embed_tokens
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
        gpu=1,
    params:
        code=lambda wildcards: plan.code_with_pictures(
            "compare_pictures", plan.sets_of(wildcards.person, wildcards.subj)[0]
        ),
        brains="{person}_{subj}",
        pictures=lambda wildcards: plan.data.pictures(plan.sets_of(wildcards.person, wildcards.subj)[0]),
        compared={"ways": cfg.decoding.ways, "networks": sorted(cfg.weights.picture_networks)},
        draw={"n_compared": cfg.decoding.n_compared, "draw_seed": cfg.decoding.seed},
        clip=cfg.clip.model_dump(exclude={"layers"}) | {"tag": plan.weights.clip_tag()},
        evaluation=cfg.evaluation.model_dump(),
    message:
        "Compare the pictures drawn for {wildcards.person} and {wildcards.subj} with the seen ones"
    script:
        "../workflow/scripts/compare_pictures.py"
