"""Downloads from a server on this machine that misbehaves in every way we could think of."""

import hashlib
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.scripts import run_script
from helpers.web_server import Server, serving
from hypothesis import given, settings
from hypothesis import strategies as st

from brain2image.core.errors import InputError
from brain2image.formats.files import read_json
from brain2image.pairs.preparation import find_checkpoint
from brain2image.weights import download as weights
from brain2image.weights import remote
from brain2image.weights.client import NotFound
from brain2image.weights.remote import RangesRefused, RemoteFile
from brain2image.weights.sources import KNOWN, Known, check_file, format_size, hub_file, is_remote, normalise

pytestmark = pytest.mark.usefixtures("cache")

CONTENT = np.random.default_rng(0).integers(0, 256, 700_000, np.uint8).tobytes()
COMMIT = "1" * 40
HUB = "/datasets/some/repo/resolve/{revision}/folder/last.pth"


@pytest.fixture(autouse=True)
def published(server):
    server.files["/last.pth"] = CONTENT


def files_of(cache):
    return [path for path in cache.rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf://owner/repo/a.pth", ("owner/repo", "model", None, "a.pth")),
        ("hf://owner/re-po.x@main/b/a.pth", ("owner/re-po.x", "model", "main", "b/a.pth")),
        ("hf://datasets/o/r@refs%2Fpr%2F1/a", ("o/r", "dataset", "refs/pr/1", "a")),
        ("https://example.org/a.pth", None),
        ("weights/a.pth", None),
    ],
)
def test_a_source_is_taken_apart(source, expected):
    assert hub_file(source) == expected
    assert normalise(source) == source
    assert is_remote(source) == ("://" in source)


def test_sources_mean_what_they_mean_to_the_hub(monkeypatch):
    from huggingface_hub import HfFileSystem

    for source in KNOWN:
        file = hub_file(source)
        resolved = HfFileSystem(token=False)
        monkeypatch.setattr(resolved, "_repo_and_revision_exist", lambda *_: (True, None))
        path = resolved.resolve_path(source)
        assert (path.repo_id, path.repo_type, path.path_in_repo) == (file.repo, file.repo_type, file.path)
        assert path.revision == (file.revision or "main")


@pytest.mark.parametrize(
    "source", ["s3://bucket/a", "hf://owner/repo", "hf://a.pth", "ftp://x/y", "hf:///a/b/c"]
)
def test_an_unknown_source_is_refused(source):
    with pytest.raises(ValueError, match="expected"):
        normalise(source)


def test_sizes_are_said_as_people_say_them():
    assert [format_size(n) for n in (12, 98_146, 19_759_516, 8_909_277_522)] == [
        "12 bytes",
        "98.1 kB",
        "19.8 MB",
        "8.9 GB",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "an empty file"),
        (b"\n <!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    ],
)
def test_a_failed_download_is_told_from_weights(tmp_path, content, message):
    path = tmp_path / "last.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        check_file(path)


def test_a_remote_file_reads_like_a_local_one(server):
    slow, file = io.BytesIO(CONTENT), io.BufferedReader(RemoteFile(f"{server.url}/last.pth"))

    @settings(deadline=None, max_examples=60)
    @given(st.integers(-10, 710_000), st.integers(0, 300_000), st.sampled_from([os.SEEK_SET, os.SEEK_END]))
    def read(offset, n_bytes, whence):
        if whence == os.SEEK_END:
            offset = -min(max(offset, 0), len(CONTENT))
        offset = max(offset, 0) if whence == os.SEEK_SET else offset
        assert file.seek(offset, whence) == slow.seek(offset, whence)
        assert file.read(n_bytes) == slow.read(n_bytes)

    read()


def test_small_reads_share_requests(server):
    file = io.BufferedReader(RemoteFile(f"{server.url}/last.pth"))
    for offset in range(0, 100_000, 500):
        file.seek(offset)
        file.read(20)
    assert len(server.requests) == 2  # the first look, and one block
    server.sent = 0
    file.seek(1000)
    assert file.readinto(bytearray(400_000)) == 400_000
    assert len(server.requests) == 3
    assert server.sent == 400_000


def test_a_cut_connection_is_taken_up_where_it_broke(server):
    server.cut_after = 70_000
    file = RemoteFile(f"{server.url}/last.pth")
    server.sent = 0
    assert b"".join(file.stream(0, len(CONTENT))) == CONTENT
    assert server.sent == len(CONTENT)


