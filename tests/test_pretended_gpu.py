"""Every use of a device, on a pretended GPU: no mixed devices, no other GPU than the claimed one, no wait.

FakeTensorMode computes shapes, types and devices, no values. An operation that needs a value, and so would
wait for the device, is an error there. It has no backward pass where there is no GPU; what a whole step of
Lightning reads back is counted on the CPU.
"""

import contextlib
import traceback
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from helpers.mindeye2_networks import backbone_shapes, prior_shapes
from helpers.planted import (
    ALL,
    N_ALONE,
    N_CHANNELS,
    N_FEATURES,
    OUTPUTS,
    planted_layout,
    planted_lmdb,
    planted_run,
)
from helpers.thumbnails import write_thumbnails
from open_clip.transformer import VisionTransformer
from PIL import Image
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from brain2image.config import ModelConfig
from brain2image.core.errors import InputError
from brain2image.decoding import backbone, blocks, prior, unclip, unclip_drawing
from brain2image.decoding.stored import build_empty
from brain2image.decoding.stored_linear import stored_weights
from brain2image.decoding.unclip_network import Unclip, UnclipSizes, unet_matrices
from brain2image.evaluation import picture_metrics, picture_networks
from brain2image.evaluation import predict as inference
from brain2image.formats.precision import TF32_SWITCH, allow_tf32, resolve_precision
from brain2image.models.alignment import PREDICT_BATCH, AlignmentModel
from brain2image.models.encoders.base import EEGLayout, build_encoder
from brain2image.pairs import clip
from brain2image.projection import projecting as projection
from brain2image.training import train as training
from brain2image.training.board_pictures import BoardPictures
from brain2image.training.task import AlignmentTask
from brain2image.training_set.batches import AlignmentDataset, Batches
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.translation import loading as runs

ROOT = Path(__file__).parents[1]
DEVICE = torch.device("cuda:1")  # not the first one, which is what PyTorch takes without a name
CPU = torch.device("cpu")
DEEP = {"n_layers": 12}  # no option of these encoders, so it stays as it is
STEPS = {
    "flatten": ({}, False),
    "attention": ({"pooling": "attention", "linear_axes": 0, "n_tokens": 2}, True),
    "multi_token": ({"pooling": "multitoken_vit", "alignment": "multi_token", "n_tokens": 2}, True),
    "path alone": ({"pooling": "none"}, True),
    "several people": ({"person_layer": "spatial"}, True),
    "gains of several people": ({"person_layer": "scale"}, False),
    "tsconv": ({"encoder": "tsconv", "channels": ["E4", "E1"], **DEEP}, True),
    "atms": ({"encoder": "atms", **DEEP}, False),
    "mlp": ({"encoder": "mlp", "channels": ["E4", "E1"], **DEEP}, True),
    "braindecode": ({"encoder": "braindecode:EEGNet", **DEEP}, False),
}
PEOPLE = ("data", "somebody")


class Watch(TorchDispatchMode):
    """Note the devices of all tensors, and every copy from one device to another."""

    def __init__(self):
        super().__init__()
        self.devices, self.copies = set(), []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        given, made = (
            {leaf.device for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)}
            for tree in ((arguments, options), result)
        )
        self.devices |= made
        if function in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            self.copies += [made.pop().type] if given != made or len(given) > 1 else []
        return result


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


def move(module, device):
    """`nn.Module.to`, which cannot exchange pretended parameters."""
    for part in module.modules():
        for tensors, wrap in ((part._parameters, nn.Parameter), (part._buffers, lambda tensor, _: tensor)):
            for name, tensor in tensors.items():
                if tensor is not None:
                    moved = torch.empty_like(tensor, device=device, requires_grad=False)
                    tensors[name] = wrap(moved, tensor.requires_grad)
    return module


def read(value):
    """Stand for `numpy` and the like, of a tensor that is on the CPU by then."""

    def stand_in(tensor):
        assert tensor.device == CPU
        return value(tensor)

    return stand_in


