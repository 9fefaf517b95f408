"""How large the report of many people and runs is, made up from the demo's results.

    make demo
    python benchmarks/report_size.py [--people 10] [--subjects 8] [--runs 10]

Every pair of brains gets the demo's figures and tables, drawn for so many runs, and a gallery a run, whose
pictures are 200 of each fMRI person, as many as the test pictures of THINGS-EEG2. Nothing is computed; the
report is written below a temporary folder, and its size and largest files are printed.
"""

import argparse
import base64
import io
import itertools
import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from snakemake.io import regex_from_filepattern

from brain2image.evaluation.people_scores import score_people
from brain2image.report.assembly import make_overview, make_tables
from brain2image.report.figures.score_plots import plot_scores
from brain2image.report.figures.style import save, to_svg
from brain2image.report.figures.summary_figure import plot_summary
from brain2image.report.figures.training_curves import plot_training
from brain2image.report.site.sections import PHOTO
from brain2image.report.site.site_writing import write_site

DEMO, BRAINS, RUN = Path("results/demo"), "things-01_subj01", "multitoken_vit"
N_TEST, N_EPOCHS = 200, 30
SHOWN = {
    "figures/overview.html": ("1 Overview", "", "overview"),
    "figures/{pairs}/{name}.svg": ("2 Pairs", "pictures", "{name}"),
    "figures/{pairs}/picture_encoder.html": ("2 Pairs", "pictures", "picture encoder"),
    "figures/{subject}/{name}.svg": ("3 Data quality", "subject", "{name}"),
    "figures/{brains}/training.svg": ("4 Training", "brains", "training"),
    "figures/summary.svg": ("5 Scores", "", "0 summary"),
    "summary.csv": ("5 Scores", "", "5 all rows"),
    "comparisons.csv": ("6 Run comparison", "", "2 all rows"),
    "figures/{brains}/{name}.svg": ("5 Scores", "brains", "{name}"),
    "figures/{brains}/cortex_{member}.svg": ("5 Scores", "brains", "9 where in the brain of {member}"),
    "figures/{brains}/audit.html": ("8 Leak audit", "brains", "audit"),
    "figures/{brains}/pictures.html": ("7 Gallery", "brains", "2 pictures from EEG"),
    "figures/{brains}/gallery_{run}.svg": ("7 Gallery", "brains", "1 {run}"),
    "figures/{brains}/{page}.html": ("5 Scores", "brains", "{page}"),
    "figures/{page}.html": ("9 How it was made", "", "{page}"),
}
CONSTRAINTS = {
    "pairs": r"things_subj\d\d",
    "subject": r"things-\d\d|subj\d\d",
    "brains": r"things-\d\d_subj\d\d",
    "name": r"(?!gallery|training|cortex)\w+",
    "page": r"\w+",
    "member": r"subj\d\d",
    "run": r"\w+",
}


def main() -> None:
    """Make the report and print its size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in {"people": 10, "subjects": 8, "runs": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    people = [f"things-{number:02d}" for number in range(1, options.people + 1)]
    subjects = [f"subj{number:02d}" for number in range(1, options.subjects + 1)]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        make_up(results, people, subjects, [f"run{number}" for number in range(options.runs)])
        files = sorted(path for path in results.rglob("*") if path.is_file() and path.suffix != ".pdf")
        start = time.perf_counter()
        write_site(files, list(shown()), out=results / "report")
        seconds = time.perf_counter() - start
        sizes = {
            path.relative_to(results / "report"): path.stat().st_size
            for path in (results / "report").rglob("*")
            if path.is_file()
        }
        n_bytes = sum(path.stat().st_size for path in files)
    n_brains = len(people) * len(subjects)
    print(f"{n_brains} pairs of brains, {options.runs} runs: {len(files)} files of {n_bytes / 1e6:.0f} MB")
    print(f"report: {sum(sizes.values()) / 1e6:.1f} MB in {len(sizes)} files, written in {seconds:.0f} s")
    kinds = (
        pd.Series(sizes).groupby([path.parts[0] if len(path.parts) > 1 else "pages" for path in sizes]).sum()
    )
    print((kinds / 1e6).round(1).to_string())
    for path in sorted(sizes, key=sizes.get, reverse=True)[:8]:
        print(f"{sizes[path] / 1e6:6.2f} MB {path}")


def shown():
    """Give what `plan_report.list_shown` gives of the rules."""
    for pattern, (category, kind, title) in SHOWN.items():
        pattern = re.sub(r"\{(\w+)\}", lambda found: f"{{{found[1]},{CONSTRAINTS[found[1]]}}}", pattern)
        labels = {"figure": title} | (
            {kind: f"{{{kind if kind != 'pictures' else 'pairs'}}}"} if kind else {}
        )
        caption = "What one sees and how to read it. " * 15
        yield {
            "pattern": regex_from_filepattern(pattern),
            "caption": caption,
            "category": category,
            "labels": labels,
        }


def make_up(results: Path, people: list[str], subjects: list[str], runs: list[str]) -> None:
    """Write all figures, pages and tables that a report shows."""
    metrics, template = read_demo(runs)
    all_brains = [f"{person}_{subject}" for person, subject in itertools.product(people, subjects)]
    summary = pd.concat([template["summary"].assign(brains=brains) for brains in all_brains])
    comparisons = pd.concat(
        [template["comparisons"].assign(brains=brains) for brains in [*all_brains, "all"]]
    )
    (results / "figures").mkdir()
    summary.to_csv(results / "summary.csv", index=False)
    comparisons.to_csv(results / "comparisons.csv", index=False)
    predictors = [{"brains": brains, "run": run, "seed": None} for brains in all_brains for run in metrics]
    scores = score_people(summary, predictors, [*metrics.values()] * len(all_brains))
    save(plot_summary(scores, summary, comparisons), results / "figures/summary.svg")
    overview = make_overview(
        summary,
        comparisons,
        brains=[brains for brains in all_brains for _ in metrics],
        audits=[content["audit"] for content in metrics.values()] * len(all_brains),
        bounds=[template["bounds"]] * len(all_brains),
        is_simulated=True,
        figure=(results / "figures/summary.svg").read_text(),
    )
    (results / "figures/overview.html").write_text(overview)
    for name in ("configuration", "versions", "resources"):
        copy(DEMO / f"figures/{name}.html", results / f"figures/{name}.html")
    for subject in subjects:
        for file in (DEMO / "figures/things_subj01").iterdir():
            copy(file, results / f"figures/things_{subject}" / file.name)
        copy(DEMO / "figures/subj01/noise_ceilings.svg", results / f"figures/{subject}/noise_ceilings.svg")
    for person, file in itertools.product(people, (DEMO / "figures/things-01").iterdir()):
        copy(file, results / f"figures/{person}" / file.name)
    texts = one_pair(metrics, template, runs)
    for brains in all_brains:
        write_brains(results / "figures" / brains, texts, runs)


def read_demo(runs: list[str]) -> tuple[dict, dict]:
    """Read the demo's tables, its network standing for each of the runs."""
    tables = {name: pd.read_csv(DEMO / f"{name}.csv") for name in ("summary", "comparisons")}
    for name, table in tables.items():
        others = table[~table["run"].isin([RUN, "linear_path"])]
        own = [table[table["run"] == RUN].assign(run=run) for run in runs]
        tables[name] = pd.concat([*own, others])
    folders = dict.fromkeys(runs, RUN) | {
        run: run for run in tables["summary"]["run"].unique() if run not in runs
    }
    folders.pop("measured_fmri", None)
    metrics = {
        run: json.loads((DEMO / f"runs/{BRAINS}/{of}/metrics.json").read_text())
        for run, of in folders.items()
    }
    return metrics, tables | {"bounds": json.loads((DEMO / f"pairs/{BRAINS}.bounds.json").read_text())}


