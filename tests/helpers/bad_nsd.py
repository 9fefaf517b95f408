"""Bad files of NSD: of every case a name, the damage, and the message."""

import io
import json
import os
import shutil
import tarfile

import h5py
import numpy as np

from brain2image.datasets.nsd.betas import read_tar
from brain2image.datasets.nsd.nsd_images import PIXELS
from helpers.damage import Payload, edit_dataset, edit_hdf5, overwrite, put, rename, save_npy, write_hdf5
from helpers.mindeye1_files import draw_trials, write_subject
from helpers.mindeye2_files import add_member, write_betas, write_shared, write_tar
from helpers.small_releases import READERS

# ---- MindEye2's lists and pixels


def indices(array):
    return write_hdf5("indices.hdf5", "subj01", array)


def flags(array):
    return save_npy("shared1000.npy", lambda root: array)


ODD_LISTS = {
    "ids of other subjects": (
        write_hdf5("indices.hdf5", "subject1", [1]),
        r"indices\.hdf5: expected .*subj01",
    ),
    "ids no whole session": (indices(np.arange(751)), r"indices\.hdf5: .*whole sessions of 750.*got 751"),
    "ids outdated": (indices(np.zeros(27750, int)), r"indices\.hdf5: .*got 27750: .*outdated release"),
    "ids too many": (indices(np.zeros(30750, int)), r"indices\.hdf5: expected 30000 .*got 30750"),
    "id too large": (indices(np.arange(72251, 73001)), r"indices\.hdf5: expected one integer .*to 73000;"),
    "id negative": (indices(np.arange(-1, 749)), r"indices\.hdf5: .*from -1 to 748"),
    "ids broken": (indices(np.full(750, 0.5)), r"indices\.hdf5: expected one integer"),
    "ids NaN": (indices(np.full(750, np.nan)), r"indices\.hdf5: expected one integer .*to nan;"),
    "ids in a table": (indices(np.zeros((750, 2), int)), r"indices\.hdf5: .*got int64 \(750, 2\)"),
    "ids as text": (indices(np.full(750, b"1")), r"indices\.hdf5: expected one integer .*got \|S1 \(750,\)"),
    "ids overwritten": (overwrite("indices.hdf5", "subj01"), r"indices\.hdf5: cannot read this HDF5 file"),
    "flags from 1": (
        lambda root: write_shared(root / "shared1000.npy", 2951),
        r"shared1000\.npy: expected the first shared picture at 2950, .*got 2951 \(off by one",
    ),
    "flags from 0": (lambda root: write_shared(root / "shared1000.npy", 0), r"at 2950, .*got 0;"),
    "no flags": (flags(np.zeros(73000, bool)), r"at 2950, .*got None"),
    "ids for flags": (flags(np.arange(1000)), r"expected 73000 flags .*int64 \(1000,\)"),
    "code": (
        save_npy("shared1000.npy", lambda root: np.array([Payload(root)], object)),
        r"shared1000\.npy: cannot read this \.npy file \(Object arrays",
    ),
    "archive for flags": (
        lambda root: np.savez((root / "shared1000.npy").open("wb"), np.zeros(73000, bool)),
        r"shared1000\.npy: cannot read this \.npy file \(the magic string",
    ),
}
PIXEL_FILES = {
    "other dataset": (
        write_hdf5(PIXELS, "imgBrick", [1]),
        r"float16\.hdf5: expected .*'images', got imgBrick",
    ),
    "other axes": (
        write_hdf5(PIXELS, "images", {"shape": (73000, 224, 224, 3), "dtype": "f2", "chunks": True}),
        r"float16 \(73000, 3, 224, 224\), got float16 \(73000, 224, 224, 3\)",
    ),
    "bytes": (
        write_hdf5(PIXELS, "images", {"shape": (73000, 3, 224, 224), "dtype": "u1", "chunks": True}),
        r"got uint8",
    ),
    "overwritten": (overwrite(PIXELS, "images"), r"float16\.hdf5: cannot read this HDF5 file"),
}


def pixel(value):
    return edit_hdf5(PIXELS, lambda file: file["images"].__setitem__((7, 1, 2, 3), value))


NSD_PICTURE = PIXEL_FILES | {
    f"a pixel {value}": (pixel(value), r"float16\.hdf5: expected values from 0 to 1, .* in row 7")
    for value in (-0.2, 1.2, 255, np.nan)
}