@pytest.fixture
def gpu(monkeypatch):
    """The second of two pretended GPUs, which this process has claimed, and what happens on it."""
    decoding = (blocks, unclip, unclip_drawing, picture_metrics, picture_networks)
    for module in (clip, projection, inference, runs, *decoding):
        monkeypatch.setattr(module, "compute_device", lambda: str(DEVICE))
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(nn.Module, "to", move)
    monkeypatch.setattr(FakeTensor, "numpy", read(lambda tensor: np.zeros(tensor.shape, np.uint8)))
    monkeypatch.setattr(FakeTensor, "__bool__", read(lambda tensor: True))

    @contextlib.contextmanager
    def pretend():
        with FakeTensorMode(allow_non_fake_inputs=True), Watch() as watch:
            yield watch
        assert watch.devices <= {CPU, DEVICE}

    return pretend


@pytest.mark.parametrize(("model", "short"), STEPS.values(), ids=STEPS)
def test_a_training_step_and_a_validation_step(gpu, lmdb, model, short):
    if "braindecode" in model.get("encoder", ""):
        pytest.importorskip("braindecode")
    loss = {"learnable_temperature": True, "duplicate_cosine": 0.99}
    people = PEOPLE if "person_layer" in model else ()
    run = planted_run(model=model, loss=loss, training={"ema_decay": 0.5, "negatives": "person"})
    run = run.model_copy(update={"people": "all" if people else "own"})
    options = {"average_trials": 2, "memory_limit_gb": 1.0, "measured_weight": 2.0, **ALL}
    if run.model.linear_axes:
        n_trials = 3 * (40 + N_ALONE)
        options["coordinates"] = np.zeros((n_trials, run.model.linear_axes * (1 + bool(people))), np.float32)
    network = AlignmentModel(run.model, planted_layout(), N_FEATURES, people)
    on_cpu = AlignmentDataset(lmdb, "train")
    task = AlignmentTask(network, run=run, batches=Batches(on_cpu, 16), identity={})
    with gpu() as watch:
        task.to(DEVICE)
        batches = iter(Batches(AlignmentDataset(lmdb, "train", device=str(DEVICE), **options), 16))
        next(batches)
        (pairs,) = training._validation_batches(LMDBReader(lmdb), run, [str(DEVICE)]).dataset
        watch.copies.clear()  # of what lies on the device for a whole epoch
        with torch.autocast("cuda", torch.bfloat16, enabled=short):
            batch = next(batches)
            assert {part.device for part in batch.values()} == {DEVICE}
            assert {"image", "cluster", "weight", "target", "eeg"} <= set(batch)
            loss = task.training_step(batch, 1)
            task.validation_step(pairs, 0)
        optimizer = task.configure_optimizers()["optimizer"]
        for weight in (*task.model.parameters(), *task.loss.parameters()):
            weight.grad = torch.empty_like(weight)
        task.configure_gradient_clipping(optimizer, gradient_clip_val=1.0)
        task.optimizer_step(0, 1, optimizer, None)
        assert (loss.device, loss.dtype) == (DEVICE, torch.float32)
        assert {part.device for part in task._validation[0]} == {DEVICE}
        assert not watch.copies


@pytest.mark.parametrize("name", ["CBraMod", "InterpolatedBIOT", "Labram", "TSception"])
def test_an_encoder_of_braindecode_copies_nothing(gpu, name):
    """Of channels that it knows by name or by position."""
    pytest.importorskip("braindecode")
    layout = EEGLayout(("P7", "P3", "Pz", "P4", "P8", "Oz"), 200, 200.0)
    encoder = build_encoder(ModelConfig(encoder=f"braindecode:{name}"), layout).eval()
    with gpu() as watch, torch.no_grad():
        encoder.to(DEVICE)
        eeg = torch.empty(3, 6, 200, device=DEVICE)
        watch.copies.clear()
        assert encoder(eeg).shape == (3, encoder.n_tokens, encoder.token_width)
        assert not watch.copies


def test_a_prediction_is_read_back_once(gpu, lmdb, monkeypatch):
    pairs = SimpleNamespace(eeg=np.zeros((2, N_CHANNELS, 200), np.float32))
    models = [AlignmentModel(planted_run().model, planted_layout(), N_FEATURES) for _ in range(2)]
    monkeypatch.setattr(AlignmentModel, "load", lambda _: models.pop())
    monkeypatch.setattr(inference, "LMDBReader", lambda *_, **__: SimpleNamespace(people=["things-01"]))
    asked = []
    monkeypatch.setattr(
        inference, "write_test_predictions", lambda _, predict, *__, **___: asked.append(predict(pairs))
    )
    with gpu() as watch:
        inference.predict_pairs("model.safetensors", lmdb, out="predictions.npz")
        translate = runs.load_model("run").predict
        watch.copies.clear()
        eeg = np.zeros((2 * PREDICT_BATCH + 1, N_CHANNELS, 200), np.float32)
        embedding = translate(eeg)
    assert (asked[0].shape, embedding.shape) == ((2, N_FEATURES), (len(eeg), N_FEATURES))
    assert watch.copies == ["cuda", "cuda", "cuda", "cpu"]


