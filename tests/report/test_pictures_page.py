"""The page of pictures from EEG says what was found, beside what measured fMRI and chance find."""

import base64
import io
import re

import numpy as np
import pandas as pd
from PIL import Image

from brain2image.report.pages.drawn_pictures import Drawings, drawn_gallery, drawn_scores
from brain2image.report.pages.pictures_page import pictures_page

N = 12


def summary():
    common = {"seed": pd.NA, "n_test": N, "n_concepts": N, "n_trials": "all", "n_gallery": N, "p": 0.01}
    common |= {"direction": "forward", "low": 0.3, "high": 0.7, "share_of_ceiling": np.nan}
    rows = []
    for run, top1 in (("net", 0.5), ("ridge", 0.4), ("measured_fmri", 1.0)):
        for level, space in (("tokens", "tokens"), ("tokens", "tokens_linear"), ("image", "embedding")):
            if (run, level) != ("measured_fmri", "image"):
                rows += [
                    {
                        "run": run,
                        "level": level,
                        "space": space,
                        "metric": metric,
                        "value": value,
                        "chance": chance,
                    }
                    for metric, value, chance in (("top1", top1, 1 / N), ("two_way", 0.9, 0.5))
                ]
        rows += [
            {
                "run": run,
                "level": "protocol",
                "space": "tokens",
                "metric": "top1",
                "value": top1,
                "chance": 0.1,
            }
            | {"direction": way}
            for way in ("forward", "backward")
        ]
        rows += [
            {"run": run, "level": "drawn", "space": "linear", "metric": metric, "value": 0.6, "chance": 0.1}
            for metric in ("pixcorr", "clip")
        ]
    return pd.DataFrame([common | row for row in rows])


COMPARED = {
    "not_computed": {"alexnet_2": "no weights", "swav": "no file", "alexnet_5": "no weights"},
    "notes": {"ssim": "of 40"},
}


def page(drawings, names=("net", "net_seed-1", "ridge", "ceiling", "measured_fmri")):
    rng = np.random.default_rng(0)
    tables = {name: rng.random((N, N)).tolist() for name in names}
    pictures = [Image.new("RGB", (20, 20), (number, 0, 0)) for number in range(N)]
    return pictures_page(
        "things-01_subj01",
        summary(),
        {"similarity": tables, "n_fitted": 30, "clip": "ViT-tiny"},
        seen=pictures,
        partners=pictures,
        titles=("THINGS", "NSD"),
        drawings=drawings,
        compared=COMPARED,
    )


def test_the_first_sentence_is_the_claim_and_its_bounds():
    text = page([])
    assert (
        "From the EEG alone, net, the best of 2 (chosen on test), finds the right one of 12 pictures for "
        "50 % [30 – 70] of the queries; chance finds 8.3 %. The measured fMRI itself, decoded in the same "
        "way, finds 100 %."
    ) in text
    assert "drawn from EEG" not in text
    assert text.count("<h2>net</h2>") == text.count("<h2>ridge</h2>") == 1
    assert "net_seed-1" not in text
    assert text.count("<img") == 2 * 6 * 7  # runs, queries, pictures of each


def test_drawings_stand_beside_their_nulls():
    pixels = np.zeros((N, 1, 64, 64, 3), np.uint8)
    of_all = dict.fromkeys(("net", "ridge", "measured_fmri"), pixels) | {"training_mean": pixels[:1]}
    text = page([Drawings("linear", of_all, 30)])
    for column in ("drawn from EEG", "from measured fMRI", "from shuffled EEG", "from the mean"):
        assert text.count(f"<th>{column}</th>") == 2
    assert text.count("<img") == 2 * 6 * (7 + 6)
    assert "fitted on 30 scanned pictures" in text
    assert "the unCLIP" not in text


def test_the_null_shows_the_eeg_of_another_query():
    """Each picture's grey is its row: seven greys of a row, of which two are another's and the mean's."""
    greys = np.zeros((N, 1, 8, 8, 3), np.uint8) + 20 * np.arange(N, dtype=np.uint8)[:, None, None, None, None]
    drawn = {"net": greys, "measured_fmri": greys, "training_mean": np.full((1, 1, 8, 8, 3), 255, np.uint8)}
    images = [Image.new("RGB", (20, 20))] * N
    query = {"pair": 3, "group": "best", "rank": 1}
    text = drawn_gallery("net", [query], images, images, ("T", "N"), Drawings("unclip", drawn, 0))
    found = [
        Image.open(io.BytesIO(base64.b64decode(part))).getpixel((50, 50))[0]
        for part in re.findall(r"base64,([^\"]+)", text)
    ]
    np.testing.assert_allclose(found, [0, 0, 60, 60, 20 * 9, 255], atol=2)


def test_drawn_pictures_have_scores_with_chance_and_p():
    text = "".join(drawn_scores(summary(), COMPARED))
    assert "<th>PixCorr ↑</th><th>CLIP, 2-way % ↑</th>" in text
    assert "<b>0.60</b>" in text
    assert text.count("p 0.01") == 3 * 2
    assert "AlexNet 2, AlexNet 5: no weights. SwAV: no file. " in text
    assert "SSIM: of 40." in text
    pixels = np.zeros((N, 1, 8, 8, 3), np.uint8)
    of_all = dict.fromkeys(("net", "ridge", "measured_fmri"), pixels) | {"training_mean": pixels[:1]}
    assert (
        "Metrics by which what is drawn from its EEG resembles the seen pictures more than a shuffled "
        "pairing does (p &lt; 0.05 each): by a ridge 2 of 2."
    ) in page([Drawings("linear", of_all, 30)])
