"""Raw releases in, one table or HDF5 file a dataset and subject out."""


rule repack_things_images:
    input:
        training_images=training_images,
        test_images=raw("things_images", "test_images"),
        metadata=raw("things_images", "image_metadata.npy"),
    output:
        images="<results>/things/images.parquet",
    log:
        "<logs>/repack_things_images.log",
    benchmark:
        "<benchmarks>/repack_things_images.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=code("repack_things_images"),
    script:
        "../workflow/scripts/repack_things_images.py"


rule repack_things_eeg:
    input:
        files=lambda wildcards: things_eeg(wildcards)[1],
        images=rules.repack_things_images.output.images,
    output:
        eeg="<results>/things/{sub}/eeg.h5",
    log:
        "<logs>/repack_things_eeg/{sub}.log",
    benchmark:
        "<benchmarks>/repack_things_eeg/{sub}.tsv"
    conda:
        "../envs/data.yaml"
    threads: lambda wildcards: 1 if is_raw(wildcards) else 4
    resources:
        mem_mb=growing(lambda wildcards: 8000 if is_raw(wildcards) else 2000),
        runtime=growing(120),
    params:
        code=code("repack_things_eeg"),
        eeg=eeg_options,
    script:
        "../workflow/scripts/repack_things_eeg.py"


rule repack_nsd_images:
    input:
        lambda wildcards: nsd_files("images", NSD_SUBJECTS),
    output:
        images="<results>/nsd/images.parquet",
    log:
        "<logs>/repack_nsd_images.log",
    benchmark:
        "<benchmarks>/repack_nsd_images.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=code("repack_nsd_images"),
        release=lambda wildcards: nsd_release(),
    script:
        "../workflow/scripts/repack_nsd_images.py"


rule repack_nsd_fmri:
    input:
        lambda wildcards: nsd_files("fmri", [wildcards.subj]),
    output:
        betas="<results>/nsd/{subj}/betas.h5",
    log:
        "<logs>/repack_nsd_fmri/{subj}.log",
    benchmark:
        "<benchmarks>/repack_nsd_fmri/{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        code=code("repack_nsd_fmri"),
        release=lambda wildcards: nsd_release(),
        subject=lambda wildcards: wildcards.subj,
    script:
        "../workflow/scripts/repack_nsd_fmri.py"
