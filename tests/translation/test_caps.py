"""Caps: whose names channels have, where electrodes are, what is made of missing, flat and foreign ones."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from brain2image.core.errors import InputError
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.translation.caps import BOX, cap_names, nearest, other_system, positions, read_cap
from brain2image.translation.channels import arrange_channels
from brain2image.translation.names import CapOptions, read_renames
from brain2image.translation.new_eeg import Source

CLINICAL = [
    "Fp1",
    "Fp2",
    "F7",
    "F3",
    "Fz",
    "F4",
    "F8",
    "T3",
    "C3",
    "Cz",
    "C4",
    "T4",
    "T5",
    "P3",
    "Pz",
    "P4",
    "T6",
    "O1",
    "O2",
]


def make_source(names, bads=(), kinds=()):
    trials = pd.DataFrame({"event": ["a"], "sample": [0]})
    return Source("file", list(names), bads, "uV", trials, lambda rows: iter(()), None, kinds=kinds)


def arrange(names, *, channels=CHANNELS, bads=(), kinds=(), flat=(), rereferenced=False, **options):
    source = make_source(names, bads, kinds)
    return arrange_channels(source, channels, CapOptions(**options), flat=flat, rereferenced=rereferenced)


def labels(cap):
    return list(positions(frozenset({cap})))


@pytest.fixture
def eeg(rng):
    return rng.standard_normal((3, 65, 200)).astype(np.float32)


# ---- whose names


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (labels("biosemi128"), "biosemi128"),
        (labels("biosemi256"), "biosemi256"),
        (["Status", *BOX[:64], "EXG1", "EXG2"], "biosemi64"),
        (BOX[:32], "biosemi32"),
        ([f"E{i}" for i in range(1, 130)], "GSN-HydroCel-128"),
        ([f"EEG {i}" for i in range(1, 62)], "easycap-M10"),
        ([f"EEG{i:03}" for i in range(1, 61)], "mgh60"),
        ([f"{row}{i}" for row in "ABCF" for i in range(1, 5)], "names like those of biosemi"),
        ([f"{row}{i}" for row in "FCPO" for i in range(1, 13)], "F11, F12, C7, C8, C9 and .* more beside"),
    ],
)
def test_names_of_another_system_are_known(names, said):
    text = other_system(list(names))
    assert text is not None
    assert pd.Series(text).str.contains(said).item()


@pytest.mark.parametrize(
    "names",
    [
        CHANNELS,
        [name.upper() for name in CHANNELS],
        [f"EEG {name}-REF" for name in CLINICAL],
        [*CLINICAL, "A1", "A2", "T1", "T2", "E1", "E2"],
        ["F3", "F4", "C3", "C4", "O1", "O2", "M1", "M2", "E1", "E2", "EMG1", "ECG"],
        labels("biosemi64"),
        labels("easycap-M1"),
        ["Cz"],
        [],
    ],
    ids=str,
)
def test_names_of_the_10_20_system_pass(names):
    assert other_system(list(names)) is None


@pytest.mark.parametrize("options", [{}, {"interpolate": True}, {"interpolate": True, "min_channels": 1}])
def test_names_that_only_look_like_10_20_are_refused(options):
    """As the model's channels, and as neighbours from which they would be invented."""
    names = labels("biosemi256")
    assert len({*names} & {*CHANNELS}) == 14
    with pytest.raises(
        InputError, match=r"expected channels of the 10-20 system, got .*--montage biosemi256"
    ):
        arrange(names, **options)
    with pytest.raises(InputError, match="--montage biosemi256"):
        arrange(names, channels=["F1", "C3", "C4"], **options)


def test_a_run_trained_on_such_names_takes_them():
    names = [f"E{i}" for i in range(1, 7)]
    assert arrange(names, channels=names[::-1]).rows == [5, 4, 3, 2, 1, 0]


# ---- where electrodes are

