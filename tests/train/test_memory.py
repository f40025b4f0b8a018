import pytest

from train import memory


def test_free_memory_is_what_the_machine_and_the_container_leave(tmp_path, monkeypatch):
    machine = memory.free_memory()
    assert 0 < machine <= memory.psutil.virtual_memory().total
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1500000\n")
    (tmp_path / "memory.stat").write_text("anon 900000\nfile 500000\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.free_memory() == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_memory() > 2_000_000


def test_half_of_the_free_memory_is_the_limit(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**31)
    memory.check_fits_in_memory(2**30, "the pictures")
    with pytest.raises(
        MemoryError, match=r"the pictures would take 1\.00 GiB, more than 50% of the 2\.00 GiB .* on cpu"
    ):
        memory.check_fits_in_memory(2**30 + 1, "the pictures")
