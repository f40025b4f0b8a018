"""A small model with records as the training and the evaluation write them, and the repository built from it."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from model_card.build import build
from tests.hub.conftest import client, command, hub  # noqa: F401 - fixtures
from tests.random_models import MEAN, random_model

ROOT = Path(__file__).parents[2]
REPO_ID = "tester/tiny"

SETTINGS = {
    "preset": "modern",
    "resolution": 32,
    "min_hole_size": 7,
    "max_hole_size": 13,
    "free_form_share": 0.25,
    "pretrained_model_name_or_path": None,
    "completion_steps": 1230,
    "discriminator_steps": 0,
    "resume_from_checkpoint": "/home/someone/runs/tiny/checkpoint-600",
    "seed": 3,
}
TRAINING = {
    "steps": 1230,
    "adversarial_steps": 0,
    "crops": 19680,
    "pictures": 8776,
    "data": [*(f"scenes-train-{shard:04}.tar" for shard in range(6)), "scenes-small-train-0000.tar"],
    "minutes": 47.3,
    "device": "CPU, 2 thread(s)",
    "torch": "2.13.0",
    "python": "3.11.7",
    "settings": SETTINGS,
}
EVALUATION = {
    "protocol": {
        "name": "box",
        "size": 256,
        "min_hole_size": 88,
        "max_hole_size": 128,
        "hole_margin": 20,
        "seed": 7,
    },
    "data": {"sources": ["val-scenes.tar"], "pictures": 253},
    "figures": {
        "telea": {"l1_x100": 12.84471, "hole_psnr": 15.77041, "psnr": 22.97504, "ssim": 0.86862},
        "runs/other": {"l1_x100": 1.11111, "hole_psnr": 99.11111, "psnr": 99.22222, "ssim": 0.99999},
        "/home/someone/runs/tiny": {"l1_x100": 11.29369, "hole_psnr": 16.27592, "psnr": 22.48054, "ssim": 0.86393},
    },
    "models": {"runs/other": {"weights_sha256": "0" * 64}, "/home/someone/runs/tiny": {}},
    "versions": {"torch": "2.13.0", "opencv": "5.0.0", "python": "3.11.7"},
    "seconds_per_picture": {"telea": 0.0159, "runs/other": 0.9, "/home/someone/runs/tiny": 0.1137},
}


def write_model(folder: Path, half: bool = False) -> Path:
    """A model's folder, complete for the card."""
    model = random_model()
    model._hub_mixin_config["mean"] = list(MEAN)
    (model.half() if half else model).save_pretrained(folder)
    (folder / "README.md").unlink()
    shutil.copyfile(ROOT / "model_card" / "about" / "glcic-scenes.toml", folder / "about.toml")
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    evaluation = json.loads(json.dumps(EVALUATION))
    evaluation["models"]["/home/someone/runs/tiny"] = {"weights_sha256": sha256}
    (folder / "training.json").write_text(json.dumps(TRAINING))
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    """The machine's cores may be busy, and the pictures must not depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """The model's folder; nobody changes it."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def built(tiny, tmp_path_factory) -> dict[str, Path]:
    """The repository, by branch; nobody changes it."""
    return build(str(tiny), tmp_path_factory.mktemp("built"), REPO_ID)


@pytest.fixture
def model(tiny, tmp_path) -> Path:
    """A copy of the model's folder to change."""
    return Path(shutil.copytree(tiny, tmp_path / "tiny"))