def test_a_sheet_of_pictures_is_searched_on_the_device(gpu, tmp_path):
    """And what was found of all people is read back once."""
    path = write_thumbnails(tmp_path / "thumbnails.parquet", range(9), range(9))
    pairs = pd.DataFrame({"eeg_image": range(9), "fmri_image": range(9), "person": [0] * 5 + [1] * 4})
    board = BoardPictures(pairs, people=PEOPLE, thumbnails=[path, path])
    with gpu() as watch:
        embeddings = [torch.empty(9, N_FEATURES, device=DEVICE) for _ in range(2)]
        found = board._search(*embeddings)
    assert [len(part) for part in found] == [9, 9, 9]
    assert watch.copies == ["cuda", "cuda", "cpu"]  # which rows are whose, then what was found


def test_the_effect_of_the_query_is_read_back_once(gpu, monkeypatch):
    reads, n_trials = [], PREDICT_BATCH + 1
    monkeypatch.setattr(FakeTensor, "tolist", lambda tensor: (reads.append(tensor.device), [1.0, 4.0])[1])
    model = AlignmentModel(planted_run().model, planted_layout(), N_FEATURES)
    with gpu():
        model.to(DEVICE)
        eeg, targets = torch.empty(n_trials, N_CHANNELS, 200), torch.empty(n_trials, N_FEATURES)
        assert model.query_effect(eeg, targets) == 0.5
    assert reads == [DEVICE]


def test_a_projection(gpu):
    weight, bias = np.zeros((3, 5), np.float32), np.zeros(3, np.float32)
    blocks = [np.zeros((n_trials, 5), np.float32) for n_trials in (4, 2)]
    with gpu() as watch:
        assert [part.shape for part in projection.project(blocks, weight, bias)] == [(4, 3), (2, 3)]
    assert watch.devices == {CPU, DEVICE}


def published(network, shapes, dtype):
    """A network of these shapes, its linear layers in half precision."""
    shapes = {key.removeprefix(network.prefix): shape for key, shape in shapes.items()}
    module = build_empty(network, shapes, source="", remedy="").to_empty(device="cpu")
    for key, tensor in module.named_parameters():
        tensor.data = tensor.to(dtype if key in stored_weights(module) else tensor.dtype)
    return module


def test_tokens_are_read_back_once_a_block(gpu):
    network = published(backbone.BACKBONE, backbone_shapes(), torch.float16)
    with gpu() as watch:
        found = backbone.decode_tokens(network, np.zeros((5, 12), np.float32), block_trials=4)
        assert [len(tokens) for tokens, _ in found] == [4, 1]
    assert watch.copies == ["cuda", "cpu", "cpu"] * 2


@pytest.mark.parametrize(("steps", "n_draws"), [(3, 2), (5, 5)])
def test_samples_are_read_back_once_a_block(gpu, steps, n_draws):
    network = published(prior.PRIOR, prior_shapes(depth=1, n_times=5), torch.bfloat16)
    with gpu() as watch:
        found = prior.sample_tokens(
            network, np.zeros((3, 3, 8), np.float32), seed=0, steps=steps, block_trials=2
        )
        assert [len(tokens) for tokens in found] == [2, 1]
    assert watch.copies == ["cuda", *["cuda"] * n_draws, "cpu"] * 2


