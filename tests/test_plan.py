"""The plan answers what the rules ask, from the config and the names of files alone."""

import pytest
import yaml
from helpers.checkouts import ROOT
from helpers.empty_releases import NSD, THINGS, touch
from helpers.toy_surfaces import write_brain

from brain2image.config import load_config
from brain2image.core.encoder_names import REGISTERED
from brain2image.core.errors import InputError
from brain2image.plan import Plan, Predictor
from brain2image.plan_files import FMRI, PictureFiles

SCRIPTS = ROOT / "workflow" / "scripts"
MULTISUBJECT = {"mindeye2": "final_multisubject_subj01/last.pth"}


def plan(**content):
    return Plan(load_config(content), scripts=SCRIPTS)


@pytest.fixture
def data(tmp_path):
    """Folders of two EEG people and two fMRI subjects, all files empty."""
    for person in ("things-01", "things-02"):
        touch(tmp_path / "eeg", THINGS, "raw", person)
    for subject in ("subj02", "subj05"):
        touch(tmp_path / "nsd", NSD, "mindeye2", subject)
    pictures = tmp_path / "pictures"
    for name in ("train_images", "test_images", "image_metadata.npy"):
        (pictures / name).mkdir(parents=True)
    return {
        "things_eeg": str(tmp_path / "eeg"),
        "things_images": str(pictures),
        "nsd": str(tmp_path / "nsd"),
    }


def test_people_of_brains():
    found = plan(brains=["things-02_subj02-subj05", "things-01_subj02-subj05"], weights=MULTISUBJECT)
    assert found.brains == ["things-01_subj02-subj05", "things-02_subj02-subj05"]
    assert found.people == ["things-01", "things-02"]
    assert found.subjects == ["subj02", "subj05"]
    assert found.picture_pairs == ["things_subj02-subj05"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"brains": ["things-11_subj01"]}, r"THINGS-EEG2 \(things-01 to things-10\), got 'things-11'"),
        ({"brains": ["things-01_subj09"]}, r"expected a person of NSD \(subj01 to subj08\), got 'subj09'"),
        (
            {"brains": ["toy-01_subj01"]},
            r"a person of alljoined or things, got 'toy-01'; add its data set",
        ),
        ({"data": {"things_egg": "x"}}, r"unknown key 'data\.things_egg'; did you mean 'things_eeg'\?"),
    ],
)
def test_who_and_what_is_not_known(content, message):
    with pytest.raises(InputError, match=message):
        plan(**content)


def test_embeddings_are_of_the_pictures_that_somebody_saw():
    """A subject who is added makes only one more file of them necessary."""
    files = {
        subjects: plan(brains=[f"things-01_{subjects}"], weights=MULTISUBJECT).of_brains(
            "things-01", subjects
        )
        for subjects in ("subj01", "subj01-subj02")
    }
    one, two = (files[subjects]["fmri_embeddings"] for subjects in files)
    assert one == ["results/clip/nsd/shared.npz", "results/clip/nsd/subj01.npz"]
    assert two == [*one, "results/clip/nsd/subj02.npz"]
    assert files["subj01"]["eeg_embeddings"] == ["results/clip/things/all.npz"]


def test_inputs_of_jobs(data):
    found = plan(data=data, brains=["things-01_subj02"])
    assert found.data.eeg("things-01").release == "raw"
    assert found.data.eeg("things-01").files[0] == f"{data['things_eeg']}/sub-01/ses-01/raw_eeg_training.npy"
    assert found.data.eeg_resources("things-01") == {"threads": 1, "mem_mb": 8000}
    names = ["highpass", "lowpass", "notch", "edge", "max_lost", "baseline", "whiten", "clip", "weigh_trials"]
    assert list(found.data.eeg_options("things-01", found.config.eeg)) == [*names, "bads"]
    assert found.data.images("things").files[0].endswith("/train_images")
    assert found.data.betas("subj02") == [f"{data['nsd']}/betas_all_subj02_fp32_renorm.hdf5"]
    assert [file.rpartition("/")[2] for file in found.data.pixels("things", "nsd")] == [
        "train_images",
        "test_images",
        "coco_images_224_float16.hdf5",
    ]
    assert found.pairs("things-01", "subj02") == "results/pairs/things_subj02.parquet"
    assert found.picture_table("things-01") == "results/pictures/things.parquet"


