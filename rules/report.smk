"""Pages of the report that are text and tables."""


rule write_overview:
    input:
        summary=rules.summarise.output.summary,
        comparisons=rules.summarise.output.comparisons,
        metrics=rules.summarise.input.metrics,
        bounds=expand("<results>/pairs/{brains}.bounds.json", brains=plan.brains),
        figure=rules.plot_summary.output.figure,
    output:
        overview=report(
            "<results>/figures/overview.html",
            caption="../workflow/report/overview.rst",
            category="1 Overview",
            labels={"figure": "overview"},
        ),
    log:
        "<logs>/write_overview.log",
    benchmark:
        "<benchmarks>/write_overview.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("write_overview"),
        brains=[brains for brains in plan.brains for run in plan.predictors],
        is_simulated=bool(cfg.simulate),
    message:
        "Write the overview"
    script:
        "../workflow/scripts/write_overview.py"


rule write_tables:
    input:
        summary=rules.summarise.output.summary,
        bounds="<results>/pairs/{person}_{subj}.bounds.json",
        metrics=lambda wildcards: expand(rules.evaluate.output.metrics, run=plan.predictors, **wildcards),
        configs=lambda wildcards: plan.training_configs(f"{wildcards.person}_{wildcards.subj}"),
    output:
        scores=report(
            "<results>/figures/{person}_{subj}/scores.html",
            caption="../workflow/report/scores.rst",
            category="5 Scores",
            labels={"figure": "3 table of scores", "brains": "{person} × {subj}"},
        ),
        bounds=report(
            "<results>/figures/{person}_{subj}/bounds.html",
            caption="../workflow/report/bounds.rst",
            category="5 Scores",
            labels={"figure": "4 bounds", "brains": "{person} × {subj}"},
        ),
        audit=report(
            "<results>/figures/{person}_{subj}/audit.html",
            caption="../workflow/report/audit.rst",
            category="8 Leak audit",
            labels={"figure": "leak audit", "brains": "{person} × {subj}"},
        ),
    log:
        "<logs>/write_tables/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/write_tables/{person}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("write_tables"),
        brains="{person}_{subj}",
        names={
            "predictors": list(plan.predictors),
            "trainings": list(plan.runs),
            "is_decoded": cfg.decoding.tokens,
        },
    message:
        "Write the tables of {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/write_tables.py"


rule show_encoders:
    input:
        summary=rules.summarise.output.summary,
        configs=lambda wildcards: plan.training_configs(f"{wildcards.person}_{wildcards.subj}"),
    output:
        encoders=report(
            "<results>/figures/{person}_{subj}/encoders.html",
            caption="../workflow/report/encoders.rst",
            category="5 Scores",
            labels={"figure": "8 encoders", "brains": "{person} × {subj}"},
        ),
    log:
        "<logs>/show_encoders/{person}_{subj}.log",
    benchmark:
        "<benchmarks>/show_encoders/{person}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("show_encoders"),
        brains="{person}_{subj}",
        # a folder and not files: a job's benchmark is written after its outputs, and would make them look old
        names={"trainings": list(plan.runs), "benchmarks": f"{cfg.results}/benchmarks"},
    message:
        "Compare the encoders of {wildcards.person} and {wildcards.subj}"
    script:
        "../workflow/scripts/show_encoders.py"


rule show_picture_encoder:
    input:
        encoder=rules.fit_picture_encoder.output.quality,
        quality=lambda wildcards: expand(rules.inspect_fmri.output.quality, subj=members(wildcards.subj)),
    output:
        encoder=report(
            "<results>/figures/{dataset}_{subj}/picture_encoder.html",
            caption="../workflow/report/picture_encoder.rst",
            category="2 Pairs",
            labels={"figure": "3 picture encoder", "pictures": "{dataset} × {subj}"},
        ),
    log:
        "<logs>/show_picture_encoder/{dataset}_{subj}.log",
    benchmark:
        "<benchmarks>/show_picture_encoder/{dataset}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("show_picture_encoder"),
        names=lambda wildcards: {
            "pairs": f"{wildcards.dataset}_{wildcards.subj}",
            "subjects": members(wildcards.subj),
        },
    message:
        "Describe the picture encoder of {wildcards.dataset} and {wildcards.subj}"
    script:
        "../workflow/scripts/show_picture_encoder.py"


rule write_provenance:
    input:
        # everything else that is shown, so that this comes last and whenever any stage has run
        shown=[*plan.figures(), *plan.pages(), *rules.plot_summary.output],
        configs=plan.training_configs(*plan.brains),
    output:
        configuration=report(
            "<results>/figures/configuration.html",
            caption="../workflow/report/configuration.rst",
            category="9 How it was made",
            labels={"figure": "1 configuration"},
        ),
        versions=report(
            "<results>/figures/versions.html",
            caption="../workflow/report/versions.rst",
            category="9 How it was made",
            labels={"figure": "2 versions"},
        ),
        resources=report(
            "<results>/figures/resources.html",
            caption="../workflow/report/resources.rst",
            category="9 How it was made",
            labels={"figure": "3 time and memory"},
        ),
    log:
        "<logs>/write_provenance.log",
    benchmark:
        "<benchmarks>/write_provenance.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("write_provenance"),
        facts=lambda wildcards: {
            "settings": list_settings(cfg),
            "runs": list_runs(cfg),
            # a folder and not files: a job's benchmark is written after its outputs, and would make them look old
            "benchmarks": f"{cfg.results}/benchmarks",
            "names": plan.benchmark_names(),
            "fingerprints": {
                rule.name: plan.code(rule.name) for rule in workflow.rules if rule.script and rule.output
            },
        },
    message:
        "Write how all this was made"
    script:
        "../workflow/scripts/write_provenance.py"


rule write_site:
    input:
        shown=[
            *plan.figures(),
            *plan.pages(),
            *rules.plot_summary.output,
            *rules.summarise.output,
            *rules.write_provenance.output,
        ],
    output:
        site=directory("<results>/report"),
    log:
        "<logs>/write_site.log",
    benchmark:
        "<benchmarks>/write_site.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=plan.code("write_site"),
        shown=lambda wildcards: plan.shown(workflow.rules),
    message:
        "Write the report"
    script:
        "../workflow/scripts/write_site.py"
