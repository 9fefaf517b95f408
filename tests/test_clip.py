"""CLIP embeddings against the bare model, and wrong models and weights."""

import logging
from types import SimpleNamespace

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from PIL import Image

from brain2image.clip import embed_images, encode_batches, pretrained_sources
from brain2image.errors import InputError
from brain2image.matching import unit_rows
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


def test_short_numbers_point_the_same_way(weights, images):
    """bf16 on the CPU; what it does to real pairs stands in docs/scale.md."""
    options = {"model": MODEL, "weights": weights, "batch_size": 5, "n_threads": 1}
    full, short, auto = (
        embed_images(images, precision=precision, **options) for precision in ("fp32", "bf16", "auto")
    )
    assert (unit_rows(full) * unit_rows(short)).sum(axis=1).min() > 0.999
    assert abs(full - short).max() > 0
    np.testing.assert_array_equal(auto, full)


def test_a_batch_that_does_not_fit_is_halved(caplog):
    """And so are those after it; one picture that does not fit is an error."""
    sizes, n_fitting = [], 3

    def encode_image(pixels):
        sizes.append(len(pixels))
        if len(pixels) > n_fitting:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return pixels.mean(dim=(2, 3))

    network = SimpleNamespace(encode_image=encode_image)
    batches = [torch.full((n, 2, 2, 3), 10 * n, dtype=torch.uint8) for n in (8, 8, 3)]
    options = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3, "device": "cpu", "precision": "fp32"}
    with caplog.at_level(logging.INFO):
        features = torch.cat(encode_batches(network, batches, **options))
    assert sizes == [8, 4, *[2] * 8, 2, 1]
    torch.testing.assert_close(features[:, 0], torch.tensor([80.0] * 16 + [30.0] * 3))
    assert caplog.text.count("memory is too small for the batch: taking") == 2
    n_fitting = 0
    with pytest.raises(InputError, match="memory is too small for a forward pass of one picture; free it"):
        encode_batches(network, batches, **options)


def test_pictures_are_prepared_as_the_tag_wants_it(weights, images, monkeypatch):
    settings = {
        "file": weights,  # open_clip itself reads the weights from here
        "mean": (0.5, 0.4, 0.3),
        "std": (0.2, 0.3, 0.4),
        "interpolation": "bilinear",
        "resize_mode": "squash",
    }
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, MODEL, {"tiny": settings})
    model, _, preprocess = open_clip.create_model_and_transforms(MODEL, pretrained="tiny")
    with torch.inference_mode():
        slow = model.eval().encode_image(torch.stack([preprocess(image) for image in images])).numpy()
    options = {"model": MODEL, "weights": weights, "batch_size": 2, "n_threads": 2}
    np.testing.assert_allclose(embed_images(images, tag="tiny", **options), slow, atol=1e-5)
    assert abs(embed_images(images, **options) - slow).max() > 1e-2


@pytest.mark.parametrize(
    ("model", "tag", "sources"),
    [
        (
            "ViT-L-14-quickgelu",
            "openai",
            [
                "hf://timm/vit_large_patch14_clip_224.openai/open_clip_model.safetensors",
                "hf://timm/vit_large_patch14_clip_224.openai/open_clip_pytorch_model.bin",
            ],
        ),
        (
            "ViTamin-S",
            "datacomp1b",
            [
                "hf://jienengchen/ViTamin-S/pytorch_model.safetensors",
                "hf://jienengchen/ViTamin-S/pytorch_model.bin",
            ],
        ),
    ],
)
def test_a_tag_is_looked_for_where_open_clip_has_it(model, tag, sources):
    assert pretrained_sources(model, tag) == sources


@pytest.mark.parametrize(
    ("model", "tag", "message"),
    [
        ("ViT-L-41", "openai", "clip.model: expected an open_clip architecture, got 'ViT-L-41'"),
        ("ViT-L-14", "opnai", "tag of ViT-L-14 (openai, "),
        (MODEL, "openai", "tag of ViT-S-32-alt (it has none), got 'openai'"),
        ("ViT-L-14", "openai", "(QuickGELU); use ViT-L-14-quickgelu"),
    ],
)
def test_a_wrong_model_is_named(model, tag, message):
    with pytest.raises(InputError) as error:
        pretrained_sources(model, tag)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("model", "message"), [("ViT-L-41", "got 'ViT-L-41'"), ("ViT-L-14", "use ViT-L-14-quickgelu")]
)
def test_a_wrong_model_of_a_downloaded_file_is_named(weights, model, message):
    with pytest.raises(InputError, match=message):
        embed_images([], model=model, weights=weights, tag="openai", batch_size=2, n_threads=1)


def test_an_unreadable_picture_stops_with_its_error(weights, images):
    def read(row):
        if row.number == 3:
            raise InputError("cat_01b.jpg: cannot be read")
        return images[row.number]

    pictures = Pictures(pd.DataFrame({"number": range(5)}), read)
    with pytest.raises(InputError, match=r"cat_01b\.jpg"):
        embed_images(pictures, model=MODEL, weights=weights, batch_size=1, n_threads=1)
