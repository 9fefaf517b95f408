"""Scripts whose rules have inputs that some configs do not need: Snakemake hands them over as empty lists."""

from helpers.scripts import run_script
from snakemake.iocontainers import InputFiles

import brain2image.evaluation.evaluating
import brain2image.formats.files
import brain2image.formats.tables
import brain2image.training_set.lmdb_build


def inputs(*empty, **files):
    """What a script is given: files by name, and names without a file."""
    given = InputFiles(fromdict=files)
    for name in empty:
        given._set_name(name, len(given), end=len(given))
    return given


def called(monkeypatch, module, function):
    """Catch the options with which a script calls its function."""
    options = []
    monkeypatch.setattr(module, function, lambda *_, **given: options.append(given))
    return options


def test_where_only_measured_targets_are_learned_from_no_predictions_are_read(monkeypatch, tmp_path):
    monkeypatch.setattr(brain2image.formats.tables, "read_table", lambda *_: None)
    options = called(monkeypatch, brain2image.training_set.lmdb_build, "write_lmdb")
    files = dict.fromkeys(("eeg", "projection", "pairs", "eeg_pictures"), "x")
    given = inputs("predicted", "learnable", **files)
    run_script("build_lmdb", tmp_path, input=given, output={"lmdb": "x"}, params={"options": {}})
    assert [options[0][name] for name in ("predicted", "learnable")] == [None, None]


def test_nor_is_it_asked_what_is_found_beyond_them(monkeypatch, tmp_path):
    monkeypatch.setattr(brain2image.formats.files, "write_json", lambda *_: None)
    options = called(monkeypatch, brain2image.evaluation.evaluating, "evaluate_run")
    files = dict.fromkeys(("predictions", "lmdb", "audit", "learned"), "x")
    given = inputs("predicted", "clip", "training", **files)
    params = {"others": [], "evaluation": {}}
    run_script("evaluate", tmp_path, input=given, output={"metrics": "x"}, params=params)
    assert options[0]["predicted"] is None
    assert not options[0]["clip"]
