"""The synthetic raw data: the releases' formats as declared, and what was planted found again."""

import io
import logging
import runpy
import tarfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from helpers.scripts import Files
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.signal import butter, sosfiltfilt, welch

from brain2image.config import SimulateConfig
from brain2image.core.errors import InputError
from brain2image.formats.files import sha256
from brain2image.formats.unpickling import load_arrays
from brain2image.synthetic import clip_weights
from brain2image.synthetic import raw_files as recordings
from brain2image.synthetic.cbramod_weights import cbramod_shapes
from brain2image.synthetic.clip_weights import simulate_clip
from brain2image.synthetic.concepts import concept_names, image_metadata
from brain2image.synthetic.design import _fill, training_codes
from brain2image.synthetic.drawings import Painter
from brain2image.synthetic.eeg import background, draw_evoked
from brain2image.synthetic.fmri import draw_betas, draw_ridge, draw_voxels, fit_scaling
from brain2image.synthetic.heads import CHANNELS, draw_head
from brain2image.synthetic.images import THINGS_SIZES
from brain2image.synthetic.latents import KINSHIP, RELATED_SHARE, nsd_design, nsd_latents, things_latents
from brain2image.synthetic.nsd_files import oracle_arrays

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
SIMULATE = SimulateConfig(
    n_concepts=10,
    images_per_concept=3,
    n_test_concepts=5,
    n_nsd_sessions=1,
    n_voxels=64,
    n_latents=6,
    n_features=32,
).model_dump()
CLIP_MODEL = "ViT-S-32-alt"
PARTITIONS = ("training", "test")


def run_script(rule, root, inputs=(), outputs=(), **params):
    """Run one workflow script with a stand-in for Snakemake's object."""
    snakemake = SimpleNamespace(
        rule=rule,
        threads=1,
        log=[str(root / f"{rule}.log")],
        input=Files(**dict(inputs)),
        output=Files(**dict(outputs)),
        params=SimpleNamespace(**params),
    )
    runpy.run_path(str(SCRIPTS / f"{rule}.py"), init_globals={"snakemake": snakemake})


def simulate(root):
    """Write all synthetic data but the CLIP weights below ``root`` and return their paths."""
    paths = SimpleNamespace(
        images={
            "training_images": root / "images" / "training_images",
            "test_images": root / "images" / "test_images",
            "metadata": root / "images" / "image_metadata.npy",
            "pixels": root / "coco_images_224_float16.hdf5",
            "indices": root / "COCO_73k_subj_indices.hdf5",
            "shared1000": root / "shared1000.npy",
            "latents": root / "latents.npz",
        },
        eeg=[
            root / f"sub-01/ses-{session:02d}/raw_eeg_{partition}.npy"
            for session in range(1, 5)
            for partition in PARTITIONS
        ],
        fmri={
            "betas": root / "betas_all_subj01_fp32_renorm.hdf5",
            "wds": root / "wds" / "subj01",
            "checkpoint": root / "last.pth",
            "oracle": root / "oracle.npz",
        },
        cbramod=root / "cbramod.pth",
    )
    run_script("simulate_images", root, outputs=paths.images, simulate=SIMULATE, subjects=["subj01"])
    latents = {"latents": paths.images["latents"]}
    run_script("simulate_eeg", root, latents, {"sessions": paths.eeg}, simulate=SIMULATE, subject="sub-01")
    planted = {name: paths.images[name] for name in ("latents", "indices", "shared1000")}
    run_script("simulate_fmri", root, planted, paths.fmri, simulate=SIMULATE, subject="subj01")
    run_script("simulate_cbramod", root, outputs={"weights": paths.cbramod}, seed=0)
    return paths


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """All files of a tiny simulation, through the workflow's scripts."""
    handlers = logging.root.handlers[:]
    root = tmp_path_factory.mktemp("simulated")
    paths = simulate(root)
    paths.root = root
    with np.load(paths.images["latents"]) as planted:
        paths.latents = dict(planted)
    yield paths
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers


@pytest.fixture(scope="module")
def eeg(raw):
    """The eight recordings, by partition, in the order of sessions."""
    contents = [load_arrays(path) for path in raw.eeg]
    return {"training": contents[::2], "test": contents[1::2]}


def r_squared(targets, predictions):
    """Mean coefficient of determination over columns."""
    residual = ((targets - predictions) ** 2).sum(axis=0)
    return np.mean(1 - residual / ((targets - targets.mean(axis=0)) ** 2).sum(axis=0))


