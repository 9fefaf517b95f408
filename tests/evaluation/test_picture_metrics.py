"""The field's metrics of drawn pictures, against slow, obvious versions."""

import numpy as np
import pytest
import torch
import torchvision
from scipy.ndimage import correlate1d
from torchmetrics.functional.image import structural_similarity_index_measure
from torchvision.transforms.functional import resize as published_resize

from brain2image.core.errors import InputError
from brain2image.evaluation import picture_networks
from brain2image.evaluation.picture_metrics import (
    correlations,
    pixel_correlations,
    score_pictures,
    structural_similarities,
    two_way,
)
from brain2image.evaluation.picture_networks import (
    NETWORKS,
    as_pixels,
    load_picture_network,
    picture_features,
    resize,
)

METRICS = [
    *("pixcorr", "ssim", "alexnet_2", "alexnet_5", "inception_v3"),
    *("efficientnet_b1", "swav", "clip"),
]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def smooth_pictures(rng, n, side=40):
    """Pictures of large patches, uint8."""
    coarse = rng.integers(0, 256, (n, 5, 5, 3), dtype=np.uint8)
    return coarse.repeat(side // 5, axis=1).repeat(side // 5, axis=2)


def at_425(picture):
    """Two resizings by torchvision, as the notebook makes them; (3, 425, 425) float64."""
    pixels = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    return published_resize(published_resize(pixels, [256, 256]), [425, 425]).double().numpy()


def test_pixels_are_correlated_as_in_the_notebook(rng):
    drawn, seen = smooth_pictures(rng, 3), smooth_pictures(rng, 3, side=50)
    seen[2] = 7  # of one value
    table = pixel_correlations(drawn, seen)
    for row, column in [(0, 0), (0, 1), (2, 1)]:
        expected = np.corrcoef(at_425(drawn[row]).ravel(), at_425(seen[column]).ravel())[0, 1]
        assert table[row, column] == pytest.approx(expected, abs=1e-5)
    assert (table[:, 2] == 0).all()
    np.testing.assert_allclose(np.diag(pixel_correlations(drawn, drawn)), 1, atol=1e-5)


def ssim_by_hand(first, second):
    """Equation 13 of Wang et al., window by window; float64."""
    first, second = (
        np.tensordot([0.2125, 0.7154, 0.0721], at_425(picture), 1) for picture in (first, second)
    )
    weights = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()

    def mean(values):
        return correlate1d(correlate1d(values, weights, 0), weights, 1)[5:-5, 5:-5]

    a, b = mean(first), mean(second)
    spread = mean(first**2) - a**2 + mean(second**2) - b**2
    alike = (2 * a * b + 1e-4) * (2 * (mean(first * second) - a * b) + 9e-4)
    return (alike / ((a**2 + b**2 + 1e-4) * (spread + 9e-4))).mean()


def test_structural_similarity_is_that_of_the_equation(rng):
    drawn, seen = smooth_pictures(rng, 2), smooth_pictures(rng, 2, side=50)
    drawn[0] = np.clip(drawn[0] + rng.normal(0, 30, drawn[0].shape), 0, 255)
    table = structural_similarities(drawn, seen)
    expected = [[ssim_by_hand(picture, other) for other in seen] for picture in drawn]
    np.testing.assert_allclose(table, expected, atol=1e-4)
    np.testing.assert_allclose(np.diag(structural_similarities(drawn, drawn)), 1, atol=1e-5)
    grey = [
        torch.tensor(np.tensordot([0.2125, 0.7154, 0.0721], at_425(group[0]), 1))[None, None]
        for group in (drawn, seen)
    ]
    options = {"data_range": 1.0, "kernel_size": 11, "sigma": 1.5, "return_full_image": True}
    _, theirs = structural_similarity_index_measure(*grey, **options)  # with windows beyond the edge
    assert table[0, 0] == pytest.approx(float(theirs[..., 5:-5, 5:-5].mean()), abs=1e-4)


def test_a_black_and_a_white_picture_have_the_similarity_of_their_constants():
    """Means 0 and 1, no variance: C1 / (1 + C1)."""
    pictures = np.stack([np.full((20, 20, 3), value, np.uint8) for value in (0, 255)])
    table = structural_similarities(pictures, pictures)
    np.testing.assert_allclose(table, [[1, 1e-4 / 1.0001], [1e-4 / 1.0001, 1]], atol=2e-4)


def test_two_way_counts_the_others_that_are_less_alike(rng):
    drawn, seen = rng.standard_normal((2, 6, 9), np.float32)
    correlation = correlations(drawn, seen)
    np.testing.assert_allclose(correlation, np.corrcoef(drawn, seen)[:6, 6:], atol=1e-6)
    table = two_way(correlation)
    for row in range(6):
        for column in range(6):
            below = sum(correlation[row, other] < correlation[row, column] for other in range(6))
            assert table[row, column] == pytest.approx(below / 5)
    assert (two_way(np.zeros((4, 4), np.float32)) == 0).all()  # ties count against it
    assert (correlations(np.ones((2, 3), np.float32), seen[:2, :3]) == 0).all()


def test_pictures_are_resized_as_by_torchvision(rng):
    pictures = smooth_pictures(rng, 2, side=300)
    for side in (224, 342):
        expected = published_resize(
            published_resize(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255, [256, 256]), [side, side]
        )
        torch.testing.assert_close(resize(as_pixels(pictures, "cpu"), side), expected)
    with pytest.raises(InputError, match=r"uint8, got float64 of shape \(2, 3\)"):
        as_pixels(np.zeros((2, 3)), "cpu")


def weights_file(folder, name, change=lambda weights: weights):
    """A file of the published keys and shapes; all but convolutions one value, so that it is small."""
    network = NETWORKS[name]
    with torch.device("meta"):
        expected = network.build().state_dict()
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for key, values in expected.items():
        if key.endswith("num_batches_tracked"):
            continue
        is_random = name == "alexnet" and key.startswith("features.")
        weights[key] = (
            torch.randn(values.shape, generator=generator) / max(1, values[0].numel()) ** 0.5
            if is_random
            else torch.full((1,), 0.01).expand(values.shape)
        )
    if name == "swav":
        weights |= {"projection_head.0.weight": torch.ones(2), "prototypes.weight": torch.ones(2)}
    weights = {network.prefix + key: values for key, values in weights.items()}
    torch.save(change(weights), folder / network.file)
    return folder / network.file


def test_features_of_alexnet_are_those_of_its_second_and_fifth_layer(tmp_path, rng):
    pictures = smooth_pictures(rng, 3)
    path = weights_file(tmp_path, "alexnet")
    found = picture_features("alexnet", path, pictures, pictures[:1], block_images=2)
    weights = torch.load(path, weights_only=True)
    pixels = resize(as_pixels(pictures, "cpu"), 256)
    mean, spread = (
        torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    values = (pixels - mean) / spread
    kept = []
    for place, options in {
        0: {"stride": 4, "padding": 2},
        3: {"padding": 2},
        6: {"padding": 1},
        8: {"padding": 1},
        10: {"padding": 1},
    }.items():
        if place in (3, 6):
            values = torch.nn.functional.max_pool2d(values, 3, 2)
        layer = f"features.{place}"
        values = torch.nn.functional.conv2d(
            values, weights[f"{layer}.weight"], weights[f"{layer}.bias"], **options
        ).relu()
        kept.append(values.flatten(1).numpy())
    assert [len(part) for part in found["alexnet_2"]] == [3, 1]
    np.testing.assert_allclose(found["alexnet_2"][0], kept[1], atol=1e-4)
    np.testing.assert_allclose(found["alexnet_5"][0], kept[4], atol=1e-4)
    np.testing.assert_allclose(found["alexnet_5"][1], kept[4][:1], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "n_features"), [("inception_v3", 2048), ("efficientnet_b1", 1280), ("swav", 2048)]
)
def test_published_keys_are_loaded(tmp_path, rng, name, n_features):
    """Without the counts of batch norms, which older files lack."""
    found = picture_features(name, weights_file(tmp_path, name), smooth_pictures(rng, 1))
    assert {metric: part[0].shape for metric, part in found.items()} == {name: (1, n_features)}
    module = load_picture_network(name, tmp_path / NETWORKS[name].file)
    assert not module.training
    assert {values.device.type for values in module.state_dict().values()} == {"cpu"}


def test_the_networks_are_the_published_ones():
    """By torchvision's own names of files; Inception takes ImageNet's colours, as with its weights."""
    for name, file in {
        "alexnet": "AlexNet",
        "inception_v3": "Inception_V3",
        "efficientnet_b1": "EfficientNet_B1",
    }.items():
        url = getattr(torchvision.models, f"{file}_Weights").DEFAULT.url
        assert url.endswith(NETWORKS[name].file)
    with torch.device("meta"):
        assert NETWORKS["inception_v3"].build().transform_input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t | {"module.extra": torch.zeros(1)}, r"1 are unknown and 0 missing \(first: extra\)"),
        (lambda t: {key: t[key] for key in t if key != "module.conv1.weight"}, "0 are unknown and 1 missing"),
        (lambda t: t | {"module.conv1.weight": torch.zeros(3)}, "expected conv1.weight of shape"),
        (lambda t: t | {"module.bn1.bias": torch.full((64,), torch.nan)}, "NaN or infinity in bn1.bias"),
    ],
)
def test_other_weights_are_refused_in_one_line(tmp_path, change, message):
    path = weights_file(tmp_path, "swav", change)
    with pytest.raises(InputError, match=message) as error:
        load_picture_network("swav", path)
    assert str(error.value).endswith("use swav_800ep_pretrain.pth.tar")
    assert "\n" not in str(error.value)


