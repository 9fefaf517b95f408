"""Raw releases in, one table or HDF5 file a data set and person out."""


rule repack_images:
    input:
        lambda wildcards: asked(plan.data.images, wildcards.dataset).files,
    output:
        images="<results>/pictures/{dataset}.parquet",
    log:
        "<logs>/repack_images/{dataset}.log",
    benchmark:
        "<benchmarks>/repack_images/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=lambda wildcards: plan.code("repack_images", asked(plan.data.images, wildcards.dataset).reader),
        reader=lambda wildcards: asked(plan.data.images, wildcards.dataset).reader,
    message:
        "List the pictures of {wildcards.dataset}"
    script:
        "../workflow/scripts/repack_images.py"


rule repack_eeg:
    input:
        files=lambda wildcards: asked(plan.data.eeg, wildcards.person).files,
        images=ask("picture_set_table", "person"),
    output:
        eeg="<results>/eeg/{person}.h5",
    log:
        "<logs>/repack_eeg/{person}.log",
    benchmark:
        "<benchmarks>/repack_eeg/{person}.tsv"
    conda:
        "../envs/data.yaml"
    threads: lambda wildcards: asked(plan.data.eeg_resources, wildcards.person)["threads"]
    resources:
        mem_mb=growing(lambda wildcards: asked(plan.data.eeg_resources, wildcards.person)["mem_mb"]),
        runtime=growing(120),
    params:
        code=lambda wildcards: plan.code("repack_eeg", asked(plan.data.eeg, wildcards.person).reader),
        reader=lambda wildcards: asked(plan.data.eeg, wildcards.person).reader,
        eeg=lambda wildcards: asked(plan.data.eeg_options, wildcards.person, cfg.eeg),
    message:
        "Repack the EEG of {wildcards.person}"
    script:
        "../workflow/scripts/repack_eeg.py"


rule repack_fmri:
    input:
        lambda wildcards: asked(plan.data.fmri, wildcards.subj).files,
    output:
        betas="<results>/fmri/{subj}.h5",
    log:
        "<logs>/repack_fmri/{subj}.log",
    benchmark:
        "<benchmarks>/repack_fmri/{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        code=lambda wildcards: plan.code("repack_fmri", asked(plan.data.fmri, wildcards.subj).reader),
        fmri=lambda wildcards: {
            "reader": asked(plan.data.fmri, wildcards.subj).reader,
            "subject": wildcards.subj,
        },
    message:
        "Repack the fMRI of {wildcards.subj}"
    script:
        "../workflow/scripts/repack_fmri.py"
