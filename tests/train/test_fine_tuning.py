"""What train/README.md promises: a few minutes on a CPU fit the embedded weights to one's own pictures."""

import json
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from skimage import data

from glcic_hub.model import GLCICModel
from train import train_glcic
from train.settings import parse_args
from train.validation import Validation


@pytest.fixture(scope="module")
def halves(tmp_path_factory) -> tuple[Path, Path]:
    """Pieces of a brick wall: the left half to train on, the right one to validate with."""
    folders = tuple(tmp_path_factory.mktemp("halves") / side for side in ("left", "right"))
    for folder, box in zip(folders, ((0, 0, 256, 512), (256, 0, 512, 512))):
        folder.mkdir()
        wall = Image.fromarray(data.brick()).convert("RGB").crop(box)
        for row in range(4):  # Validation takes one crop of each picture
            wall.crop((0, 128 * row, 256, 128 * (row + 1))).save(folder / f"{row}.png")
    return folders


@pytest.mark.slow
def test_fine_tuning_lowers_the_error_on_pictures_of_the_same_kind(halves, tmp_path):
    own, others = halves
    options = ["--preset", "modern", "--pretrained_model_name_or_path", "glcic-scenes"]
    options += ["--train_data_dir", str(own), "--validation_data_dir", str(others), "--output_dir", str(tmp_path)]
    options += ["--max_train_steps", "200", "--completion_steps", "200", "--learning_rate", "2e-4"]
    options += ["--recoloured_share", "0"]
    options += ["--train_batch_size", "4", "--checkpointing_steps", "200", "--validation_steps", "200"]
    AcceleratorState._reset_state(True)  # it keeps the precision of the first run in this process
    train_glcic.main(options)

    validation, before = Validation(parse_args(options)), GLCICModel.from_pretrained("glcic-scenes")
    after = GLCICModel.from_pretrained(tmp_path)
    errors = [validation.measure(model.network, model.mean) for model in (before, after)]
    assert errors[1]["hole_l1_x100"] < 0.8 * errors[0]["hole_l1_x100"]
    assert errors[1]["hole_psnr"] > errors[0]["hole_psnr"] + 2
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["hole_l1_x100"] == pytest.approx(errors[1]["hole_l1_x100"], rel=1e-3)
    assert torch.equal(before.mean, after.mean)  # the weights belong to it