def scored(drawn, seen, **options):
    given = {"weights": {}, "clip": None, "n_permutations": 200, "seed": 0, **options}
    rows = score_pictures(drawn, seen, np.arange(len(seen)), **given)
    assert [row["metric"] for row in rows] == METRICS
    return {row["metric"]: row for row in rows}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr("brain2image.evaluation.picture_metrics.SIDE", 64)


def test_pictures_that_are_right_beat_shuffled_ones_and_wrong_ones_do_not(small, rng):
    seen = smooth_pictures(rng, 12)
    noise = rng.normal(0, 40, (12, 2, *seen.shape[1:]))
    right = np.clip(seen[:, None] + noise, 0, 255).astype(np.uint8)
    features = rng.standard_normal((12, 7), np.float32)
    near = features[:, None] + 0.1 * rng.standard_normal((12, 2, 7), np.float32)
    rows = scored(right, seen, clip=(near, features))
    for metric in ("pixcorr", "ssim", "clip"):
        row = rows[metric]
        assert row["p"] == pytest.approx(1 / 201)
        assert row["value"] > row["chance"]
        assert row["low"] is None or row["low"] <= row["value"] <= row["high"]
        assert (row["n_images"], row["note"]) == (12, "")
    assert rows["clip"]["value"] == 1
    rows = scored(np.roll(right, 1, axis=0), seen, clip=(np.roll(near, 1, axis=0), features))
    for metric in ("pixcorr", "ssim", "clip"):
        assert rows[metric]["p"] > 0.05
    assert rows["clip"]["chance"] == pytest.approx(0.5, abs=0.05)


