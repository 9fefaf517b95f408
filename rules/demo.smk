"""Synthetic raw data in the formats of the real releases; only included when the config asks for it."""


rule simulate_images:
    output:
        training_images=directory(f"{cfg.data.things_images}/training_images"),
        test_images=directory(f"{cfg.data.things_images}/test_images"),
        metadata=f"{cfg.data.things_images}/image_metadata.npy",
        pixels=f"{cfg.data.nsd}/coco_images_224_float16.hdf5",
        indices=f"{cfg.data.nsd}/COCO_73k_subj_indices.hdf5",
        shared1000=f"{cfg.data.nsd}/shared1000.npy",
        latents="<results>/simulated/latents.npz",
    log:
        "<logs>/simulate_images.log",
    benchmark:
        "<benchmarks>/simulate_images.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=plan.code("simulate_images"),
        simulate=cfg.simulate.model_dump(
            include={
                "n_concepts",
                "images_per_concept",
                "n_test_concepts",
                "n_nsd_sessions",
                "nsd_shared",
                "n_latents",
                "seed",
            }
        ),
        subjects=plan.subjects,
    message:
        "Simulate pictures"
    script:
        "../workflow/scripts/simulate_images.py"


rule simulate_eeg:
    input:
        latents="<results>/simulated/latents.npz",
    output:
        sessions=expand(
            f"{cfg.data.things_eeg}/{{sub}}/ses-{{session:02d}}/raw_eeg_{{part}}.npy",
            session=(1, 2, 3, 4),
            part=("training", "test"),
            allow_missing=True,
        ),
    log:
        "<logs>/simulate_eeg/{sub}.log",
    benchmark:
        "<benchmarks>/simulate_eeg/{sub}.tsv"
    wildcard_constraints:
        sub=r"sub-\d{2}",
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=plan.code("simulate_eeg"),
        simulate=cfg.simulate.model_dump(
            include={"n_concepts", "images_per_concept", "n_test_concepts", "n_latents", "eeg_snr", "seed"}
        ),
        subject="{sub}",
    message:
        "Simulate the raw EEG of {wildcards.sub}"
    script:
        "../workflow/scripts/simulate_eeg.py"


rule simulate_fmri:
    input:
        latents="<results>/simulated/latents.npz",
        indices=rules.simulate_images.output.indices,
        shared1000=rules.simulate_images.output.shared1000,
        tokens="<results>/simulated/tokens.npz" if cfg.decoding.tokens else [],
    output:
        betas=f"{cfg.data.nsd}/betas_all_{{subj}}_fp32_renorm.hdf5",
        wds=directory(f"{cfg.data.nsd}/wds/{{subj}}"),
        checkpoint=cfg.weights.mindeye2,
        oracle="<results>/simulated/{subj}_oracle.npz",
    log:
        "<logs>/simulate_fmri/{subj}.log",
    benchmark:
        "<benchmarks>/simulate_fmri/{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=plan.code("simulate_fmri"),
        simulate=cfg.simulate.model_dump(include={"n_voxels", "n_latents", "n_features", "seed"}),
        subject="{subj}",
    message:
        "Simulate the fMRI and the checkpoint of {wildcards.subj}"
    script:
        "../workflow/scripts/simulate_fmri.py"


rule simulate_mask:
    output:
        mask=f"{cfg.data.nsddata or cfg.data.nsd}/ppdata/{{subj}}/func1pt8mm/roi/nsdgeneral.nii.gz",
    log:
        "<logs>/simulate_mask/{subj}.log",
    benchmark:
        "<benchmarks>/simulate_mask/{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("simulate_mask"),
        n_voxels=cfg.simulate.n_voxels,
    message:
        "Simulate where the voxels of {wildcards.subj} lie"
    script:
        "../workflow/scripts/simulate_mask.py"


rule simulate_cbramod:
    output:
        weights=cfg.weights.cbramod,
    log:
        "<logs>/simulate_cbramod.log",
    benchmark:
        "<benchmarks>/simulate_cbramod.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=plan.code("simulate_cbramod"),
        seed=cfg.simulate.seed,
    message:
        "Simulate CBraMod's weights"
    script:
        "../workflow/scripts/simulate_cbramod.py"


rule simulate_clip:
    output:
        weights=cfg.weights.clip,
        tokens="<results>/simulated/tokens.npz" if cfg.decoding.tokens else [],
    log:
        "<logs>/simulate_clip.log",
    benchmark:
        "<benchmarks>/simulate_clip.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        code=plan.code("simulate_clip"),
        simulate=cfg.simulate.model_dump(include={"n_latents", "seed"}),
        model=cfg.clip.model,
    message:
        "Simulate CLIP's weights"
    script:
        "../workflow/scripts/simulate_clip.py"


rule predict_ceilings:
    input:
        unpack(ask("of_brains", "person", "subj")),
        lmdb="<results>/lmdb/{person}_{subj}.lmdb",
        latents="<results>/simulated/latents.npz",
        oracle="<results>/simulated/{subj}_oracle.npz",
        eeg_pictures=ask("picture_table", "person"),
        fmri_pictures=plan.fmri_pictures,
        betas="<results>/fmri/{subj}.h5",
    output:
        ceiling="<results>/runs/{person}_{subj}/ceiling/predictions.npz",
        fmri_ceiling="<results>/runs/{person}_{subj}/fmri_ceiling/predictions.npz",
    log:
        "<logs>/predict_ceilings/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/predict_ceilings/{person}_{subj}.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=plan.code("predict_ceilings"),
        simulate=cfg.simulate.model_dump(
            include={"n_concepts", "images_per_concept", "n_test_concepts", "n_latents", "seed"}
        ),
        pairing=lambda wildcards: {
            "is_exact": asked(plan.is_exact_of, wildcards.person, wildcards.subj),
            "include_test": cfg.matching.include_test,
            "options": asked(plan.split_options_of, wildcards.person, wildcards.subj),
        },
    message:
        "Compute the ceilings of {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/predict_ceilings.py"


if any(person.startswith("alljoined-") for person in plan.people):

    include: "demo_alljoined.smk"
