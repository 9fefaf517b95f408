"""Files of published weights: both formats are read; what is missing or of another shape is named."""

import re

import pytest
import torch
from safetensors.torch import save_file

from brain2image.core.errors import InputError
from brain2image.models.encoders.cbramod import CBraMod
from brain2image.models.published_check import describe_published
from brain2image.models.published_weights import check_weights, read_weights

WEIGHTS = {"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(2)}
ORIGIN = {"model": "Net", "remedy": "fetch them"}
PUBLISHED = {name: value.shape for name, value in WEIGHTS.items()}


@pytest.mark.parametrize("write", [torch.save, save_file])
def test_both_formats_are_read(tmp_path, write):
    write(WEIGHTS, tmp_path / "weights")
    read = read_weights(tmp_path / "weights", **ORIGIN)
    assert read.keys() == WEIGHTS.keys()
    assert all(torch.equal(value, WEIGHTS[name]) for name, value in read.items())


def test_the_message_names_model_and_remedy(tmp_path):
    save_file(WEIGHTS, tmp_path / "weights")
    (tmp_path / "weights").write_bytes((tmp_path / "weights").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"expected Net's weights, but they cannot be read .*; fetch them"):
        read_weights(tmp_path / "weights", **ORIGIN)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"layer.bias": torch.zeros(2)}, r"got 1 of which 0 are unknown and 1 missing .*layer\.weight"),
        (WEIGHTS | {"other": torch.ones(1)}, r"got 3 of which 1 are unknown and 0 missing .*other"),
        (WEIGHTS | {"layer.bias": torch.zeros(3)}, r"layer\.bias of shape \(2,\), got \(3,\)"),
        (WEIGHTS | {"layer.bias": torch.tensor([0, torch.nan])}, "expected finite"),
    ],
)
def test_other_weights_are_refused(weights, message):
    check_weights(WEIGHTS, PUBLISHED, source="x", **ORIGIN)
    with pytest.raises(InputError, match=message):
        check_weights(weights, PUBLISHED, source="x", **ORIGIN)


def test_an_encoder_says_what_it_makes_of_a_file(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(CBraMod().state_dict(), file)
    block = {"encoder": "cbramod", "n_layers": 1}
    text = describe_published(str(file), model=block, channels=["Oz", "POz"])
    assert re.fullmatch(
        r"\d+ tensors; left out 2: the reconstruction .*; left out \d+: layers after .*", text
    )
    torch.save({"a": torch.ones(1)}, file)
    with pytest.raises(InputError, match=r"expected CBraMod's 211 keys, got 1 of which 1 are unknown"):
        describe_published(str(file), model=block, channels=["Oz"])