def test_a_connection_that_stays_cut_is_an_error(server):
    file = RemoteFile(f"{server.url}/last.pth")
    server.cut_after = 0
    with pytest.raises(InputError, match="the server cannot be reached"):
        list(file.stream(0, 1000))


def test_a_redirect_is_followed_once_and_asked_again_when_it_expires(server):
    server.redirects["/here"] = "/last.pth"
    server.headers["/here"] = {"X-Linked-ETag": '"abc"', "X-Repo-Commit": COMMIT}
    server.headers["/last.pth"] = {"ETag": '"other"'}
    file = RemoteFile(f"{server.url}/here", headers={"authorization": "secret"})
    assert (file.etag, file.commit, file.size) == ("abc", COMMIT, len(CONTENT))
    list(file.stream(0, 10))
    assert [path for _, path, *_ in server.requests] == ["/here", "/last.pth", "/last.pth"]
    server.statuses = [403]
    assert b"".join(file.stream(5, 10)) == CONTENT[5:10]
    assert [path for _, path, *_ in server.requests[3:]] == ["/last.pth", "/here", "/last.pth"]


def test_the_token_stays_with_its_server(server):
    with serving(Server()) as other:
        other.files["/last.pth"] = CONTENT
        server.redirects["/here"] = f"{other.url}/last.pth"
        file = RemoteFile(f"{server.url}/here", headers={"authorization": "secret"})
        list(file.stream(0, 10))
    assert [headers["Authorization"] for *_, headers in server.requests] == ["secret"]
    assert all("secret" not in str(headers) for *_, headers in other.requests)


def test_without_ranges_only_the_whole_file_is_given(server):
    server.has_ranges = False
    file = RemoteFile(f"{server.url}/last.pth")
    assert not file.has_ranges
    assert b"".join(file.stream(0, len(CONTENT))) == CONTENT
    with pytest.raises(RangesRefused):
        list(file.stream(5, 10))


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "HF_TOKEN"), (403, "HF_TOKEN"), (404, "no such file"), (418, "answers 418")],
)
def test_a_refusal_is_explained_at_once(server, status, message):
    server.statuses = [status] * 9
    with pytest.raises(InputError, match=message):
        RemoteFile(f"{server.url}/last.pth")
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server):
    server.statuses = [503, 429]
    assert RemoteFile(f"{server.url}/last.pth").size == len(CONTENT)


def test_a_forbidden_network_is_explained(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"HF_HUB_OFFLINE .* run `snakemake fetch_weights` where"):
        weights.fetch("https://localhost:1/last.pth")


def test_an_unreachable_server_is_explained():
    with pytest.raises(InputError, match=r"cannot be reached .* run `snakemake fetch_weights` where"):
        weights.fetch("http://127.0.0.1:1/last.pth")


def test_a_server_that_hides_the_size_is_refused(server):
    server.has_ranges = server.has_length = False
    with pytest.raises(InputError, match="says how large the file is"):
        RemoteFile(f"{server.url}/last.pth")


def test_a_file_that_changes_meanwhile_is_noticed(server):
    file = RemoteFile(f"{server.url}/last.pth")
    server.files["/last.pth"] = CONTENT[:-1]
    with pytest.raises(InputError, match="expected bytes 0-9/700000, got bytes 0-9/699999"):
        list(file.stream(0, 10))


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_url_is_downloaded_once_and_verified(server, caplog, has_ranges):
    server.has_ranges = has_ranges
    digest = hashlib.sha256(CONTENT).hexdigest()
    source = f"{server.url}/last.pth"
    with caplog.at_level(logging.INFO):
        fetched = weights.fetch(source)
    assert fetched.path.read_bytes() == CONTENT
    assert fetched[1:] == (source, None, len(CONTENT), digest)
    assert "downloading 700.0 kB" in caplog.text
    assert digest in caplog.text
    server.sent = 0
    assert weights.fetch(source) == fetched
    assert server.sent <= (64 if has_ranges else len(CONTENT))  # a look at it


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_killed_download_goes_on(server, cache, monkeypatch, has_ranges):
    source = f"{server.url}/last.pth"
    server.cut_after, server.headers["/last.pth"] = 300_000, {"ETag": '"1"'}
    monkeypatch.setattr(remote, "DELAYS", ())
    with pytest.raises(InputError, match="cannot be reached"):
        weights.fetch(source)
    (partial,) = files_of(cache)
    assert partial.stat().st_size == 300_000
    server.cut_after, server.sent, server.has_ranges = None, 0, has_ranges
    assert weights.fetch(source).path.read_bytes() == CONTENT
    if has_ranges:
        assert server.sent == len(CONTENT) - 300_000 + 64
    assert [path.name for path in files_of(cache)] == ["last.pth"]


