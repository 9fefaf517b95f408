"""The contract of encoders: each keeps it, a new one of a few lines trains, and what it lacks is an error."""

import json

import numpy as np
import pytest
import torch
from helpers.planted import OUTPUTS, planted_layout, planted_lmdb
from safetensors.torch import load_file
from torch import nn

from brain2image.config import ModelConfig, RunConfig, load_config
from brain2image.core.encoder_names import (
    REGISTERED,
    encoder_declaration,
    encoder_module,
    list_encoders,
    register_encoder,
)
from brain2image.core.errors import InputError
from brain2image.core.fingerprint import imported_modules
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.base import EEGLayout, Encoder, LoadedWeights, build_encoder
from brain2image.models.encoders.cbramod import CBraMod, CBraModEncoder
from brain2image.models.losses import AlignmentLoss
from brain2image.training.learning_rates import parameter_groups
from brain2image.training.start import build_model
from brain2image.training.train import train
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_pairs

N_CHANNELS, WIDTH = 8, 20


@pytest.fixture
def toy():
    """An encoder in three lines: a linear map of each channel, of its own width, without options."""

    @register_encoder("toy")
    class Toy(Encoder):
        def __init__(self, layout, model):
            super().__init__(n_tokens=layout.n_channels, token_width=WIDTH)
            self.map = nn.Linear(layout.n_times, WIDTH)

        def forward(self, eeg):
            return self.map(eeg)

    yield Toy
    REGISTERED.pop("toy", None)


def toy_run(**model):
    block = {"pooling": "multitoken_vit", "encoder": "toy", "hidden_size": 16, "n_heads": 4, "n_tokens": 2}
    training = {"epochs": 1, "batch_size": 16, "targets": "measured", "pictures": "paired"}
    return RunConfig(model=block | model, training=training)


@pytest.mark.parametrize("name", [name for name in list_encoders() if ":" not in name])
def test_every_encoder_keeps_the_contract(name):
    torch.manual_seed(0)
    depth = {"n_layers": 2} if "n_layers" in encoder_declaration(name).options else {}
    run = RunConfig(model={"encoder": name} | depth)
    model = AlignmentModel(run.model, planted_layout(), 16)
    encoder = model.encoder
    tokens = encoder(torch.randn(3, N_CHANNELS, 200))
    assert tokens.shape == (3, encoder.n_tokens, encoder.token_width)
    assert encoder.fixed_width in (None, encoder.token_width)
    groups = parameter_groups(model, AlignmentLoss(run.loss, 3), run)  # refuses what is in no layer
    assert {"backbone", "head"} == {group["name"] for group in groups}
    assert (len(encoder.layers()) > 1) == ("layer_decay" in encoder.options)
    tokens.square().mean().backward()
    first = [weight for weight in encoder.layers()[0].parameters() if weight.requires_grad]
    assert all(weight.grad is not None and weight.grad.any() for weight in first)
    if "pretrained" not in encoder.options:
        with pytest.raises(InputError, match="has no published weights"):
            encoder.load_pretrained("weights.pth")


def test_a_new_encoder_trains_and_is_loaded_again(toy, tmp_path):
    run, folder, lmdb = toy_run(), tmp_path / "run", planted_lmdb(tmp_path)
    outputs = {name: folder / file for name, file in OUTPUTS.items()}
    train(lmdb, run=run, weights=None, code="0", state=tmp_path / "state", **outputs)
    config = json.loads(outputs["config"].read_text())
    assert config["model"]["encoder"] == "toy"
    assert not {"pretrained", "n_layers"} & set(config["model"])
    expected = {"n_tokens": N_CHANNELS, "token_width": WIDTH, "tensors_loaded": 0, "tensors_left_out": {}}
    assert config["encoder"] == expected
    eeg = read_pairs(lmdb, "test").eeg
    # without a unit of its own: one root mean square of the training trials
    reader = LMDBReader(lmdb)
    shown = reader.eeg_index["image"].isin(reader.pairs_of("train")["eeg_image"])
    rms = np.sqrt(np.mean(reader.read("eeg", reader.eeg_index["trial"][shown]).astype(np.float64) ** 2))
    assert config["eeg"]["scale"] == pytest.approx(1 / rms, rel=1e-5)
    torch.manual_seed(run.training.seed)
    start = build_model(reader, run=run, weights=None)
    weights = load_file(outputs["model"])
    assert not torch.equal(weights["linear_path.weight"], start.linear_path.weight)
    model = AlignmentModel.load(folder)
    assert isinstance(model.encoder, toy)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert model.predict(eeg).isfinite().all()
    del REGISTERED["toy"]
    with pytest.raises(InputError, match=r"but model\.encoder: .*expected an encoder, one of cbramod.*'toy'"):
        AlignmentModel.load(folder)


def test_the_scale_is_that_of_the_unit_or_of_the_root_mean_square(rng, toy):
    eeg = rng.standard_normal((10, N_CHANNELS, 200)).astype(np.float32)
    encoder = CBraModEncoder(planted_layout(), ModelConfig(n_layers=1))
    assert encoder.input_scale("uV", None) == 0.01  # reads no trials
    assert np.sqrt(np.mean((eeg * encoder.input_scale("whitened", lambda: eeg)) ** 2)) == pytest.approx(0.2)
    other = toy(planted_layout(), ModelConfig())
    assert np.sqrt(np.mean((eeg * other.input_scale("uV", lambda: eeg)) ** 2)) == pytest.approx(1)
    with pytest.raises(InputError, match="got unit 'V'"):
        encoder.input_scale("V", lambda: eeg)


