"""Prior and unCLIP at toy size, from checkpoints in the published formats to the page, by the scripts."""

import json
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.mindeye2_networks import prior_shapes, random_tensors, saved
from helpers.newcomers import CLIP_MODEL, write_clip
from helpers.scripts import run_script
from helpers.small_decoding import N_PAIRS, N_TOKENS, WIDTH, write_decoding, write_pictures
from helpers.unclip_networks import Sizes, saved_unclip, unclip_tensors
from safetensors.torch import load_file

from brain2image.core import memory
from brain2image.core.errors import InputError
from brain2image.decoding import comparing, decode_pairs, unclip_drawing
from brain2image.decoding.backbone import extract_backbone
from brain2image.decoding.comparing import embed_pictures
from brain2image.decoding.prior import extract_prior
from brain2image.decoding.prior_pairs import N_CENTRE, sample_pairs
from brain2image.evaluation import picture_metrics
from brain2image.evaluation.picture_networks import NETWORKS

pytest.importorskip("diffusers", reason="diffusers is not installed, of which the networks are built")
EVALUATION = {"n_permutations": 100, "seed": 0}
BRAINS = "things-01_subj01"
SIDE = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Both checkpoints, and all that the scripts are given."""
    folder = tmp_path_factory.mktemp("diffusion")
    paths, pictures = write_decoding(folder)
    backbone = {f"backbone.{key}": values for key, values in load_file(paths["backbone"]).items()}
    prior = random_tensors(prior_shapes(n_tokens=N_TOKENS, width=WIDTH))
    (folder / "last.pth").write_bytes(saved(backbone | prior))
    (folder / "unclip.ckpt").write_bytes(saved_unclip(unclip_tensors(Sizes(width=WIDTH))))
    eeg = write_pictures(folder / "THINGS", np.arange(N_PAIRS), pictures[:N_PAIRS])
    images = [*range(100, 100 + N_PAIRS), *range(1000, 1000 + len(pictures) - N_PAIRS)]
    fmri = write_pictures(folder / "NSD", images, pictures)
    return SimpleNamespace(folder=folder, paths=paths, eeg=eeg, fmri=fmri, clip=write_clip(folder))


def script(world, name, output, *, params, **given):
    run_script(name, world.folder, input=SimpleNamespace(**given), output=output, params=params)
    return SimpleNamespace(**output)


def extract(world, part):
    params = {"checkpoint": str(world.folder / "last.pth"), "kept": {"dtype": "float16"}}
    output = {part: world.folder / f"kept_{part}.safetensors"}
    return getattr(script(world, f"extract_{part}", output, params=params), part)


@pytest.fixture(scope="module")
def sampled(world):
    """Tokens by backbone and prior, of one checkpoint."""
    files = {"backbone": extract(world, "backbone"), "prior": extract(world, "prior")}
    source = json.loads((files["prior"].read_bytes()[8:].split(b"}", 1)[0] + b"}")[16:])
    with h5py.File(world.paths["projection"], "a") as file:
        file.attrs.update(source)
    given = {"predictions": [world.paths["predictions"]], "gallery": world.paths["gallery"]}
    given |= {"projection": world.paths["projection"]}
    params = {"brains": BRAINS, "runs": ["run"], "evaluation": EVALUATION}
    names = {"tokens": ("decode_tokens", {}), "prior": ("sample_tokens", {"noise": NOISE})}
    found = SimpleNamespace(**files)
    for kind, (name, more) in names.items():
        output = {"tokens": world.folder / f"{kind}.h5", "scores": world.folder / f"{kind}.json"}
        setattr(found, f"{kind}_run", script(world, name, output, params=params | more, **given, **files))
    return found


NOISE = {"steps": 4, "noise_seed": 0}


@pytest.fixture(scope="module")
def drawn(world, sampled):
    """Pictures of both ways, and how they are scored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unclip_drawing, "SIDE", SIDE)
        patch.setattr(picture_metrics, "SIDE", 64)
        patch.setattr(comparing, "embed_images", quick_features)
        params = {"checkpoint": str(world.folder / "unclip.ckpt"), "kept": {"dtype": "float16"}}
        unclip = script(world, "extract_unclip", {"unclip": world.folder / "u.safetensors"}, params=params)
        output = {"pictures": world.folder / "unclip.h5"}
        params = {"runs": ["run"], "drawing": {"steps": 2, "n_samples": 2, "seed": 0}}
        given = {"tokens": sampled.prior_run.tokens, "unclip": unclip.unclip}
        by_unclip = script(world, "draw_unclip", output, params=params, **given)
        output = {"pictures": world.folder / "linear.h5"}
        params = {"drawing": {"runs": ["run"], "seed": 0}, "pictures": [world.fmri[1]]}
        given = {"tokens": sampled.tokens_run.tokens, "gallery": world.paths["gallery"]}
        by_ridge = script(world, "draw_linear", output, params=params, fmri_pictures=world.fmri[0], **given)
        files = [by_ridge.pictures, by_unclip.pictures]
        compared = script(world, "compare_pictures", **comparison(world, files))
    return SimpleNamespace(unclip=unclip.unclip, files=files, scores=compared.scores)


