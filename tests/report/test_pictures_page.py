"""The page of pictures from EEG says what was found, beside what measured fMRI and chance find."""

import numpy as np
import pandas as pd
from PIL import Image

from brain2image.report.pages.pictures_page import Drawings, pictures_page

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
            {"run": run, "level": "drawn", "space": "pictures", "metric": metric, "value": 0.6, "chance": 0.1}
            for metric in ("pixcorr", "pixcorr_two_way")
        ]
    return pd.DataFrame([common | row for row in rows])


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
    )


def test_the_first_sentence_is_the_claim_and_its_bounds():
    text = page(None)
    assert (
        "From the EEG alone, net, the best of 2 (chosen on test), finds the right one of 12 pictures for "
        "50 % [30 – 70] of the queries; chance finds 8.3 %. The measured fMRI itself, decoded in the same "
        "way, finds 100 %."
    ) in text
    assert "drawn from EEG" not in text
    assert text.count("<h2>net</h2>") == text.count("<h2>ridge</h2>") == 1
    assert "net_seed-1" not in text
    assert text.count("<img") == 2 * 6 * 4  # runs, queries, pictures of each


def test_drawings_stand_beside_their_nulls():
    pixels = np.zeros((N, 64, 64, 3), np.uint8)
    of_all = dict.fromkeys(("net", "ridge", "measured_fmri"), pixels) | {"training_mean": pixels[:1]}
    text = page(Drawings(of_all, np.roll(np.arange(N), 6).tolist(), 30))
    for column in ("drawn from EEG", "from measured fMRI", "from shuffled EEG", "training mean"):
        assert column in text
    assert text.count("<img") == 2 * 6 * 8
    assert "fitted on 30 scanned pictures" in text
    assert "<b>0.60</b>" in text
