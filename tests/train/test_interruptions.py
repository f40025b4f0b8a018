"""Runs that are killed, stopped, out of room or out of numbers: what they leave, and how they go on."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glcic_hub.model import GLCICModel
from tests.train.processes import SECONDS, TrainingProcess
from tests.train.runs import assert_same_training_state, options_for, run
from train.checkpoints import checkpoints, flaw_of

if os.name != "posix":
    pytest.skip("signals and limits of POSIX", allow_module_level=True)

LONGER = "--completion_steps 6 --discriminator_steps 2 --max_train_steps 14 --checkpointing_steps 2 --ema_decay 0.9"
LONGER += " --checkpoints_total_limit 3 --validation_steps 4"
ENDS_AT = 14

# Gives the test time to meet the process at this point: there it says so and sleeps. What is slowed down is real.
PAUSE = """
import sys, time
from train import {module}
original = {module}.{name}
calls = 0
def paused(*args, **kwargs):
    global calls
    calls += 1
    if calls == {call} and not {after}:
        print("REACHED", flush=True); time.sleep({seconds})
    result = original(*args, **kwargs)
    if calls == {call} and {after}:
        print("REACHED", flush=True); time.sleep({seconds})
    return result
{module}.{name} = paused
from train.train_glcic import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def more_options(tiny_pictures) -> list[str]:
    return [*LONGER.split(), "--validation_data_dir", str(tiny_pictures)]


@pytest.fixture
def start(more_options, tiny_pictures, tmp_path):
    """Starts `code` with the options of a run to tmp_path / "run"."""
    processes = []

    def started(code: str, *options: str, own_session: bool = False) -> TrainingProcess:
        options = options_for(tiny_pictures, tmp_path / "run", *more_options, *options)
        processes.append(TrainingProcess(code, options, own_session))
        return processes[-1]

    yield started
    for one in processes:
        one.process.kill()


@pytest.fixture(scope="module")
def uninterrupted(more_options, tiny_pictures, tmp_path_factory) -> Path:
    return run(tiny_pictures, tmp_path_factory.mktemp("runs") / "uninterrupted", *more_options)


@pytest.fixture
def go_on(more_options, tiny_pictures, tmp_path, uninterrupted):
    """Resumes the run in tmp_path / "run" and compares what it becomes with the uninterrupted one."""

    def resumed(*options: str) -> None:
        output = tmp_path / "run"
        run(tiny_pictures, output, *more_options, *options, "--resume_from_checkpoint", "latest")
        assert_ends_alike(output, uninterrupted)

    return resumed


def assert_ends_alike(output: Path, uninterrupted: Path) -> None:
    assert_same_training_state(uninterrupted, output, step=ENDS_AT)
    assert json.loads((output / "best.json").read_text()) == json.loads((uninterrupted / "best.json").read_text())
    best = [load_file(folder / "best" / "model.safetensors") for folder in (output, uninterrupted)]
    assert all(torch.equal(value, best[1][name]) for name, value in best[0].items())
    assert {path.name for path in output.iterdir()} == {path.name for path in uninterrupted.iterdir()}


