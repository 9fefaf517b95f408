"""What the workflow needs to know of config and files: people, brains, runs, predictors, the inputs of rules.

Only names are looked at, so that parsing the workflow takes about a second. Paths are given as the rules
spell them. What a job computes with, it gets by its params.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from brain2image.config import Config
from brain2image.constants.brain_names import PICTURES, SEVERAL, divide_brains, has_fmri, members
from brain2image.constants.pooling_names import ENCODERLESS
from brain2image.constants.predictors import CEILINGS, SEED_SUFFIX
from brain2image.core.encoder_names import encoder_millions, encoder_module
from brain2image.core.fingerprint import source_fingerprint
from brain2image.datasets.people import check_brains, check_folders, find_brains
from brain2image.datasets.registry import load_datasets
from brain2image.datasets.selection import Selection
from brain2image.plan_files import FMRI
from brain2image.plan_report import list_shown
from brain2image.plan_weights import PlannedWeights
from brain2image.weights.planned import WeightPlaces
from brain2image.weights.sources import true_sources

# Of a weight while it trains: it, its gradient, AdamW's two moments, its best and its averaged value, and the
# copy of all but the gradient that is being saved, float32.
BYTES_PER_WEIGHT = 44


class Predictor(NamedTuple):
    """What is evaluated: a training of a run, a baseline, or a ceiling of simulated data."""

    run: str
    seed: int | None  # None of what is not trained


class Plan(PlannedWeights):
    """The answers to what the rules ask.

    Parameters
    ----------
    config : the checked configuration.
    scripts : folder of the rules' scripts.

    Attributes
    ----------
    brains : sorted, so that their order in the config makes nothing stale.
    left_out : people whom ``brains: all`` leaves out, with the reason.
    data : the data of these people.
    located : the files that say where in the brain voxels lie, by the NSD subjects that have them.
    weights : the pretrained weights.

    Raises
    ------
    InputError
        When a person, a data set or a key of ``data`` is not known, or nobody's data are there.
    """

    def __init__(self, config: Config, *, scripts: str | Path):
        self.config, self.scripts, self.results = config, Path(scripts), config.results
        self.datasets = load_datasets(tuple(config.datasets))
        self.folders: dict[str, str] = config.data.model_dump()
        check_folders(self.datasets, self.folders)
        self.brains, self.left_out = (
            find_brains(self.datasets, self.folders, fmri=FMRI)
            if config.brains == "all"
            else (sorted(config.brains), {})
        )
        check_brains(self.brains, self.datasets, self.folders, fmri=FMRI)
        self.check_learners()
        subj = divide_brains(self.brains[0])[1]
        named = [f"{person}_{subj}" for person in self.listed_people()]
        check_brains(named, self.datasets, self.folders, fmri=FMRI, key="people of a run")
        must_exist = config.simulate is None
        self.data = Selection(
            self.datasets,
            self.folders,
            people=self.people,
            subjects=self.subjects,
            fmri=FMRI,
            must_exist=must_exist,
        )
        found = {subject: self.data.brain(subject) for subject in self.subjects}
        self.located = {subject: brain for subject, brain in found.items() if brain}
        self.check_without_fmri()
        self.check_pairs()
        self.check_channels()
        self.weights = WeightPlaces(config.weights.sources, results=self.results, must_exist=must_exist)

    def say_who_is_left_out(self, warn: Callable[[str], object]) -> None:
        """Warn of each person whom ``brains: all`` leaves out."""
        for person, reason in self.left_out.items():
            warn(f"brains: all leaves out {person}: {reason}")

    @cached_property
    def people(self) -> list[str]:
        """List the people whose EEG is read."""
        return sorted({*(divide_brains(brains)[0] for brains in self.brains), *self.listed_people()})

    @cached_property
    def picture_pairs(self) -> list[str]:
        """Name the tables of pairs, a data set and an fMRI side."""
        return sorted({self._pairs_name(*divide_brains(brains)) for brains in self.brains})

    @cached_property
    def predictors(self) -> dict[str, Predictor]:
        """Return all that is evaluated, by the name of its folder: runs, baselines, and known ceilings."""
        seeds = {folder: run.training.seed for folder, run in self.runs.items()}
        seeds |= {folder: seeds[run] for folder, (run, _) in self.calibrated.items()}
        runs = {folder: Predictor(folder.partition(SEED_SUFFIX)[0], seed) for folder, seed in seeds.items()}
        has_ceilings = self.config.simulate and all(map(has_fmri, self.brains))
        others = [*sorted(self.config.baselines), *(CEILINGS if has_ceilings else [])]
        return runs | {name: Predictor(name, None) for name in others}

    @property
    def decoded(self) -> list[str]:
        """List what may be decoded to tokens: all that predicts an fMRI embedding."""
        return [run for run in self.predictors if not self.has_clip_targets(run)]

    @property
    def drawn_runs(self) -> list[str]:
        """List the runs whose pictures are drawn: all seeds of the networks, and the ridge; else one."""
        shown = [run for run in self.decoded if run in self.runs or run == "ridge"]
        return shown or self.decoded[:1]

    @property
    def mapped(self) -> list[str]:
        """List the runs that are mapped to the brain: the first training of each network, and the ridge."""
        return [run for run in self.drawn_runs if SEED_SUFFIX not in run]

    @property
    def brain_maps(self) -> list[str]:
        """List the figures of brains, one of each NSD subject in each pair of brains, by brains."""
        pairs = ((brains, subject) for brains in self.brains for subject in members(divide_brains(brains)[1]))
        return [f"{brains}/cortex_{subject}" for brains, subject in pairs if subject in self.located]

    def tested_pairs(self, person: str, subj: str) -> str:
        """Return predictions whose test pictures are looked at: the first, as all have the same."""
        return f"{self.results}/runs/{person}_{subj}/{self.decoded[0]}/predictions.npz"

    def listed_predictors(self) -> list[dict[str, Any]]:
        """List brains, folder, run and seed of everything that is evaluated, in the order of its metrics."""
        return [
            {"brains": brains, "folder": folder, **predictor._asdict()}
            for brains, (folder, predictor) in product(self.brains, self.predictors.items())
        ]

    @cached_property
    def encoders(self) -> set[tuple[Any, ...]]:
        """Return the encoders of the runs: where each starts, what it hears, and whether it learns."""
        return {
            (run.model.encoder, run.model.pretrained, str(run.model.channels), run.training.freeze_encoder)
            for run in self.runs.values()
            if run.model.pooling != ENCODERLESS
        }

    def training_memory(self, brains: str, run: str) -> int:
        """Return the memory, MB, of a training: for its people, and for the state of a large encoder."""
        model = self.runs[run].model
        millions = 0 if model.pooling == ENCODERLESS else encoder_millions(model.encoder)
        return self.memory(brains, run, first=8000, further=500) + BYTES_PER_WEIGHT * millions

    def code(self, rule: str, *readers: str) -> str:
        """Return the fingerprint of the source that a rule runs, a change of which reruns it.

        Parameters
        ----------
        rule : its script has the same name.
        readers : modules that the script imports by name, see `datasets.base`.
        """
        return source_fingerprint(self.scripts / f"{rule}.py", *readers)

    def code_with_pictures(self, rule: str, *datasets: str) -> str:
        """Return the fingerprint of a rule that reads pictures of data sets."""
        return self.code(rule, *(side["reader"] for side in self.data.pictures(*datasets)))

    def code_with_encoder(self, rule: str, run: str) -> str:
        """Return the fingerprint of a rule that computes with the encoder of a run."""
        model = self.runs[self.calibrated.get(run, (run,))[0]].model
        return self.code(rule, *([] if model.pooling == ENCODERLESS else [encoder_module(model.encoder)]))

    def inventory(self) -> dict[str, Any]:
        """Return what `take_inventory` is asked to look at."""
        owners = [*dict.fromkeys(self.data.eeg_dataset(person).name for person in self.people)]
        owners += [FMRI] if self.subjects else []
        return {
            "data": self.folders,
            "weights": {key: self.weights.shown(key) for key in self.needed_weights},
            "encoders": self.published_starts(),
            "parts": {
                f"{part} of {subj}": [self.weights.shown("mindeye2", subj=subj), place]
                for (subj, part), place in self.decoding_parts().items()
            },
            "datasets": list(self.config.datasets),
            "people": {name: self.data.people_of(name) for name in owners},
            "subjects": self.subjects,
            "left_out": self.left_out,
            "fetched": self.weights.fetched,
        }

    @property
    def wildcards(self) -> dict[str, str]:
        """Return the patterns of the wildcards in the paths of results."""
        return {
            "dataset": "|".join(self.datasets),
            "part": "[a-z0-9]+",
            "member": r"subj\d{2}",
            "person": r"[a-z][a-z0-9]*-\d\d+",
            "subj": rf"subj\d{{2}}(-subj\d{{2}})*|{PICTURES}",
            "run": "[A-Za-z0-9][A-Za-z0-9_-]*",
            "brains": rf"([a-z][a-z0-9]*-\d\d+|{SEVERAL})_(subj\d{{2}}(-subj\d{{2}})*|{PICTURES})",
        }

    def environment(self, current: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that Snakemake's jobs find; what changes no result is here and no param."""
        source = str(Path(__file__).parents[1])
        checkpoints = [self.config.weights.mindeye2.format(subj=subject) for subject in self.subjects]
        return {
            # jobs, those in conda environments too, import the very source that was fingerprinted here
            "PYTHONPATH": os.pathsep.join(filter(None, [source, current.get("PYTHONPATH")])),
            "BRAIN2IMAGE_ALLOW_CPU": str(self.config.allow_cpu),
            # OpenMP's threads spin while they wait, which halves the speed of jobs side by side; a short spin
            # costs nothing (one training alone 9.1 -> 9.3 s, two on the same two cores 36 -> 17 s)
            "GOMP_SPINCOUNT": current.get("GOMP_SPINCOUNT", "1000"),
            # params, which Snakemake keeps and prints, hold sources without their secrets
            **true_sources([*self.config.weights.sources.values(), *checkpoints]),
        }

    def baseline_run(self) -> dict[str, dict[str, Any]]:
        """Return the values of the shared blocks that baselines follow."""
        used = {"model": {"linear_window"}, "loss": {"temperature"}, "training": {"targets", "pictures"}}
        return self.config.model_dump(include=used)

    def training_record(self, person: str, subj: str, run: str) -> list[str]:
        """List the config of a run or a baseline, and the history of a training; ceilings have neither."""
        return [] if run in CEILINGS else super().training_record(person, subj, run)

    def figures(self) -> list[str]:
        """List every figure of the report."""
        named = [run for run in sorted(self.config.runs) if not self.has_clip_targets(run)]
        galleries = [f"gallery_{run}" for run in (*named, *({"ridge"} & set(self.config.baselines)))]
        places = {
            ("pairs", "clusters"): self.picture_pairs,
            ("training", "retrieval", "curves", "comparisons", *galleries): self.brains,
            ("channels", "spectra", "responses"): self.people,
            ("noise_ceilings",): self.subjects,
        }
        figures = [f"{who}/{name}" for names in places for who in places[names] for name in names]
        figures += self.brain_maps
        figures += ["people"] if len(self.brains) > 1 else []
        return [f"{self.results}/figures/{name}.svg" for name in figures]

    def pages(self) -> list[str]:
        """List every page of the report but those on how it was made, which come last."""
        names = product(self.brains, ["scores", "bounds", "audit"])
        pages = ["overview", *(["people"] if len(self.brains) > 1 else [])]
        pages += [f"{brains}/{name}" for brains, name in names]
        pages += [f"{brains}/encoders" for brains in self.brains if len(self.encoders) > 1]
        pages += [f"{pairs}/picture_encoder" for pairs in self.picture_pairs if has_fmri(pairs)]
        pages += self.decoding_pages()
        return [f"{self.results}/figures/{name}.html" for name in pages]

    def shown(self, rules: Iterable[Any]) -> list[dict[str, Any]]:
        """List what the rules of the workflow mark for the report, see `list_shown`."""
        return list_shown(rules, results=self.results)

    def benchmark_names(self) -> list[str]:
        """List the names of people, brains, runs, data sets and parts in the benchmark files."""
        sides = (side for brains in self.brains for side in divide_brains(brains))
        parts = (part for name in self.datasets for part in self.data.parts(name))
        labels = (self.data.eeg_dataset(person).label(person) for person in self.people)
        others = (*self.brains, *self.picture_pairs, *self.subjects, *self.predictors, *self.datasets)
        return sorted({*sides, *parts, *labels, *others})
