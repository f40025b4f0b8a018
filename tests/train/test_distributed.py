"""Two real processes (gloo) against one process, and against both processes' steps computed by hand."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train.by_hand import LONGER, SMALL_RATES, assert_steps_agree
from tests.train.processes import TrainingProcess
from tests.train.runs import assert_same_training_state, logged, options_for, run
from train import train_glcic
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


SIGNALLED = """
import os, signal
from train import train_glcic
original = train_glcic.take_step
def signalled(args, accelerator, players, step, *rest):
    if step == 2 and accelerator.process_index == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return original(args, accelerator, players, step, *rest)
train_glcic.take_step = signalled
"""

# Whether a process leaves the others while networks still exchange through their group; torch may hang then.
LEAVING = """
import gc
from accelerate import Accelerator
from torch.nn.parallel import DistributedDataParallel
end_training = Accelerator.end_training
def leave(self):
    left = sum(isinstance(each, DistributedDataParallel) for each in gc.get_objects())
    print(f"leaves with {left} networks")
    end_training(self)
Accelerator.end_training = leave
"""


def torchrun(script: Path, code: str, options: list[str]) -> None:
    """Run `code` and then the training in two processes."""
    script.write_text(f"{code}\nimport sys\nfrom train.train_glcic import main\nmain(sys.argv[1:])\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def in_two_processes(code: str, options: list[str], status: int = 0) -> str:
    """The same as `torchrun`, which takes seconds to start, does it; returns what both processes said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    variables |= {"LOCAL_WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "1"}
    code = f"{code}\nimport sys\nfrom train.train_glcic import main\nmain(sys.argv[1:])\n"
    processes = [
        TrainingProcess(code, options, threads=1, environment=variables | {"RANK": rank, "LOCAL_RANK": rank})
        for rank in ("0", "1")
    ]
    try:
        ends = [process.end() for process in processes]
    finally:
        for process in processes:
            process.process.kill()
    assert [found for found, _ in ends] == [status, status], ends
    return "".join(said for _, said in ends)


@pytest.fixture(scope="module")
def data(tiny_pictures, tmp_path_factory) -> Path:
    """Three pictures and two damaged ones."""
    folder = shutil.copytree(tiny_pictures, tmp_path_factory.mktemp("data") / "pictures")
    for name in ("torn", "worn"):
        (folder / f"{name}.png").write_bytes((folder / "coffee.png").read_bytes()[:500])
    return folder


@pytest.fixture(scope="module")
def two_processes(data, tmp_path_factory) -> Path:
    """A run of two processes, 2 pictures each, through all three phases; interrupted by nobody."""
    folder = tmp_path_factory.mktemp("two")
    torchrun(folder / "recorded.py", RECORDED, options_for(data, folder / "run", *OPTIONS))
    return folder / "run"


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory) -> tuple[Path, str]:
    """The same run, but one of the processes gets a signal in phase 1; and what both of them said."""
    folder = tmp_path_factory.mktemp("stopped")
    options = options_for(data, folder / "run", *OPTIONS, "--checkpointing_steps", "99")
    return folder / "run", in_two_processes(SIGNALLED, options, status=143)


@pytest.fixture(scope="module")
def resumed(stopped, data, tmp_path_factory) -> Path:
    """The stopped run, brought to its end, with another rhythm of logging."""
    folder = shutil.copytree(stopped[0], tmp_path_factory.mktemp("resumed") / "run")
    options = options_for(data, folder, *OPTIONS, "--checkpointing_steps", "99", "--logging_steps", "5")
    in_two_processes("", [*options, "--resume_from_checkpoint", "latest"])
    return folder


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


@pytest.mark.filterwarnings("ignore:another picture takes the place of a damaged one")
def test_every_step_is_the_mean_of_both_processes_steps(two_processes, data):
    assert_steps_agree(options_for(data, two_processes, *OPTIONS), two_processes, processes=2)


def test_the_penalty_of_two_processes_is_the_mean_of_theirs(tiny_pictures, tmp_path, monkeypatch):
    options = options_for(tiny_pictures, tmp_path / "run", *SMALL_RATES, *LONGER, "--r1_weight", "10")
    in_two_processes("from train import train_glcic\ntrain_glcic.R1_EVERY = 1", options)
    monkeypatch.setattr(train_glcic, "R1_EVERY", 1)
    assert_steps_agree(options, tmp_path / "run", processes=2)


@pytest.mark.parametrize("signalled", [False, True])
def test_no_network_is_left_when_processes_part(tiny_pictures, tmp_path, signalled):
    code = LEAVING + SIGNALLED if signalled else LEAVING
    said = in_two_processes(code, options_for(tiny_pictures, tmp_path / "run"), status=143 if signalled else 0)
    assert said.count("leaves with 0 networks") == 2, said


def test_two_processes_train_as_one_of_twice_the_batch(tiny_pictures, tmp_path, monkeypatch):
    two = in_two_processes(FROZEN, options_for(tiny_pictures, tmp_path / "two", *OPTIONS))
    assert "2 x cpu" in two
    monkeypatch.setattr(torch.nn.BatchNorm2d, "forward", torch.nn.BatchNorm2d.forward)  # is put back at the end
    exec(FROZEN, {})
    run(tiny_pictures, tmp_path / "one", *OPTIONS, "--train_batch_size", "4")
    for name in ("model.safetensors", "model_1.safetensors"):
        for step in range(1, 13):
            ours, theirs = (load_file(tmp_path / folder / f"checkpoint-{step}" / name) for folder in ("one", "two"))
            for key, value in ours.items():
                torch.testing.assert_close(theirs[key], value, rtol=1e-3, atol=2e-4, msg=f"{name} {step} {key}")


def test_processes_stop_together_when_one_gets_a_signal(stopped):
    output, said = stopped
    assert said.count("stopped by SIGTERM after step 3") == 2  # both processes say so
    assert [path.name for path in checkpoints(output)] == ["checkpoint-3"]


def test_two_processes_resume_where_they_were(two_processes, resumed):
    """From phase 1 through the two others."""
    assert_same_training_state(two_processes, resumed, step=12)


def test_damaged_pictures_of_all_processes_are_counted_also_after_a_resume(two_processes, stopped, resumed, data):
    crops = TrainingCrops(find_pictures([data]), 16, (1.0, 1.2), 48, 0)
    met = [[damaged.name for damaged in crops.sample(number).damaged] for number in range(48)]
    for first in (0, 12):  # before the signal and after it
        assert all(sum(met[first + rank : first + 12 : 2], []) for rank in range(2)), "each process meets some"
    for output, samples in ((stopped[0], 12), (two_processes, 48), (resumed, 48)):
        damaged = json.loads((output / "training.json").read_text())["damaged"]
        assert damaged["count"] == len(sum(met[:samples], []))
        assert sorted(damaged["names"]) == ["torn.png", "worn.png"]
    counts = {step: len(sum(met[: 4 * step], [])) for step in (5, 10, 12)}
    assert logged(resumed, "damaged_pictures") == counts
