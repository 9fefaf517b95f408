"""Voxels put back into the brain; only included where files say where they lie."""


rule map_noise_ceiling:
    input:
        betas="<results>/fmri/{subj}.h5",
        linked=lambda wildcards: asked(plan.data.betas, wildcards.subj),
        mask=lambda wildcards: plan.located[wildcards.subj].mask,
    output:
        volume="<results>/cortex/{subj}.noise_ceiling.nii.gz",
    log:
        "<logs>/map_noise_ceiling/{subj}.log",
    benchmark:
        "<benchmarks>/map_noise_ceiling/{subj}.tsv"
    wildcard_constraints:
        subj=r"subj0[1-8]",
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=plan.code("map_noise_ceiling"),
    message:
        "Map the noise ceilings of {wildcards.subj}"
    script:
        "../workflow/scripts/map_noise_ceiling.py"


rule map_embedding:
    input:
        betas="<results>/fmri/{member}.h5",
        linked=lambda wildcards: asked(plan.data.betas, wildcards.member),
        projection="<results>/projection/{member}.h5",
        predictions=expand("<results>/runs/{{person}}_{{subj}}/{run}/predictions.npz", run=plan.mapped),
        mask=lambda wildcards: plan.located[wildcards.member].mask,
        surfaces=lambda wildcards: plan.located[wildcards.member].surfaces,
        noise_ceiling="<results>/cortex/{member}.noise_ceiling.nii.gz",
    output:
        embedding="<results>/cortex/{person}_{subj}/{member}.nii.gz",
        volumes=expand("<results>/cortex/{{person}}_{{subj}}/{{member}}.{run}.nii.gz", run=plan.mapped),
        figure=report(
            "<results>/figures/{person}_{subj}/cortex_{member}.svg",
            caption="../workflow/report/cortex.rst",
            category="5 Scores",
            labels={"figure": "9 where in the brain of {member}", "brains": "{person} × {subj}"},
        ),
    log:
        "<logs>/map_embedding/{person}_{subj}/{member}.log",
    benchmark:
        "<benchmarks>/map_embedding/{person}_{subj}/{member}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        code=plan.code("map_embedding"),
        runs=plan.mapped,
    message:
        "Map what {wildcards.person} predicts to the brain of {wildcards.member}"
    script:
        "../workflow/scripts/map_embedding.py"