def quick_features(images, **options):
    """Stand for CLIP, which has a test of its own."""
    assert set(options) == {"model", "tag", "preprocess", "precision", "batch_size", "weights", "n_threads"}
    return {"projected": np.stack([np.asarray(image.resize((4, 4)), np.float32).ravel() for image in images])}


def comparison(world, files):
    ways = {"ways": ["linear", "unclip"], "networks": []}
    clip = {"model": CLIP_MODEL, "tag": None, "preprocess": "auto", "precision": "auto", "batch_size": 50}
    return {
        "output": {"scores": world.folder / "pictures.json"},
        "params": {"brains": BRAINS, "pictures": [world.eeg[1]], "compared": ways, "clip": clip}
        | {"draw": {"n_compared": N_PAIRS - 1, "draw_seed": 0}, "evaluation": EVALUATION},
        "drawn": files,
        "predictions": world.paths["predictions"],
        "eeg_pictures": world.eeg[0],
        "weights": world.clip,
        "networks": [],
    }


def test_the_prior_samples_every_run_and_the_mean(sampled):
    with h5py.File(sampled.prior_run.tokens) as file, h5py.File(sampled.tokens_run.tokens) as other:
        assert set(file["runs"]) == {"run", "measured_fmri"}
        assert file["runs/run"].shape == (N_PAIRS, N_TOKENS, WIDTH)
        assert file["centre"].shape == (N_CENTRE, N_TOKENS, WIDTH)
        assert file["centre"][:].std(axis=0).mean() > 0.01  # noise of its own
        # the run predicts the measured embeddings exactly, and the noise is that of the pair
        np.testing.assert_array_equal(file["runs/run"][:], file["runs/measured_fmri"][:])
        assert np.abs(file["runs/run"][:] - other["runs/run"][:]).mean() > 0.1
    scores = json.loads(sampled.prior_run.scores.read_text())["scores"]["run"]
    assert {(row["level"], row["space"]) for row in scores} == {("tokens", "tokens_prior")}


def test_the_unclip_draws_every_run_and_the_mean(drawn):
    with h5py.File(drawn.files[1]) as file:
        assert set(file["runs"]) == {"run", "measured_fmri"}
        assert file["runs/run"].shape == (N_PAIRS, 2, 256, 256, 3)
        assert file["training_mean"].shape == (1, 2, 256, 256, 3)
        assert file["runs/run"][:].std() > 10


def test_drawn_pictures_are_scored_and_what_has_no_weights_is_named(drawn):
    found = json.loads(drawn.scores.read_text())
    rows = pd.DataFrame(found["scores"]["run"])
    assert set(zip(rows["space"], rows["metric"], strict=True)) == {
        (way, metric) for way in ("linear", "unclip") for metric in ("pixcorr", "ssim", "clip")
    }
    assert set(rows["level"]) == {"drawn"}
    assert set(rows["n_gallery"]) == {N_PAIRS - 1}
    assert rows[["value", "chance", "p"]].notna().all(axis=None)
    scores = rows.set_index(["space", "metric"])
    assert scores.loc[("linear", "pixcorr"), "value"] > 0.8
    assert scores.loc[("linear", "pixcorr"), "p"] < 0.02
    assert scores.loc[("unclip", "pixcorr"), "p"] > 0.02  # its weights are random
    metrics = {metric for network in NETWORKS.values() for metric in network.layers}
    assert set(found["not_computed"]) == metrics
    assert "no weights of swav (swav_800ep_pretrain.pth.tar) are named" in found["not_computed"]["swav"]


