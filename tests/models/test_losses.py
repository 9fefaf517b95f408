"""Every loss term against the textbook, and their sum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from brain2image.config import LossConfig
from brain2image.models.losses import AlignmentLoss, info_nce, mse, prototype_distillation
from brain2image.training.judging import top1


def _unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _slow_info_nce(predictions, targets, images, temperature, weights=None):
    """From predictions to targets, and the other way."""
    similarity = _unit(predictions) @ _unit(targets).T / temperature
    weights = np.ones(len(images)) if weights is None else weights
    losses = []
    for i, weight in enumerate(weights):
        candidates = [i] + [j for j in range(len(images)) if images[j] != images[i]]
        own = -log_softmax(similarity[i, candidates])[0], -log_softmax(similarity[candidates, i])[0]
        losses.append(weight * np.array(own))
    return np.mean(losses, axis=0)


def _slow_prototypes(predictions, targets, clusters, temperature, weights=1.0):
    x, y, present = _unit(predictions), _unit(targets), sorted(set(clusters))
    student, teacher = (
        _unit(np.stack([rows[clusters == k].mean(axis=0) for k in present])) for rows in (x, y)
    )
    p, q = softmax(y @ teacher.T / temperature, axis=1), softmax(x @ student.T / temperature, axis=1)
    return np.mean(weights * np.sum(p * (np.log(p) - np.log(q)), axis=1))


def _batch(seed, n_trials=12, n_features=7):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((2, n_trials, n_features))
    images, clusters = rng.integers(0, 5, n_trials), rng.integers(0, 3, n_trials)
    return (*rows, images, clusters)


def _float_batch(seed):
    return [
        part.float() if part.is_floating_point() else part for part in map(torch.from_numpy, _batch(seed))
    ]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), temperature=st.sampled_from([0.07, 0.5, 1.0]))
def test_against_the_textbook(seed, temperature):
    arrays = _batch(seed)
    predictions, targets, images, clusters = map(torch.from_numpy, arrays)
    options = {"temperature": temperature}
    assert mse(predictions, targets).item() == pytest.approx(np.mean((arrays[0] - arrays[1]) ** 2))
    expected = _slow_info_nce(*arrays[:3], temperature)
    both = info_nce(predictions, targets, images, **options)
    assert both.item() == pytest.approx(expected.mean(), rel=1e-9)
    one = info_nce(predictions, targets, images, **options, symmetric=False)
    assert one.item() == pytest.approx(expected[0], rel=1e-9)
    expected = _slow_prototypes(arrays[0], arrays[1], arrays[3], temperature)
    got = prototype_distillation(predictions, targets, clusters, n_clusters=3, **options).item()
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_rows_count_by_their_weight(seed):
    """A row of weight 0 counts in no term; it stays a negative of others and a member of its prototype."""
    arrays = _batch(seed)
    weights = np.random.default_rng(seed).uniform(0.1, 3, 12)
    weights[[2, 5]] = 0
    weights *= 12 / weights.sum()
    predictions, targets, images, clusters = map(torch.from_numpy, arrays)
    own = torch.from_numpy(weights)
    expected = np.mean(weights * np.mean((arrays[0] - arrays[1]) ** 2, axis=1))
    assert mse(predictions, targets, own).item() == pytest.approx(expected)
    one_way = _slow_info_nce(*arrays[:3], 0.2, weights)
    both = info_nce(predictions, targets, images, own, temperature=0.2)
    assert both.item() == pytest.approx(one_way.mean(), rel=1e-9)
    one = info_nce(predictions, targets, images, own, temperature=0.2, symmetric=False)
    assert one.item() == pytest.approx(one_way[0], rel=1e-9)
    options = {"n_clusters": 3, "temperature": 0.2}
    got = prototype_distillation(predictions, targets, clusters, own, **options).item()
    assert got == pytest.approx(_slow_prototypes(*arrays[:2], arrays[3], 0.2, weights), rel=1e-9)


def test_weights_of_one_change_nothing():
    batch, loss = _float_batch(5), AlignmentLoss(LossConfig(), 3)
    expected, terms = loss(*batch), loss(*batch, torch.ones(12))
    assert set(terms) == set(expected)
    for name, term in terms.items():
        torch.testing.assert_close(term, expected[name])


def test_a_row_of_weight_zero_has_no_error_of_its_own():
    predictions, targets, images, clusters = _float_batch(6)
    weights = torch.ones(12).index_fill(0, torch.tensor([4]), 0.0)
    moved = predictions.index_fill(0, torch.tensor([4]), 9.0)
    loss = AlignmentLoss(LossConfig(info_nce=0, prototype=0), 3)
    terms = [loss(rows, targets, images, clusters, weights)["loss"] for rows in (predictions, moved)]
    assert torch.equal(*terms)
    # one way, it is no negative either, as only targets are
    loss = AlignmentLoss(LossConfig(mse=0, prototype=0, symmetric=False), 3)
    terms = [loss(rows, targets, images, clusters, weights)["loss"] for rows in (predictions, moved)]
    assert torch.equal(*terms)
    assert not torch.equal(*(loss(rows, targets, images, clusters)["loss"] for rows in (predictions, moved)))


def test_rows_of_nearly_one_target_are_no_negatives_where_asked():
    predictions, targets, images, _ = map(torch.from_numpy, _batch(7))
    images, targets = torch.arange(12), targets.clone()
    targets[3], targets[8] = 2 * targets[1], targets[1] + 1e-3
    renamed = images.clone()
    renamed[[3, 8]] = 1
    options = {"temperature": 0.1}
    expected = info_nce(predictions, targets, renamed, **options)
    found = info_nce(predictions, targets, images, duplicate_cosine=0.999, **options)
    torch.testing.assert_close(found, expected)
    alone = info_nce(predictions, targets, duplicate_cosine=0.999, **options)
    torch.testing.assert_close(alone, expected)
    assert not torch.isclose(info_nce(predictions, targets, images, **options), expected)


def test_the_sum_passes_the_cosine_of_duplicates_on():
    predictions, targets, images, clusters = _float_batch(7)
    targets[3], images = targets[1], torch.arange(12)
    config = LossConfig(mse=0, prototype=0, duplicate_cosine=0.99)
    terms = AlignmentLoss(config, 3)(predictions, targets, images, clusters)
    options = {"temperature": config.temperature, "symmetric": config.symmetric}
    found = info_nce(predictions, targets, images, duplicate_cosine=0.99, **options)
    torch.testing.assert_close(terms["loss"], config.info_nce * found)
    assert not torch.isclose(found, info_nce(predictions, targets, images, **options))


def test_info_nce_without_images_has_every_other_row_as_negative():
    predictions, targets, _, _ = map(torch.from_numpy, _batch(0))
    all_differ = info_nce(predictions, targets, torch.arange(12), temperature=0.1)
    assert torch.equal(info_nce(predictions, targets, temperature=0.1), all_differ)


def test_same_picture_is_no_negative():
    target = torch.randn(1, 7).expand(4, -1)
    same = info_nce(target, target, torch.zeros(4, dtype=torch.long), temperature=0.07)
    assert same.item() == 0
    assert info_nce(target, target, torch.arange(4), temperature=0.07).item() == pytest.approx(np.log(4))


def test_prototypes_of_a_perfect_prediction_and_of_one_cluster():
    predictions, targets, _, clusters = map(torch.from_numpy, _batch(1))
    perfect = prototype_distillation(3 * targets, targets, clusters, n_clusters=3, temperature=0.1)
    assert perfect.item() == pytest.approx(0, abs=1e-12)
    predictions.requires_grad_()
    same = torch.zeros(12, dtype=torch.long)
    one = prototype_distillation(predictions, targets, same, n_clusters=3, temperature=0.1)
    one.backward()
    assert one.item() == 0
    assert not predictions.grad.any()


def test_absent_clusters_do_not_count():
    """Neither in the loss nor in its gradient."""
    predictions, targets, _, clusters = map(torch.from_numpy, _batch(2))
    predictions.requires_grad_()
    renamed = torch.tensor([0, 40, 7])[clusters]
    expected = prototype_distillation(predictions, targets, clusters, n_clusters=3, temperature=0.1)
    got = prototype_distillation(predictions, targets, renamed, n_clusters=41, temperature=0.1)
    torch.testing.assert_close(got, expected)
    gradients = [torch.autograd.grad(loss, predictions)[0] for loss in (got, expected)]
    torch.testing.assert_close(*gradients)


def test_the_sum_has_the_scales():
    batch = _float_batch(3)
    config = LossConfig(mse=2.0, info_nce=0.5, prototype=3.0, temperature=0.2, symmetric=False)
    terms = AlignmentLoss(config, 3)(*batch)
    info = info_nce(*batch[:3], temperature=0.2, symmetric=False)
    prototype = prototype_distillation(*batch[:2], batch[3], n_clusters=3, temperature=0.2)
    torch.testing.assert_close(terms["info_nce"], info)
    torch.testing.assert_close(terms["prototype"], prototype)
    torch.testing.assert_close(terms["loss"], 2 * mse(*batch[:2]) + 0.5 * info + 3 * prototype)


def test_autocast_changes_nothing():
    batch, loss = _float_batch(3), AlignmentLoss(LossConfig(), 3)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(*batch)
    outside = loss(*batch)
    assert all(torch.equal(inside[name], outside[name]) for name in outside)


def test_terms_that_are_off_are_not_computed():
    terms = AlignmentLoss(LossConfig(mse=2.0, info_nce=0, prototype=0), 3)(*_float_batch(3))
    assert set(terms) == {"loss", "mse"}
    assert terms["loss"].item() == pytest.approx(2 * terms["mse"].item())


def test_a_fixed_temperature_is_no_parameter():
    loss = AlignmentLoss(LossConfig(), 3)
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_the_temperature_is_learned_from_info_nce_alone():
    batch = _float_batch(4)
    loss = AlignmentLoss(LossConfig(mse=0, info_nce=2.0, temperature=0.1, learnable_temperature=True), 3)
    terms = loss(*batch)
    assert terms["temperature"].item() == pytest.approx(0.1)
    terms["loss"].backward()
    step = 1e-3
    up, down = (2 * info_nce(*batch[:3], temperature=0.1 * np.exp(sign * step)) for sign in (1, -1))
    assert loss.log_temperature.grad.item() == pytest.approx((up - down).item() / (2 * step), rel=0.02)
    expected = prototype_distillation(*batch[:2], batch[3], n_clusters=3, temperature=0.1)
    torch.testing.assert_close(terms["prototype"], expected)


@pytest.mark.parametrize(("push", "expected"), [(-9.0, 0.01), (0.0, 0.07), (9.0, 1.0)])
def test_a_learned_temperature_stays_in_its_range_and_comes_back(push, expected):
    loss = AlignmentLoss(LossConfig(temperature=0.07, learnable_temperature=True), 3)
    loss.log_temperature.data += push
    temperature = loss.temperature()
    assert temperature.item() == pytest.approx(expected)
    temperature.backward()
    assert loss.log_temperature.grad.item() > 0  # not stuck at the limit


def test_top1_counts_ties_as_misses():
    targets = torch.eye(4)
    assert top1(targets, targets) == 1
    assert top1(torch.ones(4, 4), targets) == 0
    assert top1(targets[[0, 2, 1, 3]], targets) == 0.5
