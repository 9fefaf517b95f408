"""The alignment: attention identities, units, and no way for the target into a prediction."""

import numpy as np
import pytest
import torch
from helpers.planted import planted_layout
from safetensors.torch import save_file
from torch import nn

from brain2image.config import ModelConfig
from brain2image.core.errors import InputError
from brain2image.formats.files import write_json
from brain2image.models.alignment import AlignmentModel
from brain2image.models.attention import AlignmentModule

N_CHANNELS, N_FEATURES = 6, 16


def _model(**options):
    torch.manual_seed(0)
    block = ModelConfig(**({"n_layers": 1, "hidden_size": 32, "n_tokens": 3} | options))
    model = AlignmentModel(block, planted_layout(N_CHANNELS), N_FEATURES).eval()
    model.eeg_scale.fill_(0.01)
    model.target_mean.copy_(torch.linspace(-5, 5, N_FEATURES))
    model.target_scale.fill_(3.0)
    return model


def _reference(module):
    """nn.MultiheadAttention with the same weights; with one token, any query and key weights."""
    reference = nn.MultiheadAttention(N_FEATURES, module.n_heads, batch_first=True)
    with torch.no_grad():
        for part, name in enumerate(("query", "key", "value")):
            if hasattr(module, name):
                rows = slice(part * N_FEATURES, (part + 1) * N_FEATURES)
                reference.in_proj_weight[rows] = getattr(module, name).weight
                reference.in_proj_bias[rows] = getattr(module, name).bias
    reference.out_proj.load_state_dict(module.output.state_dict())
    return reference


@pytest.mark.parametrize("n_tokens", [1, 5])
def test_module_is_multihead_attention(n_tokens):
    module = AlignmentModule(N_FEATURES, n_heads=4, n_tokens=n_tokens, dropout=0.1).eval()
    query, tokens = torch.randn(7, 1, N_FEATURES), torch.randn(7, n_tokens, N_FEATURES)
    expected, _ = _reference(module)(query, tokens, tokens)
    torch.testing.assert_close(module(query, tokens), expected)


def test_one_token_drops_heads_as_multihead_attention_does():
    module = AlignmentModule(N_FEATURES, n_heads=4, n_tokens=1, dropout=0.3).train()
    reference = _reference(module).train()
    reference.dropout = 0.3
    tokens = torch.randn(1, 1, N_FEATURES).expand(20_000, -1, -1)
    ours, expected = module(tokens, tokens), reference(tokens, tokens, tokens)[0]
    scale = expected.std(dim=0).max().item()
    torch.testing.assert_close(ours.mean(dim=0), expected.mean(dim=0), rtol=0, atol=0.05 * scale)
    torch.testing.assert_close(ours.std(dim=0), expected.std(dim=0), rtol=0, atol=0.05 * scale)


@pytest.mark.parametrize("training", [False, True])
def test_one_token_never_sees_the_query(training):
    """Not in training either, dropout and gradients included; in multi-head attention it moves nothing."""
    module = AlignmentModule(N_FEATURES, n_heads=4, n_tokens=1, dropout=0.3).train(training)
    tokens, query = torch.randn(7, 1, N_FEATURES), torch.randn(7, 1, N_FEATURES, requires_grad=True)
    outputs = []
    for one in (query, 100 * torch.randn(7, 1, N_FEATURES), torch.full((7, 1, N_FEATURES), torch.nan)):
        torch.manual_seed(0)
        outputs.append(module(one, tokens))
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    assert torch.autograd.grad(outputs[0].sum(), query, allow_unused=True) == (None,)
    reference = _reference(module).train(training)
    reference(query, tokens, tokens)[0].square().sum().backward()
    assert not reference.in_proj_weight.grad[: 2 * N_FEATURES].any()  # the published query and key: dead


