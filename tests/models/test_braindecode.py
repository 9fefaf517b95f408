"""Models of braindecode as encoders: every one that is listed, their weights, and what is refused."""

import json

import mne
import numpy as np
import pytest
import torch
from helpers.planted import OUTPUTS, planted_lmdb, planted_run
from safetensors.torch import save_file
from scipy.signal import resample_poly

from brain2image.config import ModelConfig, load_config
from brain2image.config.weights import WeightsConfig
from brain2image.core import encoder_names
from brain2image.core.encoder_names import check_encoder, encoder_declaration, encoder_package
from brain2image.core.errors import InputError
from brain2image.core.versions import minor_version
from brain2image.datasets.splines import TEN_FIVE, template
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.base import EEGLayout, LoadedWeights, build_encoder
from brain2image.models.encoders.braindecode import PUBLISHED, BraindecodeEncoder, resampling_matrix
from brain2image.training.train import train
from brain2image.training_set.means import read_pairs
from brain2image.weights.sources import ENCODERS

models = pytest.importorskip("braindecode.models")

POSTERIOR = ("P7", "P3", "Pz", "P4", "P8", "O1", "Oz", "O2")
# Small ones: a convolution's maps, features of their own by channel name, a vector, positions, tokens first.
NAMES = ["EEGNet", "Labram", "TSception", "InterpolatedBIOT", "LUNA"]


def layout(channels=POSTERIOR, n_times=200, sfreq=200.0):
    return EEGLayout(tuple(channels), n_times, sfreq)


def build(name, **options):
    torch.manual_seed(0)
    return build_encoder(ModelConfig(encoder=f"braindecode:{name}"), layout(**options))


@pytest.fixture(scope="module")
def encoders():
    return {name: build(name) for name in NAMES}


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("name", NAMES)
def test_tokens_are_what_stands_before_the_classifier(encoders, name):
    """And every weight that learns has a gradient, the first layer's too."""
    encoder = encoders[name].train()
    tokens = encoder(torch.randn(3, 8, 200))
    assert tokens.shape == (3, encoder.n_tokens, encoder.token_width)
    tokens.square().mean().backward()
    learned = [weight for weight in encoder.parameters() if weight.requires_grad]
    assert all(weight.grad is not None for weight in learned)
    assert learned[0].grad.any()
    encoder.zero_grad()


def test_what_comes_before_the_head_goes_through_braindecodes_own_head():
    torch.manual_seed(0)
    whole = models.EEGNet(n_chans=8, n_outputs=2, n_times=200).eval()
    encoder = build("EEGNet").eval()
    own = {name: value for name, value in whole.state_dict().items() if not name.startswith("final_layer.")}
    encoder.network.load_state_dict(own)
    eeg = torch.randn(3, 8, 200)
    maps = encoder(eeg).transpose(1, 2).unsqueeze(2)  # (trials, width, 1, tokens), as its head takes them
    torch.testing.assert_close(whole.final_layer(maps), whole(eeg))


def test_labram_finds_its_channels_by_name(encoders):
    """Whatever their order: the positions of the channels go with them."""
    encoder, eeg = encoders["Labram"].eval(), torch.randn(2, 8, 200)
    named = encoder.network(eeg, return_features=True, ch_names=list(POSTERIOR))["features"]
    torch.testing.assert_close(encoder(eeg), named)
    turned = build("Labram", channels=POSTERIOR[::-1]).eval()
    torch.nn.init.normal_(encoder.network.position_embedding)
    turned.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(turned(eeg.flip(1)).flip(1), encoder(eeg), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(encoder(eeg.flip(1)).flip(1), encoder(eeg), atol=1e-3)


def test_building_draws_no_number_of_the_seed_but_the_weights():
    torch.manual_seed(0)
    models.TSception(n_chans=8, n_outputs=2, n_times=200, sfreq=200.0)
    expected = torch.rand(3)
    build("TSception")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("old", "new", "n_new"), [(200.0, 256.0, 256), (250.0, 200.0, 160), (200, 200, 200)])