# ---- MindEye2's betas and behaviour

TAR, TEST_TAR = "subj01/train/0.tar", "subj01/new_test/0.tar"


def rows_of(name, change):
    """Change the (n_rows, 17) behaviour of a tar."""

    def damage(root):
        rows = read_tar(root / name)
        write_tar(root / name, change(rows)[:, None])

    return damage


def edit_row(column, value, name=TAR):
    def change(rows):
        rows[np.argmin(rows[:, 5]), column] = value
        return rows

    return rows_of(name, change)


def add_to_tar(name, array):
    def damage(root):
        with tarfile.open(root / TAR, "a") as tar:
            add_member(tar, name, array)

    return damage


def add_code(root):
    with tarfile.open(root / TAR, "a") as tar:
        add_member(tar, "x.behav.npy", np.array([Payload(root)], object))


def cut_between_members(name):
    """Tar has no length: where it ends between two members, nothing is broken."""

    def damage(root):
        with tarfile.open(root / name) as tar:
            place = tar.getmembers()[len(tar.getmembers()) // 2].offset
        os.truncate(root / name, place)

    return damage


def odd_member(format=tarfile.PAX_FORMAT, type=tarfile.REGTYPE, size=None, pax_size="", **headers):
    """Add a member that its header describes in another way than the others are."""

    def damage(root):
        member = tarfile.TarInfo("x.behav.npy")
        content = npy(np.zeros((1, 17)))
        member.size, member.type = len(content), type
        member.pax_headers = headers | ({"size": pax_size} if pax_size else {})
        with tarfile.open(root / TAR, "w", format=format) as tar:
            tar.addfile(member, io.BytesIO(content))
        if size is not None:  # as GNU's tar writes numbers of more than 8 GB, and negative ones
            whole = bytearray((root / TAR).read_bytes())
            whole[124:136] = size.to_bytes(12, "big", signed=True)
            whole[148:156] = b"%06o\0 " % (sum(whole[:148]) + 8 * ord(" ") + sum(whole[156:512]))
            (root / TAR).write_bytes(whole)

    return damage


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def add_link(root):
    with tarfile.open(root / TAR, "a") as tar:
        member = tarfile.TarInfo("link.behav.npy")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(member)


def betas(change):
    def damage(root):
        with h5py.File(root / "betas.hdf5") as file:
            array = file["betas"][:]
        write_betas(root / "betas.hdf5", change(array))

    return damage


def elsewhere(name, key, *, external=None, is_virtual=False):
    """A dataset of the right form, whose bytes the HDF5 library takes from another file."""

    def damage(root):
        layout = h5py.VirtualLayout((750, 6), "f4")
        layout[:] = h5py.VirtualSource(root / "other.hdf5", key, (750, 6))
        shutil.copy(root / name, root / "other.hdf5")
        with h5py.File(root / name, "w") as file:
            if is_virtual:
                file.create_virtual_dataset(key, layout)
            else:
                file.create_dataset(key, (750, 6), "f4", external=external)

    return damage


def link_to(name, key):
    def damage(root):
        (root / name).rename(root / "other.hdf5")
        with h5py.File(root / name, "w") as file:
            file[key] = h5py.ExternalLink("other.hdf5", key)

    return damage


def empty_betas(n_trials, n_voxels):
    return write_hdf5("betas.hdf5", "betas", {"shape": (n_trials, n_voxels), "dtype": "f4", "chunks": True})


def move_to_test(root):
    """One trial of a picture that is not shared goes to new_test/, which is for shared ones."""
    rows, test = read_tar(root / TAR), read_tar(root / TEST_TAR)
    write_tar(root / TEST_TAR, np.concatenate([test, rows[:1]])[:, None])
    write_tar(root / TAR, rows[1:, None])


def count_from_1(root):
    """The ids of both lists, and so the flags of the table, lie one too high."""
    for name in (TAR, TEST_TAR):
        rows = read_tar(root / name)
        rows[:, 0] += 1
        write_tar(root / name, rows[:, None])
    edit_dataset("indices.hdf5", "subj01", lambda ids: ids + 1)(root)


ODD_MEMBER = r"0\.tar: expected plain files, got 'x\.behav\.npy' with holes or a size of its own"
FMRI = ODD_LISTS | {
    "ids of other subjects": (
        write_hdf5("indices.hdf5", "subj02", np.arange(750)),
        r"indices\.hdf5: expected a dataset 'subj01', got subj02",
    ),
    "outdated test": (
        rename("subj01/new_test", "subj01/test"),
        r"new_test/0\.tar: no such file; test/ is outdated .*download subj01/new_test/0\.tar",
    ),
    "training tar is the test's": (
        lambda root: shutil.copy(root / TEST_TAR, root / TAR),
        r"every one of the 750 rows of the betas once, got \d+ rows without a trial, \d+ with several",
    ),
    "row past the end": (edit_row(5, 750), r"got 1 rows without a trial, 0 with several, 1 trials outside"),
    "row negative": (edit_row(5, -1), r"got 1 rows without a trial, 0 with several, 1 trials outside"),
    "row broken": (edit_row(5, 10.5), r"expected every one of the 750 rows"),
    "row NaN": (edit_row(5, np.nan), r"sample\d+\.behav\.npy: expected a picture, a session, a trial .*NaN"),
    "picture too large": (edit_row(0, 73000), r"behav\.npy: expected a picture from 0 to 72999, got 73000"),
    "picture of another trial": (
        edit_row(0, 1),
        r"expected the picture of COCO_73k_subj_indices.hdf5, \d+, in trial \d+, got 1 \(1 ",
    ),
    "session of another trial": (
        edit_row(2, 2),
        r"expected the session of the trial's place, 1, in trial \d+, got 2 \(1 trials",
    ),
    "other number of ids": (indices(np.arange(1500)), r"expected as many trials as .*got 750 and 1500"),
    "cut between members": (
        cut_between_members(TAR),
        r"every one of the 750 rows of the betas once, got \d+ rows without a trial|in every sample, got",
    ),
    "no tar": (put(TAR, b"no tar" * 200), r"0\.tar: cannot read this tar"),
    "member above": (
        add_to_tar("../x.behav.npy", np.zeros((1, 17))),
        r"plain files .*got '\.\./x\.behav\.npy'",
    ),
    "member at the root": (
        add_to_tar("/x.behav.npy", np.zeros((1, 17))),
        r"plain files .*got '/x\.behav\.npy'",
    ),
    "member of another size": (odd_member(**{"SCHILY.realsize": "5"}), ODD_MEMBER),
    "member of no size": (odd_member(pax_size="abc"), ODD_MEMBER),
    "member of negative size": (
        odd_member(size=-512),
        r"0\.tar: (expected plain files|cannot read this tar)",
    ),
    "member is sparse": (odd_member(tarfile.GNU_FORMAT, tarfile.GNUTYPE_SPARSE), ODD_MEMBER),
    "member is sparse in pax": (
        odd_member(**{"GNU.sparse.map": "0,5,9,1", "GNU.sparse.size": "20"}),
        ODD_MEMBER,
    ),
    "member's holes are damaged": (
        odd_member(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x.behav.npy"}),
        r"0\.tar: cannot read this tar \(",
    ),
    "member is a link": (add_link, r"0\.tar: expected plain files .*got 'link\.behav\.npy'"),
    "member missing": (
        add_to_tar("x.past_behav.npy", np.zeros((15, 17))),
        r"0\.tar: expected behav\.npy in every sample, got x with past_behav\.npy;",
    ),
    "member's shape": (
        add_to_tar("x.behav.npy", np.zeros((15, 17))),
        r"x\.behav\.npy: expected float64 .*got float64 \(15, 17\)",
    ),
    "member is code": (add_code, r"x\.behav\.npy: cannot read this \.npy file \(Object arrays"),
    "member twice": (
        add_to_tar("sample000000000.behav.npy", np.zeros((1, 17))),
        r"0\.tar: expected one behav\.npy in .*got two",
    ),
    "not shared in the test": (
        move_to_test,
        r"expected only pictures of shared1000\.npy in new_test/, got 1 tr",
    ),
    "all counted from 1": (
        count_from_1,
        r"expected no pictures of shared1000\.npy in train/, got \d+ trials",
    ),
    "flag differs": (
        edit_row(16, 0, TEST_TAR),
        r"expected only pictures of shared1000\.npy in new_test/, got 1",
    ),
    "betas float16": (
        betas(lambda array: array.astype(np.float16)),
        r"betas\.hdf5: expected float32 .*float16",
    ),
    "betas without voxels": (
        betas(lambda array: array[:, :0]),
        r"betas\.hdf5: expected float32 .*\(750, 0\)",
    ),
    "betas with one axis": (betas(lambda array: array[0]), r"betas\.hdf5: .*got float32 \(6,\)"),
    "betas rows no session": (betas(lambda array: array[:-1]), r"betas\.hdf5: .*sessions of 750.*got 749"),
    "betas rows not the trials": (
        betas(lambda array: np.concatenate([array, array])),
        r"subj01: expected every one of the 1500 rows .*got 750 rows without a trial",
    ),
    "betas under another name": (write_hdf5("betas.hdf5", "x", [1]), r"expected a dataset 'betas', got x"),
    "betas overwritten": (overwrite("betas.hdf5", "betas"), r"betas\.hdf5: cannot read this HDF5 file"),
    "betas in a file of the system": (
        elsewhere("betas.hdf5", "betas", external=[(os.devnull, 0, 750 * 6 * 4)]),
        r"betas\.hdf5: expected its own /betas, got one whose bytes stand in other files",
    ),
    "betas of several files": (
        elsewhere("betas.hdf5", "betas", is_virtual=True),
        r"betas\.hdf5: expected its own /betas, got one whose bytes stand in other files",
    ),
    "betas are a link": (
        link_to("betas.hdf5", "betas"),
        r"betas\.hdf5: expected its own betas, got a link to other\.hdf5: betas",
    ),
    "betas of another subject": (empty_betas(30000, 14278), r"expected 15724 voxels of subj01, got 14278"),
    "betas outdated": (empty_betas(27750, 15724), r"expected 30000 trials of subj01, got 27750: .*outdated"),
}


# ---- MindEye1

ME1_TRAIN, ME1_VAL, ME1_TEST = READERS["mindeye1"].files
METADATA = "webdataset_avg_new/metadata_subj01.json"
KINDS = ("coco73k.npy", "jpg", "nsdgeneral.npy", "num_uniques.npy", "trial.npy")


def edit_tar(name, change):
    """Write a tar again; ``change`` gets and returns the names and contents of its members."""

    def damage(root):
        with tarfile.open(root / name) as tar:
            members = [(member.name, tar.extractfile(member).read()) for member in tar]
        with tarfile.open(root / name, "w") as tar:
            for member, content in change(members):
                header = tarfile.TarInfo(member)
                header.size = len(content)
                tar.addfile(header, io.BytesIO(content))

    return damage


def put_member(name, kind, content):
    """Replace a member of the first sample of a tar."""

    def change(members):
        sample = members[0][0].split(".")[0]
        return [(member, content if member == f"{sample}.{kind}" else old) for member, old in members]

    return edit_tar(name, change)


def without_member(kind):
    return edit_tar(ME1_TEST, lambda members: [m for m in members if not m[0].endswith(kind)])


def with_member(name, content=b""):
    return edit_tar(ME1_TRAIN, lambda members: [*members, (name, content)])


def integer(kind, value):
    return put_member(ME1_TRAIN, kind, npy(np.array([value])))


def code_member(root):
    put_member(ME1_TRAIN, "coco73k.npy", npy(np.array([Payload(root)], object)))(root)


def ids_from_1(root):
    def change(members):
        return [
            (name, npy(np.load(io.BytesIO(content)) + 1) if name.endswith("coco73k.npy") else content)
            for name, content in members
        ]

    for path in root.rglob("*.tar"):
        edit_tar(path.relative_to(root), change)(root)


def repeat_sample(members):
    return [*members, *((f"copy{name}", content) for name, content in members[:5])]


def totals(content):
    return lambda root: (root / METADATA).write_text(json.dumps(content))


MINDEYE1_IMAGES = {
    "no samples": (edit_tar(ME1_TRAIN, lambda members: []), r"_3\.tar: expected samples with .*, got none"),
    **{
        f"{kind} missing": (
            without_member(kind),
            rf"_1\.tar: expected {kind} in every sample, got sample\d+ with ",
        )
        for kind in KINDS
    },
    "member twice": (
        edit_tar(ME1_TRAIN, lambda m: [*m, m[0]]),
        r"expected one coco73k\.npy in sample\d+, got two",
    ),
    "avg_split": (
        edit_tar(ME1_TRAIN, lambda m: [*m, (m[0][0].split(".")[0] + ".wholebrain_3d.npy", b"")]),
        r"_3\.tar: expected webdataset_avg_new, got wholebrain_3d\.npy .* is webdataset_avg_split",
    ),
    "member above": (with_member("../x.jpg"), r"expected plain files .*got '\.\./x\.jpg'"),
    "member at the root": (with_member("/etc/x.jpg"), r"expected plain files .*got '/etc/x\.jpg'"),
    "samples missing": (
        edit_tar(ME1_TRAIN, lambda members: members[:5]),
        r"the samples of metadata_subj01\.json, ",
    ),
    "sample twice": (
        edit_tar(ME1_TRAIN, repeat_sample),
        r"expected each picture of subj01 once, got 1 twice",
    ),
    "id too large": (integer("coco73k.npy", 73000), r"expected one integer from 0 to 72999, .* 73000;"),
    "id negative": (integer("coco73k.npy", -1), r"sample\d+\.coco73k\.npy: expected one integer .* -1;"),
    "id NaN": (integer("coco73k.npy", np.nan), r"expected one integer .*nan;"),
    "id as text": (integer("coco73k.npy", "x"), r"expected one integer .*got <U1"),
    "two ids": (put_member(ME1_TRAIN, "coco73k.npy", npy(np.arange(2))), r"one integer .*got int64 \(2,\);"),
    "4 repetitions": (integer("num_uniques.npy", 4), r"expected one integer from 1 to 3, got int64 \(1,\) 4"),
    "0 repetitions": (integer("num_uniques.npy", 0), r"num_uniques\.npy: expected one integer from 1 to 3"),
    "trial too large": (integer("trial.npy", 30000), r"trial\.npy: expected one integer from 0 to 29999"),
    "member empty": (put_member(ME1_TRAIN, "trial.npy", b""), r"trial\.npy: cannot read this \.npy file"),
    "member is code": (code_member, r"coco73k\.npy: cannot read this \.npy file \(Object arrays"),
    "other totals": (
        totals({"totals": {"train": 8559, "val": 300, "test": 982}}),
        r"expected the samples of metadata_subj01\.json, \{'train': 8559, .*got \{'train': 29",
    ),
    "no totals": (totals({}), r"metadata_subj01\.json: expected 'totals', got nothing;"),
    "ids from 1": (ids_from_1, r"expected the first test picture of subj01 at 2950, .*got 2951 \(off by one"),
}


def other_subject(root):
    """A tar of subj02 under the name of one of subj01."""
    ids, betas = draw_trials(3)
    write_subject(root / "other", "subj02", ids, betas[:, :5])
    (root / "other/webdataset_avg_new/train/train_subj02_3.tar").rename(root / ME1_TRAIN)


def nsdgeneral(content):
    content = content if isinstance(content, bytes) else npy(content)
    return put_member(ME1_TRAIN, "nsdgeneral.npy", content)


MINDEYE1 = MINDEYE1_IMAGES | {
    "mixed subjects": (
        other_subject,
        r"_3\.tar: sample\d+.*: expected 8 voxels as in the first sample, got 5",
    ),
    "betas float32": (
        nsdgeneral(np.zeros((3, 8), np.float32)),
        r"_3\.tar: sample\d+\.nsdgeneral\.npy: expected float16 \(3, n_voxels\), got float32",
    ),
    "betas of two trials": (nsdgeneral(np.zeros((2, 8), np.float16)), r"got float16 \(2, 8\)"),
    "betas without voxels": (nsdgeneral(np.zeros((3, 0), np.float16)), r"got float16 \(3, 0\)"),
    "betas NaN": (nsdgeneral(np.full((3, 8), np.nan, np.float16)), "finite betas, got NaN"),
    "betas cut": (
        nsdgeneral(npy(np.zeros((3, 8), np.float16))[:-10]),
        r"general\.npy: cannot read this \.npy",
    ),
}
MINDEYE1_PICTURES = {
    "no JPEG": (
        lambda root: (root / ME1_TEST).write_bytes(bytes((root / ME1_TEST).stat().st_size)),
        r"test_subj01_1\.tar: picture \d+: cannot read this picture",
    ),
}

CASES = {
    "mindeye2": FMRI,
    "nsd images": ODD_LISTS | PIXEL_FILES,
    "nsd picture": NSD_PICTURE,
    "mindeye1": MINDEYE1,
    "mindeye1 images": MINDEYE1_IMAGES,
    "mindeye1 pictures": MINDEYE1_PICTURES,
}