def test_several_tokens_drop_as_multihead_attention_does():
    module = AlignmentModule(N_FEATURES, n_heads=4, n_tokens=3, dropout=0.3).train()
    reference = _reference(module).train()
    reference.dropout = 0.3
    query = torch.randn(1, 1, N_FEATURES).expand(20_000, -1, -1)
    tokens = torch.randn(1, 3, N_FEATURES).expand(20_000, -1, -1)
    ours, expected = module(query, tokens), reference(query, tokens, tokens)[0]
    scale = expected.std(dim=0).max().item()
    torch.testing.assert_close(ours.mean(dim=0), expected.mean(dim=0), rtol=0, atol=0.05 * scale)
    torch.testing.assert_close(ours.std(dim=0), expected.std(dim=0), rtol=0, atol=0.05 * scale)


@pytest.mark.slow
def test_query_effect_is_the_relative_move_of_the_output():
    eeg, targets = 20 * torch.randn(300, N_CHANNELS, 200), 4 * torch.randn(300, N_FEATURES)
    assert _model().query_effect(eeg, targets) == 0
    model = _model(alignment="multi_token")
    with torch.no_grad():
        mean, own = model(eeg), model(eeg, query=(targets - model.target_mean) / 3)
    expected = ((own - mean).square().mean() / mean.square().mean()).sqrt().item()
    assert model.train().query_effect(eeg, targets) == pytest.approx(expected, rel=1e-4)
    assert model.training
    assert expected > 1e-3
    mean_only = model.target_mean.expand(300, -1)
    assert model.query_effect(eeg, mean_only) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("scale", ["common", "per_feature"])
def test_targets_are_standardised_by_their_training_statistics(scale):
    rng = np.random.default_rng(0)
    spread = np.linspace(1, 9, N_FEATURES)
    spread[0] = 0  # a feature that never varies
    targets = (5 + spread * rng.standard_normal((400, N_FEATURES))).astype(np.float32)
    model = _model()
    model.fit_targets(targets, scale=scale)
    standardised = model.standardise(torch.from_numpy(targets)).numpy()
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=1e-5)
    assert np.isfinite(standardised).all()
    if scale == "common":
        assert standardised.std() == pytest.approx(1, rel=1e-4)
        assert len(np.unique(model.target_scale)) == 1
    else:
        np.testing.assert_allclose(standardised[:, 1:].std(axis=0), 1, rtol=1e-4)
        common = (targets - targets.mean(axis=0)).std()
        assert model.target_scale[0].item() == pytest.approx(common / 100, rel=1e-4)


def test_targets_that_are_all_the_same():
    with pytest.raises(InputError, match="expected fMRI embeddings that differ"):
        _model().fit_targets(np.ones((4, N_FEATURES), np.float32), scale="common")


def test_one_token_has_no_query_and_no_idle_parameters():
    model = _model()
    assert not any("query" in name or "key" in name for name, _ in model.alignment.named_parameters())
    model(torch.randn(3, N_CHANNELS, 200)).square().sum().backward()
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert idle == {"encoder.network.patch_embedding.mask_encoding"}


@pytest.mark.parametrize("alignment", ["single_token", "multi_token"])
def test_the_query_matters_with_several_tokens_only(alignment):
    model = _model(alignment=alignment)
    eeg = 20 * torch.randn(4, N_CHANNELS, 200)
    with torch.no_grad():
        embeddings, queried = model(eeg), model(eeg, query=10 * torch.randn(4, N_FEATURES))
        constant = model(eeg, query=torch.zeros(4, N_FEATURES))
    assert torch.equal(embeddings, constant)
    assert torch.equal(embeddings, queried) == (alignment == "single_token")


def test_predict_is_forward_in_embedding_units():
    model = _model()
    eeg = (20 * np.random.default_rng(0).standard_normal((300, N_CHANNELS, 200))).astype(np.float32)
    model.train()  # predictions have no dropout even then
    predictions = model.predict(eeg)
    assert model.training
    with torch.no_grad():
        embeddings = model.eval()(torch.from_numpy(eeg))
    torch.testing.assert_close(predictions, embeddings * 3 + model.target_mean, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.predict(torch.from_numpy(eeg)), predictions)
    torch.testing.assert_close(model.standardise(predictions), embeddings, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "fill", "reason"),
    [
        ((2, N_CHANNELS + 1, 200), 0.0, r"expected EEG of shape \(n_trials, 6, 200\), got \(2, 7, 200\)"),
        ((2, N_CHANNELS, 250), 0.0, r"got \(2, 6, 250\)"),
        ((N_CHANNELS, 200), 0.0, r"got \(6, 200\)"),
        ((2, N_CHANNELS, 200), np.nan, "expected finite EEG"),
    ],
)
def test_predict_refuses(shape, fill, reason):
    with pytest.raises(InputError, match=reason):
        _model().predict(np.full(shape, fill))


