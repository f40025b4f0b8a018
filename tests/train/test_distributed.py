"""Two real processes (gloo) against one process, and against both processes' steps computed by hand."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train.by_hand import LONGER, SMALL_RATES, assert_steps_agree
from tests.train.runs import assert_same_training_state, logged, options_for, run
from train.checkpoints import checkpoints, flaw_of
from train.dataset import TrainingCrops, find_pictures

ROOT = Path(__file__).parents[2]

OPTIONS = ("--ema_decay", "0.9", "--free_form_share", "0.5", *SMALL_RATES, *LONGER)

# Batch normalisation as in eval mode: of what the processes compute, nothing depends on how a batch is divided.
FROZEN = """
import sys
from torch import nn
nn.BatchNorm2d.forward = lambda self, x: nn.functional.batch_norm(
    x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
"""

# What each process sees and ends with, for comparison.
RECORDED = """
import os, torch
from train import train_glcic
original, seen = train_glcic.take_step, []
def recorded(args, accelerator, players, step, image, *rest):
    seen.append(image.clone())
    log = original(args, accelerator, players, step, image, *rest)
    networks = [accelerator.unwrap_model(net) for net in (players.network, players.discriminator)]
    weights = [value.clone() for net in networks for value in net.state_dict().values()]
    torch.save({"images": seen, "weights": weights}, args.output_dir / f"rank{accelerator.process_index}.pt")
    return log
train_glcic.take_step = recorded
"""


def torchrun(script: Path, code: str, options: list[str], succeeds: bool = True) -> str:
    """Run `code` and then the training in two processes; return what they said."""
    script.write_text(f"{code}\nimport sys\nfrom train.train_glcic import main\nmain(sys.argv[1:])\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == succeeds, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def two_processes(tiny_pictures, tmp_path_factory) -> Path:
    """A run of two processes, 2 pictures each, through all three phases; interrupted by nobody."""
    folder = tmp_path_factory.mktemp("two")
    options = options_for(tiny_pictures, folder / "run", *OPTIONS)
    torchrun(folder / "recorded.py", RECORDED, options)
    return folder / "run"


def test_processes_see_different_pictures_and_hold_equal_weights(two_processes):
    one, other = (torch.load(two_processes / f"rank{rank}.pt") for rank in (0, 1))
    assert len(one["images"]) == len(other["images"]) == 12
    everything = torch.cat([*one["images"], *other["images"]])
    assert len({image.numpy().tobytes() for image in everything}) == 2 * 2 * 12
    assert all(torch.equal(mine, yours) for mine, yours in zip(one["weights"], other["weights"], strict=True))


def test_checkpoints_of_two_processes_are_complete(two_processes):
    assert [path.name for path in checkpoints(two_processes)] == [f"checkpoint-{step}" for step in range(1, 13)]
    assert all(flaw_of(path) is None for path in checkpoints(two_processes))
    assert json.loads((two_processes / "training.json").read_text())["crops"] == 48


def test_every_step_is_the_mean_of_both_processes_steps(two_processes, tiny_pictures):
    assert_steps_agree(options_for(tiny_pictures, two_processes, *OPTIONS), two_processes, processes=2)


def test_two_processes_train_as_one_of_twice_the_batch(tiny_pictures, tmp_path, monkeypatch):
    two = torchrun(tmp_path / "frozen.py", FROZEN, options_for(tiny_pictures, tmp_path / "two", *OPTIONS))
    assert "2 x cpu" in two
    monkeypatch.setattr(torch.nn.BatchNorm2d, "forward", torch.nn.BatchNorm2d.forward)  # is put back at the end
    exec(FROZEN, {})
    run(tiny_pictures, tmp_path / "one", *OPTIONS, "--train_batch_size", "4")
    for name in ("model.safetensors", "model_1.safetensors"):
        for step in range(1, 13):
            ours, theirs = (load_file(tmp_path / folder / f"checkpoint-{step}" / name) for folder in ("one", "two"))
            for key, value in ours.items():
                torch.testing.assert_close(theirs[key], value, rtol=1e-3, atol=2e-4, msg=f"{name} {step} {key}")


def test_two_processes_resume_where_they_were(two_processes, tiny_pictures, tmp_path):
    options = (*OPTIONS, "--resume_from_checkpoint", "latest")
    (tmp_path / "run").mkdir()
    os.symlink(two_processes / "checkpoint-3", tmp_path / "run" / "checkpoint-3")
    torchrun(tmp_path / "plain.py", "", options_for(tiny_pictures, tmp_path / "run", *options))
    assert_same_training_state(two_processes, tmp_path / "run", step=12)


def test_damaged_pictures_of_all_processes_are_counted_also_after_a_resume(tiny_pictures, tmp_path):
    data = shutil.copytree(tiny_pictures, tmp_path / "data")
    for name in ("torn", "worn"):
        (data / f"{name}.png").write_bytes((data / "coffee.png").read_bytes()[:500])
    options = options_for(data, tmp_path / "run", *OPTIONS, "--logging_steps", "5")
    torchrun(tmp_path / "plain.py", "", [*options, "--completion_steps", "3", "--max_train_steps", "3"])
    torchrun(tmp_path / "plain.py", "", [*options, "--resume_from_checkpoint", "latest"])
    crops = TrainingCrops(find_pictures([data]), 16, (1.0, 1.2), 48, 0)
    met = [damaged.name for sample in range(48) for damaged in crops.sample(sample).damaged]
    by_rank = [{d.name for n in range(rank, 48, 2) for d in crops.sample(n).damaged} for rank in range(2)]
    assert all(by_rank), "each process meets some"
    damaged = json.loads((tmp_path / "run" / "training.json").read_text())["damaged"]
    assert damaged["count"] == len(met)
    assert sorted(damaged["names"]) == ["torn.png", "worn.png"] == sorted(set(met))
    values = logged(tmp_path / "run", "damaged_pictures")
    assert values[12] == len(met) and sorted(values) == [3, 5, 10, 12]


SIGNALLED = """
import os, signal
from train import train_glcic
original = train_glcic.take_step
def signalled(args, accelerator, players, step, *rest):
    if step == 6 and accelerator.process_index == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return original(args, accelerator, players, step, *rest)
train_glcic.take_step = signalled
"""


def test_processes_stop_together_when_one_gets_a_signal(two_processes, tiny_pictures, tmp_path):
    options = options_for(tiny_pictures, tmp_path / "run", *OPTIONS, "--checkpointing_steps", "99")
    said = torchrun(tmp_path / "signalled.py", SIGNALLED, options, succeeds=False)
    assert said.count("stopped by SIGTERM after step 7") == 2  # both processes say so
    assert [path.name for path in checkpoints(tmp_path / "run")] == ["checkpoint-7"]
    torchrun(tmp_path / "plain.py", "", [*options, "--resume_from_checkpoint", "latest"])
    assert_same_training_state(two_processes, tmp_path / "run", step=12)
