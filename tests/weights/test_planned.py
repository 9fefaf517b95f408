"""Where weights lie: the user's files, and what is fetched."""

import pytest

from brain2image.core.errors import InputError
from brain2image.weights.planned import WeightPlaces

SOURCES = {"clip": "hf://a/clip", "cbramod": "here.pth", "mindeye2": "https://x:secret@y/{subj}.pth"}
SOURCES |= {"token_clip": "there.pt", "unclip": "unclip.ckpt"}


def test_what_is_fetched_has_its_place_among_the_results():
    places = WeightPlaces(SOURCES, results="out", must_exist=False)
    assert [key for key in SOURCES if places.is_fetched(key)] == ["clip", "mindeye2"]
    assert places.find("cbramod") == "here.pth"
    assert places.find("clip") == places.fetched["clip"] == "out/weights/clip"
    ridges = [f"out/projection/subj0{n}_ridge.safetensors" for n in (1, 2)]
    assert places.downloads(["subj01", "subj02"], of=["cbramod", "mindeye2"]) == ridges
    assert "secret" not in places.shown("mindeye2", subj="subj01")


def test_the_users_file_must_be_there():
    with pytest.raises(InputError, match=r"config: weights\.cbramod: here\.pth"):
        WeightPlaces(SOURCES, results="out", must_exist=True).find("cbramod")
    sources = SOURCES | {"braindecode:Labram": "no.pth"}
    with pytest.raises(InputError, match=r"config: weights\.encoders\.braindecode:Labram: no\.pth"):
        WeightPlaces(sources, results="out", must_exist=True).find("braindecode:Labram")


def test_parts_of_the_unclip_are_read_by_a_rule_and_networks_that_compare_are_fetched():
    sources = SOURCES | {"unclip": "hf://a/b/unclip.ckpt", "comparing:swav": "https://x/swav.pth.tar"}
    places = WeightPlaces(sources, results="out", must_exist=True)
    assert places.find("unclip") == []
    assert places.fetched["unclip"] == "out/decoding/unclip.safetensors"
    assert places.fetched_encoders == {"comparing_swav": "comparing:swav"}
    places = WeightPlaces(sources | {"comparing:swav": "no.pth"}, results="out", must_exist=True)
    with pytest.raises(InputError, match=r"config: weights\.picture_networks\.swav: no\.pth"):
        places.find("comparing:swav")


def test_weights_of_encoders_lie_in_files_without_a_colon():
    sources = SOURCES | {"braindecode:Labram": "https://x/labram"}
    places = WeightPlaces(sources, results="out", must_exist=True)
    assert places.find("braindecode:Labram") == "out/weights/braindecode_Labram.pth"
    assert places.fetched_encoders == {"braindecode_Labram": "braindecode:Labram"}
