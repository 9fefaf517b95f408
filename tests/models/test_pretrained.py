"""Files of CBraMod's weights: the classifier is left out; what is missing or of another shape is named."""

import pytest
import torch
from safetensors.torch import save_file

from brain2image.core.errors import InputError
from brain2image.models.encoders.pretrained import check_weights, read_weights

WEIGHTS = {"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(2)}
PUBLISHED = {name: value.shape for name, value in WEIGHTS.items()}


@pytest.mark.parametrize("write", [torch.save, save_file])
def test_the_classifier_is_left_out(tmp_path, write):
    write(WEIGHTS | {"final_layer.weight": torch.ones(1)}, tmp_path / "weights")
    assert read_weights(tmp_path / "weights").keys() == WEIGHTS.keys()


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
    check_weights(WEIGHTS, PUBLISHED, source="x")
    with pytest.raises(InputError, match=message):
        check_weights(weights, PUBLISHED, source="x")