def test_clip_features_come_in_the_order_of_pictures_and_samples(world, rng):
    groups = [rng.integers(0, 256, (n, samples, 20, 20, 3), np.uint8) for n, samples in ((2, 1), (1, 2))]
    options = comparison(world, [])["params"]["clip"] | {"weights": world.clip, "n_threads": 1}
    first, second = embed_pictures(groups, options)
    assert first.shape[:2] == (2, 1)
    assert second.shape[:2] == (1, 2)
    (alone,) = embed_pictures([groups[1][:, 1:]], options)
    np.testing.assert_allclose(alone[0, 0], second[0, 1], atol=1e-4)


def test_the_page_shows_both_ways_and_their_nulls(world, sampled, drawn):
    summary = pd.DataFrame(
        [
            {"brains": BRAINS, "run": run, "n_test": N_PAIRS, "n_concepts": N_PAIRS, **row}
            for file in (sampled.tokens_run.scores, sampled.prior_run.scores, drawn.scores)
            for run, rows in json.loads(file.read_text())["scores"].items()
            for row in rows
        ]
    ).assign(seed=pd.NA, share_of_ceiling=np.nan, n_passed_over=0, learned_from="x", people="own")
    for column in ("n_calibration", "n_calibration_trials", "best_epoch", "network_share"):
        summary[column] = np.nan
    summary.to_csv(world.folder / "summary.csv", index=False)
    params = {"pictures": [world.eeg[1], world.fmri[1]], "brains": BRAINS}
    page = script(
        world,
        "show_decoded",
        {"page": world.folder / "pictures.html"},
        params=params | {"drawn": {"ways": ["linear", "unclip"]}},
        summary=world.folder / "summary.csv",
        decoded=sampled.tokens_run.scores,
        predictions=world.paths["predictions"],
        drawn=drawn.files,
        compared=[drawn.scores],
        eeg_pictures=world.eeg[0],
        fmri_pictures=world.fmri[0],
    ).page.read_text()
    for way in ("by a ridge", "by MindEye2&#39;s unCLIP"):
        assert f"<th>query, {way}</th>" in page
    for column in ("drawn from EEG", "from measured fMRI", "from shuffled EEG", "from the mean"):
        assert page.count(f"<th>{column}</th>") == 2
    assert "the first of 2 is shown, scores are means over them" in page
    assert "tokens by the prior: top-1 %" in page
    assert "no weights of swav" in page
    assert f"Of {N_PAIRS - 1} test pictures." in page


def test_a_prior_of_another_checkpoint_is_refused(world, sampled, tmp_path):
    files = {name: world.paths[name] for name in ("gallery", "projection")}
    files |= {"backbone": sampled.backbone, "prior": tmp_path / "prior.safetensors"}
    other = random_tensors(prior_shapes(n_tokens=N_TOKENS, width=WIDTH), seed=1)
    (tmp_path / "other.pth").write_bytes(saved(other))
    extract_prior(str(tmp_path / "other.pth"), out=files["prior"])
    options = {**files, **NOISE, **EVALUATION, "out": tmp_path / "t.h5"}
    with pytest.raises(InputError, match=r"expected the prior of .*last\.pth, whose ridge made"):
        sample_pairs({"run": world.paths["predictions"]}, **options)


def test_a_checkpoint_without_a_backbone_is_said_in_one_line(tmp_path):
    (tmp_path / "ridge.pth").write_bytes(saved({"ridge.linears.0.weight": torch.ones(2, 2)}))
    for part, extract in (("backbone", extract_backbone), ("prior", extract_prior)):
        with pytest.raises(InputError, match=rf"ridge\.pth: expected a {part} .*use the whole last\.pth"):
            extract(str(tmp_path / "ridge.pth"), out=tmp_path / "x")


def test_too_little_memory_is_said_before_anything_is_read(world, sampled, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 10**8)
    files = {name: world.paths[name] for name in ("gallery", "projection")} | {"backbone": sampled.backbone}
    runs, out = {"run": "not there.npz"}, tmp_path / "out.h5"
    with pytest.raises(InputError, match=r"expected 0\.7 GB of free memory on this machine for the backbone"):
        decode_pairs.decode_pairs(runs, **files, out=out, **EVALUATION)
    with pytest.raises(InputError, match=r"for backbone and prior, got 0\.1 GB; free some"):
        sample_pairs(runs, **files, prior=sampled.prior, out=out, **NOISE, **EVALUATION)
    options = {"steps": 2, "n_samples": 1, "seed": 0}
    with pytest.raises(InputError, match=r"expected 8\.0 GB .* for the unCLIP, got 0\.1 GB; take a larger"):
        unclip_drawing.draw_unclip("not there.h5", unclip=drawn.unclip, runs=["run"], out=out, **options)
