"""CLIP embeddings against the bare model, and wrong models and weights."""

import json
import logging
from unittest.mock import Mock

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from brain2image.core.errors import InputError
from brain2image.formats.files import write_json
from brain2image.formats.pictures import Pictures
from brain2image.pairs.clip import clip_identity, embed_images, encode_batches, pretrained_sources
from brain2image.pairs.clip_layers import make_encode
from brain2image.pairs.matching import unit_rows
from brain2image.pairs.preparation import check_positions, find_preparation

MODEL = "ViT-S-32-alt"
OPTIONS = {"model": MODEL, "batch_size": 2, "n_threads": 2}
OPENAI = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
OWN = {
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.3, 0.4],
    "interpolation": "bilinear",
    "resize_mode": "squash",
}


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
    embeddings = embed_images(images, **OPTIONS, weights=weights, preprocess=OPENAI)["projected"]
    assert embeddings.shape == (5, 256)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, slow, atol=1e-5)


def test_short_numbers_point_the_same_way(weights, images):
    """bf16 on the CPU; what it does to real pairs stands in docs/scale.md."""
    options = OPTIONS | {"weights": weights, "preprocess": OPENAI}
    full, short, auto = (
        embed_images(images[:2], precision=precision, **options)["projected"]
        for precision in ("fp32", "bf16", "auto")
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

    batches = [torch.full((n, 2, 2, 3), 10 * n, dtype=torch.uint8) for n in (8, 8, 3)]
    options = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3, "device": "cpu", "precision": "fp32"}
    with caplog.at_level(logging.INFO):
        features = torch.cat(encode_batches(encode_image, batches, **options))
    assert sizes == [8, 4, *[2] * 8, 2, 1]
    torch.testing.assert_close(features[:, 0], torch.tensor([80.0] * 16 + [30.0] * 3))
    assert caplog.text.count("memory is too small for the batch: taking") == 2
    n_fitting = 0
    with pytest.raises(InputError, match="memory is too small for a forward pass of one picture; free it"):
        encode_batches(encode_image, batches, **options)


# ---- how pictures are prepared


def test_features_are_those_of_open_clip_with_the_same_tag(weights, images, monkeypatch):
    # open_clip itself reads the weights of the tag from the same file
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, MODEL, {"tiny": {"file": weights, **OWN}})
    model, _, preprocess = open_clip.create_model_and_transforms(MODEL, pretrained="tiny")
    with torch.inference_mode():
        slow = model.eval().encode_image(torch.stack([preprocess(image) for image in images])).numpy()
    np.testing.assert_allclose(embed_images(images, **OPTIONS, weights=weights)["projected"], slow, atol=1e-5)


def as_safetensors(weights, folder, **metadata):
    path = folder / "clip.safetensors"
    texts = {key: json.dumps(value) for key, value in metadata.items()}
    save_file(
        {key: value.clone() for key, value in torch.load(weights, weights_only=True).items()}, path, texts
    )
    return path


def beside(weights, folder, **config):
    path = folder / "clip.pt"
    path.symlink_to(weights)
    write_json(folder / "open_clip_config.json", config)
    return path


WAYS = {
    "the tag": lambda weights, _: {"weights": weights, "tag": "tiny"},
    "the name of the tag": lambda weights, _: {"weights": weights, "preprocess": "tiny"},
    "the only tag": lambda weights, _: {"weights": weights},
    "the values": lambda weights, _: {"weights": weights, "preprocess": OWN},
    "the metadata": lambda weights, folder: {"weights": as_safetensors(weights, folder, preprocess_cfg=OWN)},
    "a file beside": lambda weights, folder: {"weights": beside(weights, folder, preprocess_cfg=OWN)},
}


@pytest.mark.parametrize("way", WAYS)
def test_all_that_know_it_say_the_same(weights, tmp_path, monkeypatch, caplog, way):
    tags = {"tiny": {"file": weights, **OWN}} if "tag" in way else {}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, MODEL, tags)
    options = {"tag": None, "preprocess": "auto"} | WAYS[way](weights, tmp_path)
    with caplog.at_level("INFO"):
        assert find_preparation(MODEL, **options) == OWN
    assert "prepared with mean [0.5, 0.4, 0.3], std [0.2, 0.3, 0.4], interpolation bilinear" in caplog.text