MOMENTS = {
    "in a step of phase 1": ("train_glcic", "completion_loss", 6, False),
    "in phase 2, between D's judgement and its update": ("train_glcic", "real_or_fake_loss", 4, True),
    "in a step of phase 3": ("train_glcic", "local_patches", 14, True),
    "before a checkpoint": ("train_glcic", "save_checkpoint", 4, False),
    "while it is written": ("checkpoints", "_file_record", 22, False),
    "before its list of files": ("checkpoints", "write_whole", 6, False),
    "before it gets its name": ("checkpoints", "write_whole", 7, True),
    "before old ones are removed": ("checkpoints", "_remove_old", 5, False),
    "before the model behind it": ("train_glcic", "save_model", 6, False),
    "while the model is put out": ("outputs", "write_whole", 10, False),
    "before the best is noted": ("train_glcic", "mark_best", 2, False),
    "behind the last checkpoint": ("train_glcic", "save_checkpoint", 7, True),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_run_ends_bit_identical(start, go_on, tmp_path, moment):
    module, name, call, after = MOMENTS[moment]
    training = start(PAUSE.format(module=module, name=name, call=call, after=after, seconds=60))
    training.wait_until_it_says("REACHED")
    training.process.kill()
    assert training.end()[0] == -signal.SIGKILL
    assert all(flaw_of(checkpoint) is None for checkpoint in checkpoints(tmp_path / "run"))
    go_on()


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGINT, "2"),
        (signal.SIGTERM, "0"),
        pytest.param(signal.SIGINT, "0", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "2", marks=pytest.mark.slow),
    ],
)
def test_stopped_run_finishes_its_step_and_goes_on(start, go_on, tmp_path, number, workers):
    # Step 5 has a checkpoint for this reason alone.
    code = PAUSE.format(module="train_glcic", name="completion_loss", call=5, after=False, seconds=1)
    training = start(code, "--dataloader_num_workers", workers, own_session=True)
    training.wait_until_it_says("REACHED")
    os.killpg(training.pid, number)  # as Ctrl-C in a terminal: workers get it, too
    status, said = training.end()
    assert status == 128 + number
    assert said.count("finishing the step") == 1
    assert f"stopped by {number.name} after step " in said
    assert "Traceback" not in said
    step = int(re.search(r"after step (\d+)", said)[1])
    assert checkpoints(tmp_path / "run")[-1].name == f"checkpoint-{step}"
    assert json.loads((tmp_path / "run" / "training.json").read_text())["steps"] == step
    go_on()


def test_loading_goes_on_when_the_whole_group_gets_a_signal(start, tmp_path):
    go_on = tmp_path / "go on"
    code = f"""
import pathlib, time
from train.interruption import leave_signals_to_the_main_process
leave_signals_to_the_main_process(0)
print("REACHED", flush=True)
while not pathlib.Path({str(go_on)!r}).exists():
    time.sleep(0.01)
print("DONE", flush=True)
"""
    worker = start(code, own_session=True)
    worker.wait_until_it_says("REACHED")
    for number in (signal.SIGINT, signal.SIGTERM):
        os.killpg(worker.pid, number)
    go_on.touch()
    status, said = worker.end()
    assert status == 0 and "DONE" in said


def test_second_ctrl_c_stops_at_once(start, tmp_path):
    pause = 2 * SECONDS  # it would have to be waited for, and nobody waits so long
    training = start(PAUSE.format(module="train_glcic", name="completion_loss", call=5, after=False, seconds=pause))
    training.wait_until_it_says("REACHED")
    os.kill(training.pid, signal.SIGINT)
    training.wait_until_it_says("finishing the step")
    os.kill(training.pid, signal.SIGINT)
    status, said = training.end()
    assert status == 130
    assert "Traceback" not in said
    assert [path.name for path in checkpoints(tmp_path / "run")] == ["checkpoint-2", "checkpoint-4"]


