"""The scripts, started as files: `python train/train_glcic.py`, `accelerate launch train/train_glcic.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.train.runs import options_for

ROOT = Path(__file__).parents[2]


def start(folder: Path, *command: str) -> str:
    """From another folder, with nothing of ours on the path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", ["train_glcic", "evaluate", "compare_initialisations"])
def test_scripts_start_as_files(script, tmp_path):
    assert "--output" in start(tmp_path, str(ROOT / "train" / f"{script}.py"), "--help")


@pytest.mark.slow
def test_accelerate_launches_the_training_as_a_file(tiny_pictures, tmp_path):
    script = str(ROOT / "train" / "train_glcic.py")
    options = options_for(tiny_pictures, tmp_path / "run")
    start(tmp_path, "-m", "accelerate.commands.launch", "--cpu", script, *options)
    assert (tmp_path / "run" / "model.safetensors").is_file()
