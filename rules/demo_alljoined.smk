"""Synthetic recordings of Alljoined1; only included when somebody of it is asked for."""


rule simulate_expdesign:
    input:
        latents="<results>/simulated/latents.npz",
        shared1000=rules.simulate_images.output.shared1000,
    output:
        design=f"{cfg.data.alljoined1}/nsd_expdesign.mat",
    log:
        "<logs>/simulate_expdesign.log",
    benchmark:
        "<benchmarks>/simulate_expdesign.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("simulate_expdesign"),
        simulate=cfg.simulate.model_dump(include={"seed"}),
    message:
        "Simulate NSD's experiment design"
    script:
        "../workflow/scripts/simulate_expdesign.py"


rule simulate_alljoined:
    input:
        latents="<results>/simulated/latents.npz",
        design=rules.simulate_expdesign.output.design,
    output:
        recordings=expand(
            f"{cfg.data.alljoined1}/raw/{{subj}}_session{{session}}_eeg.fif",
            session=(1, 2),
            allow_missing=True,
        ),
        tables=expand(
            f"{cfg.data.alljoined1}/05_125/{{subj}}_session{{session}}.h5",
            session=(1, 2),
            allow_missing=True,
        ),
    log:
        "<logs>/simulate_alljoined/{subj}.log",
    benchmark:
        "<benchmarks>/simulate_alljoined/{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=plan.code("simulate_alljoined"),
        simulate=cfg.simulate.model_dump(include={"n_latents", "eeg_snr", "seed"}),
        person=lambda wildcards: wildcards.subj.replace("subj", "alljoined-"),
    message:
        "Simulate the raw EEG of {params.person}"
    script:
        "../workflow/scripts/simulate_alljoined.py"
