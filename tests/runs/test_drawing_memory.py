"""The unCLIP of published size draws four pictures within a common card's memory, on a pretended GPU.

Storages are counted as they come and go. Attention is taken apart there, so that it needs more than on a real
GPU; what kernels need for themselves, and what lies between blocks of memory, is not counted.
"""

import contextlib
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from brain2image.decoding import unclip
from brain2image.decoding.unclip_drawing import WORKING
from brain2image.decoding.unclip_network import Unclip, UnclipSizes, unet_matrices

Held = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/held_memory.py"))["Held"]
DEVICE = "cuda:0"
PUBLISHED = UnclipSizes((320, 640, 1280), (0, 2, 10), 1664, 1024, (128, 256, 512, 512))
N_TOKENS = 256


def test_four_pictures_take_less_than_is_asked_for(monkeypatch):
    pytest.importorskip("diffusers", reason="diffusers is not installed, of which the networks are built")
    monkeypatch.setattr(unclip, "compute_device", lambda: DEVICE)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(nn.Module, "to", lambda module, _: module)  # which lies there already
    monkeypatch.setattr(FakeTensor, "numpy", lambda tensor: np.zeros(tensor.shape, np.uint8))
    with torch.device("meta"):
        network = Unclip(PUBLISHED).eval().requires_grad_(False)
    halves = unet_matrices(network)
    with FakeTensorMode(allow_non_fake_inputs=True), Held("cuda") as held:
        types = {key: torch.float16 if key in halves else torch.float32 for key in network.state_dict()}
        state = {
            key: torch.empty(tensor.shape, dtype=types[key], device=DEVICE)
            for key, tensor in network.state_dict().items()
        }
        network.load_state_dict(state, assign=True)
        weights = held.now
        tokens = np.zeros((unclip.BLOCK_TRIALS, N_TOKENS, PUBLISHED.token_width), np.float32)
        (pictures,) = unclip.sample_pictures(network, tokens, seed=0, steps=1)
    assert pictures.shape == (unclip.BLOCK_TRIALS, 1, unclip.SIDE, unclip.SIDE, 3)
    assert weights == pytest.approx(5.2e9, rel=0.01)
    print(f"weights {weights / 1e9:.2f} GB, at most {held.peak / 1e9:.2f} GB")
    assert weights + 2e9 < held.peak < weights + WORKING < 24e9
