"""What the data of one subject are worth: numbers and figures."""


rule inspect_eeg:
    input:
        eeg="<results>/eeg/{person}.h5",
        images=ask("picture_table", "person"),
    output:
        quality="<results>/quality/{person}.json",
        channels=report(
            "<results>/figures/{person}/channels.svg",
            caption="../workflow/report/quality_channels.rst",
            category="3 Data quality",
            labels={"figure": "1 EEG trials and channels", "subject": "{person}"},
        ),
        spectra=report(
            "<results>/figures/{person}/spectra.svg",
            caption="../workflow/report/quality_spectra.rst",
            category="3 Data quality",
            labels={"figure": "2 EEG spectra", "subject": "{person}"},
        ),
        responses=report(
            "<results>/figures/{person}/responses.svg",
            caption="../workflow/report/quality_responses.rst",
            category="3 Data quality",
            labels={"figure": "3 EEG responses and their reliability", "subject": "{person}"},
        ),
    log:
        "<logs>/inspect_eeg/{person}.log",
    benchmark:
        "<benchmarks>/inspect_eeg/{person}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=plan.code("inspect_eeg"),
    message:
        "Inspect the EEG of {wildcards.person}"
    script:
        "../workflow/scripts/inspect_eeg.py"


rule inspect_fmri:
    input:
        betas="<results>/fmri/{subj}.h5",
        linked=lambda wildcards: asked(plan.data.betas, wildcards.subj),
        projection="<results>/projection/{subj}.h5",
        images=plan.fmri_pictures,
    output:
        quality="<results>/quality/{subj}.json",
        noise_ceilings=report(
            "<results>/figures/{subj}/noise_ceilings.svg",
            caption="../workflow/report/quality_noise_ceilings.rst",
            category="3 Data quality",
            labels={"figure": "fMRI trials and noise ceilings", "subject": "{subj}"},
        ),
    log:
        "<logs>/inspect_fmri/{subj}.log",
    benchmark:
        "<benchmarks>/inspect_fmri/{subj}.tsv"
    wildcard_constraints:
        subj=r"subj0[1-8]",
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=plan.code("inspect_fmri"),
    message:
        "Inspect the fMRI of {wildcards.subj}"
    script:
        "../workflow/scripts/inspect_fmri.py"


if plan.located:

    include: "cortex.smk"