def test_missing_files_are_named(data):
    found = plan(data=data | {"things_images": "nowhere"}, brains=["things-03_subj02"])
    with pytest.raises(InputError, match=r"release of sub-03, .*docs/data\.md.*data\.things_eeg"):
        found.data.eeg("things-03")
    with pytest.raises(InputError, match=r"nowhere/training_images: no such file .*Download and unpack"):
        found.data.images("things")


def test_predictors_are_runs_seeds_and_baselines():
    found = plan(runs={"a": {"training": {"seed": 3}}}, n_seeds=2, baselines=["ridge"])
    assert found.predictors == {
        "a": Predictor("a", 3),
        "a_seed-4": Predictor("a", 4),
        "ridge": Predictor("ridge", None),
    }
    assert found.listed_predictors()[1] == {
        "brains": "things-01_subj01",
        "folder": "a_seed-4",
        "run": "a",
        "seed": 4,
    }
    assert found.training_record("things-01", "subj01", "ridge") == [
        "results/runs/things-01_subj01/ridge/config.json"
    ]
    assert found.training_record("things-01", "subj01", "ceiling") == []
    assert len(found.training_record("things-01", "subj01", "a")) == 2


def test_weights_that_are_downloaded():
    found = plan(weights={"cbramod": "https://x/y.pth", "clip": "openai"}, baselines=["ridge"])
    assert found.downloads() == [
        "results/weights/cbramod.pth",
        "results/weights/clip",
        "results/projection/subj01_ridge.safetensors",
    ]
    assert found.weights.find("mindeye2", subj="subj01") == []
    none = plan(model={"pretrained": False}, baselines=["ridge"])
    assert "results/weights/cbramod.pth" not in none.downloads()
    assert none.encoder_weights("multitoken_vit") == []
    local = plan(weights={"clip": "clip.pt"})
    with pytest.raises(InputError, match=r"config: weights\.clip: clip\.pt: no such file"):
        local.weights.find("clip")


def test_check_data_looks_at_the_weights_from_which_something_starts():
    runs = {
        "a": {},
        "b": {"model": {"n_layers": 2, "channels": ["Oz", "O1"]}},
        "c": {"training": {"epochs": 2}},
    }
    found = plan(
        runs=runs | {"none": {"model": {"pooling": "none"}}}, n_seeds=2, baselines=["cbramod_linear"]
    )
    inventory = found.inventory()
    kept = [
        (start["runs"], start["model"].get("n_layers"), len(start["channels"]))
        for start in inventory["encoders"]
    ]
    assert kept == [(["a", "c"], 12, 63), (["b"], 2, 2), (["cbramod_linear"], None, 63)]
    assert {start["encoder"] for start in inventory["encoders"]} == {"cbramod"}
    assert inventory["weights"].keys() == {"clip", "mindeye2", "cbramod"}
    unused = plan(model={"pretrained": False}, baselines=["ridge"]).inventory()
    assert (unused["encoders"], set(unused["weights"])) == ([], {"clip", "mindeye2"})


def test_a_run_depends_on_the_weights_of_its_own_encoder():
    pytest.importorskip("braindecode")
    blocks = {
        "a": {"model": {"encoder": "braindecode:Labram"}},
        "b": {"model": {"encoder": "braindecode:EEGNet"}},
        "c": {"model": {"encoder": "braindecode:CBraMod", "pretrained": False}},
        "d": {"model": {"encoder": "braindecode:CBraMod"}},
    }
    found = plan(
        runs=blocks, baselines=["ridge"], weights={"encoders": {"braindecode:CBraMod": "https://x/y"}}
    )
    files = [found.encoder_weights(run) for run in found.runs]
    labram, cbramod = (f"results/weights/braindecode_{name}.pth" for name in ("Labram", "CBraMod"))
    assert files == [labram, [], [], cbramod]
    assert found.downloads()[:2] == [cbramod, labram]
    assert "results/weights/cbramod.pth" not in found.downloads()
    assert found.weights.shown("braindecode:CBraMod") == "https://x/y"
    assert found.weights.fetched_encoders["braindecode_Labram"] == "braindecode:Labram"