def test_the_rate_is_changed_by_a_matrix(rng, old, new, n_new):
    matrix = resampling_matrix(200, old, new)
    eeg = rng.standard_normal((3, 200))
    assert matrix.shape == (200, n_new)
    up, down = (n_new, 200) if n_new != 200 else (1, 1)
    expected = resample_poly(eeg, up, down, axis=1, padtype="line")
    np.testing.assert_allclose(eeg @ matrix, expected, atol=1e-5)


def test_the_tables_name_the_same_models():
    assert set(PUBLISHED) == set(BraindecodeEncoder.published)
    assert {f"braindecode:{name}" for name in PUBLISHED} == {name for name in ENCODERS if ":" in name}
    listed = set(encoder_names._read_catalogue(encoder_names.catalogue_file("braindecode")))
    assert set(BraindecodeEncoder.unfit) | set(PUBLISHED) <= listed
    assert all(hasattr(models, name) for name in listed)
    assert set(BraindecodeEncoder.millions) <= listed - set(BraindecodeEncoder.unfit)


@pytest.fixture
def published(tmp_path):
    """A file of the published form: longer trials, and a classifier."""

    def save(name, **changes):
        torch.manual_seed(1)
        options = {"n_outputs": 4, "sfreq": PUBLISHED[name].sfreq, "n_times": 1600}
        channels = {"n_chans": 8} if name == "Labram" else {"chs_info": places()}
        state = getattr(models, name)(**options, **channels).state_dict()
        state = {key: value.clone() for key, value in (state | changes).items() if value is not None}
        save_file(state, tmp_path / "model.safetensors")
        return tmp_path / "model.safetensors", state

    return save


def places():
    info = mne.create_info(list(POSTERIOR), 200.0, "eeg").set_montage(template(TEN_FIVE))
    return [dict(channel) for channel in info["chs"]]


@pytest.mark.parametrize("name", ["Labram", "InterpolatedBIOT"])
def test_published_weights_are_loaded_and_what_is_left_out_is_counted(published, name, caplog):
    path, state = published(name, **{"decoder.weight": torch.zeros(3)})
    encoder = build(name)
    with caplog.at_level("INFO"):
        encoder.load_pretrained(path)
    own = encoder.network.state_dict()
    for key, value in own.items():
        expected = state[key][:, : value.shape[1]] if key == "temporal_embedding" else state[key]
        assert torch.equal(value, expected), key
    left_out = {"the classifier": 2, "what this network does not have": 1}
    assert encoder.loaded == LoadedWeights(len(own), left_out)
    assert len(own) + 3 == len(state)
    assert f"loaded {len(own)} tensors; left out 2: the classifier; left out 1" in caplog.text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cls_token": None}, r"expected all 221 tensors of Labram, 1 are missing .first: cls_token."),
        ({"cls_token": torch.zeros(1, 1, 7)}, r"expected cls_token of shape .1, 1, 200., got .1, 1, 7."),
        (
            {"temporal_embedding": torch.zeros(1, 1, 200)},
            r"expected temporal_embedding of shape .1, 2, 200., got .1, 1",
        ),
        (
            {"cls_token": torch.full((1, 1, 200), torch.nan)},
            r"expected finite weights, got NaN or infinity in cls_token",
        ),
    ],
)
def test_wrong_weights_are_an_error(published, changes, reason):
    path, _ = published("Labram", **changes)
    with pytest.raises(InputError, match=rf"model\.safetensors: {reason}.*; name the file of braindecode's"):
        build("Labram").load_pretrained(path)


def test_a_run_of_braindecode_trains_and_is_loaded_again(published, lmdb, tmp_path):
    """Channels whose names say nothing are heard in their order."""
    for name in ("EEGNet", "TSception"):
        block = {"encoder": f"braindecode:{name}", "n_layers": 12, "linear_axes": 0}
        run = planted_run(model=block, training={"epochs": 1})
        folder = tmp_path / name
        outputs = {name: folder / file for name, file in OUTPUTS.items()}
        train(lmdb, run=run, weights=None, code="0", state=tmp_path / f"{name}.state", **outputs)
        loaded, eeg = AlignmentModel.load(folder), read_pairs(lmdb, "test").eeg
        assert loaded.predict(eeg).std(dim=0).all()
        assert torch.equal(AlignmentModel.load(folder).predict(eeg), loaded.predict(eeg))
        config = json.loads(outputs["config"].read_text())
        assert config["versions"]["braindecode"].startswith(minor_version("braindecode"))
        assert config["encoder"]["n_tokens"] == loaded.encoder.n_tokens