# A limit on the size of files fails in the same calls as a full disk does, and needs no rights.
OUT_OF_ROOM = """
import resource
def limited(*args, **kwargs):
    global calls
    calls += 1
    if calls == {call}:
        resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
    return original(*args, **kwargs)
import sys
from train import {module}
original, calls = {module}.{name}, 0
{module}.{name} = limited
from train.train_glcic import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("size", [0, 1000, 30_000, 60_000])  # room for none, some, most of the files
def test_full_disk_leaves_the_earlier_checkpoints(start, go_on, tmp_path, size):
    status, said = start(OUT_OF_ROOM.format(module="train_glcic", name="save_checkpoint", call=3, size=size)).end()
    assert status == 1
    (sentence,) = [line for line in said.splitlines() if line.startswith("train_glcic:")]
    assert "checkpoint-6 could not be written to" in sentence and "make room" in sentence
    assert "Traceback" not in said
    assert sorted(path.name for path in (tmp_path / "run").glob("*checkpoint*")) == ["checkpoint-2", "checkpoint-4"]
    go_on()


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        ("train_glcic", "save_model", 3),  # before anything of step 4 is written
        ("outputs", "write_whole", 9),  # when all of it has been written once, and is put into its place
    ],
)
def test_full_disk_leaves_the_earlier_model(start, go_on, tmp_path, module, name, call):
    status, said = start(OUT_OF_ROOM.format(module=module, name=name, call=call, size=1000)).end()
    assert status == 1
    assert "Traceback" not in said and "make room and go on" in said
    output = tmp_path / "run"
    assert json.loads((output / "training.json").read_text())["steps"] == 2
    saved = GLCICModel.from_pretrained(output).network.state_dict()
    average = torch.load(output / "checkpoint-2" / "custom_checkpoint_0.pkl", weights_only=True)
    assert all(torch.equal(value, average[f"module.{name}"]) for name, value in saved.items())
    assert not list(output.glob("unfinished-*")) and not list(output.glob(".glcic-*"))
    go_on()


@pytest.mark.parametrize(
    ("poison", "named"),
    [
        ("players.network.output.bias.data[0] = float('nan')", "the weights"),
        ("players.discriminator.output.bias.data[0] = float('inf')", "the weights"),
        ("players.network.blocks[3][1].running_var[0] = float('inf')", "the weights"),
        ("log['completion_loss'] = log['completion_loss'] * float('nan')", "completion_loss"),
    ],
)
def test_run_stops_before_it_saves_what_is_no_number(start, tmp_path, poison, named):
    code = f"""
import sys
from train import train_glcic
original = train_glcic.take_step
def poisoned(args, accelerator, players, step, *rest):
    log = original(args, accelerator, players, step, *rest)
    if step == 5:
        {poison}
    return log
train_glcic.take_step = poisoned
train_glcic.main(sys.argv[1:])
"""
    status, said = start(code).end()
    assert status == 1
    assert f"train_glcic: {named} at step 6 is no finite number" in said
    assert "Traceback" not in said
    assert [path.name for path in checkpoints(tmp_path / "run")] == ["checkpoint-2", "checkpoint-4"]
    assert json.loads((tmp_path / "run" / "training.json").read_text())["steps"] == 4


# What memory that is short looks like: of the process itself, here with more asked for than any machine has, ...
OUT_OF_MEMORY = ("torch.empty(2**60)", "there is not enough memory (", "a smaller --train_batch_size")
# ... of a GPU (the exception is the one that torch raises, the words are its own), ...
OUT_OF_GPU_MEMORY = (
    "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.\\nGPU 0 has a total capacity')",
    "there is not enough memory (CUDA out of memory. Tried",
    "a smaller --train_batch_size",
)
# ... and where the system ends a worker.
KILLED_WORKER = (
    "os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL); [time.sleep(0.01) for _ in range(500)]",
    "a process that loads pictures was ended (",
    "fewer --dataloader_num_workers",
)

FAILING = """
import multiprocessing, os, signal, sys, time
import torch
from train import train_glcic
original = train_glcic.take_step
def failing(args, accelerator, players, step, *rest):
    if step == 5:
        {failure}
    return original(args, accelerator, players, step, *rest)
train_glcic.take_step = failing
train_glcic.main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("failure", "cause", "remedy"), [OUT_OF_MEMORY, OUT_OF_GPU_MEMORY, KILLED_WORKER], ids=["memory", "GPU", "worker"]
)
def test_too_little_memory_ends_the_run_with_a_remedy(start, go_on, failure, cause, remedy):
    status, said = start(FAILING.format(failure=failure), "--dataloader_num_workers", "1").end()
    assert status == 1
    (sentence,) = [line for line in said.splitlines() if line.startswith("train_glcic:")]
    assert cause in sentence and sentence.endswith(f": go on with --resume_from_checkpoint latest and {remedy}")
    assert "Traceback" not in said
    go_on()


def test_other_errors_of_torch_keep_their_traceback(start):
    status, said = start(FAILING.format(failure="torch.ones(2) @ torch.ones(3)")).end()
    assert status == 1
    assert "Traceback" in said and "RuntimeError: " in said
