"""The training set of one pair of brains: each EEG trial and each fMRI repetition once."""


rule build_lmdb:
    input:
        eeg="<results>/things/{sub}/eeg.h5",
        projection="<results>/projection/{subj}.h5",
        pairs="<results>/pairs/{sub}_{subj}.parquet",
    output:
        lmdb="<results>/lmdb/{sub}_{subj}.lmdb",
    log:
        "<logs>/build_lmdb/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/build_lmdb/{sub}_{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code("build_lmdb"),
    script:
        "../workflow/scripts/build_lmdb.py"