def test_cbramod_says_what_it_loaded_and_what_it_left_out(tmp_path, caplog):
    state = CBraMod().state_dict()
    torch.save(state | {"final_layer.1.bias": torch.zeros(2)}, tmp_path / "weights.pth")
    encoder = CBraModEncoder(planted_layout(), ModelConfig(n_layers=2))
    with caplog.at_level("INFO"):
        encoder.load_pretrained(tmp_path / "weights.pth")
    assert all(torch.equal(value, state[name]) for name, value in encoder.network.state_dict().items())
    left_out = {
        "the classifier of braindecode": 1,
        "the reconstruction of the pretraining": 2,
        "layers after model.n_layers": 160,
    }
    assert encoder.loaded == LoadedWeights(len(encoder.state_dict()), left_out)
    assert encoder.loaded.n_loaded + sum(left_out.values()) == len(state) + 1
    assert "loaded 49 tensors; left out 1: the classifier of braindecode; left out 2" in caplog.text


def test_an_encoder_that_loads_less_than_it_has_is_an_error(monkeypatch):
    encoder = CBraModEncoder(planted_layout(), ModelConfig(n_layers=1))
    partly = dict(list(encoder.state_dict().items())[1:])
    monkeypatch.setattr(CBraModEncoder, "read_published", lambda *_: (partly, {}))
    with pytest.raises(InputError, match=r"w\.pth: expected all 33 tensors of the encoder, 1 are missing"):
        encoder.load_pretrained("w.pth")


@pytest.mark.parametrize(("n_times", "sfreq"), [(200, 250.0), (250, 200.0)])
def test_cbramod_refuses_eeg_that_is_no_whole_seconds_at_its_rate(n_times, sfreq):
    with pytest.raises(InputError, match=rf"expected EEG at 200 Hz and .*, got {n_times} at {sfreq:g} Hz"):
        build_encoder(ModelConfig(n_layers=1), EEGLayout(("Fz", "Cz"), n_times, sfreq))


def test_cbramod_gives_a_token_for_each_second_of_each_channel():
    torch.manual_seed(0)
    layout, eeg = EEGLayout(("Fz", "Cz"), 600, 200.0), torch.randn(3, 2, 600)
    encoder = build_encoder(ModelConfig(n_layers=1), layout).eval()
    tokens = encoder(eeg)
    assert (encoder.n_tokens, tokens.shape) == (6, (3, 6, 200))
    expected = encoder.network(eeg.reshape(3, 2, 3, 200))
    torch.testing.assert_close(tokens, expected.reshape(3, 6, 200))


def test_layers_must_hold_all_that_is_learned(toy):
    model = AlignmentModel(toy_run().model, planted_layout(), 16)
    model.encoder.layers = lambda: [nn.Linear(2, 2)]
    with pytest.raises(InputError, match=r"encoder toy: expected layers.. to hold all its parameters"):
        parameter_groups(model, AlignmentLoss(toy_run().loss, 3), toy_run())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"model": {"encoder": "none"}}, r"model.encoder: expected an encoder, one of cbramod, .*got 'none'"),
        ({"model": {"encoder": "cbramod:12"}}, "model.encoder: expected an encoder, one of"),
        ({"model": {"encoder": "toy", "n_layers": 3}}, "n_layers: encoder 'toy' has no such option"),
        (
            {"runs": {"a": {"model": {"encoder": "toy", "pretrained": True}}}},
            r"runs\.a\.model\.pretrained: encoder 'toy' has no such option; its options: encoder, pooling,",
        ),
        (
            {"runs": {"a": {"model": {"encoder": "toy"}, "training": {"layer_decay": 0.5}}}},
            r"training\.layer_decay: encoder 'toy' has no such option",
        ),
    ],
)
def test_what_an_encoder_does_not_have_is_an_error(toy, content, reason):
    with pytest.raises(InputError, match=reason):
        load_config(content)


def test_shared_options_that_an_encoder_does_not_have_are_passed_over(toy):
    content = {
        "model": {"n_layers": 3, "pretrained": True},
        "runs": {"a": {"model": {"encoder": "toy"}}, "b": {}},
    }
    runs = load_config(content).seeded_runs()
    assert not runs["a"].model.pretrained
    assert not {"n_layers", "pretrained"} & set(runs["a"].model.model_dump())
    assert (runs["b"].model.n_layers, runs["b"].model.pretrained) == (3, True)


def test_heads_must_divide_the_width_that_only_the_built_encoder_knows(toy):
    with pytest.raises(InputError, match=r"expected a divisor of 20, the width of toy's tokens, got 8"):
        AlignmentModel(toy_run(n_heads=8).model, planted_layout(), 16)


def test_the_model_does_not_import_encoders_by_name():
    """An edit of one encoder reruns its own runs alone; rules add the fingerprint of `encoder_module`."""
    closure = imported_modules("brain2image.models.alignment")
    assert "brain2image.models.encoders.base" in closure
    assert not [name for name in closure if name.endswith((".cbramod", ".published_weights"))]
    assert "brain2image.models.published_weights" in imported_modules(encoder_module("cbramod"))
    assert encoder_declaration("cbramod") == (CBraModEncoder.options, 200, False)