def test_a_large_encoder_asks_for_the_memory_of_its_state():
    pytest.importorskip("braindecode")
    blocks = {"a": {}, "b": {"model": {"encoder": "braindecode:InterpolatedBENDR"}}, "c": {"model": {}}}
    blocks["c"]["model"] = {"encoder": "braindecode:InterpolatedBENDR", "pooling": "none"}
    found = plan(runs=blocks)
    memory = {run: found.training_memory("things-01_subj01", run) for run in blocks}
    assert memory == {"a": 8000, "b": 8000 + 44 * 158, "c": 8000}


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"model": {"channels": ["Oz", "O3"]}}, r"runs\.a: model\.channels: .* of which it lacks O3; name"),
        # BioSemi's alone, where all that hear must have it
        ({"people": ["alljoined-01"], "model": {"channels": ["Iz"]}}, "lacks Iz"),
        ({"people": ["things-02", "alljoined-01"], "model": {"channels": ["Fz"]}}, "lacks Fz"),
    ],
)
def test_channels_that_somebody_lacks_are_an_error_before_any_job(run, message):
    with pytest.raises(InputError, match=message):
        plan(runs={"a": run})


def test_channels_that_all_have_or_that_are_interpolated_may_be_chosen():
    both = {"people": ["things-02", "alljoined-01"]}
    runs = {
        "posterior": both | {"model": {"channels": "posterior"}},
        "interpolated": both
        | {"model": {"channels": ["Iz"]}, "training": {"missing_channels": "interpolate"}},
    }
    assert plan(runs=runs).runs.keys() == runs.keys()
    # without an encoder there is no such option, whatever the model block says
    assert plan(runs={"a": {"model": {"pooling": "none"}}}, model={"channels": ["none"]}).runs


def test_a_data_set_must_name_the_channels_that_a_run_chooses_among():
    toy = {
        "datasets": [str(ROOT / "tests" / "helpers" / "toy_dataset.py")],
        "brains": ["toy-01_subj01"],
        "data": {"toy_eeg": "x", "toy_pictures": "y"},
    }
    assert plan(**toy).runs
    with pytest.raises(InputError, match="expected toy to name its channels"):
        plan(**toy, model={"channels": ["Oz"]})


def test_the_fingerprint_follows_the_reader():
    found = plan()
    things, nsd = (dataset.picture_reader for dataset in (THINGS, NSD))
    assert found.code("repack_images", things) != found.code("repack_images", nsd)
    assert found.code("repack_images", things) == found.code("repack_images", things)


def test_figures_and_pages():
    found = plan(brains=["things-01_subj01", "things-02_subj01"], baselines=["ridge"])
    assert found.figures().count("results/figures/things_subj01/pairs.svg") == 1
    assert "results/figures/things-02_subj01/gallery_ridge.svg" in found.figures()
    assert "results/figures/things-02/channels.svg" in found.figures()
    assert found.pages()[:2] == ["results/figures/overview.html", "results/figures/people.html"]
    assert "results/figures/people.svg" in found.figures()
    assert {"things-02", "sub-02", "shared", "things_subj01", "ridge"} <= set(found.benchmark_names())


def test_brains_have_maps_where_masks_are(data, tmp_path):
    brains = ["things-01_subj02-subj05", "things-02_subj02"]
    config = {"brains": brains, "weights": MULTISUBJECT, "n_seeds": 2, "baselines": ["two_step", "ridge"]}
    assert plan(data=data, **config).located == {}
    assert not [file for file in plan(data=data, **config).figures() if "cortex" in file]
    data["nsddata"] = str(tmp_path / "nsddata")
    with pytest.raises(
        InputError, match=r"subj02/.*/nsdgeneral\.nii\.gz: no such file; docs/cortex\.md says"
    ):
        plan(data=data, **config)
    files = {
        subj: write_brain(tmp_path / "nsddata", n_voxels=4, person=subj) for subj in ("subj02", "subj05")
    }
    files["subj05"][-1].unlink()
    found = plan(data=data, **config)
    assert [len(found.located[subj].surfaces) for subj in files] == [6, 0]
    assert [file.partition("figures/")[2] for file in found.figures() if "cortex" in file] == [
        "things-01_subj02-subj05/cortex_subj02.svg",
        "things-01_subj02-subj05/cortex_subj05.svg",
        "things-02_subj02/cortex_subj02.svg",
    ]
    assert found.mapped == ["linear_path", "multitoken_vit", "ridge"]