def decoded(features, targets):
    """R² of a least-squares fit on even rows, on odd rows."""
    features = np.column_stack([features, np.ones(len(features))])
    weights = np.linalg.lstsq(features[::2], targets[::2], rcond=None)[0]
    return r_squared(targets[1::2], features[1::2] @ weights)


# Pictures


def test_everything_is_deterministic(raw, tmp_path):
    simulate(tmp_path)
    files = [path.relative_to(raw.root) for path in raw.root.rglob("*") if path.is_file()]
    files = [path for path in files if path.suffix != ".log"]
    assert len(files) > 50
    assert [path for path in files if sha256(raw.root / path) != sha256(tmp_path / path)] == []


def test_metadata_lists_the_files_in_sorted_order(raw):
    lists = load_arrays(raw.images["metadata"])
    for partition, prefix, n_images in (("training", "train_img", 30), ("test", "test_img", 5)):
        folder = raw.images[f"{partition}_images"]
        on_disk = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
        listed = [
            f"{concept}/{file}"
            for concept, file in zip(lists[f"{prefix}_concepts"], lists[f"{prefix}_files"], strict=True)
        ]
        assert listed == on_disk
        assert len(listed) == n_images
        assert listed[0].startswith("00001_")
        sizes = {Image.open(folder / path).size for path in listed}
        assert all(size[0] == size[1] and 256 <= size[0] <= 300 for size in sizes)
    assert len(lists) == 6


@given(n_concepts=st.integers(1, 1654), n_test=st.integers(1, 200), seed=st.integers(0, 10))
@settings(max_examples=15, deadline=None)
def test_names_are_unique_and_sorted_with_their_prefix(n_concepts, n_test, seed):
    training, test = concept_names(n_concepts, n_test, seed=seed)
    assert len(set(training + test)) == n_concepts + n_test
    lists = image_metadata(training, test, 2, seed=seed)
    assert lists["train_img_concepts"] == sorted(lists["train_img_concepts"])
    things = lists["train_img_concepts_THINGS"][::2] + lists["test_img_concepts_THINGS"]
    by_rank = [name.split("_", 1)[1] for name in sorted(things)]
    assert by_rank == sorted(training + test)


def test_names_look_like_those_of_things():
    training, test = concept_names(1654, 200, seed=0)
    names = "".join(training + test)
    assert "-" in names and "_" in names and any(letter.isdigit() for letter in names)


def test_too_many_concepts_are_refused():
    with pytest.raises(InputError, match="100005 names"):
        concept_names(100_000, 5, seed=0)


def test_pixels_have_the_release_s_format_and_take_no_space_unseen(raw):
    with h5py.File(raw.images["pixels"]) as file:
        images = file["images"]
        assert images.shape == (73_000, 3, 224, 224) and images.dtype == np.float16
        assert images.chunks == (1, 3, 224, 224) and images.compression is None
        assert images.id.get_num_chunks() == len(raw.latents["nsd_images"])
        first = images[raw.latents["nsd_images"][0]]
    assert first.min() >= 0 and 0.5 < first.max() <= 1


def test_pixels_carry_the_latents(raw):
    with h5py.File(raw.images["pixels"]) as file:
        pictures = np.stack([file["images"][i] for i in raw.latents["nsd_images"]]).astype(np.float32)
    coarse = pictures.reshape(-1, 3, 4, 56, 4, 56).mean(axis=(3, 5)).reshape(len(pictures), -1)
    assert decoded(coarse, raw.latents["nsd"]) > 0.9


def test_things_pictures_are_the_planted_ones_in_canonical_order(raw):
    paths = [path for name in PARTITIONS for path in sorted(raw.images[f"{name}_images"].rglob("*.jpg"))]
    pictures = [Image.open(path) for path in paths]
    assert {size for picture in pictures for size in picture.size} <= set(THINGS_SIZES)
    coarse = np.stack([np.asarray(picture.resize((4, 4), Image.Resampling.BOX)) for picture in pictures])
    painter = Painter(SIMULATE["n_latents"], seed=SIMULATE["seed"])
    rng = np.random.default_rng(0)
    for image, latents in enumerate(raw.latents["things"]):
        again = [painter.paint(latents, size=224, rng=rng) for _ in range(8)]
        again = np.mean(again, axis=0).reshape(4, 56, 4, 56, 3).mean(axis=(1, 3))
        differences = np.abs(coarse / 255 - again).mean(axis=(1, 2, 3))
        assert differences.argmin() == image


