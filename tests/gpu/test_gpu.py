"""On a real GPU: no step waits for it, it computes what a CPU does, and the tiny run uses it.

Without one, what a CPU can run of this is run there in its shortest form, so that it still runs where one is.
"""

import json
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
import yaml
from helpers.checkouts import TINY, copy_checkout, snakemake
from helpers.planted import ALL, N_ALONE, N_FEATURES, OUTPUTS, planted_layout, planted_lmdb, planted_run
from PIL import Image

from brain2image.formats.precision import allow_tf32
from brain2image.models.alignment import AlignmentModel
from brain2image.pairs import clip
from brain2image.projection import projecting as projection
from brain2image.training.task import AlignmentTask
from brain2image.training.train import train
from brain2image.training_set.batches import AlignmentDataset, Batches
from brain2image.training_set.means import read_pairs

HAS_GPU = torch.cuda.is_available()
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="PyTorch finds no CUDA device here")

MODEL = "ViT-S-32-alt"
GPU_RULES = ["embed_images", "project_fmri", "train", "predict"]


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


@pytest.fixture
def device(monkeypatch):
    """The last GPU, which is another one than PyTorch's own choice where there are several."""
    name = f"cuda:{torch.cuda.device_count() - 1}" if HAS_GPU else "cpu"
    for module in (clip, projection):
        monkeypatch.setattr(module, "compute_device", lambda: name)
    with torch.cuda.device(name) if HAS_GPU else nullcontext():
        yield name


@needs_gpu
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(
    "model",
    [{}, {"pooling": "multitoken_vit", "alignment": "multi_token", "n_tokens": 2}, {"pooling": "none"}],
)
def test_no_step_waits(lmdb, device, model, short):
    """PyTorch raises an error where the host would wait, from the second step on."""
    loss = {"learnable_temperature": True, "duplicate_cosine": 0.99}
    run = planted_run(model=model, loss=loss, training={"ema_decay": 0.5})
    coordinates = np.zeros((3 * (40 + N_ALONE), run.model.linear_axes), np.float32)
    options = {"average_trials": 2, "memory_limit_gb": 1.0, "device": device, "measured_weight": 2.0, **ALL}
    data = AlignmentDataset(lmdb, "train", coordinates=coordinates, **options)
    batches = Batches(data, 16)
    network = AlignmentModel(run.model, planted_layout(), N_FEATURES)
    task = AlignmentTask(network, run=run, batches=batches, identity={}).to(device)
    optimizer = task.configure_optimizers()["optimizer"]
    try:
        for number, batch in enumerate(batches):
            with torch.autocast("cuda", torch.bfloat16, enabled=short):
                loss = task.training_step(batch, number)
            optimizer.zero_grad()
            loss.backward()
            task.configure_gradient_clipping(optimizer, gradient_clip_val=1.0)
            task.optimizer_step(0, number, optimizer, None)
            torch.cuda.set_sync_debug_mode("error")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert number > 2
    assert loss.isfinite()


@pytest.mark.parametrize(
    "options", [{}, *([{"precision": "fp32"}, {"precision": "fp16"}, {"compile": True}] if HAS_GPU else [])]
)
def test_training_learns_and_its_model_predicts_alike_on_both_devices(lmdb, tmp_path, options):
    # without the linear path, which starts where nothing is left to learn
    run = planted_run(model={"linear_axes": 0}, training={"epochs": 5, "learning_rate": 2e-3} | options)
    outputs = {name: tmp_path / "run" / file for name, file in OUTPUTS.items()}
    train(lmdb, run=run, weights=None, code="", state=tmp_path / "state", **outputs)
    history = pd.read_csv(outputs["history"])
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[1]
    wanted = options.get("precision", "auto")
    possible = {"auto": {"bf16", "fp32"}, "fp32": {"tf32", "fp32"}, "fp16": {"fp16"}}[wanted]
    assert json.loads(outputs["config"].read_text())["precision"] in possible
    eeg, _, _ = read_pairs(lmdb, "test")
    model = AlignmentModel.load(tmp_path / "run")
    allow_tf32("fp32")
    expected = model.predict(eeg)
    torch.testing.assert_close(
        model.to("cuda" if HAS_GPU else "cpu").predict(eeg), expected, rtol=2e-2, atol=2e-2
    )


def test_projection_equals_the_product(device, rng):
    weight, block = (rng.standard_normal(shape).astype(np.float32) for shape in ((64, 500), (40, 500)))
    bias = rng.standard_normal(64).astype(np.float32)
    (result,) = projection.project([block], weight, bias)
    np.testing.assert_allclose(result, block @ weight.T + bias, atol=1e-3)


@pytest.mark.parametrize(
    ("precision", "cosine"), [("auto", 0.999), *([("fp32", 0.99999), ("bf16", 0.999)] if HAS_GPU else [])]
)
def test_embeddings_equal_those_of_a_cpu(device, rng, tmp_path, monkeypatch, precision, cosine):
    import open_clip

    torch.save(open_clip.create_model(MODEL).state_dict(), tmp_path / "clip.pt")
    images = [Image.fromarray(rng.integers(0, 256, (90, 60 + 20 * i, 3), np.uint8)) for i in range(5)]
    options = {"model": MODEL, "weights": tmp_path / "clip.pt", "batch_size": 2, "n_threads": 2}
    options["preprocess"] = {
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    found = clip.embed_images(images, precision=precision, **options)["projected"]
    monkeypatch.setattr(clip, "compute_device", lambda: "cpu")
    expected = clip.embed_images(images, precision="fp32", **options)["projected"]
    assert F.cosine_similarity(*map(torch.from_numpy, (found, expected))).min() > cosine


@needs_gpu
def test_the_tiny_run_computes_on_the_gpu(tmp_path):
    folder = copy_checkout(tmp_path / "checkout")
    content = yaml.safe_load((folder / TINY).read_text()) | {"allow_cpu": False}
    (folder / "strict.yaml").write_text(yaml.safe_dump(content))
    result = snakemake(folder, config="strict.yaml")
    assert result.returncode == 0, result.stderr[-5000:]
    for rule in GPU_RULES:
        logs = [path for path in (folder / "results/logs" / rule).rglob("*.log") if path.is_file()]
        assert logs
        assert all("computing on GPU" in path.read_text() for path in logs), rule
    assert (folder / "results/summary.csv").is_file()
