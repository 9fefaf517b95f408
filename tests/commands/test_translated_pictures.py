"""New EEG to pictures, from the command line: found ones, and drawn ones where a decoder is there."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers.small_decoding import N_PAIRS, SOURCE, write_decoding
from PIL import Image

from brain2image.__main__ import main
from brain2image.commands import translated_pictures
from brain2image.commands.translated_pictures import find_files
from brain2image.core.errors import InputError
from brain2image.datasets.nsd.layout import PIXELS
from brain2image.decoding.decode_pairs import decode_pairs
from brain2image.decoding.drawn_files import read_drawn
from brain2image.decoding.linear_decoder import draw_embeddings
from brain2image.decoding.linear_drawing import draw_linear
from brain2image.evaluation.predictions import read_predictions
from brain2image.formats.files import write_json
from brain2image.translation import embeddings
from brain2image.translation.outputs import write_blocks
from brain2image.translation.retrieval import read_gallery

BRAINS = "things-01_subj01"
OPTIONS = {"n_permutations": 100, "seed": 0}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Results with a decoder, and NSD's pixels."""
    folder = tmp_path_factory.mktemp("project")
    results = folder / "results"
    for name in ("decoding", "projection", "pictures", f"runs/{BRAINS}/net", "raw"):
        (results / name).mkdir(parents=True)
    paths, pictures = write_decoding(results / "raw")
    shutil.move(paths["projection"], results / "projection/subj01.h5")
    shutil.move(paths["backbone"], results / "decoding/subj01_backbone.safetensors")
    files = {"backbone": results / "decoding/subj01_backbone.safetensors", "gallery": paths["gallery"]}
    files |= {"projection": results / "projection/subj01.h5"}
    decode_pairs({"net": paths["predictions"]}, **files, out=results / "raw/tokens.h5", **OPTIONS)
    options = {"runs": ["net"], "fitted_images": pictures[N_PAIRS:], "seed": 0}
    draw_linear(results / "raw/tokens.h5", out=results / f"decoding/{BRAINS}.linear.h5", **options)
    write_json(results / f"runs/{BRAINS}/net/config.json", {"fmri": SOURCE})
    images = np.r_[100 : 100 + N_PAIRS, 1000 : 1000 + len(pictures) - N_PAIRS]
    pd.DataFrame({"image": images, "row": images}).to_parquet(results / "pictures/nsd.parquet")
    (folder / "nsd").mkdir()
    with h5py.File(folder / "nsd" / PIXELS, "w") as file:
        pixels = file.create_dataset("images", (73000, 3, 224, 224), np.float16, chunks=(1, 3, 224, 224))
        for image in images[:N_PAIRS]:
            pixels[image] = np.float16((image - 100) / 30)  # a grey of its own
    content = read_predictions(paths["predictions"])
    return folder, results, content


@pytest.fixture
def translated(project, monkeypatch):
    """The command with the options that it is given, after a translation that finds each picture itself."""
    _, results, content = project

    def write_translation(out, eeg, run, *, gallery, top_k, **options):
        centre = content.target_mean
        found = read_gallery(gallery, centre=centre, sha256=SOURCE["sha256"], top_k=top_k)
        nearest, similarity = found.nearest(content.targets, top_k=top_k)
        trials = pd.DataFrame(
            {"event": [f"e<{row}>" for row in range(N_PAIRS)], "sample": np.arange(N_PAIRS)}
        )
        arrays = {"embedding": content.targets, "fmri_image": nearest, "similarity": similarity}
        write_blocks(out, trials, [arrays], {})

    monkeypatch.setattr(embeddings, "write_translation", write_translation)

    def call(out, *options):
        run = str(results / f"runs/{BRAINS}/net")
        main(["translate", "--run", run, "--eeg", "x", "--out", str(out), "--top-k", "3", *map(str, options)])

    return call


