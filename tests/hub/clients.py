"""The programs that the tests run beside Python, and the code that several of the tests' clients begin with."""

import sys
from pathlib import Path

import pytest

from tests.hub.loopback_hub import LoopbackHub

ROOT = Path(__file__).parents[2]
HF = Path(sys.executable).with_name("hf")

MAKE = """
import torch
from glcic_hub import GLCICModel

def make(bias):
    model = GLCICModel(base_channels=4, mean=(0.25, 0.5, 0.75), sample_size=64, max_hole_size=24)
    torch.nn.init.constant_(model.network.output.bias, bias)
    return model

def facts(model):
    return [model.network.output.bias[0].item(), str(model.dtype), model.mean.tolist(), model.sample_size]
"""


def folder_of(hub: LoopbackHub, home: str) -> Path:
    """A user's folder: current folder of her processes; `hub` in it is the cache."""
    folder = hub.objects.parent / "homes" / home
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def peer(program: str) -> Path:
    """A program that lives in an environment of its own, because it needs other versions than we do."""
    environment = {"huggingface-cli": ".venv-hub036", "olah-cli": ".venv-olah"}[program]
    path = ROOT / environment / "bin" / program
    if not path.is_file():
        pytest.fail(f"{environment}/bin/{program} is missing: `make peers` installs it", pytrace=False)
    return path