# BioSemi's head caps, and Luu & Ferree (2005) for the HydroCel nets, which name the nearest electrode.
EQUIVALENT = {
    "biosemi128": (
        "Fp1 C29 Fp2 C16 F3 D4 F4 C4 C3 D19 C4 B22 P3 A7 P4 B4 O1 A15 O2 A28 F7 D7 F8 C7 T7 D23 T8 B26 P7 "
        "D31 P8 B11 Fz C21 Cz A1 Pz A19 Oz A23",
        10.5,  # mm
    ),
    "biosemi64": ("Fp1 A1 CPz A32 Oz A29 Fpz B1 Cz B16 O2 B32 T8 B20", 0.5),
    "biosemi32": ("Fp1 A1 O1 A15 Oz A16 O2 A17 Cz A32 Fz A31", 0.5),
    "GSN-HydroCel-129": (
        "Fp1 E22 Fp2 E9 F3 E24 F4 E124 C3 E36 C4 E104 O1 E70 O2 E83 F7 E33 F8 E122 P8 E96 Pz E62 Oz E75 "
        "Cz Cz",
        16,
    ),
    "GSN-HydroCel-257": ("F3 E36 C3 E59 C4 E183 T7 E69 T8 E202 Pz E101 Cz Cz", 16),
}


@pytest.mark.parametrize("cap", EQUIVALENT)
def test_electrodes_are_where_the_manufacturer_says(cap):
    text, largest = EQUIVALENT[cap]
    expected = dict(zip(text.split()[::2], text.split()[1::2], strict=True))
    electrodes, targets = read_cap(cap, [*BOX, *labels("GSN-HydroCel-257")])
    found = nearest(electrodes, {name: targets[name] for name in expected})
    assert {name: electrode for name, (electrode, _) in found.items()} == expected
    assert max(distance for _, distance in found.values()) < largest


def potential(places):
    """Potential of three dipoles in a homogeneous sphere, at directions from its middle, (n_places,)."""
    moments = np.array([[1, 0, 0.5], [0, 1, 0], [0, -0.3, 1]])
    inside = 0.6 * np.array([[0.2, 0.8, 0.5], [-0.8, 0, 0.6], [0, -0.9, 0.3]])
    difference = np.array(list(places.values()))[:, None] - inside
    return (np.sum(difference * moments, axis=2) / np.linalg.norm(difference, axis=2) ** 3).sum(axis=1)


@pytest.mark.parametrize(
    ("cap", "names"), [("biosemi128", None), ("biosemi64", BOX[:64]), ("GSN-HydroCel-256", None)]
)
def test_a_field_is_carried_over_from_another_cap(cap, names, caplog):
    caplog.set_level("INFO")
    names = names or labels(cap)
    electrodes, targets = read_cap(cap, list(names))
    mixing = arrange(["Status", *names[::-1], "EXG1"], montage=cap)
    field = potential(electrodes)[::-1]
    got = mixing(np.tile(field[:, None] * np.sin(np.arange(200)), (2, 1, 1)).astype(np.float32))
    assert (got.shape, got.dtype) == ((2, 63, 200), np.float32)
    expected = potential({name: targets[name] for name in CHANNELS})
    seen = got[0, :, 1] / np.sin(1)
    assert np.corrcoef(seen, expected)[0, 1] > 0.99
    assert np.corrcoef(np.roll(seen, 1), expected)[0, 1] < 0.9
    assert "of 63 channels are interpolated (distance of the nearest electrode): " in caplog.text


def test_an_electrode_at_the_place_of_a_channel_is_that_channel(eeg, caplog):
    caplog.set_level("INFO")
    got, names = arrange(BOX[:64], montage="biosemi64")(eeg[:, :64]), labels("biosemi64")
    same = [name for name in CHANNELS if name in names and f"{name} = " in caplog.text]
    assert len(same) > 50
    for name in same:
        np.testing.assert_array_equal(got[:, CHANNELS.index(name)], eeg[:, names.index(name)])
    assert "channels that are an electrode of biosemi64: Fp1 = A1 (0 mm), Fp2 = B2 (0 mm)" in caplog.text


