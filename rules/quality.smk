"""What the data of one subject are worth: numbers and figures."""


rule inspect_eeg:
    input:
        eeg="<results>/things/{sub}/eeg.h5",
        images="<results>/things/images.parquet",
    output:
        quality="<results>/quality/{sub}.json",
        channels=report(
            "<results>/figures/{sub}/channels.svg",
            caption="../workflow/report/quality_channels.rst",
            category="3 Data quality",
            labels={"figure": "EEG trials and channels", "subject": "{sub}"},
        ),
        spectra=report(
            "<results>/figures/{sub}/spectra.svg",
            caption="../workflow/report/quality_spectra.rst",
            category="3 Data quality",
            labels={"figure": "EEG spectra", "subject": "{sub}"},
        ),
        responses=report(
            "<results>/figures/{sub}/responses.svg",
            caption="../workflow/report/quality_responses.rst",
            category="3 Data quality",
            labels={"figure": "EEG responses and their reliability", "subject": "{sub}"},
        ),
    log:
        "<logs>/inspect_eeg/{sub}.log",
    benchmark:
        "<benchmarks>/inspect_eeg/{sub}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=code("inspect_eeg"),
    script:
        "../workflow/scripts/inspect_eeg.py"


rule inspect_fmri:
    input:
        betas="<results>/nsd/{subj}/betas.h5",
        linked=lambda wildcards: nsd_files("betas", [wildcards.subj]),
        projection="<results>/projection/{subj}.h5",
        images="<results>/nsd/images.parquet",
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
        code=code("inspect_fmri"),
    script:
        "../workflow/scripts/inspect_fmri.py"
