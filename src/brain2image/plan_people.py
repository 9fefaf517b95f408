"""Whose EEG each training learns from, and where its results lie: the part of the plan about people."""

from collections.abc import Sequence
from functools import cached_property

from brain2image.config import Config, RunConfig
from brain2image.constants.brain_names import SEVERAL, divide_brains, members
from brain2image.constants.predictors import CALIBRATION_SUFFIX, OF_PEOPLE, SEED_SUFFIX
from brain2image.constants.target_kinds import CLIP
from brain2image.core.errors import InputError


class PeopleFiles:
    """People of runs and of baselines, and the files of what was trained.

    A run of ``all`` people, or of a list, is trained once for everybody whom it is tested on.

    Attributes
    ----------
    config : the checked configuration.
    results : folder of the results.
    brains : that are evaluated, sorted.
    """

    config: Config
    results: str
    brains: list[str]

    @cached_property
    def subjects(self) -> list[str]:
        """List the people whose fMRI is read."""
        return sorted({one for brains in self.brains for one in members(divide_brains(brains)[1])})

    @cached_property
    def runs(self) -> dict[str, RunConfig]:
        """Return every training by the name of its folder."""
        return self.config.seeded_runs()

    @cached_property
    def calibrated(self) -> dict[str, tuple[str, int]]:
        """Return the training and the number of pictures of every calibration, by the name of its folder."""
        names = {}
        for run in self.runs:
            if self.runs[run].people == "others" and not self.has_clip_targets(run):
                name, suffix, seed = run.partition(SEED_SUFFIX)
                for n_pictures in self.config.calibrations:
                    names[f"{name}{CALIBRATION_SUFFIX}{n_pictures}{suffix}{seed}"] = (run, n_pictures)
        return names

    def has_clip_targets(self, run: str) -> bool:
        """Tell whether a training learns from CLIP features and no fMRI."""
        return run in self.runs and self.runs[run].training.targets == CLIP

    def interpolates(self, run: str) -> bool:
        """Tell whether a training, or that of a calibration, interpolates channels that a cap lacks."""
        trained = self.runs[self.calibrated.get(run, (run,))[0]]
        return trained.has_several and trained.training.missing_channels == "interpolate"

    @property
    def calibrations_pattern(self) -> str:
        """Return the pattern of the calibrations' names, which matches nothing where there are none."""
        return "|".join(self.calibrated) or "(?!)"

    def learners(self, brains: str, name: str) -> list[str]:
        """List the people whose EEG a run or a baseline learns from, sorted.

        Raises
        ------
        InputError
            When there are none.
        """
        person, subj = divide_brains(brains)
        people = self._people_of(name)
        if people == "own":
            return [person]
        if isinstance(people, list):
            return sorted(set(people))
        same = data_set_of(person) if person != SEVERAL else None
        listed = [who for who, fmri in map(divide_brains, self.brains) if fmri == subj]
        listed = [who for who in listed if same in (None, data_set_of(who))]
        found = [who for who in listed if people == "all" or who != person]
        if len(found) < (1 if people == "others" else 2):
            raise InputError(
                f"config: {name}: expected other people than {person} in `brains` with the fMRI of {subj}, "
                "got none; list them, or let the run learn from its own (people: own)"
            )
        return sorted(found)

    def heard_people(self, brains: str, run: str) -> list[str]:
        """List the people whose EEG a training learns from or is tested on, sorted."""
        person, subj = divide_brains(brains)
        tested = {person}
        if self._is_shared(run):
            tested = {who for who, fmri in map(divide_brains, self.brains) if fmri == subj}
        return sorted({*self.learners(brains, run), *tested})

    def training_sets(self, brains: str, name: str) -> list[str]:
        """List the LMDBs that a run or a baseline learns from."""
        subj = divide_brains(brains)[1]
        return [f"{self.results}/lmdb/{person}_{subj}.lmdb" for person in self.learners(brains, name)]

    def memory(self, brains: str, name: str, *, first: int, further: int) -> int:
        """Return the memory, MB, of what learns from one person, and so much more for each further one."""
        return first + further * (len(self.learners(brains, name)) - 1)

    def learned_sets(self, person: str, subj: str, name: str) -> list[str]:
        """List the LMDBs that anything evaluated has learned from, the one of its calibration too."""
        brains = f"{person}_{subj}"
        if name in self.calibrated:
            run = self.calibrated[name][0]
            return [*self.training_sets(brains, run), *self.training_sets(brains, "")]
        return self.training_sets(brains, name)

    def trained_files(self, names: Sequence[str], person: str, subj: str, run: str) -> list[str]:
        """List files of what was trained or fitted to be tested on this person."""
        return [f"{self._folder(person, subj, run)}/{name}" for name in names]

    def model_files(self, person: str, subj: str, run: str) -> dict[str, str]:
        """Return the model and the config with which a person's pictures are predicted."""
        model, config = self.trained_files(["model.safetensors", "config.json"], person, subj, run)
        return {"model": model, "config": config}

    def base_files(self, person: str, subj: str, run: str) -> dict[str, str]:
        """Return the model and the config from which a calibration starts."""
        return self.model_files(person, subj, self.calibrated[run][0])

    def training_record(self, person: str, subj: str, run: str) -> list[str]:
        """List the config of what was trained or fitted, and the history of a training."""
        kept = ["config.json", "history.csv"] if run in self.runs else ["config.json"]
        return self.trained_files(kept, person, subj, run)

    def histories(self, person: str, subj: str) -> list[str]:
        """List the histories of all trainings that are tested on this person."""
        return [file for run in self.runs for file in self.trained_files(["history.csv"], person, subj, run)]

    def training_configs(self, *brains: str) -> list[str]:
        """List the configs of all trainings that are tested on these brains, each once."""
        files = (
            file
            for one in brains
            for run in self.runs
            for file in self.trained_files(["config.json"], *divide_brains(one), run)
        )
        return list(dict.fromkeys(files))

    def _folder(self, person: str, subj: str, run: str) -> str:
        return f"{self.results}/runs/{SEVERAL if self._is_shared(run) else person}_{subj}/{run}"

    def _is_shared(self, run: str) -> bool:
        """Tell whether a training is one for everybody who is tested."""
        return run in self.runs and self.runs[run].people not in ("own", "others")

    def _people_of(self, name: str) -> str | list[str]:
        if name in self.runs:
            return self.runs[name].people
        return next((suffix[1:] for suffix in OF_PEOPLE if name.endswith(suffix)), "own")

    def listed_people(self) -> list[str]:
        """List the people whom runs name."""
        lists = [run.people for run in self.runs.values() if isinstance(run.people, list)]
        return sorted({person for people in lists for person in people})

    def check_learners(self) -> None:
        """Refuse runs and baselines that have nobody to learn from."""
        for name in (*self.runs, *self.config.baselines):
            for brains in self.brains:
                self.learners(brains, name)
                self._check_one_data_set(brains, name)
                self._check_clip_targets(brains, name)

    def _check_one_data_set(self, brains: str, run: str) -> None:
        """Refuse a run of all people where these are of several data sets, which a list must name."""
        person, subj = divide_brains(brains)
        if run not in self.runs or self.runs[run].people != "all":
            return
        names = sorted({data_set_of(who) for who in (person, *self.learners(f"{SEVERAL}_{subj}", run))})
        if len(names) > 1:
            raise InputError(
                f"config: runs.{run}.people: expected people of one data set for 'all', got "
                f"{' and '.join(names)}; list those who are learned from"
            )

    def _check_clip_targets(self, brains: str, run: str) -> None:
        """Refuse a run that learns from CLIP features of other pictures than it is tested on."""
        own = data_set_of(divide_brains(brains)[0])
        others = {data_set_of(who) for who in self.learners(brains, run)} - {own}
        if self.has_clip_targets(run) and others:
            raise InputError(
                f"config: runs.{run}.people: expected people of {own}, on which it is tested, as "
                f"training.targets is clip; got people of {' and '.join(sorted(others))}"
            )

    def tested_elsewhere(self, dataset: str, subj: str) -> list[str]:
        """List the files of the pictures on which runs that learn from a data set are judged by another one.

        These are the pictures of validation pairs of whatever is learned from with it, by which checkpoints
        are chosen, and those of whoever is tested. They may not be learned from, whichever set they are of.
        """
        lists = [run.people for run in self.runs.values() if isinstance(run.people, list)]
        together = [{data_set_of(who) for who in people} for people in lists]
        judging = set().union(*(names for names in together if dataset in names))
        if judging:
            judging |= self._tested_sets(subj)
        return [f"{self.results}/matching/{name}_{subj}/tested.npz" for name in sorted(judging - {dataset})]

    def judged_splits(self, dataset: str, subj: str) -> list[str]:
        """List the splits whose pictures no other data set may let a run learn from."""
        return ["val", "test"] if dataset in self._tested_sets(subj) else ["val"]

    def _tested_sets(self, subj: str) -> set[str]:
        return {data_set_of(who) for who, fmri in map(divide_brains, self.brains) if fmri == subj}

    def heard_sets(self, brains: str, run: str) -> list[str]:
        """List an LMDB of each further data set on which a run is tested, whose channels it must have."""
        person, subj = divide_brains(brains)
        if person != SEVERAL:
            return []  # it learns from the data set on which it is tested
        known = {data_set_of(who) for who in self.learners(brains, run)}
        tested = [who for who, fmri in map(divide_brains, self.brains) if fmri == subj]
        others = {data_set_of(who): who for who in reversed(tested) if data_set_of(who) not in known}
        return [f"{self.results}/lmdb/{others[name]}_{subj}.lmdb" for name in sorted(others)]


def data_set_of(person: str) -> str:
    """Return the name of the data set of a person."""
    return person.rpartition("-")[0]