@pytest.mark.parametrize(
    ("blocks", "has_page"),
    [
        ({}, False),
        ({"model": {"encoder": "tsconv"}}, True),
        ({"model": {"pretrained": False}}, True),
        ({"model": {"channels": "posterior"}}, True),
        ({"training": {"freeze_encoder": True}}, True),
        ({"model": {"pooling": "none"}}, False),
    ],
)
def test_encoders_have_a_page_where_there_are_several(blocks, has_page):
    found = plan(runs={"a": {}, "b": blocks}, brains=["things-01_subj01"])
    assert ("results/figures/things-01_subj01/encoders.html" in found.pages()) == has_page


def test_one_pair_of_brains_is_not_put_beside_others():
    found = plan(brains=["things-01_subj01"])
    assert not [file for file in (*found.figures(), *found.pages()) if "/figures/people" in file]


def test_the_code_of_a_run_holds_its_encoder(monkeypatch):
    """An edit of one encoder makes nothing of another's runs stale; a new one needs no weights of CBraMod."""

    class Toy:
        options, fixed_width, has_variants = ("pretrained",), None, False

    monkeypatch.setitem(REGISTERED, "toy", Toy)
    blocks = {"a": {}, "b": {"training": {"epochs": 2}}, "c": {"model": {"encoder": "toy"}}}
    found = plan(runs=blocks, weights={"encoders": {"toy": "https://x/toy.pth"}})
    codes = {run: found.code_with_encoder("train", run) for run in found.runs}
    assert codes["a"] == codes["b"]
    assert len({codes["a"], codes["c"], found.code("train")}) == 3
    assert found.starts_from == {"a": "cbramod", "b": "cbramod", "c": "toy", "cbramod_linear": "cbramod"}
    assert found.encoder_weights("c") == "results/weights/toy.pth"
    with pytest.raises(InputError, match=r"run c: expected published weights of toy under weights\.encoders"):
        plan(runs=blocks).encoder_weights("a")


@pytest.mark.parametrize(
    ("training", "is_predicted", "is_learnable"),
    [
        ({}, True, True),
        ({"pictures": "paired"}, True, False),
        ({"targets": "measured", "pictures": "paired"}, False, False),
    ],
)
def test_a_training_set_needs_the_picture_encoder_where_somebody_learns_from_it(
    training, is_predicted, is_learnable
):
    found: PictureFiles = plan(training=training)
    assert found.fmri_pictures == f"results/pictures/{FMRI}.parquet"
    folder, who = "results", ("things-01", "subj01")
    predicted = f"{folder}/projection/things_subj01"
    assert found.predicted(*who) == (f"{predicted}.predicted.h5" if is_predicted else [])
    assert found.encoder_record(*who) == (f"{predicted}.encoder.json" if is_predicted else [])
    assert found.learnable(*who) == (f"{folder}/pairs/things_subj01.pictures.parquet" if is_learnable else [])


def test_one_run_that_learns_from_all_pictures_is_enough():
    measured = {"targets": "measured", "pictures": "paired"}
    runs = {"a": {}, "b": {"training": {"targets": "predicted", "pictures": "all"}}}
    assert plan(training=measured, runs=runs).learnable("things-01", "subj01")


THREE = ["things-01_subj01", "things-02_subj01", "things-03_subj01", "things-01_subj02"]
OF_PEOPLE = {
    "own": {},
    "others": {"people": "others"},
    "all": {"people": "all"},
    "two": {"people": ["things-04", "things-03"]},
}


def of_people(**content):
    return plan(**{"brains": THREE[:3], "runs": OF_PEOPLE, "baselines": ["ridge", "ridge_others"]} | content)


