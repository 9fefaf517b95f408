"""How much memory is free, by what the system and the job's group say."""

import pytest
import torch

from brain2image.core import memory
from brain2image.core.errors import InputError

GB = 10**9


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system with 8 GB free."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 7812500 kB\n")
    return tmp_path


def test_the_group_of_a_job_may_allow_less_than_the_machine_has(system):
    assert memory.free_memory("cpu") == 8 * GB
    (system / "memory.max").write_text("max\n")
    (system / "memory.current").write_text(f"{4 * GB}\n")
    assert memory.free_memory("cpu") == 8 * GB
    (system / "memory.max").write_text(f"{6 * GB}\n")
    assert memory.free_memory("cpu") == 2 * GB
    (system / "memory.stat").write_text(f"anon 5\ninactive_file {GB}\n")  # files that were read give way
    assert memory.free_memory("cpu") == 3 * GB


def test_what_does_not_fit_is_refused_in_one_line(system):
    memory.check_memory(8 * GB, "cpu", what="it", remedy="buy more")
    with pytest.raises(InputError, match=r"^expected 9\.0 GB of free memory on this machine for it, got 8"):
        memory.check_memory(9 * GB, "cpu", what="it", remedy="buy more")
    (system / "meminfo").unlink()
    memory.check_memory(9 * GB, "cpu", what="it", remedy="")  # nothing says how much there is


def test_of_a_gpu_its_own_memory_counts(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * GB, 24 * GB))
    with pytest.raises(InputError, match=r"4\.0 GB of free memory on cuda:1 for it, got 3\.0 GB"):
        memory.check_memory(4 * GB, "cuda:1", what="it", remedy="")


def test_files_are_added_up(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert memory.file_bytes(tmp_path / "a", tmp_path / "a", tmp_path / "none") == 10
