"""A run fitted to somebody new by EEG of pictures, from the command line, and whose EEG translation hears."""

import logging
import shutil
from dataclasses import fields
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers.newcomers import (
    CHANNELS,
    CLIP_MODEL,
    N_PICTURES,
    N_REPEATS,
    PREPARATION,
    as_heard,
    read_record,
    write_epochs,
    write_run,
    write_world,
)
from PIL import Image

from brain2image.__main__ import command_line, main
from brain2image.commands.eeg_commands import PLACES
from brain2image.core.errors import InputError
from brain2image.formats.files import write_json
from brain2image.models.alignment import AlignmentModel
from brain2image.projection.picture_encoder import PictureEncoder, read_picture_encoder, write_picture_encoder
from brain2image.translation import calibrating, shown
from brain2image.translation.calibrating import calibrate
from brain2image.translation.caps import positions
from brain2image.translation.embeddings import translate, write_translation
from brain2image.translation.hearing import UNKNOWN
from brain2image.translation.loading import load_model
from brain2image.translation.prepared import EEGOptions

EVENTS = [f"p{number:02}" for number in range(N_PICTURES)]
NEW = [f"q{number}" for number in range(30)]  # pictures that it is not calibrated by


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The run and its files, and EEG of somebody new: of the pictures, of others, and noise."""
    world = write_world(tmp_path_factory.mktemp("world"))
    repeated = np.tile(world.coordinates, (N_REPEATS, 1))
    world.new = np.random.default_rng(9).standard_normal((len(NEW), 4))
    world.eeg = as_heard(world, repeated)
    world.epochs = write_epochs(world.folder / "anna-epo.fif", world.eeg, EVENTS * N_REPEATS)
    world.others = write_epochs(world.folder / "q-epo.fif", as_heard(world, world.new, seed=2), NEW)
    noise = as_heard(world, repeated, share=0)
    world.noise = write_epochs(world.folder / "noise-epo.fif", noise, EVENTS * N_REPEATS)
    return world


@pytest.fixture
def quick(world, monkeypatch):
    """The encoder's embeddings of the pictures without CLIP, which they were computed by."""
    targets = dict(zip(EVENTS, world.coordinates @ world.axes, strict=True))

    def embed(table, encoder, **options):
        offset = encoder.tensors["offset"]
        return np.stack([targets[event] + offset for event in table["event"]]).astype(np.float32)

    monkeypatch.setattr(calibrating, "embed_shown", embed)


def command(name, *arguments):
    main([name, *map(str, arguments)])