@pytest.mark.parametrize("suffix", ["h5", "parquet"])
def test_pictures_of_every_trial_are_found_and_drawn(
    project, translated, tmp_path, capsys, monkeypatch, suffix
):
    monkeypatch.setattr(translated_pictures, "MAX_TRIALS", 5)
    folder, results, _ = project
    given = ["--pictures", tmp_path / "shown", "--nsd", folder / "nsd"]
    translated(tmp_path / f"e.{suffix}", *given)
    assert f"Pictures of 5 trials: {tmp_path}/shown/index.html" in capsys.readouterr().out
    drawn = read_drawn(results / f"decoding/{BRAINS}.linear.h5", "measured_fmri")
    for row in range(5):
        grey = np.asarray(Image.open(tmp_path / f"shown/{row + 1:04d}_found_1.png"))
        assert grey.shape == (224, 224, 3)
        np.testing.assert_allclose(grey, 255 * row / 30, atol=1)
        found = np.asarray(Image.open(tmp_path / f"shown/{row + 1:04d}_drawn.png")).astype(int)
        np.testing.assert_allclose(found, drawn[row, 0], atol=1)
    page = (tmp_path / "shown/index.html").read_text()
    assert page.count("<img") == 5 * 4 + 1
    assert "<td>e&lt;0&gt;</td>" in page
    assert "the first 5 are shown" in page
    names = {path.name for path in (tmp_path / "shown").iterdir()} - {"index.html", "mean.png"}
    assert len(names) == 5 * 4


def test_without_a_decoder_pictures_are_found_alone(project, translated, tmp_path, caplog):
    folder, results, _ = project
    elsewhere = tmp_path / "results"
    shutil.copytree(results, elsewhere, ignore=shutil.ignore_patterns("*.linear.h5"))
    run = elsewhere / f"runs/{BRAINS}/net"
    found = find_files(run, gallery=None, decoder=None, release=folder / "nsd")
    assert found.gallery == elsewhere / "projection/subj01.h5"
    assert found.decoder is None
    assert f"{BRAINS}.linear.h5 is not there: pictures are found, none drawn" in caplog.text
    given = ["--run", run, "--pictures", tmp_path / "shown", "--nsd", folder / "nsd"]
    translated(tmp_path / "e.h5", *given)
    assert "drawn" not in (tmp_path / "shown/index.html").read_text()
    assert not list((tmp_path / "shown").glob("*drawn*"))


def test_what_is_missing_is_said_before_anything_is_translated(translated, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.png").touch()
    monkeypatch.setattr(embeddings, "write_translation", None)
    for given, message in (
        (["--nsd", "x"], "expected --nsd with --pictures FOLDER alone; name the folder, or leave it out"),
        (["--decoder", "x"], "expected --decoder with --pictures FOLDER alone"),
        (["--pictures", tmp_path / "full"], "expected a new or an empty folder for pictures"),
        (["--pictures", tmp_path / "p", "--gallery", "no.h5"], "no.h5: expected measured embeddings, but"),
        (["--pictures", tmp_path / "p", "--decoder", "a_subj01.linear.h5"], "expected a linear decoder, but"),
    ):
        with pytest.raises(SystemExit) as error:
            translated(tmp_path / "e.h5", *given)
        assert message in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["decoder", "backbone"])
def test_what_is_of_another_subject_draws_nothing(project, name):
    """Embeddings of another checkpoint than that of the decoder, or of the backbone."""
    _, results, content = project
    decoder, backbone = (
        results / f"decoding/{file}" for file in (f"{BRAINS}.linear.h5", "subj01_backbone.safetensors")
    )
    source = SOURCE | {"checkpoint": "other.pth", "sha256": "2" * 64}
    what = "linear decoder"
    if name == "backbone":
        copied = shutil.copy(decoder, results / "raw/copy.h5")
        with h5py.File(copied, "a") as file:
            file.attrs.update(source)
        decoder, what = copied, "backbone"
    with pytest.raises(InputError, match=rf"expected the {what} of other\.pth, whose ridge made"):
        draw_embeddings(content.targets, decoder, backbone=backbone, source=source)


def test_embeddings_of_another_width_draw_nothing(project):
    _, results, content = project
    files = {"backbone": results / "decoding/subj01_backbone.safetensors", "source": SOURCE}
    decoder = results / f"decoding/{BRAINS}.linear.h5"
    with pytest.raises(InputError, match=r"expected an embedding of shape \(n_trials, 10\), as the"):
        draw_embeddings(content.targets[:, :4], decoder, **files)
