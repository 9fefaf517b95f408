"""The EEG encoder: training, calibration to a new person, and predictions for the test pairs."""


rule train:
    input:
        lmdbs=ask("training_sets", "brains", "run"),
        weights=ask("encoder_weights", "run"),
        tested=ask("heard_sets", "brains", "run"),
        clip=ask("clip_targets", "brains", "run"),
        # ancient: other thumbnails of the same pictures change no number
        thumbnails=ancient(ask("thumbnails", "brains", "run")),
    output:
        model="<results>/runs/{brains}/{run}/model.safetensors",
        config="<results>/runs/{brains}/{run}/config.json",
        history="<results>/runs/{brains}/{run}/history.csv",
        tensorboard=directory("<results>/runs/{brains}/{run}/tensorboard"),
    log:
        "<logs>/train/{brains}/{run}.log",
    benchmark:
        "<benchmarks>/train/{brains}/{run}.tsv"
    wildcard_constraints:
        run="|".join(plan.runs),
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(lambda wildcards: plan.training_memory(*wildcards)),
        runtime=growing(720),
        gpu=1,
    params:
        code=lambda wildcards: plan.code_with_encoder("train", wildcards.run),
        learners=lambda wildcards: {"people": plan.runs[wildcards.run].people},
        model=lambda wildcards: plan.runs[wildcards.run].model_dump()["model"],
        loss=lambda wildcards: plan.runs[wildcards.run].loss.model_dump(),
        training=lambda wildcards: plan.runs[wildcards.run].model_dump(exclude={"training": WITHOUT_EFFECT})[
            "training"
        ],
        # What changes no number must make nothing stale: Snakemake does not record the value of a function that
        # also takes the resources.
        without_effect=lambda wildcards, resources: plan.runs[wildcards.run].training.model_dump(
            include=WITHOUT_EFFECT
        ),
        # no output, for Snakemake deletes the outputs of a job that failed
        state=f"{cfg.results}/state/{{brains}}/{{run}}",
    message:
        "Train {wildcards.run} on {wildcards.brains}"
    script:
        "../workflow/scripts/train.py"


rule calibrate:
    input:
        unpack(ask("base_files", "person", "subj", "run")),
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
    output:
        model="<results>/runs/{person}_{subj}/{run}/model.safetensors",
        config="<results>/runs/{person}_{subj}/{run}/config.json",
    log:
        "<logs>/calibrate/{person}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/calibrate/{person}_{subj}/{run}.tsv"
    wildcard_constraints:
        run=plan.calibrations_pattern,
    conda:
        "../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=1,
    params:
        code=lambda wildcards: plan.code_with_encoder("calibrate", wildcards.run),
        n_pictures=lambda wildcards: plan.calibrated[wildcards.run][1],
    message:
        "Calibrate {wildcards.run} to {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/calibrate.py"


rule predict:
    input:
        unpack(ask("model_files", "person", "subj", "run")),
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
        clip=ask("clip_targets_of", "person", "run"),
    output:
        predictions="<results>/runs/{person}_{subj}/{run}/predictions.npz",
    log:
        "<logs>/predict/{person}_{subj}/{run}.log",
    benchmark:
        "<benchmarks>/predict/{person}_{subj}/{run}.tsv"
    wildcard_constraints:
        run="|".join([*plan.runs, *plan.calibrated]),
    priority: 1  # decoding waits for all predictions
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=1,
    params:
        code=lambda wildcards: plan.code_with_encoder("predict", wildcards.run),
        hearing=lambda wildcards: {"interpolates": plan.interpolates(wildcards.run)},
    message:
        "Predict with {wildcards.run} for {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/predict.py"