def agreement(embedding, expected):
    """Mean cosine, each less its mean."""
    a, b = (x - x.mean(axis=0) for x in (embedding, expected))
    return np.mean((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


# ---- the command


def test_the_command_makes_a_run_of_that_person_which_finds_more(world, tmp_path, capsys):
    out = tmp_path / "runs" / "anna"
    given = ["--run", world.run, "--eeg", world.epochs, "--pictures", world.pictures, "--person", "anna"]
    command("calibrate", *given, "--clip", world.weights, "--out", out)
    said, place = capsys.readouterr().out.splitlines()
    assert said.startswith("calibrated to anna by 40 pictures (120 trials), fitted: rotation of the channels")
    assert said.endswith("against the run as it was: it helps")
    assert place == f"Calibrated run: {out}"
    assert sorted(file.name for file in out.iterdir()) == ["config.json", "model.safetensors"]
    record = read_record(out)
    assert record["people_known"] == ["anna"]
    assert record["calibration"]["low"] > 0
    assert record["calibration"]["eeg"] == str(world.epochs)
    for name, run in {"before": world.run, "after": out}.items():
        command("translate", "--run", run, "--eeg", world.others, "--out", tmp_path / f"{name}.h5")
    with h5py.File(tmp_path / "before.h5") as before, h5py.File(tmp_path / "after.h5") as after:
        truth = world.new @ world.axes
        assert agreement(after["embedding"][:], truth) > agreement(before["embedding"][:], truth) + 0.03
        assert (before.attrs["person"], after.attrs["person"]) == (UNKNOWN, "anna")


def test_noise_is_said_not_to_help(world, quick, tmp_path, capsys):
    given = ["--run", world.run, "--eeg", world.noise, "--pictures", world.pictures]
    command("calibrate", *given, "--out", tmp_path / "new")
    assert "it is not shown to help; more pictures may\n" in capsys.readouterr().out
    assert read_record(tmp_path / "new")["people_known"] == ["noise-epo"]


def test_the_calibrated_run_in_python(world, quick, tmp_path):
    found = calibrate(world.epochs, world.run, world.pictures, tmp_path / "new", person="anna")
    assert found["low"] <= found["gain"] <= found["high"]
    model = load_model(tmp_path / "new")
    assert (model.people, model.fitted_to) == (("anna",), "anna")
    expected = AlignmentModel.load(tmp_path / "new").predict(world.eeg[:4], "anna").numpy()
    np.testing.assert_allclose(model.predict(world.eeg[:4]), expected, atol=1e-5)
    assert not np.allclose(load_model(world.run).predict(world.eeg[:4]), expected, atol=0.1)


# ---- EEG and pictures of other forms


def test_translation_and_calibration_take_the_same_options_of_eeg():
    options = {field.name for field in fields(EEGOptions)}
    common = ["--run", "a", "--eeg", "a", "--out", "a"]
    arguments = {
        name: set(vars(command_line().parse_args([name, *common, *more])))
        for name, more in {"translate": [], "calibrate": ["--pictures", "a"]}.items()
    }
    common = {*options, "run", "eeg", "out", "person", "call", "command"}
    # pictures are written by the one and read by the other
    assert arguments["translate"] & arguments["calibrate"] == common | {"pictures"}
    places = {"run", "eeg", "call", "command", *PLACES}
    assert arguments["translate"] - places == set(translate.__kwdefaults__)
    own = {"pictures", "encoder", "clip", "preprocess"}
    assert arguments["calibrate"] - common == own


def test_channels_are_found_as_in_translation(world, quick, tmp_path, monkeypatch):
    """In another order, under other names, and by position among those of another cap."""
    given = []

    def keep(_, seen):
        given.append(seen)
        raise InputError("kept")

    monkeypatch.setattr(calibrating, "calibrate_model", keep)
    order = np.random.default_rng(3).permutation(len(CHANNELS))
    cap = list(positions(frozenset({"biosemi32"})))
    amplifier = np.random.default_rng(4).standard_normal((len(world.eeg), 32, 200))
    amplifier[:, [cap.index(name) for name in CHANNELS]] = world.eeg
    box = [f"A{number}" for number in range(1, 33)]
    forms = {
        "order": (world.eeg[:, order], [CHANNELS[number] for number in order], {}),
        "names": (world.eeg, ["X", *CHANNELS[1:]], {"rename": {"X": CHANNELS[0]}}),
        "montage": (amplifier, box, {"montage": "biosemi32"}),
    }
    means = world.eeg.reshape(N_REPEATS, N_PICTURES, len(CHANNELS), 200).mean(axis=0)
    for name, (eeg, channels, options) in forms.items():
        path = write_epochs(tmp_path / f"{name}-epo.fif", eeg, EVENTS * N_REPEATS, channels)
        with pytest.raises(InputError, match="kept"):
            calibrate(path, world.run, world.pictures, tmp_path / name, **options)
        np.testing.assert_allclose(given[-1].eeg, means, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(given[-1].response, world.eeg.mean(axis=0), atol=1e-3)
        assert (given[-1].person, given[-1].n_trials) == (f"{name}-epo", N_PICTURES * N_REPEATS)
    path = write_epochs(tmp_path / "b-epo.fif", world.eeg, EVENTS * N_REPEATS, ["X", *CHANNELS[1:]])
    with pytest.raises(InputError, match="without Fz; record them"):
        calibrate(path, world.run, world.pictures, tmp_path / "none")


def test_a_table_names_pictures_and_what_belongs_together(world, tmp_path):
    names = [f"../pictures/{event}.png" for event in EVENTS]
    table = pd.DataFrame({"event": [f"{number:03}" for number in range(N_PICTURES)], "picture": names})
    place = world.folder / "tables"
    place.mkdir()
    table.to_csv(place / "a.csv", index=False)
    table.assign(concept=["dog"] * 20 + ["cat"] * 20).to_csv(place / "a.tsv", index=False, sep="\t")
    table.assign(event=range(N_PICTURES)).to_parquet(place / "a.parquet")
    events = ["007", "002"]
    found = shown.list_shown(place / "a.csv", events, is_choice=True)
    assert found["event"].tolist() == events
    assert found["picture"].tolist() == [str(world.pictures / f"p{number:02}.png") for number in (7, 2)]
    assert found["concept"].nunique() == 2
    assert shown.list_shown(place / "a.tsv", events, is_choice=True)["concept"].tolist() == ["dog"] * 2
    assert shown.list_shown(place / "a.parquet", ["7"], is_choice=True)["picture"].tolist() == [
        str(world.pictures / "p07.png")
    ]


def test_features_are_of_the_layer_and_the_weights_that_the_encoder_names(world, monkeypatch):
    asked = {}

    def embed(images, **options):
        asked.update(options)
        return {"projected": np.zeros((1, 9)), "layer_02": np.ones((1, 3), np.float32)}

    monkeypatch.setattr(shown, "embed_images", embed)
    monkeypatch.setattr(shown, "fetch", lambda *sources: SimpleNamespace(path=sources[0]))
    weight, zeros, ones = 2 * np.eye(3), np.zeros(3), np.ones(3)
    tensors = {"mean": zeros, "scale": ones, "offset": zeros, "weight": weight}
    encoder = PictureEncoder("ridge", "layer_02", "ViT-L-14-quickgelu, openai", tensors, {})
    table = pd.DataFrame({"picture": ["a.png"]})
    found = shown.embed_shown(table, encoder, clip=None, preprocess="auto")
    np.testing.assert_array_equal(found, [[2, 2, 2]])
    assert (asked["model"], asked["tag"], asked["layers"]) == (
        *("ViT-L-14-quickgelu", "openai"),
        ["projected", 2],
    )
    assert asked["weights"].startswith("hf://")
    with pytest.raises(InputError, match=r"with which .* \(ViT-L-14-quickgelu, openai\), got .*, dfn2b"):
        shown.embed_shown(table, encoder, clip="dfn2b", preprocess="auto")


def test_groups_of_a_table_are_concepts(world, quick, tmp_path):
    table = pd.DataFrame(
        {"event": EVENTS, "picture": "x.png", "concept": ["dog", "cat", "cow"] * 13 + ["cow"]}
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match="expected pictures of at least 4 concepts, got 3; show more"):
        calibrate(world.epochs, world.run, tmp_path / "a.csv", tmp_path / "new")


# ---- what is refused


def copy_of(world, folder, **pictures):
    """The pictures in another folder; of those that are named, other bytes, or None for none."""
    shutil.copytree(world.pictures, folder / "pictures")
    for name, content in pictures.items():
        file = folder / "pictures" / f"{name}.png"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
    return {"pictures": folder / "pictures"}


def twice(world, folder):
    given = copy_of(world, folder)
    Image.new("RGB", (8, 8)).save(given["pictures"] / "p03.jpg")
    return given


def table_without_pictures(world, folder):
    (folder / "a.csv").write_text("event,file\np00,a.png\n")
    return {"pictures": folder / "a.csv"}


def incomplete_table(world, folder):
    (folder / "a.csv").write_text("event,picture\np00,a.png\np01,\n")
    return {"pictures": folder / "a.csv"}


def other_encoder(world, folder):
    encoder = read_picture_encoder(world.encoder)
    facts = {**encoder.facts, "sha256": "cd" * 32}
    write_picture_encoder(folder / "a.safetensors", encoder._replace(facts=facts))
    return {"encoder": folder / "a.safetensors"}


def run_elsewhere(world, folder):
    shutil.copytree(world.run, folder / "results/runs/brains/run")
    return {"run": folder / "results/runs/brains/run"}


def two_encoders(world, folder):
    given = run_elsewhere(world, folder)
    for name in ("a", "b"):
        (folder / "results/projection").mkdir(exist_ok=True)
        shutil.copy(world.encoder, folder / f"results/projection/{name}.encoder.safetensors")
    return given


def other_weights(world, folder):
    content = world.weights.read_bytes()
    (folder / "clip.pt").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return {"clip": folder / "clip.pt"}


def a_baseline(world, folder):
    write_json(folder / "config.json", {"baseline": "ridge"})
    return {"run": folder}


def a_calibrated_run(world, folder):
    record = read_record(world.run)
    write_json(folder / "config.json", record | {"calibration": {}, "people_known": ["bert"]})
    return {"run": folder}


def folder_with_files(world, folder):
    return {"out": world.pictures}


REFUSED = {
    lambda world, folder: copy_of(world, folder, p07=None, p03=None): (
        r"pictures: expected a picture \(JPEG or PNG\) of each of 40 events, got none of 'p03', 'p07'; add"
    ),
    lambda world, folder: copy_of(world, folder, new=b"", newer=b""): (
        "expected pictures that have trials, got 2 of 42 without: 'new', 'newer'; take them out, or choose"
    ),
    lambda world, folder: copy_of(world, folder, p05=b"no picture"): (
        r"p05\.png: cannot read this picture \(.*\); replace the picture"
    ),
    twice: r"pictures: expected one picture an event, got several of 'p03'; name one",
    lambda world, folder: {"events": ["p00", "p01", "p02"]}: "at least 4 concepts, got 3; show more",
    lambda world, folder: {"events": ["dog"]}: "expected events 'dog', got 'p00'",
    lambda world, folder: {
        "pictures": folder / "none"
    }: "none: no such file; give a folder of pictures, or a",
    lambda world, folder: {"pictures": world.weights}: r"expected a folder or a table, got a file '\.pt'",
    table_without_pictures: r"a\.csv: expected rows of event and picture, got 1 rows of event, file; give",
    incomplete_table: r"a\.csv: expected event, picture in every row, got 1 without; fill them in",
    other_encoder: r"encoder of the MindEye2 checkpoint of the run \(sha256 abababab\), got one of last",
    lambda world, folder: {"encoder": world.weights}: "expected a picture encoder, but",
    run_elsewhere: r"projection: expected the one picture encoder .* got none among 0; name it \(--encoder\)",
    two_encoders: r"got a\.encoder\.safetensors, b\.encoder\.safetensors; name it \(--encoder\)",
    other_weights: rf"clip\.pt: expected the weights of CLIP .*, \w{{16}}\), got {CLIP_MODEL}, ",
    lambda world, folder: {
        "clip": None
    }: r"expected the weights of ViT-S-32-alt .* name their file \(--clip\)",
    lambda world, folder: {"clip": folder / "none.pt"}: r"none\.pt: no such file",
    lambda world, folder: {"clip": folder}: "expected one file of weights in this folder; name the file",
    lambda world, folder: {
        "preprocess": PREPARATION | {"mean": [1.0]}
    }: r"clip\.preprocess\.mean: expected List should have at least 3 items",
    lambda world, folder: {
        "person": "things-01"
    }: "expected somebody whom the run does not know, got things-01",
    lambda world, folder: {
        "eeg": world.eeg,
        "person": None,
    }: "expected the person's name beside EEG that is no",
    a_baseline: "expected a network that was not calibrated yet, got a baseline; take another run",
    a_calibrated_run: "expected a network that was not calibrated yet, got one of bert; take another run",
    lambda world, folder: {"run": folder / "none"}: "expected a trained run",
    folder_with_files: "pictures: expected a new folder, got one with files in it, or a file; name another",
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
def test_bad_input_is_one_line_and_leaves_no_run(world, tmp_path, case):
    given = {"eeg": world.epochs, "run": world.run, "pictures": world.pictures, "clip": world.weights}
    given |= {"out": tmp_path / "new" / "run"} | case(world, tmp_path)
    with pytest.raises(InputError, match=REFUSED[case]) as caught:
        calibrate(**given)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_nothing_is_left_where_writing_ends_early(world, quick, tmp_path, monkeypatch):
    def write(*_, model, **__):
        model.write_bytes(b"half")
        raise InputError("the disk is full")

    monkeypatch.setattr(calibrating, "calibrate_model", lambda aligner, seen: (aligner, {}))
    monkeypatch.setattr(calibrating, "write_calibrated", write)
    with pytest.raises(InputError, match="the disk is full"):
        calibrate(world.epochs, world.run, world.pictures, tmp_path / "new")
    assert not list(tmp_path.iterdir())


# ---- whom translation hears


def test_somebody_new_is_heard_less_their_own_mean(world, caplog):
    caplog.set_level(logging.INFO)
    found = translate(world.others, world.run)
    eeg = as_heard(world, world.new, seed=2).astype(np.float32)
    expected = AlignmentModel.load(world.run).predict(eeg, response=eeg.mean(axis=0)).numpy()
    np.testing.assert_allclose(found.embedding, expected, atol=1e-3)
    assert (
        "the layer that the run's 2 people share; transductive: centred by its own 30 trials" in caplog.text
    )
    averaged = translate(world.epochs, world.run, average=True)
    single = translate(world.epochs, world.run)
    means = pd.DataFrame(single.embedding).groupby(single.trials["event"].to_numpy()).mean()
    assert averaged.trials["event"].tolist() == EVENTS
    np.testing.assert_allclose(averaged.embedding, means.loc[EVENTS], atol=0.05)  # but for the correction


def test_a_person_whom_the_run_knows_has_a_layer(world, tmp_path, caplog, capsys):
    caplog.set_level(logging.INFO)
    given = ["--run", world.run, "--eeg", world.others, "--out", tmp_path / "a.h5", "--person"]
    command("translate", *given, "things-02")
    eeg = as_heard(world, world.new, seed=2)
    expected = AlignmentModel.load(world.run).predict(eeg, "things-02").numpy()
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_allclose(file["embedding"][:], expected, atol=1e-3)
        assert file.attrs["person"] == "things-02"
    assert "goes through the layer of things-02" in caplog.text
    known = r"a person whom this run knows \(things-01, things-02\), got 'anna'; leave the person out for"
    with pytest.raises(SystemExit, match=known):
        command("translate", *given, "anna")


def test_a_run_of_one_person_knows_nobody_by_name(world, tmp_path):
    run = write_run(tmp_path / "one", world.pattern, world.axes, np.zeros(16), people=())
    with pytest.raises(InputError, match=r"knows \(nobody by name, as it learned from one person\), got 'a'"):
        translate(world.others, run, person="a")
    write_translation(tmp_path / "a.h5", world.others, run)
    with h5py.File(tmp_path / "a.h5") as file:
        assert "person" not in file.attrs


def test_too_few_events_of_somebody_new_are_told(world, caplog):
    with pytest.raises(InputError, match="expected trials of several events, as of somebody new their mean"):
        translate(world.epochs, world.run, events=["p00"])
    assert len(translate(world.epochs, world.run, events=["p00", "p01"]).embedding) == 2 * N_REPEATS
    assert "of only 2 events is subtracted, and with it about 1/2 of what tells each apart" in caplog.text


def test_somebody_new_is_whitened_and_centred_by_their_own_trials(world, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    run = write_run(
        tmp_path / "one", world.pattern, world.axes, np.zeros(16), whiten="session", unit="whitened"
    )
    found = translate(world.epochs, run)
    assert "transductive: centred and whitened by its own 120 trials" in caplog.text
    assert np.isfinite(found.embedding).all()