@pytest.mark.parametrize("n_latents", [2, 12, 48])
def test_colour_field_is_linear_and_as_strong_for_any_number_of_latents(n_latents, rng):
    painter = Painter(n_latents, seed=0)
    places = rng.random((500, 2))
    a, b = rng.normal(size=(2, n_latents))
    combined = painter.field(2 * a - b, places)
    np.testing.assert_allclose(combined, 2 * painter.field(a, places) - painter.field(b, places), atol=1e-9)
    fields = [painter.field(latents, places) for latents in rng.normal(size=(200, n_latents))]
    power = np.mean(np.square(fields)) * 3 / min(n_latents, 3)
    assert 0.6 < power / 1.3**2 < 2


def test_latents_have_unit_variance_and_concepts_in_common():
    things = things_latents(2000, 4, 5, partition="training", seed=0)
    assert things.std() == pytest.approx(1, abs=0.02)
    by_concept = things.reshape(2000, 4, 5)
    assert np.mean(by_concept[:, 0] * by_concept[:, 1]) == pytest.approx(0.6, abs=0.03)
    test = things_latents(2000, 4, 5, partition="test", seed=0)
    assert abs(np.corrcoef(things.ravel(), test.ravel())[0, 1]) < 0.02


def test_most_nsd_pictures_resemble_one_things_picture():
    things = things_latents(40, 5, 40, partition="training", seed=0)
    nsd = nsd_latents(things, 3000, seed=0)
    assert nsd.std() == pytest.approx(1, abs=0.02)
    similarity = (nsd @ things.T) / np.linalg.norm(nsd, axis=1)[:, None] / np.linalg.norm(things, axis=1)
    best = similarity.max(axis=1)
    related = best > 0.7
    assert related.mean() == pytest.approx(RELATED_SHARE, abs=0.05)
    assert best[related].mean() == pytest.approx(KINSHIP, abs=0.05)
    assert best.max() < 0.999  # no picture is in both sets
    assert np.unique(similarity.argmax(axis=1)[related]).size == len(things)