def test_few_electrodes_are_refused():
    with pytest.raises(InputError, match=r"within 20 mm of at least 31 of the 63 channels .* got them of 2;"):
        arrange(["Oz", "Pz"], interpolate=True)
    with pytest.raises(InputError, match="got them of 0"):
        arrange(["Fz", "X"], interpolate=True, min_channels=0, bads=["Fz"])
    with pytest.raises(InputError, match=r"at least 31 .* got them of 15;"):
        arrange(BOX[:16], montage="biosemi16")
    with pytest.raises(InputError, match="got them of 0"):
        arrange(CHANNELS, montage="EGI_256")
    assert len(arrange([f"EEG {i}" for i in range(1, 62)], montage="easycap-M10").rows) == 61
    assert len(arrange(["Oz", "Pz", "O1"], interpolate=True, min_channels=3).rows) == 3
    with pytest.raises(InputError, match="min_channels: expected interpolate or montage beside it"):
        arrange(CHANNELS, min_channels=3)
    with pytest.raises(InputError, match=r"montage: expected one of .*biosemi16, .*, got 'biosemi'"):
        arrange(CHANNELS, montage="biosemi")


# ---- names that the user gives


@pytest.mark.parametrize("text", ["X1\tO2\nX 2\tOz\n", "X1,O2\nX 2,Oz", "\ufeffX1;O2\r\n\r\nX 2; Oz\r\n"])
def test_channels_are_renamed_by_a_table_and_by_hand(tmp_path, text):
    (tmp_path / "names.txt").write_text(text)
    names = [*CHANNELS[:-3], "X1", "VEOG", "X 2", "O9"]
    table = {"rename_table": tmp_path / "names.txt"}
    mixing = arrange(names, rename={"O9": "O1"}, **table)
    assert mixing.rows == [*range(60), 63, 62, 60]
    assert arrange(names, bads=["X1"], rename={"O9": "O1"}, interpolate=True, **table).rows == [
        *range(60),
        63,
        62,
    ]


def test_names_of_another_system_do_not_collide_with_those_given():
    names = labels("biosemi256")
    given = dict(zip(names, CHANNELS, strict=False))
    assert arrange(names, rename=given).rows == [*range(63)]
    with pytest.raises(InputError, match="expected every channel once, got Oz twice"):
        arrange([*CHANNELS, "X"], rename={"X": "Oz"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "got no line"),
        ("a\tb\tc\n", r"got \['a', 'b', 'c'\]"),
        ("a,b\nc\n", r"got \['c'\]"),
        ("a,b\nc,\n", r"got \['c', ''\]"),
        ("a,b\nc,b\n", "got b twice"),
        ("a,b\na,c\n", "got a twice"),
    ],
)
def test_bad_tables_are_told(tmp_path, text, problem):
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(InputError, match=rf"names\.csv: expected .*{problem}"):
        read_renames(tmp_path / "names.csv")


def test_names_to_rename_must_be_there(tmp_path):
    (tmp_path / "names.csv").write_text("a,b\n")
    for options in ({"rename": {"a": "b"}}, {"rename_table": tmp_path / "names.csv"}):
        with pytest.raises(InputError, match="expected channels a to rename, got Fp1, "):
            arrange(CHANNELS, **options)
    with pytest.raises(
        InputError, match=r"no\.csv: expected a table of old and new names, but .*No such file"
    ):
        arrange(CHANNELS, rename_table=tmp_path / "no.csv")


# ---- channels that are no EEG, and flat ones


def test_channels_of_another_type_are_not_taken_for_eeg(caplog):
    caplog.set_level("INFO")
    kinds = ["eeg"] * 61 + ["eog", "ecg"]
    with pytest.raises(
        InputError, match=r"without Oz \(EOG in the file, --rename Oz=Oz if it is EEG\), O2 \(ECG in"
    ):
        arrange(CHANNELS, kinds=kinds)
    assert arrange(CHANNELS, kinds=kinds, interpolate=True).rows == [*range(61)]
    assert "Oz is not used (EOG in the file" in caplog.text
    assert "channels that are not used: Oz, O2" in caplog.text
    assert arrange(CHANNELS, kinds=kinds, rename={"Oz": "Oz", "O2": "O2"}).rows == [*range(63)]


