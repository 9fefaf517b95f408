"""The configuration: defaults, errors that help, and documents that match the schema."""

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from brain2image.config.documents import DOCUMENTS, json_schema
from brain2image.config.listing import list_settings
from brain2image.config.optimisation import LossConfig
from brain2image.config.pairing import SplitConfig
from brain2image.config.reading import check_config_file
from brain2image.config.training_run import UNUSED_OPTIONS, ModelConfig
from brain2image.config.whole import Config, load_config
from brain2image.core.errors import InputError

ROOT = Path(__file__).parents[2]
SIMULATED = ["config/demo.yaml", "config/demo_people.yaml", "config/demo_exact.yaml", "tests/tiny.yaml"]
DATA_ELSEWHERE = dict.fromkeys(("things_images", "things_eeg", "nsd", "alljoined1"), "/raw")


def test_the_users_file_holds_exactly_the_defaults():
    content = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    assert load_config(content) == Config()
    assert set(content) == set(Config.model_fields) - {"simulate"}


def test_a_loss_needs_a_term():
    with pytest.raises(ValueError, match="at least one of mse, info_nce and prototype must be above 0"):
        LossConfig(mse=0, info_nce=0, prototype=0)


def test_shares_need_not_be_exact_to_the_last_bit():
    shares = SplitConfig(train=0.7, val=0.2, test=0.1)
    assert shares.train + shares.val + shares.test != 1


@pytest.mark.parametrize("file", DOCUMENTS)
def test_the_documents_are_up_to_date(file):
    assert (ROOT / "config" / file).read_text() == DOCUMENTS[file](), "run: brain2image config-docs config"


@pytest.fixture(scope="module")
def schema():
    """The JSON schema that editors check a config with."""
    content = json.loads(json_schema())
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)


@pytest.mark.parametrize("file", ["config/config.yaml", "config/encoders.yaml", *SIMULATED])
def test_the_files_fit_the_json_schema_that_they_name(schema, file):
    path = ROOT / file
    text = path.read_text()
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)[1]
    assert (path.parent / named).resolve() == ROOT / "config" / "config.schema.json"
    schema.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"brains": "all"},
        {"eeg": {"notch": 60, "lowpass": 40}},
        {"eeg": {"notch": [50.0, 16.7], "interpolate_bads": True, "bad_channels": {"things-01": ["Oz"]}}},
        {"clip": {"preprocess": "openai"}},
        {"training": None, "runs": {"a": None, "b": {"model": None, "loss": {"mse": 2}}}},
    ],
)
def test_the_json_schema_takes_what_the_config_takes(schema, content):
    load_config(content)
    schema.validate(content)


@pytest.mark.parametrize(
    "content",
    [
        {"cilp": {}},
        {"brains": "some"},
        {"eeg": {"notch": True}},
        {"eeg": {"interpolate_bads": True, "bad_channels": {"things1": ["Oz"]}}},
        {"runs": {"a b": {}}},
        {"runs": {"a": {"modle": {}}}},
        {"runs": {"a": {"model": {"poling": "flatten"}}}},
        {"training": {"epochs": "ten"}},
        {"training": {"learning_rate": 0}},
    ],
)
def test_the_json_schema_refuses_what_the_config_refuses(schema, content):
    assert not schema.is_valid(content)
    with pytest.raises(InputError):
        load_config(content)


def test_the_encoders_that_are_compared_share_all_but_what_is_compared():
    pytest.importorskip("braindecode")
    config = load_config(yaml.safe_load((ROOT / "config" / "encoders.yaml").read_text()))
    runs = [run for run in config.seeded_runs().values() if run.model.pooling != "none"]
    own = {"model": {"encoder", "channels", "pretrained", "n_layers"}, "training": {"freeze_encoder", "seed"}}
    assert len({repr(run.model_dump(exclude=own)) for run in runs}) == 1
    kinds = {(run.model.encoder, run.model.pretrained) for run in runs}
    assert {"cbramod", "tsconv", "atms", "mlp"} < {encoder for encoder, _ in kinds}
    assert {encoder for encoder, pretrained in kinds if pretrained} < {
        name for name, is_own in kinds if not is_own
    }


