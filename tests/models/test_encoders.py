"""The contract of encoders: each keeps it, a new one of a few lines trains, and what it lacks is an error."""

import json

import numpy as np
import pytest
import torch
from helpers.planted import OUTPUTS, planted_layout, planted_lmdb, planted_run
from safetensors.torch import load_file
from torch import nn

from brain2image.config import ModelConfig, RunConfig, load_config
from brain2image.constants.electrodes import ELECTRODE_SETS
from brain2image.core.encoder_names import (
    REGISTERED,
    encoder_declaration,
    encoder_module,
    find_encoder,
    list_encoders,
    register_encoder,
)
from brain2image.core.errors import InputError
from brain2image.core.fingerprint import imported_modules
from brain2image.datasets.channel_names import find_channels
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.atms import ATMSEncoder, ChannelAttention
from brain2image.models.encoders.base import EEGLayout, Encoder, LoadedWeights, build_encoder
from brain2image.models.encoders.cbramod import CBraMod, CBraModEncoder
from brain2image.models.encoders.mlp import MLPEncoder
from brain2image.models.encoders.tsconv import TSConvEncoder
from brain2image.models.losses import AlignmentLoss
from brain2image.training.learning_rates import parameter_groups
from brain2image.training.start import build_model, check_frozen, frozen_weights
from brain2image.training.train import train
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_pairs

N_CHANNELS, WIDTH = 8, 20
BUILT_IN = [name for name in list_encoders() if ":" not in name]


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


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_encoder_keeps_the_contract(name):
    torch.manual_seed(0)
    depth = {"n_layers": 2} if "n_layers" in encoder_declaration(name).options else {}
    run = RunConfig(model={"encoder": name} | depth)
    model = AlignmentModel(run.model, planted_layout(), 16).train()
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


@pytest.mark.parametrize(
    ("name", "n_channels", "expected"),
    [
        # the layers of nice_stand.py: 40 kernels of 25 samples, two batch norms, 63 channels, 1 x 1
        ("tsconv", 63, (40 * 25 + 40) + 80 + (40 * 40 * 63 + 40) + 80 + (40 * 40 + 40)),
        # Config of ATMS_retrieval.py: embedding, query, key and value of 4 x 62, out, 256 hidden, three norms
        (
            "atms",
            63,
            (250 * 250 + 250)
            + 3 * (250 * 248 + 248)
            + (248 * 250 + 250)
            + (250 * 256 + 256)
            + (256 * 250 + 250)
            + 3 * 500
            + 103_680,
        ),
        # EEGProjectLayer of eeg_backbone.py, 17 channels: two linear maps and a norm
        ("mlp", 17, (17 * 250 * 1024 + 1024) + (1024 * 1024 + 1024) + 2048),
    ],
)
def test_own_forms_are_as_large_as_the_published_ones(name, n_channels, expected):
    """At 250 Hz; where they are projected, the published code expects 1440 features of TSConv and ATM-S."""
    layout = planted_layout(n_channels)._replace(n_times=250, sfreq=250.0)
    encoder = build_encoder(ModelConfig(encoder=name), layout)
    assert sum(weight.numel() for weight in encoder.parameters()) == expected
    assert type(encoder) is {"mlp": MLPEncoder, "tsconv": TSConvEncoder, "atms": ATMSEncoder}[name]
    assert encoder.n_tokens * encoder.token_width == (1024 if name == "mlp" else 1440)


def test_tsconv_is_as_long_in_seconds_at_any_rate():
    shapes = []
    for sfreq in (200.0, 250.0):
        layout = EEGLayout(("Oz", "Pz"), round(sfreq), sfreq)
        network = build_encoder(ModelConfig(encoder="tsconv"), layout).network
        pool = network.temporal[1]
        shapes.append((network.n_tokens, network.temporal[0].kernel_size[1], pool.kernel_size, pool.stride))
    assert shapes == [(36, 20, (1, 41), (1, 4)), (36, 25, (1, 51), (1, 5))]
    with pytest.raises(InputError, match=r"expected trials of 60 samples .0.3 s. at least.*got 50 at 200 Hz"):
        build_encoder(ModelConfig(encoder="atms"), EEGLayout(("Oz",), 50, 200.0))


