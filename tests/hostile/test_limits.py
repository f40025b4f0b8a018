"""Too little memory, and names that stdout has no letters for."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.hostile.commands import check, run
from tests.hostile.limits import memory_limit


@pytest.mark.parametrize("megabytes", [20, 60, 120, 250])
def test_too_little_memory_is_said(tmp_path, model, megabytes):
    """A picture of a few kilobytes that takes 36 MB when it is read, at every step on its way."""
    photo, mask, out = tmp_path / "photo.png", tmp_path / "mask.png", tmp_path / "out" / "out.png"
    Image.new("RGB", (4000, 3000)).save(photo)
    hole = np.zeros((3000, 4000), bool)
    hole[:20, :20] = True
    Image.fromarray(hole).save(mask)
    out.parent.mkdir()
    with memory_limit(megabytes * 2**20):
        outcome = run("inpaint", photo, mask, "-o", out, "--model", model)
    check(outcome, out)
    assert outcome.code == 0 or (outcome.code == 1 and "memory" in outcome.complained), outcome
    assert outcome.code == 1 or megabytes > 100


def test_a_result_whose_name_is_no_text(tmp_path, model):
    name = os.fsdecode(b"\xff\xfe-\xe9.png")
    Image.new("RGB", (24, 20)).save(tmp_path / "photo.png")
    Image.fromarray(np.eye(20, 24, dtype=bool)).save(tmp_path / "mask.png")
    command = [sys.executable, "-m", "glcic_hub", "inpaint", "photo.png", "mask.png", "-o", name, "--model", str(model)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        timeout=100,
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, os.fsencode(name) + b"\n", b"")