def test_published_models_hear_the_range_of_their_pretraining(encoders):
    assert encoders["Labram"].input_scale("uV", None) == 0.01
    eeg = np.full((2, 8, 200), 3.0)
    assert encoders["EEGNet"].input_scale("uV", lambda: eeg) == pytest.approx(1 / 3)
    assert encoders["InterpolatedBIOT"].input_scale("uV", lambda: eeg) == pytest.approx(0.51 / 3)


def test_sources_that_are_not_named_stay():
    named = WeightsConfig(encoders={"braindecode:Labram": "https://x/labram.pth"}).sources
    assert named["braindecode:Labram"] == "https://x/labram.pth"
    assert named["braindecode:CBraMod"] == ENCODERS["braindecode:CBraMod"]
    assert {"clip", "cbramod", "mindeye2"} <= set(named)


def test_options_are_those_of_the_variant():
    assert encoder_declaration("braindecode:Labram").options == ("pretrained",)
    assert encoder_declaration("braindecode:EEGNet").options == ()
    assert ModelConfig(encoder="braindecode:Labram").pretrained
    assert not ModelConfig(encoder="braindecode:EEGNet").pretrained
    assert encoder_package("braindecode:EEGNet") == "braindecode"
    assert encoder_package("cbramod") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            {"model": {"encoder": "braindecode:EEGnex"}},
            r"expected a model of braindecode, such as .*EEGNeX.*'EEGnex'",
        ),
        (
            {"model": {"encoder": "braindecode:REVE"}},
            r"'braindecode:REVE' reads electrodes' positions from a server",
        ),
        ({"model": {"encoder": "braindecode"}}, "expected an encoder, one of atms, braindecode:NAME"),
        (
            {"runs": {"a": {"model": {"encoder": "braindecode:EEGNet", "pretrained": True}}}},
            r"runs\.a\.model\.pretrained: encoder 'braindecode:EEGNet' has no such option",
        ),
        (
            {"weights": {"encoders": {"braindecode:EEGNet": "a.pth"}}},
            "'braindecode:EEGNet' has no published weights",
        ),
        ({"weights": {"encoders": {"cbramod": "a.pth"}}}, r"cbramod has a key of its own, weights\.cbramod"),
        (
            {"weights": {"encoders": {"braindecode:Labram": "s3://a"}}},
            "starts with https:// or hf://, got 's3://a'",
        ),
    ],
)
def test_a_wrong_name_is_an_error_before_any_job(content, reason):
    with pytest.raises(InputError, match=reason):
        load_config(content)


def test_without_braindecode_the_config_says_what_to_install(monkeypatch):
    find_spec = encoder_names.find_spec
    monkeypatch.setattr(
        encoder_names, "find_spec", lambda name: None if name == "braindecode" else find_spec(name)
    )
    with pytest.raises(
        InputError, match=r"expected the package braindecode, got none; run: pip install 'brain2image"
    ):
        check_encoder("braindecode:EEGNet")
    assert check_encoder("tsconv") == "tsconv"


@pytest.mark.parametrize(
    ("name", "channels", "reason"),
    [
        (
            "Labram",
            ("E1", "E2"),
            r"2 channels .E1, E2, ....* of 200 samples at 200 Hz .*LABRAM_CHANNEL_ORDER",
        ),
        ("InterpolatedBIOT", ("E1", "E2"), r"braindecode:InterpolatedBIOT: it does not take 2 channels"),
        ("EEGDINO", CHANNELS, "must not exceed n_channel_embeddings"),
    ],
)
def test_channels_that_a_model_does_not_know_are_an_error(name, channels, reason):
    with pytest.raises(InputError, match=reason):
        build(name, channels=channels)