def test_whom_a_run_learns_from():
    found = of_people()
    assert found.learners("things-02_subj01", "own") == ["things-02"]
    assert found.learners("things-02_subj01", "others") == ["things-01", "things-03"]
    assert found.learners("people_subj01", "all") == ["things-01", "things-02", "things-03"]
    assert found.learners("people_subj01", "two") == ["things-03", "things-04"]
    assert found.learners("things-02_subj01", "ridge") == ["things-02"]
    assert found.learners("things-02_subj01", "ridge_others") == ["things-01", "things-03"]
    assert found.training_sets("things-03_subj01", "others") == [
        "results/lmdb/things-01_subj01.lmdb",
        "results/lmdb/things-02_subj01.lmdb",
    ]
    assert found.people == ["things-01", "things-02", "things-03", "things-04"]  # who is named is read


def test_a_run_of_all_is_trained_once_for_everybody():
    found = of_people()
    shared, own = (found.model_files("things-02", "subj01", run)["model"] for run in ("all", "others"))
    assert shared == "results/runs/people_subj01/all/model.safetensors"
    assert own == "results/runs/things-02_subj01/others/model.safetensors"
    assert found.training_record("things-02", "subj01", "all") == [
        "results/runs/people_subj01/all/config.json",
        "results/runs/people_subj01/all/history.csv",
    ]
    configs = found.training_configs(*found.brains)
    assert len(configs) == len(set(configs)) == 3 + 3 + 1 + 1


def test_a_further_person_changes_what_learns_from_everybody_and_nothing_else():
    two, three = of_people(brains=THREE[:2]), of_people(brains=THREE[:3])
    for run, brains in {"own": "things-01_subj01", "two": "people_subj01"}.items():
        assert two.training_sets(brains, run) == three.training_sets(brains, run)
    for run, brains in {"others": "things-01_subj01", "all": "people_subj01"}.items():
        assert set(three.training_sets(brains, run)) - set(two.training_sets(brains, run)) == {
            "results/lmdb/things-03_subj01.lmdb"
        }


def test_calibrations_are_of_runs_of_others():
    found = of_people(calibrations=[8, 32], n_seeds=2)
    assert found.calibrated == {
        "others_cal-8": ("others", 8),
        "others_cal-32": ("others", 32),
        "others_cal-8_seed-1": ("others_seed-1", 8),
        "others_cal-32_seed-1": ("others_seed-1", 32),
    }
    assert found.predictors["others_cal-8_seed-1"] == Predictor("others_cal-8", 1)
    who = ("things-01", "subj01")
    assert found.base_files(*who, "others_cal-8_seed-1")["model"] == (
        "results/runs/things-01_subj01/others_seed-1/model.safetensors"
    )
    assert found.training_record(*who, "others_cal-8") == [
        "results/runs/things-01_subj01/others_cal-8/config.json"
    ]
    lmdbs = [f"results/lmdb/things-0{number}_subj01.lmdb" for number in (2, 3, 1)]
    assert found.learned_sets(*who, "others_cal-8") == lmdbs
    assert of_people().calibrated == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"brains": THREE[:1], "runs": {"a": {"people": "others"}}},
            "config: a: expected other people than things-01",
        ),
        ({"brains": THREE[3:], "runs": {"a": {"people": "all"}}}, "with the fMRI of subj02, got none"),
        (
            {"brains": [THREE[0], THREE[3]], "baselines": ["ridge_all"], "runs": {"a": {}}},
            "config: ridge_all: expected",
        ),
        ({"runs": {"a": {"people": ["things-17"]}}}, "expected a person of THINGS-EEG2"),
        (
            {"runs": {"a": {"people": "everybody"}}},
            "expected own, others, all or a list of people, got 'everybody'",
        ),
        ({"runs": {"a": {"people": []}}}, r"config: runs\.a\.people"),
        ({"runs": {"a": {"people": ["bob"]}}}, "expected a person such as things-01, got 'bob'"),
        (
            {"runs": {"a": {"model": {"person_layer": "scale"}}}},
            r"runs\.a\.model\.person_layer: expected a run of several",
        ),
        ({"runs": {"a_cal-8": {}}}, "runs must not contain '_cal-'"),
        ({"calibrations": [3]}, "calibrations"),
    ],
)
def test_people_of_runs_that_cannot_be(content, message):
    with pytest.raises(InputError, match=message) as caught:
        of_people(**content)
    assert len(str(caught.value).splitlines()) == 1