def test_a_file_of_the_wrong_content_is_removed(server, cache):
    server.headers["/last.pth"] = {"ETag": f'"{"0" * 64}"'}
    with pytest.raises(InputError, match=rf"expected SHA-256 {'0' * 64}, got [0-9a-f]{{64}}"):
        weights.fetch(f"{server.url}/last.pth")
    assert files_of(cache) == []


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (Known(5, "0" * 64), "expected size 5, got 700000"),
        (Known(None, "0" * 64), rf"expected SHA-256 {'0' * 64}, got"),
    ],
)
def test_what_is_known_of_a_file_is_checked(server, cache, monkeypatch, known, message):
    source = f"{server.url}/last.pth"
    monkeypatch.setitem(KNOWN, source, known)
    with pytest.raises(InputError, match=message):
        weights.fetch(source)
    assert files_of(cache) == []


def test_a_web_page_is_not_taken_for_weights(server, cache):
    server.files["/last.pth"] = b"<html>Please accept our terms</html>"
    with pytest.raises(InputError, match="expected weights, got a web page"):
        weights.fetch(f"{server.url}/last.pth")
    assert files_of(cache) == []


def test_a_full_disk_is_noticed_before(server, monkeypatch):
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match=r"700\.0 kB do not fit into .* 1\.0 kB are free"):
        weights.fetch(f"{server.url}/last.pth")
    assert server.sent == 64


def test_the_first_source_that_exists_is_taken(server):
    assert weights.fetch(f"{server.url}/no.pth", f"{server.url}/last.pth").source.endswith("last.pth")
    with pytest.raises(InputError, match="no such file"):
        weights.fetch(f"{server.url}/no.pth", f"{server.url}/neither.pth")


@pytest.mark.parametrize(
    ("status", "names"),
    [(None, {"clip.bin", "open_clip_config.json"}), (404, {"clip.bin"}), (403, {"clip.bin"})],
)
def test_what_says_how_pictures_are_prepared_comes_with_clip(server, tmp_path, status, names):
    """From the same folder of the server; and the weights are told from it."""
    server.files |= {"/a/clip.bin?x=1": CONTENT, "/a/open_clip_config.json?x=1": b'{"preprocess_cfg": {}}'}
    server.before = lambda number: server.statuses.append(status) if number == 2 else None
    output = {"weights": tmp_path / "clip", "record": tmp_path / "clip.json"}
    clip = {"model": "ViT-B-32", "weights": f"{server.url}/a/clip.bin?x=1"}
    run_script("fetch_clip", tmp_path, input={}, output=output, params={"clip": clip})
    assert {path.name for path in (tmp_path / "clip").iterdir()} == names
    assert read_json(tmp_path / "clip.json")["size"] == len(CONTENT)
    assert find_checkpoint(tmp_path / "clip") == tmp_path / "clip" / "clip.bin"
    assert find_checkpoint(tmp_path / "clip.json") == tmp_path / "clip.json"


@pytest.mark.parametrize(
    ("source", "error", "beside"),
    [
        ("hf://o/r@v/a/clip.bin", NotFound("no"), "hf://o/r@v/a/open_clip_config.json"),
        ("hf://o/r/clip.bin", InputError("cut"), None),
        ("https://host/clip.bin?x=/1", InputError("cut"), "https://host/open_clip_config.json?x=/1"),
    ],
)
def test_only_the_hub_is_believed_to_have_or_lack_a_file(monkeypatch, source, error, beside):
    asked = []

    def fail(asked_for, **_):
        asked.append(asked_for)
        raise error

    monkeypatch.setattr(weights, "_fetch", fail)
    if beside is None:
        with pytest.raises(InputError, match="cut"):
            weights.fetch_beside(source, "open_clip_config.json")
    else:
        assert weights.fetch_beside(source, "open_clip_config.json") is None
        assert asked == [beside]


