"""The EEG encoder: training, and its predictions for the test pairs."""


def encoder_code(wildcards):
    """Fingerprint of the encoder of a run, which no script imports by its name."""
    return source_fingerprint(encoder_file(RUNS[wildcards.run].model.encoder))


rule train:
    input:
        lmdb="<results>/lmdb/{sub}_{subj}.lmdb",
        weights=cbramod_weights,
    output:
        model="<results>/runs/{sub}_{subj}/{run}/model.safetensors",
        config="<results>/runs/{sub}_{subj}/{run}/config.json",
        history="<results>/runs/{sub}_{subj}/{run}/history.csv",
        tensorboard=directory("<results>/runs/{sub}_{subj}/{run}/tensorboard"),
    log:
        "<logs>/train/{sub}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/train/{sub}_{subj}/{run}.tsv"
    wildcard_constraints:
        run="|".join(RUNS),
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=growing(720),
        gpu=1,
    params:
        code=code("train"),
        encoder=encoder_code,
        model=lambda wildcards: RUNS[wildcards.run].model.model_dump(),
        loss=lambda wildcards: RUNS[wildcards.run].loss.model_dump(),
        training=lambda wildcards: RUNS[wildcards.run].training.model_dump(exclude=WITHOUT_EFFECT),
        # What changes no number must make nothing stale: Snakemake does not record the value of a function that
        # also takes the resources.
        without_effect=lambda wildcards, resources: RUNS[wildcards.run].training.model_dump(
            include=WITHOUT_EFFECT
        ),
        # no output, for Snakemake deletes the outputs of a job that failed
        state=f"{cfg.results}/state/{{sub}}_{{subj}}/{{run}}",
    script:
        "../workflow/scripts/train.py"


rule predict:
    input:
        model="<results>/runs/{sub}_{subj}/{run}/model.safetensors",
        config="<results>/runs/{sub}_{subj}/{run}/config.json",
        lmdb="<results>/lmdb/{sub}_{subj}.lmdb",
    output:
        predictions="<results>/runs/{sub}_{subj}/{run}/predictions.npz",
    log:
        "<logs>/predict/{sub}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/predict/{sub}_{subj}/{run}.tsv"
    wildcard_constraints:
        run="|".join(RUNS),
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=1,
    params:
        code=code("predict"),
        encoder=encoder_code,
    script:
        "../workflow/scripts/predict.py"