def test_a_run_for_everybody_is_of_one_data_set(monkeypatch):
    """Another data set's test pictures may be learned from in this one."""
    found = of_people()
    monkeypatch.setattr(found, "brains", [*THREE[:2], "toy-01_subj01"])
    message = r"runs\.all\.people: expected people of one data set for 'all', got things and toy; list"
    with pytest.raises(InputError, match=message):
        found.check_learners()


def test_options_of_several_people_change_no_run_of_one():
    dumps = [
        plan(model={"person_layer": kind}).runs["multitoken_vit"].model_dump() for kind in ("scale", "none")
    ]
    assert dumps[0] == dumps[1]
    assert "negatives" not in dumps[0]["training"]
    kinds = {
        of_people(model={"person_layer": kind}).runs["all"].model.person_layer for kind in ("scale", "none")
    }
    assert kinds == {"scale", "none"}


DEMO = yaml.safe_load((ROOT / "config" / "demo_exact.yaml").read_text())


def of_exact(**content):
    return plan(**{"brains": ["alljoined-01_subj01"]} | content)


def test_people_who_saw_the_pictures_of_the_fmri_have_exact_pairs():
    found = of_exact()
    assert found.is_exact("alljoined", "subj01") and not found.is_exact("things", "subj01")
    assert found.picture_set_table("alljoined-01") == "results/pictures/nsd.parquet"
    assert found.pictures_of("alljoined") == "results/pictures/alljoined.shown.parquet"
    assert found.of_matching("alljoined", "subj01") == {}  # nothing is embedded to pair them
    sides = found.of_pairs("alljoined", "subj01")
    assert sides["eeg_embeddings"] == ["results/clip/nsd/shared.npz"]
    assert sides["fmri_embeddings"] == ["results/clip/nsd/shared.npz", "results/clip/nsd/subj01.npz"]
    options = found.split_options("alljoined", "subj01")
    assert (options["n_pairs"], options["test_from"]) == (None, "shared1000")
    things = plan()
    assert things.split_options("things", "subj01")["test_from"] == "test_partition"
    assert things.split_options("things", "subj01")["n_pairs"] == 1000
    assert list(things.of_matching("things", "subj01")) == ["eeg_embeddings", "fmri_embeddings"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"split": {"test_from": "test_partition"}},
            "any for Alljoined1, whose pairs are exact",
        ),
        (
            DEMO | {"matching": {"mode": "look_alike"}},
            "expected exact or auto for simulated Alljoined1, got look_alike",
        ),
        (
            {"brains": ["things-01_subj01"], "matching": {"mode": "exact"}},
            "expected look_alike or auto for THINGS-EEG2, whose pictures are not NSD's, got exact",
        ),
    ],
)
def test_pairs_that_cannot_be_made(content, message):
    with pytest.raises(InputError, match=message) as caught:
        of_exact(**content)
    assert len(str(caught.value).splitlines()) == 1


def test_a_run_of_another_data_set_learns_from_no_picture_on_which_it_is_tested():
    runs = {"own": {}, "cross": {"people": ["things-01", "things-02"]}}
    found = of_exact(runs=runs)
    assert found.people == ["alljoined-01", "things-01", "things-02"]
    assert found.tested_elsewhere("things", "subj01") == ["results/matching/alljoined_subj01/tested.npz"]
    assert found.tested_elsewhere("alljoined", "subj01") == []  # on THINGS nobody is tested
    assert of_exact(runs={"own": {}}).tested_elsewhere("things", "subj01") == []
    assert found.heard_sets("people_subj01", "cross") == ["results/lmdb/alljoined-01_subj01.lmdb"]
    assert found.heard_sets("alljoined-01_subj01", "own") == []
    others = found.of_other_sets("alljoined-01", "subj01", "cross")
    assert others["of_things"] == ["results/clip/things/all.npz"]
    assert others["tested"] == ["results/matching/alljoined_subj01/tested.npz"]
    assert found.of_other_sets("alljoined-01", "subj01", "own") == {}
    both = of_exact(runs={"both": {"people": ["things-01", "alljoined-01"]}})
    assert both.heard_sets("people_subj01", "both") == []
    # its checkpoint is chosen on the val pairs of both, though on THINGS nobody is tested
    assert both.tested_elsewhere("alljoined", "subj01") == ["results/matching/things_subj01/tested.npz"]
    assert both.judged_splits("things", "subj01") == ["val"]
    assert both.judged_splits("alljoined", "subj01") == ["val", "test"]