def test_results_survive_a_purge_of_the_cache(server, tmp_path, monkeypatch):
    cached = weights.fetch(f"{server.url}/last.pth").path
    os.utime(cached, (0, 0))
    weights.link_or_copy(cached, tmp_path / "folder" / "linked.pth")
    assert (tmp_path / "folder" / "linked.pth").samefile(cached)
    weights.copy(cached, tmp_path / "copied.pth")
    assert (tmp_path / "copied.pth").stat().st_mtime > 0  # newer than what was made of an earlier one

    def refuse(*_):
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", refuse)
    weights.link_or_copy(cached, tmp_path / "folder" / "moved.pth")
    cached.unlink()
    for name in ("folder/linked.pth", "folder/moved.pth", "copied.pth"):
        assert (tmp_path / name).read_bytes() == CONTENT


def test_what_was_downloaded_is_written_down(server, tmp_path):
    weights.fetch(f"{server.url}/last.pth").write_record(tmp_path / "record.json")
    assert read_json(tmp_path / "record.json") == {
        "source": f"{server.url}/last.pth",
        "commit": None,
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }


FETCH = """
import json, sys
from brain2image.weights.download import fetch, fetch_beside
from brain2image.core.errors import InputError
from brain2image.formats.files import read_json
try:
    print(json.dumps(fetch(sys.argv[1]), default=str))
    for name in sys.argv[2:]:
        print(fetch_beside(sys.argv[1], name))
except InputError as error:
    sys.exit(str(error))
"""


def hub_fetch(server, folder, source, *beside, **environment):
    """Run `fetch` with a Hub of ours, in a process of its own as huggingface_hub reads its settings once."""
    settings = {"HF_ENDPOINT": server.url, "HF_HOME": str(folder), "HF_HUB_OFFLINE": "0"}
    return subprocess.run(
        [sys.executable, "-c", FETCH, source, *beside],
        env=os.environ | settings | environment,
        capture_output=True,
        text=True,
    )


def hub_server(server, revision, digest=None):
    path = HUB.format(revision=revision)
    server.redirects[path] = f"http://localhost:{server.server_port}/cdn/last.pth"
    server.headers[path] = {
        "X-Repo-Commit": COMMIT,
        "X-Linked-Size": str(len(CONTENT)),
        "X-Linked-ETag": f'"{digest or hashlib.sha256(CONTENT).hexdigest()}"',
    }
    server.files["/cdn/last.pth"] = CONTENT


@pytest.mark.slow
def test_a_file_of_the_hub_is_kept_in_the_hubs_cache(server, tmp_path):
    hub_server(server, "main")
    small = HUB.format(revision="main").replace("last.pth", "config.json")  # the Hub sends small ones itself
    server.files[small], server.headers[small] = b"{}", {"ETag": f'"{COMMIT}"', "X-Repo-Commit": COMMIT}
    source = "hf://datasets/some/repo/folder/last.pth"
    result = hub_fetch(server, tmp_path, source, "config.json", "none.json")
    assert result.returncode == 0, result.stderr
    content, config, none = result.stdout.splitlines()
    assert (Path(config).read_bytes(), none) == (b"{}", "None")
    path, *rest = json.loads(content)
    assert rest == [source, COMMIT, len(CONTENT), hashlib.sha256(CONTENT).hexdigest()]
    assert Path(path).read_bytes() == CONTENT
    assert Path(path).is_relative_to(tmp_path / "hub" / "datasets--some--repo" / "snapshots" / COMMIT)
    again = hub_fetch(server, tmp_path, source, HF_HUB_OFFLINE="1")
    assert json.loads(again.stdout) == [path, *rest]


@pytest.mark.slow
def test_a_wrong_file_of_the_hub_is_removed(server, tmp_path):
    hub_server(server, COMMIT, digest="0" * 64)
    result = hub_fetch(server, tmp_path, f"hf://datasets/some/repo@{COMMIT}/folder/last.pth")
    assert f"expected SHA-256 {'0' * 64}, got" in result.stderr
    assert not list((tmp_path / "hub").rglob("last.pth"))
    assert not list((tmp_path / "hub").rglob("blobs/*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "offline", "message"),
    [
        ("hf://datasets/some/repo/other.pth", "0", "there is no such file"),
        ("hf://datasets/some/repo/folder/last.pth", "1", "HF_HUB_OFFLINE forbids the network"),
    ],
)
def test_an_error_of_the_hub_is_explained(server, tmp_path, source, offline, message):
    hub_server(server, "main")
    result = hub_fetch(server, tmp_path, source, HF_HUB_OFFLINE=offline)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