SIGLIP = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
REFUSED = {
    "nothing says it": (
        "ViT-S-32-alt",
        {},
        "auto",
        r"clip\.pt: expected metadata, or .*json beside it, .* no tags of it; set clip\.preprocess",
    ),
    "tags differ in preparation": (
        "ViT-L-14",
        {},
        "auto",
        r"its tags \(openai, .*\) differ; set clip\.preprocess",
    ),
    "tags differ in activation": (
        "ViT-B-32",
        {},
        "auto",
        r"its tags \(openai, .*\) differ; set clip\.preprocess",
    ),
    "no tag": (
        "ViT-B-32",
        {},
        "opnai",
        r"clip\.preprocess: expected a tag of ViT-B-32 \(openai, .*got 'opnai'",
    ),
    "activation of all tags": ("RN50", {}, "auto", r"\(QuickGELU\); use RN50-quickgelu"),
    "activation of the tag": (
        "ViT-B-32",
        {},
        "openai",
        r"ViT-B-32 \+ openai .*\(QuickGELU\); use ViT-B-32-quickgelu",
    ),
    "activation of the config": (
        "ViT-B-32-quickgelu",
        {"model_cfg": {"embed_dim": 512}, "preprocess_cfg": OPENAI},
        "auto",
        r"ViT-B-32-quickgelu \+ .*json differ in their activation \(QuickGELU\); use ViT-B-32$",
    ),
    "an activation that no model has": (
        "ViT-S-32-alt",
        {"model_cfg": {"quick_gelu": True}, "preprocess_cfg": OPENAI},
        "auto",
        r"\(QuickGELU\); use other weights",
    ),
    "picture size": (
        "ViT-L-14-quickgelu",
        {"model_cfg": {"quick_gelu": True, "vision_cfg": {"image_size": 336}}},
        "openai",
        r"a model for pictures of 336 px, as .*json says, got ViT-L-14-quickgelu, which wants 224 px",
    ),
    "the tag and the config differ": (
        "ViT-B-16-SigLIP",
        {"preprocess_cfg": OPENAI},
        "webli",
        r"clip\.pt: expected one preparation .*, got mean \[0\.5, .*squash \(webli\), but mean \[0\.48",
    ),
    "the values and the config differ": (
        "ViT-B-16-SigLIP",
        {"preprocess_cfg": OPENAI},
        SIGLIP,
        r"squash \(clip\.preprocess\), but mean .*json\); correct clip\.preprocess, or remove",
    ),
    "a config of another kind": (
        "ViT-B-32",
        {"preprocess_cfg": {"mean": [1, 2]}},
        "auto",
        r"json: expected open_clip's .*, but mean: List should have at least 3 items.*; download it again",
    ),
    "a config of nothing": (
        "ViT-B-32",
        {"model_cfg": 3},
        "auto",
        r"json: expected open_clip's model_cfg and",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(weights, tmp_path, case):
    model, config, preprocess, message = REFUSED[case]
    path = beside(weights, tmp_path, **config)
    if not config:
        (tmp_path / "open_clip_config.json").unlink()
    with pytest.raises(InputError, match=message):
        find_preparation(model, path, tag=None, preprocess=preprocess)


def test_a_tag_and_other_values_are_refused(weights):
    with pytest.raises(InputError, match=r"got mean .* \(webli\), but mean .* \(clip\.preprocess\)"):
        find_preparation("ViT-B-16-SigLIP", weights, tag="webli", preprocess=OPENAI)


def test_broken_metadata_are_refused(weights, tmp_path):
    path = as_safetensors(weights, tmp_path)
    save_file(load_file(path), path, {"preprocess_cfg": "{"})
    with pytest.raises(InputError, match=r"expected JSON as .* in its metadata, but .*; download it again"):
        find_preparation(MODEL, path, tag=None, preprocess="auto")


def test_values_that_open_clip_leaves_out_are_its_defaults(weights, tmp_path):
    path = beside(
        weights, tmp_path, preprocess_cfg={"mean": OPENAI["mean"], "std": OPENAI["std"], "size": 224}
    )
    assert find_preparation(MODEL, path, tag=None, preprocess="auto") == OPENAI


def test_safetensors_for_another_picture_size_are_refused(weights, tmp_path):
    path = as_safetensors(weights, tmp_path)
    with pytest.raises(
        InputError, match=r"with 197 positions of a picture, got 50, those of another picture"
    ):
        check_positions("ViT-S-16-alt", path, 197)


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
        embed_images(pictures, **OPTIONS | {"batch_size": 1}, weights=weights, preprocess=OPENAI)


# ---- layers


def test_layers_are_class_token_and_mean_over_patches(weights, images):
    model, _, preprocess = open_clip.create_model_and_transforms(MODEL, pretrained=weights)
    outputs = {}
    for number in (3, 10):
        block = model.visual.transformer.resblocks[number - 1]
        block.register_forward_hook(lambda _, __, output, number=number: outputs.update({number: output}))
    with torch.inference_mode():
        projected = model.eval().encode_image(torch.stack([preprocess(image) for image in images]))
    found = embed_images(images, **OPTIONS, weights=weights, preprocess=OPENAI, layers=[10, "projected", 3])
    assert list(found) == ["projected", "layer_03", "layer_10"]
    np.testing.assert_allclose(found["projected"], projected, atol=1e-5)
    for number, tokens in outputs.items():
        slow = torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=1)
        np.testing.assert_allclose(found[f"layer_{number:02d}"], slow, atol=1e-5)
        assert found[f"layer_{number:02d}"].dtype == np.float32


def test_a_layer_that_is_not_there_is_one_line(weights, images):
    with pytest.raises(InputError, match=f"expected blocks 1 to 12 of {MODEL}, got 13"):
        embed_images(images, **OPTIONS, weights=weights, preprocess=OPENAI, layers=[2, 13])
    with pytest.raises(InputError, match=r"expected \[projected\], as RN50 has no vision transformer"):
        make_encode(Mock(visual=torch.nn.Identity()), "RN50", [1])


def test_weights_are_named_by_their_tag_or_by_their_bytes(tmp_path):
    (tmp_path / "clip.pt").write_bytes(b"abc")
    assert clip_identity("ViT", tmp_path / "clip.pt", tag="openai") == "ViT, openai"
    assert clip_identity("ViT", tmp_path / "clip.pt", tag=None) == "ViT, ba7816bf8f01cfea"