def test_runs_may_learn_from_clip_features():
    field = {"training": {"targets": "clip"}}
    found = plan(runs={"field": field, "own": {}})
    embeddings = ["results/clip/things/all.npz"]
    assert found.clip_targets("things-01_subj01", "field") == found.clip_targets_of("things-01", "field")
    assert found.clip_targets("things-01_subj01", "field") == embeddings
    assert found.clip_targets("things-01_subj01", "own") == []
    assert not any("gallery_field" in figure for figure in found.figures())
    alone = plan(runs={"field": field}, training={"targets": "measured", "pictures": "paired"})
    assert alone.predicted("things-01", "subj01") == []
    with pytest.raises(InputError, match=r"training\.targets: 'clip' is for single runs"):
        plan(training={"targets": "clip"})
    with pytest.raises(InputError, match=r"runs\.field\.people: expected people of alljoined, on which it"):
        of_exact(runs={"field": field | {"people": ["things-01"]}})
    calibrated = of_people(runs={"others": {"people": "others"} | field}, calibrations=[8])
    assert calibrated.calibrated == {}


ALONE = {
    "brains": ["things-01_pictures"],
    "runs": {"field": {"training": {"targets": "clip"}}},
    "baselines": [],
    "data": {"nsd": "nowhere"},
}


def test_eeg_and_pictures_are_enough_where_all_learns_from_clip_features():
    found = plan(**ALONE)
    assert (found.subjects, found.picture_pairs) == ([], ["things_pictures"])
    assert found.predictors == {"field": Predictor("field", 0)}
    sides = found.of_pairs("things", "pictures")
    assert sides["eeg_embeddings"] == sides["fmri_embeddings"] == ["results/clip/things/all.npz"]
    assert found.of_matching("things", "pictures") == {}
    assert found.partner_pictures_of("things-01", "pictures") == "results/pictures/things.parquet"
    assert found.projection("pictures") == found.predicted("things-01", "pictures") == []
    options = found.split_options("things", "pictures")
    assert (options["n_pairs"], options["test_from"]) == (None, "test_partition")
    assert not [file for file in (*found.figures(), *found.pages()) if "nsd" in file or "encoder" in file]
    assert found.downloads() == ["results/weights/cbramod.pth", "results/weights/clip"]
    assert found.inventory()["people"] == {"things": ["things-01"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"baselines": ["ridge"]}, r"config: baselines: expected \[\], as things-01_pictures has no fMRI"),
        ({"runs": {"a": {}}}, r"config: runs\.a\.training\.targets: expected clip, as"),
        ({"decoding": {"tokens": True}}, r"decoding\.tokens: expected false"),
        (
            {"brains": ["things-01_pictures", "things-02_subj01"], "baselines": ["ridge"]},
            "or pictures alone, got things-01_pictures",
        ),
        ({"brains": ["alljoined-01_pictures"]}, "somebody's fMRI for Alljoined1, whose pictures are NSD's"),
        (
            {"split": {"test_from": "shared1000"}},
            "expected test_partition or any for THINGS-EEG2, as there is no fMRI, got shared1000",
        ),
    ],
)
def test_what_needs_fmri_is_refused_where_there_is_none(content, message):
    with pytest.raises(InputError, match=message):
        plan(**ALONE | content)


def test_a_data_set_may_leave_to_its_table_whether_pictures_were_kept_for_testing():
    toy = {
        "datasets": [str(ROOT / "tests" / "helpers" / "toy_dataset.py")],
        "brains": ["toy-01_subj01"],
        "data": {"toy_eeg": "x", "toy_pictures": "y"},
    }
    assert plan(**toy).split_options("toy", "subj01")["test_from"] == "auto"
    chosen = plan(**toy, split={"test_from": "test_partition"})
    assert chosen.split_options("toy", "subj01")["test_from"] == "test_partition"
