"""Tokens of pictures are those of open_clip on pale pictures, of tested pictures and of free ones."""

from types import SimpleNamespace

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from open_clip.transformer import VisionTransformer
from PIL import Image

from brain2image.core.errors import InputError
from brain2image.decoding.gallery import half_contrast, open_gallery
from brain2image.decoding.gallery_tokens import (
    choose_pictures,
    compute_tokens,
    make_encode,
    write_tokens,
)
from brain2image.pairs import clip
from brain2image.pairs.clip import pretrained_sources
from brain2image.pairs.clip_embeddings import Embeddings

OPTIONS = {"model": "tiny", "weights": "", "tag": None, "preprocess": "auto", "precision": "fp32"}


@pytest.fixture
def tower(monkeypatch):
    torch.manual_seed(0)
    tower = VisionTransformer(
        image_size=32, patch_size=16, width=16, layers=1, heads=2, mlp_ratio=1, output_dim=4
    ).eval()
    network = SimpleNamespace(visual=tower, to=lambda device: None)
    monkeypatch.setattr(
        clip, "load_clip", lambda *_, **__: (network, open_clip.image_transform(32, is_train=False))
    )
    return tower


@pytest.fixture
def images(rng):
    return [Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)) for _ in range(5)]


def test_tokens_are_those_of_pale_pictures(tower, images, tmp_path):
    """As MindEye2's embedder has it: (x + 1) / 2 of values from 0 to 1, then CLIP's colours."""
    values = torch.stack([torch.from_numpy(np.array(image)) for image in images]).permute(0, 3, 1, 2) / 255
    mean, std = (
        torch.tensor(colours)[:, None, None]
        for colours in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    with torch.no_grad():
        tower.output_tokens = True
        _, expected = tower(((values + 1) / 2 - mean) / std)
    chosen = pd.DataFrame({"image": [3, 5, 7, 8, 9], "is_fitted": [True, False, False, True, True]})
    tokens = compute_tokens(images, n_threads=1, batch_size=2, **OPTIONS)
    write_tokens(tmp_path / "g.h5", tokens, chosen, identity="tiny")
    with open_gallery(tmp_path / "g.h5") as (gallery, is_fitted):
        assert gallery.tokens.dtype == np.float16
        np.testing.assert_allclose(gallery.tokens[:], expected.numpy(), atol=2e-3)
        assert gallery.rows([8, 3]).tolist() == [3, 0]
        assert is_fitted.tolist() == chosen["is_fitted"].tolist()
        assert gallery.clip == "tiny"
        with pytest.raises(InputError, match=r"g\.h5: expected each of 1 paired pictures"):
            gallery.rows([4])


def test_half_of_the_contrast():
    colours = half_contrast([0.4], [0.2])
    assert (0.6 - colours["mean"][0]) / colours["std"][0] == pytest.approx(((0.6 + 1) / 2 - 0.4) / 0.2)


def test_a_model_without_tokens_is_refused():
    with pytest.raises(InputError, match=r"decoding\.model: .* have tokens, got RN50"):
        make_encode(SimpleNamespace(visual=SimpleNamespace()), "RN50")


def test_what_is_fitted_on_is_of_no_test_and_like_none(rng):
    n_images = 40
    features = rng.standard_normal((n_images, 8)).astype(np.float32)
    features[30] = features[3]  # the twin of a tested picture
    fmri = Embeddings(np.arange(n_images), features, "tiny")
    eeg = Embeddings(np.arange(6), rng.standard_normal((6, 8)).astype(np.float32), "tiny")
    pairs = pd.DataFrame(
        {
            "eeg_image": range(6),
            "fmri_image": range(6),
            "split": ["train", "train", "val", "test", "test", "val"],
        }
    )
    table = choose_pictures(pairs, np.arange(n_images), eeg, fmri, n_fitted=100, seed=0)
    fitted = set(table.loc[table["is_fitted"], "image"])
    assert fitted == set(range(n_images)) - {2, 3, 4, 5, 30}
    assert set(table["image"]) - fitted == {3, 4}
    few = choose_pictures(pairs, np.arange(n_images), eeg, fmri, n_fitted=5, seed=0)
    assert few["is_fitted"].sum() == 5
    assert few["image"].is_monotonic_increasing


def test_batches_hold_every_picture(tower, images):
    batches = list(compute_tokens(images, n_threads=1, batch_size=2, **OPTIONS))
    assert [batch.shape for batch in batches] == [(2, 4, 16), (2, 4, 16), (1, 4, 16)]


NOWHERE = r"config: decoding\.model: expected an open_clip architecture, got 'ViT-none'"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "ViT-none"}, NOWHERE),
        ({"preprocess": "openai"}, r"config: decoding\.preprocess: expected a tag of ViT-S-32-alt"),
        ({}, r"open_clip has no tags of it; set decoding\.preprocess to the open_clip tag"),
        ({"model": "RN50"}, r"config: decoding\.model: RN50 \+ .* differ in their activation"),
    ],
)
def test_messages_name_the_keys_of_decoding(tmp_path, images, changes, message):
    weights = tmp_path / "clip.pt"
    torch.save({"visual.proj": torch.zeros(2, 2)}, weights)
    options = OPTIONS | {"model": "ViT-S-32-alt", "weights": weights} | changes
    with pytest.raises(InputError, match=message) as error:
        next(compute_tokens(images, n_threads=1, batch_size=2, **options))
    assert "clip." not in str(error.value).replace(str(weights), "").replace("open_clip.", "")


def test_a_tag_of_another_model_names_its_key():
    with pytest.raises(
        InputError, match=r"config: weights\.token_clip: expected a checkpoint or a tag of RN50"
    ):
        pretrained_sources("RN50", "none", key="token_clip")
    with pytest.raises(InputError, match=NOWHERE):
        pretrained_sources("ViT-none", "openai", key="token_clip")
