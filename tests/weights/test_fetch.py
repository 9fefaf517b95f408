"""`snakemake fetch_weights` against a Hub on this machine: what it says, what it moves, what it leaves."""

import hashlib
import io
import re
import shutil

import numpy as np
import torch
import yaml
from helpers.checkouts import ROOT
from helpers.dry_runs import run_snakemake
from safetensors.numpy import load_file

from brain2image.formats.files import read_json
from brain2image.weights.sources import redact

COMMIT = "1" * 40
CBRAMOD = "hf://some/cbramod/weights.pth"
MINDEYE2 = f"hf://datasets/some/mindeye@{COMMIT}/{{subj}}/last.pth"
CLIP_FILE = "/timm/vit_large_patch14_clip_224.openai/resolve/main/open_clip_pytorch_model.bin"


def publish(server, path, content):
    """Offer a large file as the Hub does: its name and hash here, its bytes elsewhere."""
    digest = hashlib.sha256(content).hexdigest()
    server.files[f"/cdn/{digest}"] = content
    server.redirects[path] = f"http://localhost:{server.server_port}/cdn/{digest}"
    size = str(len(content))
    server.headers[path] = {"X-Repo-Commit": COMMIT, "X-Linked-Size": size, "X-Linked-ETag": f'"{digest}"'}
    return digest


def checkpoint(rng):
    """A ridge of 1 MB in a checkpoint of 9 MB, and the ridge's weight."""
    weight = rng.standard_normal((64, 4000)).astype(np.float32)
    ridge = {"ridge.linears.0.weight": torch.tensor(weight), "ridge.linears.0.bias": torch.zeros(64)}
    content = io.BytesIO()
    torch.save({"model_state_dict": {"backbone": torch.rand(2_000_000)} | ridge}, content)
    return content.getvalue(), weight


def run(pool, folder, *arguments, endpoint="http://127.0.0.1:1", **weights):
    """Run Snakemake in a folder; its status and all that was said."""
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"weights": weights}))
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "0"}
    arguments = (ROOT, "--directory", str(folder), "--show-failed-logs", *arguments)
    # huggingface_hub reads these variables when it is imported, which for forks was before
    options = {"config": str(config), "environment": environment, "are_forked": False}
    return pool.apply(run_snakemake, arguments, options)


def test_all_weights_are_fetched_and_kept(pool, server, tmp_path, rng):
    content, weight = checkpoint(rng)
    digest = publish(server, f"/datasets/some/mindeye/resolve/{COMMIT}/subj01/last.pth", content)
    cbramod = publish(server, "/some/cbramod/resolve/main/weights.pth", b"cbramod" * 1000)
    publish(server, CLIP_FILE, b"clip" * 1000)
    options = {"endpoint": server.url, "cbramod": CBRAMOD, "mindeye2": MINDEYE2}

    _, plan = run(pool, tmp_path, "--dry-run", "fetch_weights", **options)
    assert f"Download the published weights of cbramod (cbramod: 20 MB) from {CBRAMOD}" in plan
    assert "Download the CLIP weights openai of ViT-L-14-quickgelu (ViT-L-14: 1.7 GB" in plan
    assert f"Read the ridge of subj01 out of {MINDEYE2.format(subj='subj01')} (downloads 200 to" in plan

    status, output = run(pool, tmp_path, "fetch_weights", **options)
    assert status == 0, output
    results = tmp_path / "results"
    np.testing.assert_array_equal(
        load_file(results / "projection/subj01_ridge.safetensors")["weight"], weight
    )
    assert (results / "weights/cbramod.pth").read_bytes() == b"cbramod" * 1000
    assert read_json(results / "weights/cbramod.json") == {
        "source": CBRAMOD,
        "commit": COMMIT,
        "size": 7000,
        "sha256": cbramod,
    }
    assert [path.name for path in (results / "weights/clip").glob("[!.]*")] == ["open_clip_pytorch_model.bin"]
    assert digest in (results / "projection/subj01_ridge.safetensors").read_bytes()[:1000].decode("latin1")
    assert "downloading 7.0 kB" in (results / "logs/fetch_encoder/cbramod.log").read_text()
    assert server.sent < weight.nbytes + 1e6

    shutil.rmtree(tmp_path / "cache")
    _, plan = run(pool, tmp_path, "--dry-run", "fetch_weights", **options)
    assert "Nothing to be done" in plan


def test_without_network_a_download_says_where_to_make_it(pool, tmp_path):
    target = "results/weights/cbramod.pth"
    source = "http://SECRET:SECRET@127.0.0.1:1/cbramod.pth?token=SECRET"
    status, output = run(pool, tmp_path, target, cbramod=source)
    assert status == 1
    assert f"fetch_encoder: {redact(source)}: the server cannot be reached" in output
    assert "run `snakemake fetch_weights` where there is network" in output
    assert not (tmp_path / "results/weights").exists()
    # nor does anything else say what the source hides
    assert "SECRET" not in output
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "config.yaml"]
    assert len(left) > 1
    assert not [path for path in left if b"SECRET" in path.read_bytes()]


def test_a_bad_local_file_stops_before_any_job(pool, tmp_path):
    (tmp_path / "last.pth").write_text("<html>404</html>")
    target = "results/projection/subj01_ridge.safetensors"
    status, output = run(pool, tmp_path, "--dry-run", target, mindeye2=str(tmp_path / "last.pth"))
    assert status == 1
    assert f"config: weights.mindeye2: {tmp_path}/last.pth: expected weights, got a web page" in output


def test_local_files_are_not_fetched(pool, tmp_path):
    local = {"clip": "clip.safetensors", "cbramod": "cbramod.pth", "mindeye2": "{subj}.pth"}
    status, plan = run(pool, tmp_path, "--dry-run", "fetch_weights", **local)
    assert status == 0
    assert re.search(r"^total +1$", plan, re.MULTILINE)  # the target itself
