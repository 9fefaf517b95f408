"""Downloads from servers that stall, change, compress, redirect and want patience; and what stays secret."""

import base64
import gzip
import hashlib
import io
import logging
import os
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest
import torch
from helpers.web_server import Server, serving

from brain2image.core.errors import InputError
from brain2image.formats.files import read_json
from brain2image.projection.ridge import extract_ridge, read_ridge
from brain2image.weights import client, remote
from brain2image.weights import download as weights
from brain2image.weights.remote import RemoteFile
from brain2image.weights.sources import (
    check_file,
    file_name,
    normalise,
    redact,
    reveal,
    source_name,
    true_sources,
)

OLD, NEW = (np.random.default_rng(seed).integers(0, 256, 300_000, np.uint8).tobytes() for seed in range(2))
PATH = "/last.pth"
WEIGHT = np.random.default_rng(0).standard_normal((64, 4000)).astype(np.float32)


def checkpoint(weight=WEIGHT):
    """A ridge of 1 MB in a checkpoint, as bytes."""
    ridge = {"ridge.linears.0.weight": torch.tensor(weight), "ridge.linears.0.bias": torch.zeros(64)}
    content = io.BytesIO()
    torch.save({"model_state_dict": {"backbone": torch.rand(100_000)} | ridge}, content)
    return content.getvalue()


@pytest.fixture(autouse=True)
def published(server, cache):
    server.files[PATH] = OLD


def files_of(cache):
    return [path for path in cache.rglob("*") if path.is_file() and path.name != ".lock"]


# ---- servers that are refused, in one line and soon


def cut(n_bytes, is_held=False, version='"1"'):
    def misbehave(server):
        server.cut_after, server.is_held = n_bytes, is_held
        server.headers[PATH] = {"ETag": version} if version else {}

    return misbehave


def drip(server):
    server.pause = 0.01


def hide_size(server):
    server.has_ranges = server.has_length = False
    server.headers[PATH] = {"Content-Length": "\xb2"}  # a digit to Python, but no number


def silence(server):
    server.before = lambda number: time.sleep(0.3)


def replace(headers, number=3, content=NEW):
    """Other content from a request on; the first looks at the file, the second is cut in the middle."""

    def misbehave(server):
        server.cut_after = 100_000
        server.headers[PATH] = dict(headers[0])

        def before(count):
            if count + 1 == number:
                server.files[PATH], server.headers[PATH] = content, dict(headers[1])

        server.before = before

    return misbehave


def ignore_if_range(server):
    """Replaced, by a server that sends parts whatever version they are asked of."""
    replace([{"ETag": '"1"'}, {"ETag": '"2"'}])(server)
    server.if_range = "ignore"


def compress(server):
    server.files[PATH] = gzip.compress(OLD)
    server.headers[PATH] = {"Content-Encoding": "gzip"}


def compress_later(server):
    server.before = lambda number: number and compress(server)


def answer(*statuses):
    return lambda server: server.statuses.extend(statuses)


def head_to(location):
    def misbehave(server):
        server.redirects[PATH] = location

    return misbehave


def no_ranges(server):
    cut(100_000)(server)
    server.has_ranges = False


def ranges_end(server):
    """Parts are given at first, then the whole file alone."""
    cut(100_000)(server)
    server.before = lambda number: setattr(server, "has_ranges", number < 2)