def _save(model, folder, **options):
    block = {"n_layers": 1, "hidden_size": 32, "n_tokens": 3} | options
    eeg = model.layout._asdict()
    folder.mkdir()
    write_json(folder / "config.json", {"model": block, "eeg": eeg, "n_features": N_FEATURES})
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


def test_load_gives_the_same_predictions(tmp_path):
    model = _model()
    loaded = AlignmentModel.load(_save(model, tmp_path / "run"))
    eeg = 20 * torch.randn(3, N_CHANNELS, 200)
    assert not loaded.training
    assert torch.equal(loaded.predict(eeg), model.predict(eeg))


def test_load_refuses_damage(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        AlignmentModel.load(tmp_path)
    run = _save(_model(), tmp_path / "run")
    (run / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(InputError, match="train it again"):
        AlignmentModel.load(run)
    # weights of one head must not be taken for another's
    other = _save(_model(), tmp_path / "other", pooling="flatten")
    with pytest.raises(InputError, match="train it again"):
        AlignmentModel.load(other)


def test_heads_must_divide_the_embedding():
    with pytest.raises(InputError, match="divisor of 16, the embedding's width, got 5"):
        _model(n_heads=5)


def _path_alone(**options):
    """A model without encoder and head, whose linear path says something."""
    torch.manual_seed(0)
    block = ModelConfig(pooling="none", linear_axes=3, hidden_size=32, **options)
    model = AlignmentModel(block, planted_layout(N_CHANNELS), N_FEATURES).eval()
    for values in (model.linear_path.weight, model.linear_path.axes):
        values.copy_(torch.randn_like(values))
    model.target_mean.copy_(torch.linspace(-5, 5, N_FEATURES))
    return model


def test_without_pooling_the_linear_path_is_all():
    model = _path_alone()
    assert model.encoder is None
    assert model.network_share == 0
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"linear_path"}
    eeg, query = 20 * torch.randn(4, N_CHANNELS, 200), torch.randn(4, N_FEATURES)
    with torch.no_grad():
        expected = model.linear_path(eeg)
        assert torch.equal(model(eeg), expected)
        assert torch.equal(model(eeg, query=query), expected)
        assert torch.equal(model(eeg, path=query), query)
    torch.testing.assert_close(model.predict(eeg), expected + model.target_mean)
    assert model.query_effect(eeg, query) == 0


@pytest.mark.parametrize(
    "options", [{"encoder": "cbramod", "n_heads": 7}, {"alignment": "multi_token"}, {"pretrained": True}]
)
def test_without_pooling_the_networks_options_have_no_effect(options):
    assert str(_path_alone(**options)) == str(_path_alone())
    unused = {"pretrained", "n_layers", "n_tokens", "pooling_layers", "n_heads", "alignment"}
    assert not unused & set(ModelConfig(pooling="none", **options).model_dump())


def test_without_pooling_and_without_linear_path_nothing_is_left():
    with pytest.raises(ValueError, match="linear_axes must be above 0"):
        ModelConfig(pooling="none", linear_axes=0)


def test_a_path_alone_is_loaded_again(tmp_path):
    model = _path_alone()
    run = _save(model, tmp_path / "run", pooling="none", linear_axes=3)
    eeg = 20 * torch.randn(3, N_CHANNELS, 200)
    assert torch.equal(AlignmentModel.load(run).predict(eeg), model.predict(eeg))
    other = _save(_model(), tmp_path / "other", pooling="none")
    with pytest.raises(InputError, match="train it again"):
        AlignmentModel.load(other)
