"""The first steps of training at the real size: no term of the loss is inert, and none of them explodes."""

import pytest
import torch
from helpers.planted import planted_layout
from torch import nn

from brain2image.config import RunConfig
from brain2image.models.alignment import AlignmentModel
from brain2image.models.losses import AlignmentLoss
from brain2image.models.pooling import POOLING_HEADS
from brain2image.training.task import parameter_groups, rate_factor

N_TRIALS, N_CHANNELS, N_FEATURES, N_CLUSTERS, N_STEPS = 16, 2, 4096, 5, 8


@pytest.fixture(scope="module", params=POOLING_HEADS)
def run_and_model(request):
    """All of CBraMod's 12 layers and 4096 features, random weights; few electrodes, to be quick."""
    torch.manual_seed(0)
    run = RunConfig(model={"pooling": request.param})
    return run, AlignmentModel(run.model, planted_layout(N_CHANNELS), N_FEATURES)


def _batch():
    """EEG that is smooth in time, in CBraMod's range, and targets of 20 dimensions, one picture a trial."""
    eeg = torch.randn(N_TRIALS, N_CHANNELS, 200).cumsum(dim=2)
    targets = torch.randn(N_TRIALS, 20) @ torch.randn(20, N_FEATURES) / 20**0.5
    images = torch.arange(N_TRIALS)
    return 0.2 * eeg / eeg.std(), targets, images, images % N_CLUSTERS


@pytest.mark.slow
def test_no_term_is_inert_at_the_start(run_and_model):
    """With the default scales each term gives at least 5 % of the summed gradient norms."""
    run, model = run_and_model
    eeg, *truth = _batch()
    terms = AlignmentLoss(run.loss, N_CLUSTERS)(model.eval()(eeg), *truth)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    norms = {}
    for name in ("mse", "info_nce", "prototype"):
        scaled = getattr(run.loss, name) * terms[name]
        gradients = torch.autograd.grad(scaled, weights, retain_graph=True)
        norms[name] = nn.utils.get_total_norm(gradients).item()
    assert min(norms.values()) >= 0.05 * sum(norms.values()), norms


@pytest.mark.slow
def test_the_first_steps_stay_near_the_loss_of_zeros(run_and_model):
    """At the default rates, after a warm-up of one step only: the loss never passes that of zeros by 15 %."""
    run, model = run_and_model
    loss = AlignmentLoss(run.loss, N_CLUSTERS)
    optimizer = torch.optim.AdamW(parameter_groups(model, loss, run), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, 2 * N_STEPS))
    model.train()
    for _ in range(N_STEPS):
        eeg, *truth = _batch()
        terms, zeros = loss(model(eeg), *truth), loss(torch.zeros(N_TRIALS, N_FEATURES), *truth)
        assert terms["loss"].item() < 1.15 * zeros["loss"].item()
        optimizer.zero_grad()
        terms["loss"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), run.training.gradient_clip)
        optimizer.step()
        schedule.step()
