"""The training set of one pair of brains: each EEG trial and each embedding once."""


rule build_lmdb:
    input:
        eeg="<results>/eeg/{person}.h5",
        projection=ask("projection", "subj"),
        pairs=ask("pairs", "person", "subj"),
        eeg_pictures=ask("picture_table", "person"),
        predicted=ask("predicted", "person", "subj"),
        learnable=ask("learnable", "person", "subj"),
    output:
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
    log:
        "<logs>/build_lmdb/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/build_lmdb/{person}_{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=plan.code("build_lmdb"),
        options=lambda wildcards: cfg.lmdb.model_dump()
        | {
            "drop_overlapping_trials": cfg.split.drop_overlapping_trials,
            "picture_set": plan.data.picture_set_of(wildcards.person),
            "is_simulated": bool(cfg.simulate),
        },
    message:
        "Build the training set of {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/build_lmdb.py"
