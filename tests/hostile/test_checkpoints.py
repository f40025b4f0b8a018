"""Damaged and odd checkpoints: a whole model, or one sentence and nothing."""

import io
import os

import pytest
import torch

from tests.hostile.checkpoint_cases import Code, converted
from tests.hostile.commands import is_one_sentence, run
from tests.hostile.kinds import attempt
from tests.hostile.limits import MEMORY, memory_limit

COUNT = 30


@pytest.mark.parametrize("kind", ["pth", "t7"])
def test_foreign_checkpoints_are_converted_whole_or_refused_in_one_sentence(kind, model):
    assert {attempt(kind, number, model) for number in range(COUNT)} >= {"exit 0", "exit 2"}


@pytest.mark.parametrize("is_new", [False, True])
def test_code_is_not_executed(tmp_path, is_new):
    (tmp_path / "out").mkdir()
    data = io.BytesIO()
    torch.save({"0.weight": Code(tmp_path / "executed")}, data, _use_new_zipfile_serialization=is_new)
    assert converted(tmp_path, "net.pth", data.getvalue()) == "exit 2"
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "/dev/null"])
def test_what_is_no_file_is_not_converted(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    outcome = run("convert", tmp_path / name, "-o", tmp_path / "model")
    assert outcome.code == 2 and is_one_sentence(outcome.complained) and "not a file" in outcome.complained
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_huge_file_is_not_read(tmp_path):
    """A sparse file: 2 TB that take no place on the disk."""
    with open(tmp_path / "net.pth", "wb") as file:
        file.truncate(2**41)
    outcome = run("convert", tmp_path / "net.pth", "-o", tmp_path / "model")
    assert outcome.code == 2 and f"{2**41} bytes" in outcome.complained


def test_the_memory_limit_of_the_cases_is_one(tmp_path):
    with pytest.raises(MemoryError), memory_limit():
        bytearray(16 * MEMORY)  # far more than other threads could have given back meanwhile
    (tmp_path / "out").mkdir()
    assert converted(tmp_path, "net.t7", b"") == "exit 2"