def one_pair(metrics: dict, template: dict, runs: list[str]) -> dict[str, str]:
    """Draw and write what one pair of brains has."""
    figures = plot_scores(template["summary"], template["comparisons"], brains=BRAINS, rsa_bound=0.9)
    texts = {f"{name}.svg": to_svg(figure) for name, figure in figures.items()}
    epochs = np.arange(N_EPOCHS + 1)
    history = pd.DataFrame(
        {"epoch": epochs, "train_loss": 3 / (1 + epochs), "val_loss": 2.0, "val_top1": 0.1}
    )
    texts["training.svg"] = to_svg(
        plot_training({run: history + number / 50 for number, run in enumerate(runs)}, n_val=100)
    )
    pages = make_tables(
        template["summary"],
        brains=BRAINS,
        bounds=template["bounds"],
        audits={run: content["audit"] for run, content in metrics.items()},
        confusions={run: content["confusion"] for run, content in metrics.items()},
        query_effects=dict.fromkeys(runs, 0.1),
        is_decoded=True,
    )
    texts |= {f"{name}.html": text for name, text in pages.items()}
    demo = DEMO / "figures" / BRAINS
    texts["gallery"] = (demo / f"gallery_{RUN}.svg").read_text()
    for name in ("pictures.html", "cortex_subj01.svg"):
        texts[name] = (demo / name).read_text()
    return texts


def write_brains(folder: Path, texts: dict[str, str], runs: list[str]) -> None:
    """Write what a pair of brains has; its galleries show other pictures of the same sets."""
    folder.mkdir()
    rng = np.random.default_rng(int.from_bytes(folder.name.encode()[-4:], "big"))
    subject = folder.name[-2:]
    for name, text in texts.items():
        if name == "gallery":
            for run in runs:
                others = PHOTO.sub(lambda _: photograph(subject, int(rng.integers(N_TEST))), text)
                (folder / f"gallery_{run}.svg").write_text(others)
        else:
            (folder / name).write_text(text.replace(BRAINS, folder.name))


PHOTOGRAPHS: dict[tuple[str, int], str] = {}


def photograph(subject: str, number: int) -> str:
    """Give one of a person's pictures as an SVG names it, 4 KB like thumbnails of photographs."""
    if (subject, number) not in PHOTOGRAPHS:
        rng = np.random.default_rng([int(subject), number])
        rough = Image.fromarray(rng.integers(0, 255, (25, 25, 3), np.uint8)).resize(
            (112, 112), Image.Resampling.BICUBIC
        )
        content = io.BytesIO()
        rough.save(content, "JPEG", quality=80)
        text = base64.b64encode(content.getvalue()).decode()
        PHOTOGRAPHS[subject, number] = f'xlink:href="data:image/jpeg;base64,{text}"'
    return PHOTOGRAPHS[subject, number]


def copy(source: Path, target: Path) -> None:
    """Copy a file into a folder that may not be there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


if __name__ == "__main__":
    main()
