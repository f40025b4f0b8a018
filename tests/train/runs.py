"""Short runs of the training with tiny networks, and what they leave, for the tests of several modules."""

from pathlib import Path

import torch
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file
from skimage import data as photos

from train.settings import parse_args
from train.train_glcic import train

TINY = """--preset places-256 --resolution 16 --resize_range 1 1.2 --min_hole_size 3 --max_hole_size 7 --local_size 8
    --base_channels 4 --train_batch_size 2 --optimizer adam --learning_rate 1e-2 --discriminator_learning_rate 1e-2
    --alpha 0.1 --completion_steps 2 --discriminator_steps 2 --max_train_steps 7 --checkpointing_steps 1
    --checkpoints_total_limit 99"""
"""Steps 1 and 2 of 7 are phase 1, steps 3 to 5 phase 2 (Algorithm 1 updates D alone at t = T_C + T_D too), then 3."""


def settings(*options: str):
    return parse_args(["--train_data_dir", "somewhere", "--output_dir", "elsewhere", *options])


def make_pictures(folder: Path) -> Path:
    """Three small photos in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(photos, name)()[100:200, 100:220]).resize((36, 30)).save(folder / f"{name}.png")
    return folder


def options_for(pictures: Path | None, output: Path, *options: str) -> list[str]:
    """The command line of a tiny run; without pictures, the options name the data."""
    data = ["--train_data_dir", str(pictures)] if pictures else []
    return [*TINY.split(), *data, "--output_dir", str(output), *options]


def run(pictures: Path | None, output: Path, *options: str) -> Path:
    """Train in this process; return the output folder."""
    AcceleratorState._reset_state(True)  # accelerate keeps it for the life of the process
    train(parse_args(options_for(pictures, output, *options)))
    return output


def completion_weights(output: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(output / f"checkpoint-{step}" / "model.safetensors")


def discriminator_weights(output: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(output / f"checkpoint-{step}" / "model_1.safetensors")


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> list[str]:
    return [name for name in before if not torch.equal(before[name], after[name])]


def logged(output: Path, name: str) -> dict[int, float]:
    """The values that a run, and those it went on from, wrote to its log under this name, by their steps."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    values = {}
    for events in (output / "logs").rglob("events*"):
        log = EventAccumulator(str(events)).Reload()
        if name in log.Tags()["scalars"]:
            values |= {event.step: event.value for event in log.Scalars(name)}
    return values


def same(one: object, other: object) -> bool:
    """Equal to the last bit: nested dicts and lists of tensors and numbers."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def assert_same_training_state(one: Path, other: Path, step: int = 7) -> None:
    """The models that were put out, both networks, both optimisers and the moving average: bit for bit the same."""
    assert same(load_file(one / "model.safetensors"), load_file(other / "model.safetensors"))
    assert (one / "config.json").read_text() == (other / "config.json").read_text()
    one, other = one / f"checkpoint-{step}", other / f"checkpoint-{step}"
    compared = 0
    for path in one.iterdir():
        if path.suffix == ".safetensors":
            assert same(load_file(path), load_file(other / path.name)), path.name
        elif path.name.startswith(("optimizer", "custom_checkpoint")):
            assert same(*(torch.load(folder / path.name, weights_only=True) for folder in (one, other))), path.name
        else:
            continue
        compared += 1
    assert compared >= 4
