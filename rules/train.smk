"""The EEG encoder: training, and its predictions for the test pairs."""


rule train:
    input:
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
        weights=ask("cbramod", "run"),
    output:
        model="<results>/runs/{person}_{subj}/{run}/model.safetensors",
        config="<results>/runs/{person}_{subj}/{run}/config.json",
        history="<results>/runs/{person}_{subj}/{run}/history.csv",
        tensorboard=directory("<results>/runs/{person}_{subj}/{run}/tensorboard"),
    log:
        "<logs>/train/{person}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/train/{person}_{subj}/{run}.tsv"
    wildcard_constraints:
        run="|".join(plan.runs),
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=growing(720),
        gpu=1,
    params:
        code=lambda wildcards: plan.code_with_encoder("train", wildcards.run),
        model=lambda wildcards: plan.runs[wildcards.run].model.model_dump(),
        loss=lambda wildcards: plan.runs[wildcards.run].loss.model_dump(),
        training=lambda wildcards: plan.runs[wildcards.run].training.model_dump(exclude=WITHOUT_EFFECT),
        # What changes no number must make nothing stale: Snakemake does not record the value of a function that
        # also takes the resources.
        without_effect=lambda wildcards, resources: plan.runs[wildcards.run].training.model_dump(
            include=WITHOUT_EFFECT
        ),
        # no output, for Snakemake deletes the outputs of a job that failed
        state=f"{cfg.results}/state/{{person}}_{{subj}}/{{run}}",
    script:
        "../workflow/scripts/train.py"


rule predict:
    input:
        model="<results>/runs/{person}_{subj}/{run}/model.safetensors",
        config="<results>/runs/{person}_{subj}/{run}/config.json",
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
    output:
        predictions="<results>/runs/{person}_{subj}/{run}/predictions.npz",
    log:
        "<logs>/predict/{person}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/predict/{person}_{subj}/{run}.tsv"
    wildcard_constraints:
        run="|".join(plan.runs),
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=1,
    params:
        code=lambda wildcards: plan.code_with_encoder("predict", wildcards.run),
    script:
        "../workflow/scripts/predict.py"
