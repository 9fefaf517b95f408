"""Parts of a checkpoint: where it came from, and what is kept."""

import hashlib
import io

import pytest
import torch

from brain2image.weights.checkpoint_parts import keep_parts, read_parts
from brain2image.weights.remote import RangesRefused


@pytest.fixture
def content():
    file = io.BytesIO()
    torch.save({"model_state_dict": {"a": torch.arange(3.0), "b": torch.rand(600_000)}}, file)
    return file.getvalue()


def read(content, source):
    return content.read("a").tolist(), dict(source)


@pytest.mark.parametrize("is_hashed", [True, False])
def test_a_file_here_is_hashed_where_asked(tmp_path, content, is_hashed):
    path = str(tmp_path / "last.pth")
    (tmp_path / "last.pth").write_bytes(content)
    known = {"sha256": hashlib.sha256(content).hexdigest(), "size": str(len(content))} if is_hashed else {}
    expected = [0, 1, 2], {"checkpoint": "last.pth", **known}
    assert read_parts(path, read, what="a", is_hashed=is_hashed) == expected


def test_what_a_server_says_is_the_source(server, content):
    server.files["/last.pth?token=secret"] = content
    values, source = read_parts(f"{server.url}/last.pth?token=secret", read, what="a")
    assert (values, source["size"], source["sha256"]) == ([0, 1, 2], str(len(content)), "")
    assert "secret" not in source["checkpoint"]
    assert server.sent < len(content) / 2


def test_a_server_that_stops_giving_parts_gives_the_whole_file(server, cache, content):
    server.files["/last.pth"] = content
    asked = []

    def refused_once(parts, source):
        asked.append(source["sha256"])
        if len(asked) == 1:
            raise RangesRefused
        return read(parts, source)

    values, source = read_parts(f"{server.url}/last.pth", refused_once, what="a")
    assert (values, source["sha256"]) == ([0, 1, 2], hashlib.sha256(content).hexdigest())
    assert asked == ["", source["sha256"]]


def test_parts_are_kept_by_checkpoint_version_and_identity(server, cache, tmp_path):
    written = []

    def write(path):
        written.append(path)
        path.write_text(str(len(written)))

    def keep(identity):
        kept = {"kind": "parts", "identity": (identity,), "name": "part.txt", "out": tmp_path / "out.txt"}
        keep_parts(f"{server.url}/last.pth", write, **kept)
        return (tmp_path / "out.txt").read_text()

    server.files["/last.pth"] = b"PK" * 50
    server.headers["/last.pth"] = {"ETag": '"one"'}
    assert [keep("a"), keep("a"), keep("b")] == ["1", "1", "2"]
    server.headers["/last.pth"] = {"ETag": '"two"'}
    assert keep("a") == "3"