def test_of_many_pictures_some_give_the_chance_of_structural_similarity(small, rng, monkeypatch):
    seen = smooth_pictures(rng, 12)
    right = np.clip(seen[:, None] + rng.normal(0, 40, (12, 2, *seen.shape[1:])), 0, 255).astype(np.uint8)
    whole = scored(right, seen)["ssim"]
    monkeypatch.setattr("brain2image.evaluation.picture_metrics.N_SSIM", 8)
    row = scored(right, seen)["ssim"]
    for name in ("value", "low", "high"):
        assert row[name] == pytest.approx(whole[name])
    assert row["note"] == "chance and p of 8 of the pictures"
    chosen = np.sort(np.random.default_rng(0).permutation(12)[:8])
    fewer = scored(right[chosen], seen[chosen])["ssim"]
    assert (row["chance"], row["p"]) == (fewer["chance"], fewer["p"])
    assert row["chance"] != whole["chance"]


def test_what_has_no_weights_is_not_computed(small, rng):
    rows = scored(smooth_pictures(rng, 4)[:, None], smooth_pictures(rng, 4))
    for metric in METRICS[2:]:
        assert rows[metric]["value"] is rows[metric]["p"] is rows[metric]["chance"] is None
        assert rows[metric]["note"].startswith("not computed: ")
    assert "alexnet-owt-7be5be79.pth" in rows["alexnet_5"]["note"]


def test_networks_are_asked_for_each_sample_and_distances_are_small_when_right(small, rng, monkeypatch):
    seen = smooth_pictures(rng, 8)
    asked = []

    def features(name, path, *pictures):
        asked.append((name, path, len(pictures)))
        mixed = [part.reshape(len(part), -1).astype(np.float32) for part in pictures]
        return dict.fromkeys(NETWORKS[name].layers, mixed)

    monkeypatch.setattr("brain2image.evaluation.picture_metrics.picture_features", features)
    files = {name: f"{name}.pth" for name in NETWORKS}
    rows = scored(np.stack([seen, seen[::-1]], axis=1), seen, weights=files)
    assert asked == [(name, f"{name}.pth", 3) for name in NETWORKS]
    assert rows["alexnet_2"]["value"] > rows["alexnet_2"]["chance"]
    exact = scored(seen[:, None], seen, weights=files)
    for metric in ("efficientnet_b1", "swav"):
        assert exact[metric]["value"] == pytest.approx(0, abs=1e-5)
        assert exact[metric]["chance"] == pytest.approx(1, abs=0.2)
        assert exact[metric]["p"] == pytest.approx(1 / 201)  # less is better
        assert rows[metric]["value"] == pytest.approx(
            0.5, abs=0.1
        )  # the mean of a right sample and a wrong one


@pytest.mark.parametrize(
    ("shape", "n_seen", "message"),
    [
        ((1, 1, 8, 8, 3), 1, "expected two pictures or more"),
        ((3, 8, 8, 3), 3, "as many seen"),
        ((3, 1, 8, 8, 3), 2, "got shapes"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(shape, n_seen, message):
    options = {"weights": {}, "clip": None, "n_permutations": 2, "seed": 0}
    seen = np.zeros((n_seen, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match=message):
        score_pictures(np.zeros(shape, np.uint8), seen, np.arange(n_seen), **options)
    with pytest.raises(InputError, match="got vgg; correct the name"):
        fitting = np.zeros((2, 8, 8, 3), np.uint8)
        score_pictures(fitting[:, None], fitting, np.arange(2), **options | {"weights": {"vgg": "x"}})
    assert picture_networks.SIDE == 256
