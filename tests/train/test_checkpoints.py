"""Checkpoints: exact resumption, damage, rotation, the best one, full disks. Kills: test_interruptions.py."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from glcic_hub.model import GLCICModel
from tests.train.runs import assert_same_training_state, completion_weights, logged, moved, run
from train.checkpoints import checkpoints, flaw_of, read_best


@pytest.mark.parametrize("step", [1, 2, 4, 5, 6])
def test_resumed_run_ends_bit_identical(whole_run, tiny_pictures, tmp_path, step):
    output = tmp_path / "run"
    shutil.copytree(whole_run / f"checkpoint-{step}", output / f"checkpoint-{step}")
    (output / "unfinished-checkpoint-7").mkdir()  # as after a crash in the middle of writing
    run(tiny_pictures, output, "--resume_from_checkpoint", "latest")
    assert_same_training_state(whole_run, output)
    assert json.loads((output / "training.json").read_text())["crops"] == 14


def test_longer_run_goes_on_from_a_finished_one(whole_run, tiny_pictures, tmp_path):
    run(tiny_pictures, tmp_path / "run", "--max_train_steps", "4")
    run(tiny_pictures, tmp_path / "run", "--resume_from_checkpoint", "latest")
    assert_same_training_state(whole_run, tmp_path / "run")


def test_resumed_run_keeps_its_mean_colour_whatever_the_data_are_now(whole_run, tiny_pictures, tmp_path):
    shutil.copytree(whole_run / "checkpoint-4", tmp_path / "run" / "checkpoint-4")
    (tmp_path / "one").mkdir()
    shutil.copy(tiny_pictures / "coffee.png", tmp_path / "one" / "coffee.png")
    run(tmp_path / "one", tmp_path / "run", "--resume_from_checkpoint", "latest")
    assert (tmp_path / "run" / "config.json").read_text() == (whole_run / "config.json").read_text()


def test_checkpoint_may_be_named_and_may_lie_elsewhere(whole_run, tiny_pictures, tmp_path):
    run(tiny_pictures, tmp_path / "run", "--resume_from_checkpoint", str(whole_run / "checkpoint-3"))
    assert_same_training_state(whole_run, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint-3").exists()


def test_latest_without_a_checkpoint_starts_from_the_beginning(whole_run, tiny_pictures, tmp_path):
    run(tiny_pictures, tmp_path / "run", "--resume_from_checkpoint", "latest")
    assert_same_training_state(whole_run, tmp_path / "run")


def test_worker_processes_leave_the_run_as_it_is(whole_run, tiny_pictures, tmp_path):
    run(tiny_pictures, tmp_path / "run", "--dataloader_num_workers", "2", "--checkpointing_steps", "99")
    assert_same_training_state(whole_run, tmp_path / "run")


def test_other_seed_is_another_run(whole_run, tiny_pictures, tmp_path):
    run(tiny_pictures, tmp_path / "run", "--seed", "1", "--checkpointing_steps", "99")
    assert moved(completion_weights(whole_run, 7), completion_weights(tmp_path / "run", 7))


def test_earlier_run_is_not_overwritten(whole_run, tiny_pictures):
    before = (whole_run / "model.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match="--resume_from_checkpoint latest"):
        run(tiny_pictures, whole_run)
    assert (whole_run / "model.safetensors").read_bytes() == before


def test_folder_that_is_no_checkpoint_is_named(tiny_pictures, tmp_path):
    with pytest.raises(FileNotFoundError, match="pictures"):
        run(tiny_pictures, tmp_path / "run", "--resume_from_checkpoint", str(tiny_pictures))


def test_only_the_newest_checkpoints_stay(tiny_pictures, tmp_path):
    output = run(tiny_pictures, tmp_path / "run", "--checkpoints_total_limit", "2", "--checkpointing_steps", "2")
    kept = sorted(path.name for path in output.iterdir() if "checkpoint" in path.name)
    assert kept == ["checkpoint-6", "checkpoint-7"]


def test_drives_without_fsync_are_written(tiny_pictures, tmp_path, monkeypatch):
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    output = run(tiny_pictures, tmp_path / "run", "--max_train_steps", "2")
    assert [path.name for path in checkpoints(output)] == ["checkpoint-1", "checkpoint-2"]


# ----------------------------------------------------------------------------------------------- damage and rotation


def test_checkpoint_of_the_first_format_is_resumed(whole_run, tiny_pictures, tmp_path):
    folder = shutil.copytree(whole_run / "checkpoint-4", tmp_path / "run" / "checkpoint-4")
    progress = json.loads((folder / "progress.json").read_text())
    first_format = {name: progress[name] for name in ("step", "seconds", "mean")}
    (folder / "progress.json").write_text(json.dumps(first_format))
    run(tiny_pictures, tmp_path / "run", "--resume_from_checkpoint", "latest")
    assert_same_training_state(whole_run, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "training.json").read_text())["crops"] == 14
    (folder / "optimizer.bin").unlink()
    assert flaw_of(folder) == "optimizer.bin is missing"


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [Path.unlink, cut_off, turn_a_bit])
@pytest.mark.parametrize("name", ["model.safetensors", "model_1.safetensors", "optimizer.bin", "optimizer_1.bin"])
def test_every_damage_is_seen(whole_run, tmp_path, name, damage):
    folder = shutil.copytree(whole_run / "checkpoint-6", tmp_path / "checkpoint-6")
    assert flaw_of(folder) is None
    damage(folder / name)
    assert name in flaw_of(folder)


@pytest.mark.parametrize("damage", [Path.unlink, cut_off])
def test_damaged_progress_is_seen(whole_run, tmp_path, damage):
    folder = shutil.copytree(whole_run / "checkpoint-6", tmp_path / "checkpoint-6")
    damage(folder / "progress.json")
    assert "progress.json" in flaw_of(folder)


def test_latest_is_the_newest_that_is_intact(whole_run, tiny_pictures, tmp_path, capsys):
    output = tmp_path / "run"
    for step in (3, 4, 5):
        shutil.copytree(whole_run / f"checkpoint-{step}", output / f"checkpoint-{step}")
    cut_off(output / "checkpoint-5" / "optimizer.bin")
    (output / "checkpoint-4" / "progress.json").unlink()
    options = ("--resume_from_checkpoint", "latest", "--checkpoints_total_limit", "1", "--checkpointing_steps", "2")
    run(tiny_pictures, output, *options)
    said = capsys.readouterr().err
    assert "checkpoint-5 is damaged (optimizer.bin has" in said and "going on from checkpoint-3" in said
    assert "checkpoint-4 is damaged (progress.json is missing)" in said
    assert_same_training_state(whole_run, output)
    assert {path.name for path in output.glob("*checkpoint-*")} == {
        "checkpoint-7",
        "damaged-checkpoint-4",
        "damaged-checkpoint-5",
    }


def test_nothing_is_overwritten_when_every_checkpoint_is_damaged(whole_run, tiny_pictures, tmp_path):
    folder = shutil.copytree(whole_run / "checkpoint-5", tmp_path / "run" / "checkpoint-5")
    turn_a_bit(folder / "model.safetensors")
    for _ in range(2):
        with pytest.raises(ValueError, match="every checkpoint of .* is damaged: checkpoint-5 .model.safetensors"):
            run(tiny_pictures, tmp_path / "run", "--resume_from_checkpoint", "latest")


def test_damaged_checkpoint_by_name_is_refused(whole_run, tiny_pictures, tmp_path):
    folder = shutil.copytree(whole_run / "checkpoint-5", tmp_path / "checkpoint-5")
    cut_off(folder / "model_1.safetensors")
    with pytest.raises(ValueError, match="model_1.safetensors has"):
        run(tiny_pictures, tmp_path / "run", "--resume_from_checkpoint", str(folder))


def test_run_is_not_continued_from_before_its_later_checkpoints(whole_run, tiny_pictures, tmp_path):
    output = tmp_path / "run"
    for step in (3, 5):
        shutil.copytree(whole_run / f"checkpoint-{step}", output / f"checkpoint-{step}")
    with pytest.raises(FileExistsError, match="checkpoint-5, later than checkpoint-3"):
        run(tiny_pictures, output, "--resume_from_checkpoint", str(output / "checkpoint-3"))


@pytest.mark.parametrize("options", ["--base_channels 6", "--optimizer adadelta", "--ema_decay 0.9"])
def test_checkpoint_of_other_settings_is_named(whole_run, tiny_pictures, tmp_path, options):
    shutil.copytree(whole_run / "checkpoint-5", tmp_path / "run" / "checkpoint-5")
    with pytest.raises(ValueError, match="checkpoint-5 does not fit these settings"):
        run(tiny_pictures, tmp_path / "run", "--resume_from_checkpoint", "latest", *options.split())


def test_model_that_is_missing_behind_the_last_checkpoint_is_written(whole_run, tiny_pictures, tmp_path):
    shutil.copytree(whole_run / "checkpoint-7", tmp_path / "run" / "checkpoint-7")
    run(tiny_pictures, tmp_path / "run", "--resume_from_checkpoint", "latest")
    assert_same_training_state(whole_run, tmp_path / "run")


# ---------------------------------------------------------------------------------------------------------- the best


@pytest.fixture(scope="module")
def validated_run(tiny_pictures, tmp_path_factory) -> Path:
    """Learning fast at first; then with a rate that ruins the weights: the best are not the last."""
    output = tmp_path_factory.mktemp("runs") / "validated"
    options = "--completion_steps 40 --max_train_steps 40 --checkpointing_steps 10 --checkpoints_total_limit 1"
    options = [*options.split(), "--validation_data_dir", str(tiny_pictures)]
    run(tiny_pictures, output, *options, "--max_train_steps", "30", "--completion_steps", "30")
    return run(tiny_pictures, output, *options, "--resume_from_checkpoint", "latest", "--learning_rate", "10")


def test_best_is_the_lowest_validation_error_and_stays(validated_run):
    errors = logged(validated_run, "validation_hole_l1_x100")
    assert sorted(errors) == [10, 20, 30, 40]
    best = read_best(validated_run)
    assert best["step"] == min(errors, key=errors.get) != 40
    assert best["hole_l1_x100"] == pytest.approx(errors[best["step"]], rel=1e-6)
    assert best["checkpoint"] == f"checkpoint-{best['step']}"
    assert [path.name for path in checkpoints(validated_run)] == [best["checkpoint"], "checkpoint-40"]
    exported = GLCICModel.from_pretrained(validated_run / "best").network.state_dict()
    assert not moved(completion_weights(validated_run, best["step"]), exported)
    assert json.loads((validated_run / "best" / "training.json").read_text())["steps"] == best["step"]
    assert moved(exported, GLCICModel.from_pretrained(validated_run).network.state_dict())


def test_best_of_another_measurement_does_not_count(validated_run, tiny_pictures, tmp_path):
    output = shutil.copytree(validated_run, tmp_path / "run")
    best = read_best(output)
    options = "--completion_steps 50 --max_train_steps 50 --checkpointing_steps 10 --resume_from_checkpoint latest"
    options = [*options.split(), "--validation_data_dir", str(tiny_pictures)]
    run(tiny_pictures, output, *options, "--max_hole_size", "6")
    assert read_best(output)["step"] == 50
    assert read_best(output)["hole_l1_x100"] > best["hole_l1_x100"]