def test_pictures_are_read_back_once_a_sample(gpu):
    """And the UNet computes in half precision, the decoder in float32."""
    pytest.importorskip("diffusers", reason="diffusers is not installed, of which the networks are built")
    with torch.device("meta"):
        network = Unclip(UnclipSizes((32, 64), (0, 1), 6, 16, (32, 64)))
    network = network.to_empty(device="cpu").requires_grad_(False)
    for key, tensor in network.named_parameters():
        tensor.data = tensor.to(torch.float16 if key in unet_matrices(network) else torch.float32)
    types = {}
    for name in ("unet.conv_in", "decoder.conv_in", "decoder.conv_out"):
        network.get_submodule(name).register_forward_hook(
            lambda *call, name=name: types.__setitem__(name, call[2].dtype)
        )
    with gpu() as watch:
        tokens = np.zeros((3, 5, 6), np.float32)
        blocks = unclip.sample_pictures(network, tokens, seed=0, steps=1, n_samples=2, side=8, block_trials=2)
        assert [pictures.shape for pictures in blocks] == [(2, 2, 8, 8, 3), (1, 2, 8, 8, 3)]
    assert types == {"unet.conv_in": torch.float16} | dict.fromkeys(list(types)[1:], torch.float32)
    to_device = ["cuda", "cuda", *(["cuda"] * 5 + ["cpu"]) * 2]
    assert watch.copies == to_device * 2


def test_the_unclip_draws_a_file_on_the_device(gpu, tmp_path, monkeypatch):
    """Within what is free there; pictures are made small where they are written from."""
    pytest.importorskip("diffusers", reason="diffusers is not installed, of which the networks are built")
    with torch.device("meta"):
        network = Unclip(UnclipSizes((32, 64), (0, 1), 6, 16, (32, 64)))
    network = network.to_empty(device="cpu").requires_grad_(False)
    free = iter((unclip_drawing.WORKING, 1e9))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (next(free), 0))
    monkeypatch.setattr(unclip_drawing, "load_unclip", lambda _: network)
    monkeypatch.setattr(unclip_drawing, "SIDE", 8)
    with h5py.File(tmp_path / "tokens.h5", "w") as file:
        for name, n_trials in (("runs/net", 5), ("runs/measured_fmri", 5), ("centre", 16)):
            file[name] = np.zeros((n_trials, 5, 6), np.float16)
    options = {"unclip": "", "runs": ["net"], "steps": 1, "n_samples": 1, "seed": 0}
    with gpu() as watch:
        unclip_drawing.draw_unclip(tmp_path / "tokens.h5", out=tmp_path / "pictures.h5", **options)
        assert watch.copies.count("cpu") == 1 + 2 * 2  # blocks of the mean, and of both runs
        with pytest.raises(InputError, match=r"expected 8\.0 GB .* on cuda:1 for the unCLIP, got 1\.0 GB"):
            unclip_drawing.draw_unclip(tmp_path / "tokens.h5", out=tmp_path / "pictures.h5", **options)
    with h5py.File(tmp_path / "pictures.h5") as file:
        assert file["runs/net"].shape == (5, 1, 256, 256, 3)


def test_pictures_are_compared_on_the_device(gpu, monkeypatch):
    """Features are read back once a block, structural similarities once."""
    with torch.device("meta"):
        network = picture_networks.NETWORKS["swav"].build()
    network = network.to_empty(device="cpu").eval().requires_grad_(False)
    monkeypatch.setattr(picture_networks, "load_picture_network", lambda *_: network)
    pictures = np.zeros((3, 20, 20, 3), np.uint8)
    with gpu() as watch:
        found = picture_networks.picture_features("swav", "", pictures, pictures[:1], block_images=2)
        assert [part.shape for part in found["swav"]] == [(3, 2048), (1, 2048)]
        assert watch.copies.count("cpu") == 3
        watch.copies.clear()
        assert picture_metrics.structural_similarities(pictures, pictures).shape == (3, 3)
        assert watch.copies.count("cpu") == 1


@pytest.mark.parametrize("short", ["auto", "fp32"])
def test_an_embedding_is_read_back_once(gpu, monkeypatch, short):
    tower = VisionTransformer(
        image_size=32, patch_size=16, width=16, layers=1, heads=2, mlp_ratio=1, output_dim=4
    )
    network = nn.Module()
    network.encode_image = network.tower = tower.eval()
    preprocess = open_clip.image_transform(32, is_train=False)
    monkeypatch.setattr(clip, "load_clip", lambda *_: (network, preprocess))
    monkeypatch.setattr(clip, "allow_tf32", lambda _: None)
    images = [Image.new("RGB", (30 + number, 40)) for number in range(5)]
    options = {"model": "", "weights": "", "batch_size": 2, "n_threads": 1}
    with gpu() as watch:
        features = clip.embed_images(images, precision=short, **options)["projected"]
    assert features.shape == (5, 4)
    assert watch.copies.count("cpu") == 1