LATER = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
REFUSED = {
    "a body shorter than its length": (cut(10, is_held=True), r"cannot be reached"),
    "one byte a request": (cut(1), r"cannot be reached \(it was cut\)"),
    "a byte now and then": (
        drip,
        r"expected 65536 bytes in 0\.1 s, got \d+: the server has stalled; run again",
    ),
    "no answer": (silence, r"cannot be reached \(no answer in 0\.1 s\)"),
    "compressed": (compress, r"compressed \(gzip\), which nobody asked for; download it yourself"),
    "compressed in the middle": (compress_later, r"compressed \(gzip\)"),
    "replaced, by ETag": (
        replace([{"ETag": '"1"'}, {"ETag": '"2"'}]),
        r'expected version "1" .*got "2".*run again',
    ),
    "replaced, by date": (
        replace([{"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, {"Last-Modified": LATER}]),
        r"expected version Mon, 01 Jan 2024 .* run again",
    ),
    "replaced, If-Range ignored": (ignore_if_range, r'expected version "1" .*got "2"'),
    "replaced by less": (
        replace([{}, {}], 2, NEW[:9]),
        r"expected bytes 0-299999/300000, got bytes .*run again",
    ),
    "no ranges, always cut": (
        no_ranges,
        r"in one piece, .* the connection was cut 4 times; download it yourself",
    ),
    "ranges end, always cut": (ranges_end, r"in one piece, .* the connection was cut 4 times"),
    "no version, always cut": (
        cut(100_000, version=None),
        r"in one piece, .* the connection was cut 4 times",
    ),
    "wait a day": (answer((429, {"Retry-After": "86400"})), r"asks to come back in 86400 s; run again then"),
    "wait until tomorrow": (answer((503, {"Retry-After": LATER})), r"asks to come back in 8\d{4} s"),
    "always busy": (answer(*[(429, {"Retry-After": "0"})] * 9), r"the server answers 429; try again later"),
    "round in circles": (head_to(PATH), r"the server answers 302"),
    "to a local file": (head_to("file:///etc/passwd"), r"the server answers 302"),
    "to nonsense": (head_to("http://[nowhere"), r"expected an address that can be asked"),
    "to a port of letters": (head_to("http://host:port/"), r"expected an address that can be asked"),
    "a length that is none": (hide_size, r"says how large the file is, got no length; download it yourself"),
}
# What is cut short for a case, s; not for all, as a busy machine takes its time.
LIMITS = {
    "a body shorter than its length": (client, "TIMEOUT"),
    "a byte now and then": (remote, "STALL_SECONDS"),
    "no answer": (client, "ANSWER_SECONDS"),
}


@pytest.fixture(params=REFUSED)
def case(request, server, monkeypatch):
    """A case of `REFUSED`, with the server that misbehaves so."""
    if request.param in LIMITS:
        monkeypatch.setattr(*LIMITS[request.param], 0.1)
    REFUSED[request.param][0](server)
    return request.param


def test_a_hostile_server_is_refused_in_one_line_and_soon(server, cache, case):
    start = time.monotonic()
    with pytest.raises(InputError, match=REFUSED[case][1]) as error:
        weights.fetch(f"{server.url}{PATH}")
    assert str(error.value).startswith(f"{server.url}{PATH}: ")
    assert time.monotonic() - start < 5
    assert all(path.name.endswith(".incomplete") for path in files_of(cache))


# ---- servers that are odd, and serve


def lose(server):
    """Cut once in the middle, without naming a version."""
    server.before = lambda number: setattr(server, "cut_after", 100_000 if number == 1 else None)


def lose_ranges(server):
    lose(server)
    server.headers[PATH] = {"ETag": '"1"'}
    server.before = lambda number, before=server.before: (
        before(number),
        setattr(server, "has_ranges", number < 2),
    )


def know_no_if_range(server):
    cut(100_000)(server)
    server.if_range = "refuse"


SERVED = {
    "busy for a moment": answer((503, {"Retry-After": "0"}), (429, {"Retry-After": "soon"})),
    "cut and of no version": lose,
    "cut, then no ranges": lose_ranges,
    "a weak version": cut(100_000, version='W/"1"'),
    "a date": lambda server: (
        cut(100_000)(server),
        server.headers.update({PATH: {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}}),
    ),
    "all for If-Range": know_no_if_range,
    "not compressed, and says so": lambda server: server.headers.update(
        {PATH: {"Content-Encoding": "identity"}}
    ),
}


@pytest.mark.parametrize("case", SERVED)
def test_an_odd_server_serves(server, case):
    SERVED[case](server)
    assert weights.fetch(f"{server.url}{PATH}").path.read_bytes() == OLD


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("", 0),
        ("soon", 0),
        ("\xb2", 0),
        pytest.param(LATER, 86_400, id="tomorrow"),
        ("Mon, 01 Jan 2024 00:00:00 GMT", 0),
    ],
)
def test_the_client_waits_as_long_as_it_is_asked_to(monkeypatch, server, value, seconds):
    waits = []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    monkeypatch.setattr(remote, "LONGEST_WAIT", 1e6)
    server.statuses = [(503, {"Retry-After": value})]
    RemoteFile(f"{server.url}{PATH}")
    assert waits == [pytest.approx(seconds, abs=3600 if value == LATER else 0)]


def test_a_ridge_is_read_though_ranges_end_in_the_middle(server):
    server.files[PATH] = checkpoint()
    server.before = lambda number: setattr(server, "has_ranges", number < 4)
    np.testing.assert_array_equal(read_ridge(f"{server.url}{PATH}")[0], WEIGHT)


# ---- names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "weights"),
        ("/..", "weights"),
        ("/.lock", "lock"),
        ("/gewichte-ü.pth", "gewichte-_.pth"),
        (f"/{'x' * 300}.pth", f"{'x' * 96}.pth"),
        ("/download?file=a.pth", "download"),
    ],
)
def test_any_address_makes_a_file_name(server, path, name):
    server.files[path.replace("ü", "%C3%BC")] = OLD
    assert weights.fetch(f"{server.url}{path}").path.name == name
    assert (
        file_name(f"{server.url}{path}", b"\x08" + bytes(7) + b"{}")
        == f"{name.partition('.')[0][:88]}.safetensors"
    )


