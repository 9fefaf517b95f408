"""Pages of the report that are text and tables."""


rule write_overview:
    input:
        summary=rules.summarise.output.summary,
        comparisons=rules.summarise.output.comparisons,
        metrics=rules.summarise.input.metrics,
        ceilings=expand("<results>/pairs/{pair}.ceilings.json", pair=PAIRS),
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
        code=code("write_overview"),
        pairs=[pair for pair in PAIRS for run in PREDICTORS],
        is_simulated=bool(cfg.simulate),
    script:
        "../workflow/scripts/write_overview.py"


rule write_tables:
    input:
        summary=rules.summarise.output.summary,
        ceilings="<results>/pairs/{sub}_{subj}.ceilings.json",
        metrics=lambda wildcards: expand(rules.evaluate.output.metrics, run=PREDICTORS, **wildcards),
        configs=lambda wildcards: expand(rules.train.output.config, run=RUNS, **wildcards),
    output:
        scores=report(
            "<results>/figures/{sub}_{subj}/scores.html",
            caption="../workflow/report/scores.rst",
            category="5 Scores",
            labels={"figure": "3 table of scores", "pair": "{sub} × {subj}"},
        ),
        ceilings=report(
            "<results>/figures/{sub}_{subj}/ceilings.html",
            caption="../workflow/report/ceilings.rst",
            category="5 Scores",
            labels={"figure": "4 ceilings", "pair": "{sub} × {subj}"},
        ),
        audit=report(
            "<results>/figures/{sub}_{subj}/audit.html",
            caption="../workflow/report/audit.rst",
            category="8 Leak audit",
            labels={"figure": "leak audit", "pair": "{sub} × {subj}"},
        ),
    log:
        "<logs>/write_tables/{sub}_{subj}.log",
    benchmark:
        "<benchmarks>/write_tables/{sub}_{subj}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("write_tables"),
        pair="{sub}_{subj}",
        names={"predictors": list(PREDICTORS), "trainings": list(RUNS)},
    script:
        "../workflow/scripts/write_tables.py"


rule write_provenance:
    input:
        # everything else that is shown, so that this comes last and whenever any stage has run
        shown=[*all_figures(), *all_tables()],
        configs=[f"<results>/runs/{pair}/{run}/config.json" for pair in PAIRS for run in RUNS],
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
        code=code("write_provenance"),
        facts=lambda wildcards: {
            "settings": list_settings(cfg),
            "runs": list_runs(cfg),
            # a folder and not files: a job's benchmark is written after its outputs, and would make them look old
            "benchmarks": f"{cfg.results}/benchmarks",
            "names": benchmark_names(),
            "fingerprints": all_fingerprints(),
        },
    script:
        "../workflow/scripts/write_provenance.py"
