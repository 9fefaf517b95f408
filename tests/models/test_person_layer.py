"""What is each person's own: it starts as nothing, and nobody's rows go without it."""

import numpy as np
import pytest
import torch
from helpers.planted import planted_layout

from brain2image.models.person_layer import NOBODY, PersonLayer, find_lag, move_earlier

LAYOUT = planted_layout(5)


def layer(kind, **options):
    made = PersonLayer(kind, LAYOUT, n_people=2, **options)
    made.response.copy_(torch.randn(made.response.shape))
    made.scale.copy_(torch.tensor([2.0, 0.5]))
    return made


@pytest.fixture
def eeg():
    return torch.randn(3, 5, 200)


@pytest.mark.parametrize("kind", ["none", "scale", "spatial"])
def test_it_starts_as_a_factor(eeg, kind):
    torch.testing.assert_close(
        layer(kind)(eeg, torch.tensor([0, 1, NOBODY])), eeg * torch.tensor([2.0, 0.5, 1.0])[:, None, None]
    )


@pytest.mark.parametrize("kind", ["scale", "spatial"])
def test_each_person_learns_from_their_own_rows(eeg, kind):
    made = layer(kind)
    made(eeg, torch.tensor([1, 1, NOBODY])).square().sum().backward()
    (weights,) = made.parameters()
    assert not weights.grad[0].any()
    assert weights.grad[1].all()


def test_channels_are_mixed_as_the_matrix_says(eeg):
    made = layer("spatial")
    torch.nn.init.normal_(made.mixing)
    found = made(eeg, torch.tensor([0, 1, 0]))
    expected = (torch.eye(5) + made.mixing[1]) @ (0.5 * eeg[1])
    torch.testing.assert_close(found[1], expected)


def test_means_are_subtracted_before(eeg):
    made = layer("none")
    found = made.centre(eeg, torch.tensor([0, 1, NOBODY]))
    torch.testing.assert_close(found[1], eeg[1] - made.response[1])
    torch.testing.assert_close(found[2], eeg[2] - made.response.mean(dim=0))
    torch.testing.assert_close(made.centre(eeg, None)[0], eeg[0] - made.response.mean(dim=0))


def test_a_calibrated_layer_rotates_what_is_left(eeg):
    made = layer("none", rotates=True)
    turn = torch.linalg.qr(torch.randn(5, 5))[0]
    made.rotation[0], made.common[:] = turn, 3.0
    found = made.centre(eeg, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(found[0], turn @ (eeg[0] - made.response[0]) + 3)


def test_a_calibrated_layer_moves_each_person_by_their_lag(eeg):
    made = layer("none", rotates=True)
    made.lag[:] = torch.tensor([3, -2])
    found = made.centre(eeg, torch.tensor([0, 1, 0]))
    left = eeg - made.response[[0, 1, 0]]
    torch.testing.assert_close(found[0, :, :-3], left[0, :, 3:])
    torch.testing.assert_close(found[0, :, -3:], left[0, :, -1:].expand(-1, 3))
    torch.testing.assert_close(found[1], torch.from_numpy(move_earlier(left[1].numpy(), -2)))


@pytest.mark.parametrize("lag", [-6, -1, 0, 4])
def test_the_lag_of_a_response_is_found_in_noise(rng, lag):
    response = np.cumsum(rng.standard_normal((5, 200)), axis=1)
    response -= response.mean(axis=1, keepdims=True)
    late = move_earlier(response, -lag) + rng.standard_normal(response.shape)
    assert find_lag(late, response, sfreq=200.0) == lag


def test_responses_that_are_unlike_have_no_lag(rng):
    response, other = rng.standard_normal((2, 5, 200))
    assert find_lag(other, response, sfreq=200.0) == 0
    assert find_lag(0 * response + 0.1, response, sfreq=200.0) == 0
    assert find_lag(response, 0 * response + 0.1, sfreq=200.0) == 0