@pytest.mark.parametrize("path", ["x" * 300, ".", "zero\0byte"])
def test_a_path_that_is_no_file_is_refused(path):
    with pytest.raises(InputError, match="expected a file of weights, but it cannot be read"):
        check_file(path)


def test_a_token_that_cannot_be_sent_is_refused(server):
    with pytest.raises(InputError, match="or the token HF_TOKEN is malformed") as error:
        RemoteFile(f"{server.url}{PATH}", headers={"authorization": "Bearer …secret"})
    assert "secret" not in str(error.value)


# ---- files without a version


def test_an_old_copy_of_unknown_version_is_named_and_refreshed(server, monkeypatch, caplog):
    source = f"{server.url}{PATH}"
    path = weights.fetch(source).path
    os.utime(path, (time.time() - 12.2 * 86_400,) * 2)
    server.files[PATH] = NEW
    assert weights.fetch(source).path.read_bytes() == OLD
    assert "downloaded 12 days ago. `brain2image fetch --refresh` downloads it anew" in caplog.text
    monkeypatch.setenv(weights.REFRESH, "1")
    assert weights.fetch(source).path.read_bytes() == NEW


def test_an_old_ridge_of_unknown_version_is_named_and_refreshed(server, tmp_path, monkeypatch, caplog):
    for weight in (WEIGHT, 2 * WEIGHT):
        server.files[PATH] = checkpoint(weight)
        extract_ridge(f"{server.url}{PATH}", subject="subj01", out=tmp_path / "ridge")
    assert "downloaded 0 minutes ago" in caplog.text
    before = (tmp_path / "ridge").read_bytes()
    monkeypatch.setenv(weights.REFRESH, "1")
    extract_ridge(f"{server.url}{PATH}", subject="subj01", out=tmp_path / "ridge")
    assert (tmp_path / "ridge").read_bytes() != before


def test_what_was_modified_is_downloaded_anew(server):
    for content, date in ((OLD, "Mon, 01 Jan 2024 00:00:00 GMT"), (NEW, "Tue, 02 Jan 2024 00:00:00 GMT")):
        server.files[PATH], server.headers[PATH] = content, {"Last-Modified": date}
        assert weights.fetch(f"{server.url}{PATH}").path.read_bytes() == content


def test_a_half_of_another_version_is_not_completed(server, cache, monkeypatch):
    server.cut_after = 100_000
    monkeypatch.setattr(remote, "DELAYS", ())
    for _ in range(2):
        with pytest.raises(InputError):
            weights.fetch(f"{server.url}{PATH}")
    server.cut_after, server.files[PATH] = None, NEW  # of the same size, and no version is named
    assert weights.fetch(f"{server.url}{PATH}").path.read_bytes() == NEW


# ---- secrets


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("https://host/a.pth?token=SECRET&x=SECRET==&SECRET", "https://host/a.pth?token=***&x=***&***"),
        ("https://SECRET:SECRET@host:80/a", "https://***@host:80/a"),
        ("https://SECRET:SEC?RET@host/a", "https://***"),
        ("https://SECRET:SEC/SECRET@host/a", "https://***"),
        ("https://SECRET:SEC#RET@host/a", "https://***"),
        ("https://host/a#SECRET", "https://host/a"),
        ("s3://SECRET:SECRET@bucket/a", "s3://***@bucket/a"),
    ],
)
def test_secrets_are_hidden(source, shown):
    hidden = redact(source)
    assert hidden == f"{shown}#{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    assert redact(hidden) == hidden
    assert redact(f"{source}x") != hidden