def test_atms_attends_as_a_transformer_layer_over_channels():
    """PyTorch's own layer, where the heads divide the samples."""
    torch.manual_seed(0)
    ours = ChannelAttention(200).eval()
    theirs = nn.TransformerEncoderLayer(200, 4, 256, activation="gelu", batch_first=True).eval()
    own = ours.state_dict()
    renamed = {
        name.replace("self_attn.out_proj", "out"): value
        for name, value in theirs.state_dict().items()
        if "in_proj" not in name
    }
    parts = [theirs.state_dict()[f"self_attn.in_proj_{kind}"].chunk(3) for kind in ("weight", "bias")]
    for kind, rows in zip(("weight", "bias"), parts, strict=True):
        names = [f"{part}.{kind}" for part in ("query", "key", "value")]
        renamed |= dict(zip(names, rows, strict=True))
    assert own.keys() == renamed.keys()
    ours.load_state_dict(renamed)
    eeg = torch.randn(3, 9, 200)
    torch.testing.assert_close(ours(eeg), theirs(eeg), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["tsconv", "mlp", "atms"])
def test_the_encoder_hears_the_chosen_channels_alone(name):
    torch.manual_seed(0)
    block = {"encoder": name, "channels": ["E5", "E2"], "pooling": "flatten", "hidden_size": 8}
    model = AlignmentModel(ModelConfig(**block, linear_axes=0), planted_layout(), 16).eval()
    eeg = torch.randn(3, N_CHANNELS, 200)
    tokens = model.encoder(eeg[:, [5, 2]])
    expected = model.alignment(torch.zeros(3, 1, 16), model.head(tokens).unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(model(eeg), expected)
    changed = eeg.clone()
    changed[:, [0, 1, 3, 4, 6, 7]] += 1
    assert torch.equal(model(changed), model(eeg))
    assert "heard" not in model.state_dict()


def test_the_named_set_of_channels_is_found_by_name():
    layout = EEGLayout(("Fp1", *reversed(ELECTRODE_SETS["posterior"])), 200, 200.0)
    assert len(ELECTRODE_SETS["posterior"]) == len(set(ELECTRODE_SETS["posterior"])) == 17
    rows = find_channels("posterior", layout.channels)
    assert rows == list(range(17, 0, -1))
    assert layout.select(rows).channels == ELECTRODE_SETS["posterior"]
    assert find_channels("all", layout.channels) == list(range(18))


@pytest.mark.parametrize(
    ("channels", "missing"), [("posterior", "posterior, of which it lacks P7, P5,"), (["E1", "Oz"], "Oz")]
)
def test_channels_that_the_eeg_lacks_are_an_error(channels, missing):
    model = ModelConfig(encoder="mlp", channels=channels, pooling="flatten")
    with pytest.raises(
        InputError, match=rf"model\.channels: expected channels of the EEG .E0, E1.*{missing}"
    ):
        AlignmentModel(model, planted_layout(), 16)


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_encoder_trains_and_predicts_the_same_once_it_is_loaded(name, lmdb, tmp_path):
    depth = {"n_layers": 1} if "n_layers" in encoder_declaration(name).options else {}
    run = planted_run(
        model={"encoder": name, "n_layers": 12, "linear_axes": 0} | depth, training={"epochs": 1}
    )
    outputs = {name: tmp_path / file for name, file in OUTPUTS.items()}
    train(lmdb, run=run, weights=None, code="0", state=tmp_path / "state", **outputs)
    eeg = read_pairs(lmdb, "test").eeg
    loaded = AlignmentModel.load(tmp_path)
    weights = load_file(outputs["model"])
    again = AlignmentModel(loaded.config, loaded.layout, 16)
    again.load_state_dict(weights)
    assert type(loaded.encoder) is find_encoder(name)
    assert loaded.predict(eeg).std(dim=0).all()
    assert torch.equal(again.predict(eeg), loaded.predict(eeg))


@pytest.mark.parametrize("name", ["tsconv", "cbramod"])
def test_a_frozen_encoder_does_not_change(name, lmdb, tmp_path):
    """Nor do its batch norms' statistics; the head learns."""
    depth = {"n_layers": 1} if name == "cbramod" else {"n_layers": 12}
    options = {"epochs": 1, "freeze_encoder": True, "ema_decay": 0.9}
    run = planted_run(model={"encoder": name, "linear_axes": 0} | depth, training=options)
    outputs = {name: tmp_path / file for name, file in OUTPUTS.items()}
    train(lmdb, run=run, weights=None, code="0", state=tmp_path / "state", **outputs)
    torch.manual_seed(run.training.seed)
    start, after = build_model(LMDBReader(lmdb), run=run, weights=None), load_file(outputs["model"])
    unchanged = {key for key, value in start.state_dict().items() if torch.equal(value, after[key])}
    assert {key for key in after if key.startswith("encoder.")} <= unchanged
    assert "head.perceptron.1.weight" not in unchanged
    record = json.loads(outputs["config"].read_text())["encoder"]
    assert (record["is_frozen"], record["n_learned"]) == (True, 0)
    assert record["n_parameters"] == sum(weight.numel() for weight in start.encoder.parameters())


def test_a_frozen_encoder_that_changed_is_noticed():
    model = AlignmentModel(planted_run().model, planted_layout(), 16)
    assert frozen_weights(model) == {}
    model.encoder.freeze()
    assert not model.train().encoder.training
    before = frozen_weights(model)
    check_frozen(before, model.state_dict())
    with torch.no_grad():
        model.encoder.network.patch_embedding.mask_encoding += 1
    with pytest.raises(
        RuntimeError, match=r"1 of its 33 tensors changed .first: encoder\.network\.patch_emb"
    ):
        check_frozen(before, model.state_dict())


def test_statistics_of_a_batch_norm_are_those_of_the_averaged_model_too(lmdb, tmp_path):
    model = {"encoder": "tsconv", "pooling": "flatten", "channels": ["E1", "E3"]}
    run, folder = toy_run(**model), tmp_path / "run"
    run = run.model_copy(update={"training": run.training.model_copy(update={"ema_decay": 0.9, "epochs": 2})})
    outputs = {name: folder / file for name, file in OUTPUTS.items()}
    train(lmdb, run=run, weights=None, code="0", state=tmp_path / "state", **outputs)
    loaded = AlignmentModel.load(folder)
    assert loaded.config.channels == ["E1", "E3"]
    norm = loaded.encoder.network.temporal[2]
    best = json.loads(outputs["config"].read_text())["best_epoch"]
    assert best and norm.num_batches_tracked and not torch.equal(norm.running_mean, torch.zeros(40))


def test_a_new_encoder_trains_and_is_loaded_again(toy, tmp_path):
    run, folder, lmdb = toy_run(), tmp_path / "run", planted_lmdb(tmp_path)
    outputs = {name: folder / file for name, file in OUTPUTS.items()}
    train(lmdb, run=run, weights=None, code="0", state=tmp_path / "state", **outputs)
    config = json.loads(outputs["config"].read_text())
    assert config["model"]["encoder"] == "toy"
    assert not {"pretrained", "n_layers"} & set(config["model"])
    expected = {"n_tokens": N_CHANNELS, "token_width": WIDTH, "tensors_loaded": 0, "tensors_left_out": {}}
    expected |= {"n_parameters": 201 * WIDTH, "n_learned": 201 * WIDTH, "is_frozen": False}
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
    with pytest.raises(InputError, match=r"but model\.encoder: .*expected an encoder, one of atms, .*'toy'"):
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
        ({"model": {"encoder": "none"}}, r"model.encoder: expected an encoder, one of atms, .*got 'none'"),
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
    assert encoder_declaration("cbramod")[:3] == (CBraModEncoder.options, 200, False)
