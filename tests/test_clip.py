"""CLIP embeddings against the bare model, and wrong models and weights."""

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from PIL import Image

from brain2image.clip import embed_images
from brain2image.errors import InputError
from brain2image.pictures import Pictures

MODEL = "ViT-S-32-alt"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip") / "clip.pt"
    torch.save(open_clip.create_model(MODEL).state_dict(), path)
    return str(path)


@pytest.fixture
def images(rng):
    return [Image.fromarray(rng.integers(0, 256, (90, 60 + 20 * i, 3), np.uint8)) for i in range(5)]


def test_equals_the_model_picture_by_picture(weights, images):
    model, _, preprocess = open_clip.create_model_and_transforms(MODEL, pretrained=weights)
    with torch.inference_mode():
        slow = np.concatenate(
            [model.eval().encode_image(preprocess(image)[None]).numpy() for image in images]
        )
    embeddings = embed_images(images, model=MODEL, weights=weights, batch_size=2, n_threads=2)
    assert embeddings.shape == (5, 256)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, slow, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "weights", "message"),
    [
        ("ViT-L-41", "openai", "clip.model: expected an open_clip architecture, got 'ViT-L-41'"),
        ("ViT-L-14", "opnai", "tag of ViT-L-14 (openai, "),
        (MODEL, "nowhere/clip.pt", "got 'nowhere/clip.pt'"),
        ("ViT-L-14", "openai", "(QuickGELU); use ViT-L-14-quickgelu"),
    ],
)
def test_a_wrong_model_is_named(model, weights, message):
    with pytest.raises(InputError) as error:
        embed_images([], model=model, weights=weights, batch_size=2, n_threads=1)
    assert message in str(error.value)


def test_a_checkpoint_of_another_architecture_is_refused(weights, images):
    with pytest.raises(InputError, match=r"ViT-S-32 with weights .* cannot be loaded"):
        embed_images(images, model="ViT-S-32", weights=weights, batch_size=2, n_threads=1)


def test_an_unreadable_picture_stops_with_its_error(weights, images):
    def read(row):
        if row.number == 3:
            raise InputError("cat_01b.jpg: cannot be read")
        return images[row.number]

    pictures = Pictures(pd.DataFrame({"number": range(5)}), read)
    with pytest.raises(InputError, match=r"cat_01b\.jpg"):
        embed_images(pictures, model=MODEL, weights=weights, batch_size=1, n_threads=1)