class Reads(TorchDispatchMode):
    """Note where the value of a tensor is read, or the size of one depends on values."""

    def __init__(self):
        super().__init__()
        self.places = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        needs_values = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(function.tags)
        is_index = function is torch.ops.aten.index.Tensor
        if needs_values and not (is_index and all(rows.dtype == torch.int64 for rows in arguments[1])):
            frame = next(frame for frame in traceback.extract_stack()[::-1] if "torch/" not in frame.filename)
            self.places[f"{frame.filename}:{frame.lineno}"] += 1
        return function(*arguments, **(options or {}))


def test_lightning_reads_nothing_back_in_a_step(lmdb, tmp_path, monkeypatch):
    """Four times as many steps make no more reads, with the progress bar of a terminal too."""
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(training, "sys", SimpleNamespace(stdout=terminal, stderr=terminal))
    places, ids = [], range(60)
    path = write_thumbnails(tmp_path / "thumbnails.parquet", ids, ids)
    for size in (60, 15):
        loss = {"learnable_temperature": True, "duplicate_cosine": 0.99}
        learned = {"targets": "both", "measured_weight": 2.0}
        run = planted_run(training={"epochs": 1, "batch_size": size, **learned}, loss=loss)
        outputs = {name: tmp_path / str(size) / file for name, file in OUTPUTS.items()}
        with Reads() as reads:
            options = {"weights": None, "code": "", "state": tmp_path / f"{size}.state"}
            training.train(lmdb, run=run, thumbnails=[path], **options, **outputs)
        places.append(reads.places)
    assert sum(places[0].values()) > 5  # each epoch's losses
    assert places[0] == places[1]


@pytest.mark.parametrize(
    ("wanted", "device", "has_bf16", "expected"),
    [
        ("auto", "cpu", True, "fp32"),
        ("fp32", "cpu", True, "fp32"),
        ("bf16", "cpu", True, "bf16"),
        ("auto", "cuda:1", True, "bf16"),
        ("auto", "cuda:1", False, "fp32"),
        ("fp32", "cuda:1", True, "tf32"),
        ("fp32", "cuda:1", False, "fp32"),
        ("fp16", "cuda:1", True, "fp16"),
    ],
)
def test_precision_follows_the_claimed_device(monkeypatch, wanted, device, has_bf16, expected):
    asked = []
    monkeypatch.delenv(TF32_SWITCH, raising=False)
    monkeypatch.setattr(torch.cuda, "device", lambda name: (asked.append(name), contextlib.nullcontext())[1])
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert resolve_precision(wanted, device) == expected
    assert asked == ([device] if device != "cpu" else [])
    monkeypatch.setenv(TF32_SWITCH, "0")
    assert resolve_precision(wanted, device) == expected.replace("tf32", "fp32")


@pytest.mark.parametrize("precision", ["tf32", "fp32"])
def test_tf32_is_allowed_where_it_is_named(precision):
    before = torch.get_float32_matmul_precision()
    allow_tf32(precision)
    found = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(before)
    assert found == {"tf32": "high", "fp32": "highest"}[precision]


def test_the_benchmark_runs_at_toy_size(tmp_path, monkeypatch, capsys):
    """And says in one line where there is nothing to measure."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.chdir(tmp_path)
    import gpu as benchmark

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    benchmark.main([])
    assert capsys.readouterr().out == f"{benchmark.NO_GPU}\n"
    benchmark.main(["--device", "cpu", "--toy"])
    heading, _, *lines = capsys.readouterr().out.splitlines()
    assert heading.endswith("; toy sizes, which say nothing about speed")
    rows = [line.split(" | ")[0].strip("| ") for line in lines[2:] if line.startswith("|")]
    assert rows == [
        *["pictures decoded"] * 2,
        *("CLIP, bare forward", "CLIP, pictures in memory", "CLIP, from JPEGs", "projection"),
        *("training step", "epoch of 1 steps", "saving, copy in memory", "saving, 0.01 GB to disk"),
    ]
    assert all(line.endswith("|  |  |") for line in lines[2:] if line.startswith("|"))  # no GPU, no figures