@pytest.mark.parametrize(
    "source", ["hf://owner/repo@main/a.pth", "https://[::1]:80/a@1.0/b.pth", "a?token=b.pth", "openai"]
)
def test_what_has_no_secrets_stays_as_it_is(source):
    assert redact(source) == source


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/home/somebody/weights/last.pth", "last.pth"),
        (
            "/home/somebody/final_subj01_pretrained_40sess_24bs/last.pth",
            "final_subj01_pretrained_40sess_24bs/last.pth",
        ),
        (r"C:\somebody\last.pth", "last.pth"),
        ("last.pth", "last.pth"),
        ("hf://datasets/owner/name@main/last.pth", "hf://datasets/owner/name@main/last.pth"),
        ("https://host/last.pth", "https://host/last.pth"),
    ],
)
def test_results_name_a_source_without_the_folders_of_a_disk(source, name):
    assert source_name(source) == name


def test_jobs_find_the_source_behind_a_redacted_one(monkeypatch):
    secret = "https://host/a?token=SECRET"
    for name, value in true_sources(["openai", secret]).items():
        monkeypatch.setenv(name, value)
    assert reveal(redact(secret)) == secret
    assert reveal("openai") == "openai"
    assert true_sources(["openai"]) == {}


def test_a_bad_source_is_named_without_its_secrets():
    with pytest.raises(ValueError, match=r"got 'ftp://\*\*\*@host/a") as error:
        normalise("ftp://SECRET:SECRET@host/a")
    assert "SECRET" not in str(error.value)


def with_secrets(server):
    return f"http://SECRET:SECRET@127.0.0.1:{server.server_port}{PATH}?token=SECRET"


@pytest.mark.parametrize("has_ranges", [True, False])
def test_no_secret_is_written_or_printed(server, tmp_path, caplog, has_ranges):
    server.files[f"{PATH}?token=SECRET"] = checkpoint()
    server.has_ranges = has_ranges
    caplog.set_level(logging.DEBUG)
    fetched = weights.fetch(with_secrets(server))
    fetched.write_record(tmp_path / "record.json")
    extract_ridge(with_secrets(server), subject="subj01", out=tmp_path / "ridge.safetensors")
    sent = {headers["Authorization"] for *_, headers in server.requests}
    assert sent == {f"Basic {base64.b64encode(b'SECRET:SECRET').decode()}"}
    assert read_json(tmp_path / "record.json")["source"] == redact(with_secrets(server))
    assert b"SECRET" not in (tmp_path / "record.json").read_bytes()
    assert b"SECRET" not in (tmp_path / "ridge.safetensors").read_bytes()
    assert "SECRET" not in caplog.text
    assert "SECRET" not in str(list(tmp_path.rglob("*")))


def test_no_error_tells_a_secret(server, caplog, case):
    for table in (server.files, server.headers, server.redirects):
        if PATH in table:
            table[f"{PATH}?token=SECRET"] = table[PATH]
    try:
        weights.fetch(with_secrets(server))
    except InputError as error:
        assert "SECRET" not in str(error)
    assert "SECRET" not in caplog.text


@pytest.fixture
def unencrypted(monkeypatch):
    """Let https mean http, so that the test needs no certificate."""

    class Connection(client._HTTPConnection):
        def __init__(self, host, *, timeout, **_):
            super().__init__(host, timeout=timeout)

    monkeypatch.setattr(client, "_HTTPSConnection", Connection)


def test_a_redirect_out_of_the_encryption_is_not_followed(server, unencrypted):
    server.redirects["/here"] = f"{server.url}{PATH}?token=SECRET"
    with pytest.raises(
        InputError, match="expected to stay on https, but the server redirects to http,"
    ) as error:
        RemoteFile(f"https://SECRET@127.0.0.1:{server.server_port}/here")
    assert [path for _, path, *_ in server.requests] == ["/here"]
    assert "SECRET" not in str(error.value)


def test_a_redirect_into_the_encryption_is_followed(server, unencrypted):
    server.redirects["/here"] = f"https://127.0.0.1:{server.server_port}{PATH}"
    assert RemoteFile(f"{server.url}/here").size == len(OLD)


def test_authorisation_goes_to_its_own_server_alone(server):
    """Also after a redirect from it, within it, and back to it."""
    with serving(Server()) as other:
        other.redirects["/there"] = f"{server.url}{PATH}"
        server.redirects |= {"/here": "/inside", "/inside": f"{other.url}/there"}
        file = RemoteFile(
            f"http://me:SECRET@127.0.0.1:{server.server_port}/here", headers={"X-Token": "SECRET"}
        )
        assert b"".join(file.stream(0, 10)) == OLD[:10]
        assert all("SECRET" not in str(headers) for *_, headers in other.requests)
    sent = [{"Authorization", "X-Token"} <= headers.keys() for *_, headers in server.requests]
    assert sent == [True] * 4