@given(n_subjects=st.integers(1, 8), n_sessions=st.integers(1, 8), seed=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_nsd_design_shows_each_picture_three_times(n_subjects, n_sessions, seed):
    subjects = [f"subj0{number}" for number in range(1, n_subjects + 1)]
    design = nsd_design(subjects, n_sessions, share=0.1, seed=seed)
    shared = set(design.images[design.shared].tolist())
    assert min(shared) == 2950 and len(shared) == 25 * n_sessions
    owners = Counter()
    for trials in design.trials.values():
        assert len(trials) == 750 * n_sessions
        images, counts = np.unique(trials, return_counts=True)
        assert (counts == 3).all() and shared <= set(images.tolist())
        owners.update(images.tolist())
    assert all(count == (n_subjects if image in shared else 1) for image, count in owners.items())
    assert sorted(owners) == design.images.tolist()


def test_nsd_has_enough_pictures_for_all_subjects_and_sessions():
    design = nsd_design([f"subj0{number}" for number in range(1, 9)], 40, share=0.1, seed=0)
    assert len(design.images) == 73_000 and design.shared.sum() == 1000


def test_indices_and_shared_flags_agree(raw):
    with h5py.File(raw.images["indices"]) as file:
        assert list(file) == ["subj01"]
        trials = file["subj01"][:]
    flags = np.load(raw.images["shared1000"])
    assert flags.shape == (73_000,) and flags.dtype == bool
    assert np.flatnonzero(flags)[0] == 2950 and flags.sum() == 25
    assert np.array_equal(np.unique(trials), raw.latents["nsd_images"])
    assert flags[trials].sum() == 75


# EEG


def test_raw_eeg_has_the_release_s_format(eeg):
    for content in eeg["training"] + eeg["test"]:
        assert list(content) == ["raw_eeg_data", "ch_names", "ch_types", "sfreq", "highpass", "lowpass"]
        data = content["raw_eeg_data"]
        assert data.dtype == np.float64 and len(data) == 64
        assert content["ch_names"] == [*CHANNELS, "stim"] and "Fz" not in CHANNELS
        assert content["ch_types"] == ["eeg"] * 63 + ["stim"]
        assert type(content["sfreq"]) is int and content["sfreq"] == 1000
        assert 5e-6 < data[:63].std(axis=1).mean() < 2e-4  # volts
        onsets = np.flatnonzero(data[63])
        gaps = np.diff(onsets)
        assert (gaps[np.arange(len(gaps)) % 20 != 19] == 200).all()
        assert gaps[19::20].min() >= 1500 + 200
        assert data.shape[1] - onsets[-1] > 1500
        targets = np.flatnonzero(data[63, onsets] == 99_999)
        assert len(targets) > 0 and (np.diff(targets) > 1).all()


def test_sessions_show_complementary_halves(eeg):
    shown = []
    for content in eeg["training"]:
        codes, counts = np.unique(content["raw_eeg_data"][63], return_counts=True)
        pictures = (codes > 0) & (codes < 99_999)
        assert counts[pictures].min() >= 2
        shown.append(set(codes[pictures].astype(int).tolist()))
    everything = set(range(1, 31))
    assert shown[0] | shown[1] == shown[2] | shown[3] == everything
    assert not shown[0] & shown[1] and not shown[2] & shown[3]
    assert shown[0] not in (shown[2], shown[3])
    for session in shown:  # by concept
        assert Counter((code - 1) // 3 for code in session) == {(c - 1) // 3: 3 for c in session}


def test_test_sessions_show_each_picture_twenty_times(eeg):
    for content in eeg["test"]:
        codes = content["raw_eeg_data"][63]
        counts = Counter(codes[codes > 0].astype(int).tolist())
        assert set(counts) == {1, 2, 3, 4, 5, 99_999}
        assert all(23 <= counts[code] <= 24 for code in range(1, 6))  # 100, and 19 to fill sequences


def test_training_files_join_five_parts(eeg):
    for content in eeg["training"]:
        data = content["raw_eeg_data"]
        onsets = np.flatnonzero(data[63])
        steps = np.median(np.abs(np.diff(data[:63])), axis=0)
        joints = np.sort(np.argsort(steps)[-4:])
        assert (np.searchsorted(onsets, joints) == len(onsets) // 5 * np.arange(1, 5)).all()


@given(
    n_codes=st.integers(1, 300),
    n_repetitions=st.integers(1, 20),
    n_parts=st.sampled_from([1, 5]),
    seed=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_filled_sequences_keep_every_rule(n_codes, n_repetitions, n_parts, seed):
    codes = np.arange(1, n_codes + 1)
    filled = _fill(codes, n_repetitions, n_parts, rng=np.random.default_rng(seed))
    assert filled.shape[0] == n_parts and filled.shape[2] == 20
    for part in filled.reshape(n_parts, -1):
        targets = np.flatnonzero(part == 99_999)
        assert len(targets) >= 1 and (np.diff(targets) > 1).all()
    counts = np.bincount(filled[filled != 99_999], minlength=n_codes + 1)[1:]
    assert counts.min() >= n_repetitions and np.ptp(counts) <= 1


def test_real_numbers_give_the_real_design():
    sessions = training_codes(1654, 10, seed=0, subject="sub-01")
    for codes in sessions:
        n_targets = (codes == 99_999).sum()
        assert 80 <= n_targets <= 90 and len(np.unique(codes)) - 1 == 8270
        assert 16_540 + n_targets <= codes.size <= 16_800


def test_evoked_response_has_the_asked_size_against_the_noise(rng):
    head = draw_head(seed=0, subject="sub-01")
    noise = background(120_000, head, rng=rng)
    frequency, density = welch(noise, 1000, nperseg=20_000)
    band = (frequency >= 0.3) & (frequency <= 75) & (np.abs(frequency - 50) > 0.5)
    in_band = np.sqrt((density[:, band].sum(axis=1) * frequency[1]).mean())
    assert in_band == pytest.approx(head.noise_rms, rel=0.1)
    evoked = draw_evoked(12, snr=0.3, seed=0, subject="sub-01")
    response = evoked.response(rng.normal(size=(300, 12)))
    assert np.sqrt(np.mean(response**2)) / in_band == pytest.approx(0.3, rel=0.15)
    time_course = np.sqrt(np.mean((response - response.mean(axis=0)) ** 2, axis=(0, 1)))
    assert 80 <= time_course.argmax() <= 350


def test_noise_has_line_alpha_and_neighbours_in_common(rng):
    noise = background(120_000, draw_head(seed=0, subject="sub-01"), rng=rng)
    frequency, density = welch(noise, 1000, nperseg=10_000)
    spectrum = dict(zip(frequency.round(1).tolist(), density.mean(axis=0).tolist(), strict=True))
    assert spectrum[50.0] > 20 * spectrum[48.0]
    assert spectrum[10.0] > 3 * np.sqrt(spectrum[6.0] * spectrum[15.0])
    assert spectrum[1.0] > 5 * spectrum[20.0]
    correlation = np.corrcoef(sosfiltfilt(butter(2, (1, 40), "band", fs=1000, output="sos"), noise))
    at = CHANNELS.index
    assert correlation[at("O1"), at("PO7")] > 0.6 > correlation[at("O1"), at("Fp2")]


def test_recording_is_the_sum_of_overlapping_responses(monkeypatch, rng):
    monkeypatch.setattr(recordings, "background", lambda n_times, head, **_: np.zeros((63, n_times)))
    evoked = draw_evoked(3, snr=1, seed=0, subject="sub-01")
    latents = rng.normal(size=(19, 3))
    codes = rng.permutation([*range(1, 20), 99_999]).reshape(1, 20)
    data = recordings.record(codes, latents, evoked, draw_head(seed=0, subject="sub-01"), rng=rng)
    expected = np.zeros_like(data[:63])
    for onset in np.flatnonzero(data[63]):
        code = int(data[63, onset])
        shown = latents[code - 1] if code < 99_999 else np.zeros(3)
        expected[:, onset : onset + 1000] += evoked.response(shown[None])[0]
    np.testing.assert_allclose(data[:63], expected, atol=1e-15)
    np.testing.assert_array_equal(data[63, data[63] > 0], codes.ravel())


def test_averages_over_repetitions_show_the_planted_response(raw, eeg):
    sos = butter(3, (0.3, 40), "band", fs=1000, output="sos")
    sums, counts = np.zeros((5, 63, 500)), np.zeros(5)
    for content in eeg["test"]:
        data = content["raw_eeg_data"]
        filtered = sosfiltfilt(sos, data[:63])
        for onset in np.flatnonzero(data[63]):
            if (code := int(data[63, onset])) < 99_999:
                sums[code - 1] += filtered[:, onset : onset + 500]
                counts[code - 1] += 1
    average = sums / counts[:, None, None]
    evoked = draw_evoked(SIMULATE["n_latents"], snr=SIMULATE["eeg_snr"], seed=0, subject="sub-01")
    planted = evoked.response(raw.latents["things"][30:])[:, :, :500]
    ours = average - average.mean(axis=0)  # what neighbours add is the same for every picture
    theirs = planted - planted.mean(axis=0)
    for image in range(5):
        correlations = [np.corrcoef(ours[image].ravel(), other.ravel())[0, 1] for other in theirs]
        assert np.argmax(correlations) == image and correlations[image] > 0.75


# fMRI


@pytest.fixture(scope="module")
def betas(raw):
    """The betas of the simulated subject, (750, 64), and the planted latents of each trial."""
    with h5py.File(raw.fmri["betas"]) as file, h5py.File(raw.images["indices"]) as indices:
        assert file["betas"].compression is None and file["betas"].dtype == np.float32
        rows = np.searchsorted(raw.latents["nsd_images"], indices["subj01"][:])
        return file["betas"][:], raw.latents["nsd"][rows]


def read_tar(path):
    """Arrays of a tar by sample."""
    samples = {}
    with tarfile.open(path) as archive:
        for member in archive:
            sample, name, ending = member.name.split(".")
            assert ending == "npy" and sample.startswith("sample") and len(sample) == 15
            content = np.load(io.BytesIO(archive.extractfile(member).read()))
            samples.setdefault(sample, {})[name] = content
    return list(samples.values())


def test_behaviour_archives_hold_every_trial_once(raw):
    files = {path.relative_to(raw.fmri["wds"]).as_posix() for path in raw.fmri["wds"].rglob("*.tar")}
    assert files == {"train/0.tar", "new_test/0.tar"}
    train, test = (read_tar(raw.fmri["wds"] / name) for name in ("train/0.tar", "new_test/0.tar"))
    assert len(train) == 675 and len(test) == 75
    shapes = {"behav": (1, 17), "past_behav": (15, 17), "future_behav": (15, 17), "olds_behav": (3, 17)}
    for sample in train + test:
        assert {name: array.shape for name, array in sample.items()} == shapes
        assert all(array.dtype == np.float64 for array in sample.values())
    samples = sorted(train + test, key=lambda sample: sample["behav"][0, 5])
    table = np.concatenate([sample["behav"] for sample in samples])
    with h5py.File(raw.images["indices"]) as file:
        np.testing.assert_array_equal(table[:, 0], file["subj01"][:])
    np.testing.assert_array_equal(table[:, 5], np.arange(750))
    np.testing.assert_array_equal(table[:, 1:3], np.ones((750, 2)))
    assert Counter(table[:, 3]) == {run: 63 if run % 2 else 62 for run in range(1, 13)}
    assert [table[:, 4].min(), table[:, 4].max()] == [1, 63]
    np.testing.assert_array_equal(table[:, 16], np.load(raw.images["shared1000"])[table[:, 0].astype(int)])
    assert table[:, 7].sum() == 500  # two of three presentations are old
    for trial in (0, 5, 400, 749):
        sample = samples[trial]
        past = table[max(trial - 15, 0) : trial][::-1]
        np.testing.assert_array_equal(sample["past_behav"][: len(past)], past)
        assert (sample["past_behav"][len(past) :] == -1).all()
        np.testing.assert_array_equal(sample["future_behav"][: 749 - trial], table[trial + 1 : trial + 16])
        olds = sample["olds_behav"][sample["olds_behav"][:, 0] >= 0]
        assert (olds[:, 0] == table[trial, 0]).all() and (olds[:, 5] < trial).all()
        assert len(olds) == (table[:trial, 0] == table[trial, 0]).sum()


def test_betas_are_zscored_without_shared_pictures(raw, betas):
    with h5py.File(raw.images["indices"]) as file:
        own = ~np.load(raw.images["shared1000"])[file["subj01"][:]]
    np.testing.assert_allclose(betas[0][own].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(betas[0][own].std(axis=0), 1, atol=1e-5)


def test_betas_reach_the_planted_noise_ceiling(raw, betas):
    zscored, latents = betas
    with np.load(raw.fmri["oracle"]) as oracle:
        ncsnr = oracle["ncsnr"]
    design = np.column_stack([latents, np.ones(len(latents))])
    residual = zscored - design @ np.linalg.lstsq(design, zscored, rcond=None)[0]
    explained = 1 - residual.var(axis=0) / zscored.var(axis=0)
    ceiling = ncsnr**2 / (1 + ncsnr**2)
    assert np.corrcoef(explained, ceiling)[0, 1] > 0.97
    assert explained.mean() == pytest.approx(ceiling.mean(), abs=0.02)


def test_noise_ceilings_are_like_those_of_nsd():
    ncsnr = draw_voxels(4, 5000, seed=0, subject="subj01").ncsnr
    assert np.median(ncsnr) == pytest.approx(0.45, abs=0.02)
    assert np.mean(ncsnr**2 / (1 + ncsnr**2)) == pytest.approx(0.21, abs=0.02)


def test_voxel_noise_is_as_declared(rng):
    voxels = draw_voxels(4, 30, seed=0, subject="subj01")
    draws = draw_betas(np.zeros((40_000, 4)), voxels, rng=rng)
    expected = voxels.common.T @ voxels.common + np.diag(voxels.noise**2)
    np.testing.assert_allclose(np.cov(draws.T), expected, atol=0.03)
    np.testing.assert_allclose(np.diag(expected), 1 / (1 + voxels.ncsnr**2))
    np.testing.assert_allclose((voxels.tuning**2).sum(axis=0) + np.diag(expected), 1)


def test_readout_is_the_posterior_mean():
    voxels = draw_voxels(5, 40, seed=0, subject="subj01")
    noise = voxels.common.T @ voxels.common + np.diag(voxels.noise**2)
    slow = voxels.tuning @ np.linalg.inv(voxels.tuning.T @ voxels.tuning + noise)
    np.testing.assert_allclose(voxels.readout(), slow, atol=1e-10)


def test_oracle_is_the_mean_ridge_output(rng):
    voxels = draw_voxels(4, 30, seed=0, subject="subj01")
    weight, bias = draw_ridge(voxels, 16, seed=0, subject="subj01")
    sessions = np.repeat([0, 1], 100)
    scaling = fit_scaling(
        draw_betas(rng.normal(size=(200, 4)), voxels, rng=rng), sessions, rng.random(200) < 0.5
    )
    things = 2 * rng.normal(size=(6, 4))
    oracle = oracle_arrays(voxels, scaling, weight, bias)
    expected = things @ oracle["weight"] + oracle["offset"]
    for latents, one in zip(things, expected, strict=True):
        draws = draw_betas(np.tile(latents, (20_000, 1)), voxels, rng=rng).reshape(2, 10_000, -1)
        zscored = (draws - scaling.mean[:, None]) / scaling.std[:, None]
        outputs = zscored @ weight.T + bias
        error = outputs.std(axis=(0, 1)) / np.sqrt(20_000)
        assert (np.abs(outputs.mean(axis=(0, 1)) - one) < 5 * error + 1e-5).all()


def test_oracle_file_describes_the_checkpoint_and_the_betas(raw, betas):
    import torch

    zscored, latents = betas
    state = torch.load(raw.fmri["checkpoint"], weights_only=True)["model_state_dict"]
    assert {name.split(".")[0] for name in state} == {"ridge", "backbone", "diffusion_prior"}
    weight, bias = (state[f"ridge.linears.0.{name}"].numpy() for name in ("weight", "bias"))
    assert weight.shape == (32, 64) and bias.shape == (32,) and weight.dtype == np.float32
    with np.load(raw.fmri["oracle"]) as oracle:
        planted = np.vstack([oracle["weight"], oracle["offset"]])
    # The same map must come out of the betas by least squares.
    shown = np.column_stack([latents, np.ones(len(latents))])
    fitted, *_ = np.linalg.lstsq(shown, zscored @ weight.T + bias, rcond=None)
    assert np.linalg.norm(fitted - planted) < 0.15 * np.linalg.norm(planted)


# Weights


def test_cbramod_weights_are_those_of_the_published_model(raw):
    import torch
    from braindecode.models import CBraMod

    state = torch.load(raw.cbramod, weights_only=True)
    assert len(state) == 211 and sum(tensor.numel() for tensor in state.values()) == 4_924_000
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
    model = CBraMod(n_outputs=2, n_chans=63, n_times=200, sfreq=200, return_encoder_output=True)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert {name: shape for name, shape in shapes.items() if "final_layer" not in name} == cbramod_shapes()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all("final_layer" in name for name in missing)
    with torch.no_grad():
        output = model.eval()(0.2 * torch.randn(2, 63, 200))
    assert torch.isfinite(output).all() and 0.01 < output.std() < 100


def test_clip_sees_the_latents(raw, tmp_path, monkeypatch):
    """Fitted on half as many pictures as the workflow takes."""
    import open_clip
    import torch

    monkeypatch.setattr(clip_weights, "N_CALIBRATION", 150)
    weights = tmp_path / "clip.pt"
    run_script("simulate_clip", tmp_path, outputs={"weights": weights}, simulate=SIMULATE, model=CLIP_MODEL)
    model, _, preprocess = open_clip.create_model_and_transforms(CLIP_MODEL, pretrained=str(weights))
    latents, images = raw.latents["nsd"][:60], raw.latents["nsd_images"][:60]
    with h5py.File(raw.images["pixels"]) as file:
        pictures = [Image.fromarray(np.uint8(255 * file["images"][i].transpose(1, 2, 0))) for i in images]
    with torch.no_grad():
        embedding = model.eval().encode_image(torch.stack([preprocess(p) for p in pictures])).numpy()
    # Directions of the embedding in which pictures differ at all.
    _, _, directions = np.linalg.svd(embedding - embedding.mean(axis=0), full_matrices=False)
    assert decoded(embedding @ directions[: latents.shape[1]].T, latents) > 0.85
    cosines = [
        (a @ a.T / np.linalg.norm(a, axis=1) / np.linalg.norm(a, axis=1)[:, None])[np.triu_indices(60, 1)]
        for a in (embedding, latents)
    ]
    assert np.corrcoef(*cosines)[0, 1] > 0.9


def test_clip_that_is_no_transformer_is_refused(tmp_path):
    with pytest.raises(InputError, match="ViT-S-32-alt"):
        simulate_clip(SIMULATE, model="RN50", weights=tmp_path / "clip.pt")
    assert not any(tmp_path.iterdir())