def test_flat_channels_are_refused_or_interpolated(eeg, caplog):
    eeg[:, [5, 40]] = 3e-3 * eeg[:, [5, 40]] + 7
    eeg[0, 20] = 0  # in one trial of three
    with pytest.raises(InputError, match=r"got flat ones: AF4, CPz; .*--interpolate.*--reference"):
        arrange([*CHANNELS, "Iz", "Fpz"])(eeg[:, :63])
    names = [*CHANNELS, "Iz", "Fpz"]
    got = arrange(names, interpolate=True)(eeg[:, :63])
    assert "flat channels are left out: AF4, CPz" in caplog.text
    bad = arrange(names[:63], interpolate=True, bads=["AF4", "CPz"])
    np.testing.assert_allclose(got, bad(eeg[:, bad.rows]), atol=1e-5)
    others = [row for row in range(63) if row not in (5, 40)]
    np.testing.assert_array_equal(got[:, others], eeg[:, others])


def test_channels_that_were_flat_in_training_may_be(eeg):
    eeg[:, 5] = 0
    same = arrange(CHANNELS, flat=["AF4"])
    np.testing.assert_array_equal(same(eeg[:, :63]), eeg[:, :63])
    eeg[:, 40] = 0
    got = arrange(CHANNELS, flat=["AF4"], interpolate=True)(eeg[:, :63])
    assert (got[:, 5] == 0).all()
    expected = arrange(CHANNELS, interpolate=True, bads=["AF4", "CPz"])
    np.testing.assert_allclose(got[:, 40], expected(eeg[:, expected.rows])[:, 40], atol=1e-5)


def test_the_reference_may_be_zero_where_another_is_asked_for(eeg):
    eeg[:, 30] = 0
    mixing = arrange(CHANNELS, rereferenced=True)
    np.testing.assert_array_equal(mixing(eeg[:, :63]), eeg[:, :63])
    with pytest.raises(InputError, match=r"got flat ones: Cz; .*name another reference \(--reference\)$"):
        arrange(CHANNELS)(eeg[:, :63])
    source = replace(make_source(CHANNELS), reference="CZ")
    np.testing.assert_array_equal(arrange_channels(source, CHANNELS, CapOptions())(eeg[:, :63]), eeg[:, :63])
    eeg[:, 5] = 1e-3 * eeg[:, 5] + 1
    with pytest.raises(InputError, match="got flat ones: AF4; have"):
        mixing(eeg[:, :63])


def test_most_channels_may_be_flat_and_are_found(eeg):
    eeg[:, :45] = 0
    with pytest.raises(InputError, match=r"got flat ones: Fp1, .*TP8; have"):
        arrange(CHANNELS)(eeg[:, :63])
    with pytest.raises(InputError, match=r"at least 31 .* got them of \d\d;"):
        arrange(CHANNELS, interpolate=True)(eeg[:, :63])
    with pytest.raises(InputError, match="got them of"):
        arrange(BOX[:64], montage="biosemi64")(np.where(np.arange(64)[:, None] < 40, 0, eeg[:, :64]))


def test_a_flat_electrode_of_a_cap_is_left_out(eeg, caplog):
    eeg[:, 3] = 0
    got = arrange(BOX[:64], montage="biosemi64")(eeg[:, :64])
    bad = arrange(BOX[:64], montage="biosemi64", bads=[BOX[3]])
    np.testing.assert_allclose(got, bad(eeg[:, bad.rows]), atol=1e-5)
    assert "flat channels are left out: A4" in caplog.text


def test_channels_are_near_an_electrode_of_every_large_cap():
    large = [cap for cap in cap_names() if len(labels(cap)) >= 70]
    assert {cap.partition("-")[0].rstrip("0123456789_") for cap in large} >= {"biosemi", "EGI", "GSN", "mgh"}
    for cap in large:
        electrodes, targets = read_cap(cap, labels(cap))
        distances = nearest(electrodes, {name: targets[name] for name in CHANNELS}).values()
        assert sum(distance <= 20 for _, distance in distances) >= 59, cap
