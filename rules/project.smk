"""fMRI to the embedding in front of MindEye2's backbone."""


rule extract_ridge:
    input:
        checkpoint=lambda wildcards: asked(plan.weights.find, "mindeye2", **wildcards),
    output:
        ridge="<results>/projection/{subj}_ridge.safetensors",
    log:
        "<logs>/extract_ridge/{subj}.log",
    benchmark:
        "<benchmarks>/extract_ridge/{subj}.tsv"
    priority: 1  # so that a download that cannot be made stops the workflow early
    localrule: plan.weights.is_fetched("mindeye2")  # the nodes of a cluster often have no network
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=plan.code("extract_ridge"),
        checkpoint=lambda wildcards: plan.weights.shown("mindeye2", **wildcards),
    message:
        "Read the ridge of {wildcards.subj} out of {params.checkpoint}"
        + (" (downloads 200 to 300 MB of it)" if plan.weights.is_fetched("mindeye2") else "")
    script:
        "../workflow/scripts/extract_ridge.py"


rule project_fmri:
    input:
        betas="<results>/fmri/{subj}.h5",
        linked=lambda wildcards: asked(plan.data.betas, wildcards.subj),
        ridge="<results>/projection/{subj}_ridge.safetensors",
    output:
        projection="<results>/projection/{subj}.h5",
    log:
        "<logs>/project_fmri/{subj}.log",
    benchmark:
        "<benchmarks>/project_fmri/{subj}.tsv"
    wildcard_constraints:
        subj=r"subj0[1-8]",
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=1,
    params:
        code=plan.code("project_fmri"),
    message:
        "Project the fMRI of {wildcards.subj}"
    script:
        "../workflow/scripts/project_fmri.py"


rule combine_projections:
    input:
        projections=lambda wildcards: expand(
            rules.project_fmri.output.projection, subj=members(wildcards.subj)
        ),
    output:
        projection="<results>/projection/{subj}.h5",
    log:
        "<logs>/combine_projections/{subj}.log",
    benchmark:
        "<benchmarks>/combine_projections/{subj}.tsv"
    wildcard_constraints:
        subj=r"subj0[1-8](-subj0[1-8])+",
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=plan.code("combine_projections"),
        subjects=lambda wildcards: members(wildcards.subj),
    message:
        "Combine the projections of {wildcards.subj}"
    script:
        "../workflow/scripts/combine_projections.py"


rule fit_picture_encoder:
    input:
        unpack(ask("of_pairs", "dataset", "subj")),
        pairs="<results>/pairs/{dataset}_{subj}.parquet",
        projection="<results>/projection/{subj}.h5",
        elsewhere=ask("tested_elsewhere", "dataset", "subj"),
    output:
        predicted="<results>/projection/{dataset}_{subj}.predicted.h5",
        encoder="<results>/projection/{dataset}_{subj}.encoder.safetensors",
        quality="<results>/projection/{dataset}_{subj}.encoder.json",
    log:
        "<logs>/fit_picture_encoder/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/fit_picture_encoder/{dataset}_{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        code=plan.code("fit_picture_encoder"),
        picture_encoder=cfg.picture_encoder.model_dump() | {"layers": cfg.clip.layers},
    message:
        "Fit the picture encoder of {wildcards.dataset} and {wildcards.subj}"
    script:
        "../workflow/scripts/fit_picture_encoder.py"