@pytest.mark.parametrize("file", SIMULATED)
def test_the_other_files_are_valid(file):
    assert load_config(yaml.safe_load((ROOT / file).read_text())).simulate is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"clip": {"modle": "x"}}, "unknown key 'clip.modle'; did you mean 'model'"),
        ({"cilp": {}}, "unknown key 'cilp'; did you mean 'clip'"),
        ({"simulate": {"sede": 1}}, "unknown key 'simulate.sede'; did you mean 'seed'"),
        ({"runs": {"a": {"model": {"poling": "flatten"}}}}, "'runs.a.model.poling'; did you mean 'pooling'"),
        ({"runs": {"a": {"modle": {}}}}, "unknown key 'runs.a.modle'; did you mean 'model'"),
        ({"training": {"epochs": "ten"}}, "training.epochs: expected integer, got 'ten'"),
        ({"training": {"epochs": 1.5}}, "training.epochs: expected integer, got 1.5"),
        ({"training": {"epochs": True}}, "training.epochs: expected integer, got True"),
        ({"training": {"epochs": 0}}, "training.epochs: expected greater than or equal to 1, got 0"),
        ({"training": {"learning_rate": "5e-4"}}, "expected number, got '5e-4'; YAML reads 5e-4 as text"),
        ({"model": {"pooling": "nothing"}}, "model.pooling: expected 'flatten', 'attention'"),
        ({"model": {"alignment": "multi_token", "pooling": "flatten"}}, "needs pooling 'multitoken_vit'"),
        ({"loss": {"mse": 0, "info_nce": 0, "prototype": 0}}, "at least one of mse"),
        (
            {"runs": {"a": {"model": {"pooling": "flatten", "n_tokens": 4}}}},
            "runs.a.model.n_tokens: pooling 'flatten' has no such option; its options: encoder, pooling,",
        ),
        (
            {"model": {"pooling": "attention"}, "runs": {"a": {"model": {"pooling_layers": 4}}}},
            "runs.a.model.pooling_layers: pooling 'attention' has no such option; its options: ",
        ),
        (
            {"runs": {"a": {"model": {"pooling": "flatten", "alignment": "single_token"}}}},
            "runs.a.model.alignment: pooling 'flatten' has no such option",
        ),
        ({"runs": {"a": {"model": {"pooling": ["flatten"]}}}}, "runs.a.model.pooling: expected 'flatten',"),
        (
            {"loss": {"learnable_temperature": True, "info_nce": 0}},
            "learnable_temperature needs info_nce above",
        ),
        (
            {"loss": {"learnable_temperature": True, "temperature": 2.0}},
            "learnable_temperature needs info_nce above 0 and a temperature from 0.01 to 1, got 1 and 2",
        ),
        ({"loss": {"target_scale": "none"}}, "loss.target_scale: expected 'common' or 'per_feature', got"),
        ({"split": {"train": 0.5}}, "train, val and test must sum to 1, got 0.7"),
        ({"eeg": {"lowpass": 90}}, "eeg.lowpass: expected less than or equal to 75, got 90"),
        ({"eeg": {"notch": 499}}, "eeg.notch.0: expected less than or equal to 100, got 499"),
        ({"eeg": {"notch": [50, "60"]}}, "eeg.notch.1: expected number, got '60'"),
        ({"eeg": {"notch": [50, 51]}}, "notch: expected frequencies 2 Hz apart at least, got [50.0, 51.0]"),
        (
            {"brains": ["sub-1_subj01"]},
            "brains.0: expected brains such as things-01_subj01, got 'sub-1_subj01'",
        ),
        ({"brains": ["things-01_subj01", "things-01_subj01"]}, "brains lists things-01_subj01 twice"),
        ({"brains": []}, "brains: expected"),
        ({"brains": "al"}, "brains: expected all or a list of brains, got 'al'"),
        ({"brains": ["all"]}, "brains.0: expected brains such as things-01_subj01, got 'all'"),
        ({"brains": ["things-01_subj05-subj02"]}, "once, in ascending order, got things-01_subj05-subj02"),
        ({"brains": ["things-01_subj02-subj02"]}, "once, in ascending order, got things-01_subj02-subj02"),
        (
            {"brains": ["things-01_subj02-subj05"]},
            "fMRI of subj02 and subj05, but weights.mindeye2 names a checkpoint for each ({subj})",
        ),
        ({"runs": {"ridge": {}}}, "must not be called ridge"),
        ({"runs": {"a_seed-1": {}}}, "must not contain '_seed-'"),
        ({"baselines": ["ridge", "ridge"]}, "baselines lists a name twice"),
        ({"baselines": []}, "baselines: expected"),
        ({"baselines": ["rigde"]}, "baselines.0: expected 'mean_target'"),
        ({"runs": {}}, "runs: expected"),
        ({"runs": {"a/b": {}}}, "expected a name of letters, digits, - and _, got 'a/b'"),
        (
            {"simulate": {}},
            "data.things_images must lie inside 'results/raw', got 'data/things/images'",
        ),
        ({"simulate": {}, "results": "."}, "data.things_images must lie inside 'raw'"),
        (
            {"simulate": {}, "data": {"things_images": "results/raw/../../data"}},
            "must lie inside 'results/raw', got 'data'",
        ),
        ({"eeg": {"highpass": 50, "lowpass": 40}}, "highpass must lie below lowpass, got 50 and 40 Hz"),
        ({"model": {"n_heads": 7}}, "n_heads must divide 200"),
        ({"results": ""}, "results: expected"),
        ({"training": {"learning_rate": float("inf")}}, "training.learning_rate: expected finite number"),
        ({"epochs": 2}, "unknown key 'epochs'; did you mean 'training.epochs'?"),
        (
            {"weights": {"cbramod": "s3://bucket/a.pth"}},
            "weights.cbramod: expected a file, or a source that starts with https:// or hf://, got 's3://bucket",
        ),
        ({"weights": {"mindeye2": "hf://a.pth"}}, "expected hf://[datasets/]owner/repo[@revision]/path, got"),
        ({"xyzzy": 2}, "unknown key 'xyzzy'. Valid keys here: results, datasets, brains"),
        ({"results": "data"}, "results must not hold the raw data, got 'data' and data.things_images"),
        ({"results": "data/nsd"}, "results must not hold the raw data, got 'data/nsd' and data.nsd"),
        ({"results": "a{b}"}, "results: expected a path without braces, got 'a{b}'"),
        ({"results": "a\nb"}, "without control characters, got 'a\\nb'"),
        ({"data": {"nsd": "<logs>/nsd"}}, "data.nsd: expected a text without < and >"),
        ({"data": {"nsddata": "{subj}"}}, "data.nsddata: expected a path without braces"),
        ({"results": "data/b", "data": {"nsddata": "data/b/c"}}, "got 'data/b' and data.nsddata"),
        ({"weights": {"clip": "{subj}.pt"}}, "weights.clip: expected a path without braces"),
        ({"weights": {"mindeye2": "{subj}/{run}.pth"}}, "weights.mindeye2: expected a path without braces"),
        ({"runs": {"Flat": {}, "flat": {}}}, "must differ by more than case, got Flat and flat"),
        ({"runs": {"Ridge": {}}}, "must not be called Ridge"),
        ({"runs": {"a_SEED-1": {}}}, "must not contain '_seed-'"),
        ({"eeg": {"notch": 499.0}}, "eeg.notch.0: expected less than or equal to 100, got 499"),
        ({"eeg": {"notch": 0.1}}, "eeg.notch.0: expected greater than or equal to 10, got 0.1"),
        ({"split": {"seed": 2**32}}, "split.seed: expected less than or equal to 4294967295, got 4294967296"),
        ({"n_seeds": 10**30}, "n_seeds: expected less than or equal to 1000, got 1000"),
        ({"training": {"epochs": 10**30}}, "training.epochs: expected less than or equal to 1000000000, got"),
        (
            {"n_seeds": 2, "training": {"seed": 2**32 - 1}},
            "training.seed: expected seeds up to 4294967295, got 4294967296, the last of multitoken_vit",
        ),
    ],
)
def test_a_mistake_is_named(content, message):
    with pytest.raises(InputError) as error:
        load_config(content)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ("/", "holds this checkout"),
        (".", "holds this checkout"),
        ("..", "holds this checkout"),
        ("src", "is part of this checkout"),
        ("src/../config/results", "is part of this checkout"),
    ],
)
def test_results_lie_apart_from_the_checkout(results, problem, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(
        InputError, match=rf"results: expected a folder for results alone, got '.*', which {problem}"
    ):
        load_config({"results": results, "data": DATA_ELSEWHERE}, checkout=str(ROOT))


def test_the_checkout_is_found_through_links(tmp_path):
    (tmp_path / "link").symlink_to(ROOT / "src")
    with pytest.raises(InputError, match="part of this checkout"):
        load_config({"results": str(tmp_path / "link/out")}, checkout=str(ROOT))
    for results in ("results", "src_of_my_results", str(tmp_path / "results")):
        load_config({"results": results}, checkout=str(ROOT))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected keys and values as in config/config.yaml, got nothing"),
        (b"# all commented\n", "got nothing"),
        (b"- results\n", "got a list"),
        (b"results\n", "got one value"),
        (
            "results: a\n".encode("utf-16"),
            "expected text in UTF-8, got byte 0xff at position 0; save the file",
        ),
        ("results: é\n".encode("latin-1"), "expected text in UTF-8, got byte 0xe9 at position 9"),
        (b"a: [1\nb: {\n", "expected YAML, but line 2: "),
        (b"a:\n\t- 1\n", "expected YAML, but line 2: found character '\\t'"),
        (b"results: a\0b\n", "expected YAML, but unacceptable character #x0000"),
        (b"a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "line 5: b.c stands here twice; keep one"),
        (b'{"a": 1, "a": 2}', "line 1: a stands here twice"),
        (
            b"training: {epochs: 010}",
            "training.epochs: expected a decimal number, got 010, which is 8 in YAML",
        ),
        (
            b"training:\n  epochs: 1:30\n",
            "training.epochs: expected a decimal number, got 1:30, which is 90 in",
        ),
        (b"a: [1, 1:30.5]", "a.1: expected a decimal number, got 1:30.5, which is 90.5 in YAML"),
        (b"a: &b [*b]\nc: 1\nc: 2", "line 3: c stands here twice"),
    ],
)
def test_a_text_that_is_no_config(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    with pytest.raises(InputError) as error:
        check_config_file(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: {a: 1}\nc: 0\nd: 0.5\ne: '010'\nf: 1_000\ng: 0x10\n",
        '{"a": 1,\n\t"b": 2}',
        "\ufeffa: 1",
        "a: &x {b: 1}\nc: {<<: *x, d: 1}",
    ],
)
def test_a_text_that_is_read_as_it_looks(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    check_config_file(tmp_path / "config.yaml")
    with pytest.raises(InputError, match=r"no\.yaml: cannot read this config \(No such file"):
        check_config_file(tmp_path / "no.yaml")


def test_all_brains_are_written_out_without_a_warning(recwarn):
    assert ["brains", "all", '["things-01_subj01"]'] in list_settings(load_config({"brains": "all"}))
    assert not recwarn


def test_a_simulated_width_that_the_heads_do_not_divide_is_named():
    content = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    content["simulate"]["n_features"] = 100
    with pytest.raises(InputError, match=r"simulate\.n_features: expected a multiple of 8 .* got 100"):
        load_config(content)


def test_seeds_count_from_that_of_the_run():
    runs = load_config({"n_seeds": 2, "runs": {"b": {}, "a": {"training": {"seed": 5}}}}).seeded_runs()
    assert {name: run.training.seed for name, run in runs.items()} == {
        "a": 5,
        "a_seed-6": 6,
        "b": 0,
        "b_seed-1": 1,
    }


def test_several_subjects():
    assert load_config({"brains": "all"}).brains == "all"
    content = {
        "brains": ["things-01_subj02-subj05-subj07"],
        "weights": {"mindeye2": "final_multisubject/last.pth"},
    }
    assert load_config(content).brains == content["brains"]


@pytest.mark.parametrize("change", [{"brains": "all"}, {"weights": {"mindeye2": "results/raw/last.pth"}}])
def test_simulated_subjects_are_listed_and_have_a_checkpoint_each(change):
    content = yaml.safe_load((ROOT / "tests" / "tiny.yaml").read_text())
    for key, value in change.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    with pytest.raises(InputError, match=r"'simulate', brains must be a list and weights\.mindeye2 contain"):
        load_config(content)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(InputError, match=r"training\.epochs.*training\.batch_size"):
        load_config({"training": {"epochs": "a", "batch_size": "b"}})


def test_a_run_changes_what_it_lists_and_nothing_else():
    config = load_config(
        {
            "model": {"hidden_size": 64},
            "runs": {"a": {"model": {"pooling": "flatten"}, "training": {"epochs": 3}}},
        }
    )
    run = config.run("a")
    assert (run.model.pooling, run.model.hidden_size) == ("flatten", 64)
    assert run.training == config.training.model_copy(update={"epochs": 3})
    assert run.loss == config.loss


def test_shared_options_reach_only_the_heads_that_use_them():
    config = load_config(
        {
            "model": {"n_tokens": 3, "pooling_layers": 4, "alignment": "multi_token", "hidden_size": 32},
            "runs": {name: {"model": {"pooling": name}} for name in UNUSED_OPTIONS},
        }
    )
    for name, unused in UNUSED_OPTIONS.items():
        params = config.run(name).model.model_dump()
        assert set(params) == set(ModelConfig.model_fields) - unused
        assert ModelConfig(**params) == config.run(name).model
        assert params["hidden_size"] == 32
    assert config.run("attention").model.n_tokens == 3
    assert config.run("multitoken_vit").model.alignment == "multi_token"


def test_whole_numbers_and_floats_are_the_same_value():
    one, float_one = (load_config({"loss": {"mse": value}}) for value in (1, 1.0))
    assert repr(one.loss.model_dump()) == repr(float_one.loss.model_dump())


def test_empty_blocks_change_nothing():
    content = yaml.safe_load("training:\nruns:\n")
    assert load_config(content) == Config()
    assert load_config({"runs": {"a": {"model": None}}}).run("a").model == Config().model


def test_a_path_has_one_spelling(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = load_config({"results": "./results/demo/", "data": {"nsd": "~/nsd/", "nsddata": "~/b/"}})
    assert (config.results, config.data.nsd) == ("results/demo", "/home/me/nsd")
    assert (config.data.nsddata, load_config({}).data.nsddata) == ("/home/me/b", "")
    assert config.weights.clip == "openai"
    weights = {"cbramod": "~/./cbramod.pth", "mindeye2": "https://example.org//a/../{subj}.pth"}
    config = load_config({"weights": weights})
    assert config.weights.cbramod == "/home/me/cbramod.pth"
    assert config.weights.mindeye2 == weights["mindeye2"]
