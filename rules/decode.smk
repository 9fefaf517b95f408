"""From embeddings to CLIP tokens and to pictures; only included when the config decodes."""


rule extract_backbone:
    input:
        checkpoint=lambda wildcards: asked(plan.weights.find, "mindeye2", **wildcards),
    output:
        backbone="<results>/decoding/{subj}_backbone.safetensors",
    log:
        "<logs>/extract_backbone/{subj}.log",
    benchmark:
        "<benchmarks>/extract_backbone/{subj}.tsv"
    localrule: plan.weights.is_fetched("mindeye2")
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(3000),
        runtime=growing(240),
    params:
        code=plan.code("extract_backbone"),
        checkpoint=lambda wildcards: plan.weights.shown("mindeye2", **wildcards),
        kept={"dtype": cfg.decoding.dtype},
    message:
        "Keep the backbone of {wildcards.subj} out of {params.checkpoint}"
        + (" (downloads 7.6 GB of it)" if plan.weights.is_fetched("mindeye2") else "")
    script:
        "../workflow/scripts/extract_backbone.py"


rule extract_prior:
    input:
        checkpoint=lambda wildcards: asked(plan.weights.find, "mindeye2", **wildcards),
    output:
        prior="<results>/decoding/{subj}_prior.safetensors",
    log:
        "<logs>/extract_prior/{subj}.log",
    benchmark:
        "<benchmarks>/extract_prior/{subj}.tsv"
    localrule: plan.weights.is_fetched("mindeye2")
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        code=plan.code("extract_prior"),
        checkpoint=lambda wildcards: plan.weights.shown("mindeye2", **wildcards),
        kept={"dtype": cfg.decoding.dtype},
    message:
        "Keep the diffusion prior of {wildcards.subj} out of {params.checkpoint}"
        + (" (downloads 1.0 GB of it)" if plan.weights.is_fetched("mindeye2") else "")
    script:
        "../workflow/scripts/extract_prior.py"


rule embed_tokens:
    input:
        unpack(ask("of_pairs", "dataset", "subj")),
        pairs="<results>/pairs/{dataset}_{subj}.parquet",
        projection="<results>/projection/{subj}.h5",
        images=plan.fmri_pictures,
        pixels=lambda wildcards: asked(plan.data.pixels, plan.scanned_set),
        weights=lambda wildcards: asked(plan.weights.find, "token_clip"),
        preparation=lambda wildcards: plan.weights.clip_config("token_clip"),
    output:
        tokens="<results>/decoding/{dataset}_{subj}.gallery.h5",
    log:
        "<logs>/embed_tokens/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/embed_tokens/{dataset}_{subj}.tsv"
    priority: 1  # the longest chain of jobs, which would else come last and alone
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=growing(24000),  # ViT-bigG-14 is read as a whole before it is filled in
        runtime=growing(240),
        gpu=1,
    params:
        code=plan.code_with_pictures("embed_tokens", plan.scanned_set),
        pictures=plan.data.pictures(plan.scanned_set),
        clip=plan.token_clip(),
        chosen=cfg.decoding.model_dump(include={"n_fitted", "seed"}),
    message:
        "Compute the CLIP tokens of pictures of {wildcards.dataset} and {wildcards.subj}"
    script:
        "../workflow/scripts/embed_tokens.py"


rule decode_tokens:
    input:
        predictions=expand("<results>/runs/{{person}}_{{subj}}/{run}/predictions.npz", run=plan.decoded),
        backbone="<results>/decoding/{subj}_backbone.safetensors",
        gallery=ask("gallery", "person", "subj"),
        projection="<results>/projection/{subj}.h5",
    output:
        tokens="<results>/decoding/{person}_{subj}.tokens.h5",
        scores="<results>/decoding/{person}_{subj}.tokens.json",
    log:
        "<logs>/decode_tokens/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/decode_tokens/{person}_{subj}.tsv"
    priority: 1  # as embed_tokens
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(9000),
        runtime=growing(120),
        gpu=1,
    params:
        code=plan.code("decode_tokens"),
        brains="{person}_{subj}",
        runs=plan.decoded,
        evaluation=cfg.evaluation.model_dump(),
    message:
        "Decode the predictions of {wildcards.person} and {wildcards.subj} to CLIP tokens"
    script:
        "../workflow/scripts/decode_tokens.py"


rule sample_tokens:
    input:
        predictions=expand("<results>/runs/{{person}}_{{subj}}/{run}/predictions.npz", run=plan.drawn_runs),
        backbone="<results>/decoding/{subj}_backbone.safetensors",
        prior="<results>/decoding/{subj}_prior.safetensors",
        gallery=ask("gallery", "person", "subj"),
        projection="<results>/projection/{subj}.h5",
    output:
        tokens="<results>/decoding/{person}_{subj}.prior.h5",
        scores="<results>/decoding/{person}_{subj}.prior.json",
    log:
        "<logs>/sample_tokens/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/sample_tokens/{person}_{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(10000),
        runtime=growing(240),
        gpu=1,
    params:
        code=plan.code("sample_tokens"),
        brains="{person}_{subj}",
        runs=plan.drawn_runs,
        noise={"steps": cfg.decoding.prior_steps, "noise_seed": cfg.decoding.seed},
        evaluation=cfg.evaluation.model_dump(),
    message:
        "Sample CLIP tokens of {wildcards.person} and {wildcards.subj} by the diffusion prior"
    script:
        "../workflow/scripts/sample_tokens.py"


rule show_decoded:
    input:
        summary=rules.summarise.output.summary,
        decoded=rules.decode_tokens.output.scores,
        predictions=ask("tested_pairs", "person", "subj"),
        drawn=ask("drawn", "person", "subj"),
        compared=ask("compared", "person", "subj"),
        eeg_pictures=ask("picture_table", "person"),
        fmri_pictures=plan.fmri_pictures,
        pixels=lambda wildcards: asked(plan.data.pixels, *plan.sets_of(wildcards.person, wildcards.subj)),
    output:
        page=report(
            "<results>/figures/{person}_{subj}/pictures.html",
            caption="../workflow/report/pictures.rst",
            category="7 Gallery",
            labels={"figure": "2 pictures from EEG", "brains": "{person} × {subj}"},
        ),
    log:
        "<logs>/show_decoded/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/show_decoded/{person}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=lambda wildcards: plan.code_with_pictures(
            "show_decoded", *plan.sets_of(wildcards.person, wildcards.subj)
        ),
        pictures=lambda wildcards: plan.data.pictures(*plan.sets_of(wildcards.person, wildcards.subj)),
        brains="{person}_{subj}",
        drawn={"ways": cfg.decoding.ways},
    message:
        "Write the page of pictures from the EEG of {wildcards.person}"
    script:
        "../workflow/scripts/show_decoded.py"


include: "draw.smk"
