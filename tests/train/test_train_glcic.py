"""Losses, patches and settings of the training; and short runs of Algorithm 1 with tiny networks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file
from skimage import data as photos

from glcic_hub.model import GLCICModel
from glcic_hub.network import complete_batch
from train import train_glcic
from train.dataset import TrainingCrops, find_pictures
from train.train_glcic import (
    completion_loss,
    composite,
    learning_rate_factor,
    local_patches,
    parse_args,
    random_holes,
    real_or_fake_loss,
    train,
)

# -------------------------------------------------------------------------------------------- losses and patches


def random_batch(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def random_masks(count: int, size: int) -> torch.Tensor:
    """Masks whose holes differ in size."""
    masks = torch.zeros(count, 1, size, size)
    for index in range(count):
        masks[index, :, index : 2 * index + 2, 1 : 3 + index] = 1
    return masks


def test_completion_loss_is_the_mean_squared_error_of_all_hole_samples():
    completed, image, masks = random_batch(3, 3, 8, 8), random_batch(3, 3, 8, 8, seed=1), random_masks(3, 8)
    total, count = 0.0, 0
    for b, c, y, x in np.ndindex(3, 3, 8, 8):
        if masks[b, 0, y, x]:
            total += (completed[b, c, y, x].item() - image[b, c, y, x].item()) ** 2
            count += 1
    assert completion_loss(completed, image, masks).item() == pytest.approx(total / count, rel=1e-5)


def test_composite_takes_the_hole_from_the_network_and_the_rest_from_the_picture():
    image, completed, masks = random_batch(2, 3, 8, 8), random_batch(2, 3, 8, 8, seed=1), random_masks(2, 8)
    result = composite(image, completed, masks)
    hole = masks.bool().expand(-1, 3, -1, -1)
    assert torch.equal(result[hole], completed[hole])
    assert torch.equal(result[~hole], image[~hole])


PATCH_BOXES = {  # top, left, height, width of the hole in a 12 x 16 picture -> top, left of the 6 px patch
    "middle": ((4, 7, 3, 2), (2, 5)),
    "as large as the patch": ((3, 8, 6, 6), (3, 8)),
    "top left": ((0, 0, 4, 4), (0, 0)),
    "bottom right": ((8, 12, 4, 4), (6, 10)),
    "left": ((5, 1, 2, 2), (3, 0)),
    "bottom": ((11, 8, 1, 1), (6, 5)),
}


def test_local_patches_are_centred_on_the_holes_and_stay_inside():
    images = random_batch(len(PATCH_BOXES), 3, 12, 16)
    boxes = torch.tensor([box for box, _ in PATCH_BOXES.values()])
    patches = local_patches(images, boxes, 6)
    for index, (_, (top, left)) in enumerate(PATCH_BOXES.values()):
        assert torch.equal(patches[index], images[index, :, top : top + 6, left : left + 6])


def test_gradients_flow_back_through_local_patches():
    images = random_batch(len(PATCH_BOXES), 3, 12, 16).requires_grad_()
    weights = random_batch(len(PATCH_BOXES), 3, 6, 6, seed=1)
    (local_patches(images, torch.tensor([box for box, _ in PATCH_BOXES.values()]), 6) * weights).sum().backward()
    expected = torch.zeros_like(images)
    for index, (_, (top, left)) in enumerate(PATCH_BOXES.values()):
        expected[index, :, top : top + 6, left : left + 6] = weights[index]
    assert torch.equal(images.grad, expected)


def test_real_or_fake_loss_is_the_binary_cross_entropy():
    logits = torch.tensor([[-3.0], [0.0], [0.7], [4.0]])
    probability = 1 / (1 + np.exp(-logits.numpy()))
    assert real_or_fake_loss(logits, real=True).item() == pytest.approx(-np.log(probability).mean(), rel=1e-5)
    assert real_or_fake_loss(logits, real=False).item() == pytest.approx(-np.log(1 - probability).mean(), rel=1e-5)
    assert torch.isfinite(real_or_fake_loss(torch.tensor([[-200.0]]), real=True))


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_holes_are_rectangles_or_strokes_within_their_boxes(share):
    args = settings("--preset", "modern", "--free_form_share", str(share))
    masks, boxes = random_holes(args, 200, [1, 2])
    again, _ = random_holes(args, 200, [1, 2])
    other, _ = random_holes(args, 200, [1, 3])
    assert torch.equal(masks, again) and not torch.equal(masks, other)
    assert masks.shape == (200, 1, 64, 64) and set(masks.unique().tolist()) == {0.0, 1.0}
    full_boxes = 0
    for mask, (top, left, height, width) in zip(masks[:, 0], boxes.tolist()):
        inside = mask[top : top + height, left : left + width]
        assert inside.sum() == mask.sum() > 0
        full_boxes += bool(inside.all())
    assert full_boxes / 200 == pytest.approx(1 - share, abs=0.1)


def test_learning_rate_stays_or_falls_along_a_cosine():
    short = ("--completion_steps", "50", "--max_train_steps", "100")
    constant = settings("--lr_scheduler", "constant", *short)
    assert {learning_rate_factor(constant, step) for step in (0, 50, 99)} == {1.0}
    cosine = settings("--lr_scheduler", "cosine", *short)
    factors = [learning_rate_factor(cosine, step) for step in range(101)]
    assert factors[0] == pytest.approx(1)
    assert factors[50] == pytest.approx(0.51)
    assert factors[100] == pytest.approx(0.02)
    assert factors == sorted(factors, reverse=True)


# -------------------------------------------------------------------------------------------------------- settings


def settings(*options: str):
    return parse_args(["--train_data_dir", "somewhere", "--output_dir", "elsewhere", *options])


def refused(capsys, *options: str) -> str:
    """What the command says when it refuses its options."""
    with pytest.raises(SystemExit) as raised:
        parse_args(list(options))
    assert raised.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("preset", [path.stem for path in train_glcic.PRESETS_DIR.glob("*.toml")])
def test_every_preset_is_complete(preset):
    args = settings("--preset", preset)
    optional = {"resume_from_checkpoint", "pretrained_model_name_or_path"}
    assert not [name for name, value in vars(args).items() if value is None and name not in optional]
    assert args.init in train_glcic.INITIALISATIONS
    assert args.optimizer in train_glcic.OPTIMIZERS
    assert args.completion_steps + args.discriminator_steps <= args.max_train_steps


PAPER = {
    "base_channels": 64,
    "completion_steps": 90_000,
    "discriminator_steps": 10_000,
    "max_train_steps": 500_000,
    "alpha": 0.0004,
    "train_batch_size": 96,
    "optimizer": "adadelta",
    "lr_scheduler": "constant",
    "ema_decay": 0,
    "mixed_precision": "no",
    "hole_margin": 0,
    "free_form_share": 0,
}


@pytest.mark.parametrize(
    ("preset", "numbers"),
    [
        (
            "places-256",
            PAPER
            | {"resolution": 256, "local_size": 128, "min_hole_size": 96, "max_hole_size": 128}
            | {"resize_range": [1.0, 1.5]},
        ),
        ("faces-160", PAPER | {"resolution": 160, "local_size": 96, "min_hole_size": 48, "max_hole_size": 96}),
        (
            "blog-64",
            {"resolution": 64, "local_size": 32, "min_hole_size": 15, "max_hole_size": 25, "hole_margin": 5}
            | {"alpha": 0.004, "optimizer": "adam"},
        ),
    ],
)
def test_presets_have_the_published_numbers(preset, numbers):
    args = vars(settings("--preset", preset))
    assert {name: args[name] for name in numbers} == numbers


def test_paper_is_the_default_and_the_command_line_wins():
    assert settings() == settings("--preset", "places-256")
    assert settings("--preset", "modern", "--resolution", "128").resolution == 128
    assert settings("--resize_range", "1", "2", "--preset", "modern").resize_range == [1.0, 2.0]


def test_preset_with_an_unknown_setting_is_refused(capsys, monkeypatch, tmp_path):
    text = (train_glcic.PRESETS_DIR / "places-256.toml").read_text()
    (tmp_path / "places-256.toml").write_text(text)
    (tmp_path / "mine.toml").write_text(text + "\nresolutoin = 64\n")
    monkeypatch.setattr(train_glcic, "PRESETS_DIR", tmp_path)
    message = refused(capsys, "--preset", "mine", "--train_data_dir", "a", "--output_dir", "b")
    assert "mine" in message
    assert "resolutoin" in message


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--preset unheard-of", "unheard-of"),
        ("--resolution large", "--resolution"),
        ("--resolution 254", "--resolution 254"),
        ("--completion_steps 11 --max_train_steps 10", "--completion_steps 11"),
        ("--max_hole_size 130", "--max_hole_size 130"),
        ("--min_hole_size 129", "--min_hole_size 129"),
        ("--hole_margin 65", "--hole_margin 65"),
        ("--local_size 260", "--local_size 260"),
        ("--train_batch_size 0", "--train_batch_size"),
        ("--logging_steps 0", "--logging_steps"),
        ("--checkpoints_total_limit 0", "--checkpoints_total_limit"),
        ("--optimizer sgd", "--optimizer"),
    ],
)
def test_wrong_settings_are_refused_by_name(capsys, options, named):
    assert named in refused(capsys, "--train_data_dir", "a", "--output_dir", "b", *options.split())


def test_data_and_output_are_needed(capsys):
    assert "--train_data_dir" in refused(capsys, "--output_dir", "b")
    assert "--output_dir" in refused(capsys, "--train_data_dir", "a")


# ------------------------------------------------------------------------------------------------------ short runs

TINY = """--preset places-256 --resolution 16 --resize_range 1 1.2 --min_hole_size 3 --max_hole_size 7 --local_size 8
    --base_channels 4 --train_batch_size 2 --optimizer adam --learning_rate 1e-2 --discriminator_learning_rate 1e-2
    --alpha 0.1 --completion_steps 2 --discriminator_steps 2 --max_train_steps 7 --checkpointing_steps 1
    --checkpoints_total_limit 99"""
"""Steps 1 and 2 of 7 are phase 1, steps 3 to 5 phase 2 (Algorithm 1 updates D alone at t = T_C + T_D too), then 3."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(photos, name)()[100:200, 100:220]).resize((36, 30)).save(folder / f"{name}.png")
    return folder


def run(pictures: Path, output: Path, *options: str) -> Path:
    AcceleratorState._reset_state(True)  # accelerate keeps it for the life of the process
    train(parse_args([*TINY.split(), "--train_data_dir", str(pictures), "--output_dir", str(output), *options]))
    return output


@pytest.fixture(scope="module")
def whole_run(pictures, tmp_path_factory) -> Path:
    return run(pictures, tmp_path_factory.mktemp("runs") / "whole")


def completion_weights(output: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(output / f"checkpoint-{step}" / "model.safetensors")


def discriminator_weights(output: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(output / f"checkpoint-{step}" / "model_1.safetensors")


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> list[str]:
    return [name for name in before if not torch.equal(before[name], after[name])]


def assert_same_training_state(one: Path, other: Path, step: int = 7) -> None:
    assert not moved(load_file(one / "model.safetensors"), load_file(other / "model.safetensors"))
    assert not moved(completion_weights(one, step), completion_weights(other, step))
    assert not moved(discriminator_weights(one, step), discriminator_weights(other, step))
    assert (one / "config.json").read_text() == (other / "config.json").read_text()


@pytest.mark.parametrize(
    ("step", "completion_moves", "discriminator_moves"),
    [(2, True, False), (3, False, True), (4, False, True), (5, False, True), (6, True, True), (7, True, True)],
)
def test_each_phase_moves_the_networks_of_algorithm_1(whole_run, step, completion_moves, discriminator_moves):
    for weights, moves in ((completion_weights, completion_moves), (discriminator_weights, discriminator_moves)):
        names = moved(weights(whole_run, step - 1), weights(whole_run, step))
        if moves:
            assert any(name.endswith("weight") for name in names)
            assert any(name.endswith("running_mean") for name in names)
        else:
            assert names == []  # neither weights nor running statistics


def test_discriminators_look_at_real_pictures_in_places_of_their_own(pictures, tmp_path, monkeypatch):
    calls = []

    def recorded(images, boxes, size):
        calls.append((images.detach().clone(), boxes))
        return local_patches(images, boxes, size)

    monkeypatch.setattr(train_glcic, "local_patches", recorded)
    run(pictures, tmp_path / "run", "--checkpointing_steps", "99", "--max_train_steps", "5")
    real, fake = calls[0::2], calls[1::2]  # three steps of phase 2
    assert len(real) == len(fake) == 3
    for (image, other_boxes), (completed, boxes) in zip(real, fake, strict=True):
        assert not torch.equal(other_boxes, boxes)
        changed = (image != completed).any(dim=1)
        for index, (top, left, height, width) in enumerate(boxes.tolist()):
            assert changed[index, top : top + height, left : left + width].any()
            changed[index, top : top + height, left : left + width] = False
        assert not changed.any()  # what is judged as fake is the composite


def test_adversarial_loss_reaches_the_completion_network(whole_run, pictures, tmp_path):
    without = run(pictures, tmp_path / "run", "--alpha", "0")
    assert not moved(completion_weights(without, 5), completion_weights(whole_run, 5))
    assert moved(completion_weights(without, 6), completion_weights(whole_run, 6))


def test_output_is_a_model_with_the_last_weights(whole_run):
    model = GLCICModel.from_pretrained(whole_run)
    assert not moved(completion_weights(whole_run, 7), model.network.state_dict())
    assert (model.sample_size, model.max_hole_size, model.network.base_channels) == (16, 7, 4)
    completed = model(random_batch(1, 3, 16, 16), random_masks(1, 16))
    assert torch.isfinite(completed).all()


def test_mean_is_the_mean_colour_of_the_pictures(whole_run, pictures):
    expected = np.mean([np.asarray(Image.open(path)).mean(axis=(0, 1)) for path in pictures.iterdir()], axis=0) / 255
    np.testing.assert_allclose(GLCICModel.from_pretrained(whole_run).mean.numpy(), expected, atol=0.08)


def test_record_names_settings_data_and_cost(whole_run, pictures):
    record = json.loads((whole_run / "training.json").read_text())
    assert (record["steps"], record["crops"], record["pictures"]) == (7, 14, 3)
    assert record["data"] == [pictures.name]
    assert record["minutes"] >= 0
    assert record["settings"]["alpha"] == 0.1
    assert record["settings"]["preset"] == "places-256"
    assert str(whole_run.parent) not in json.dumps(record)


def test_samples_show_holes_completions_and_truth(whole_run):
    sheet = np.asarray(Image.open(whole_run / "samples" / "0000007.png"))
    columns = sheet.shape[1] // 16
    assert sheet.shape == (3 * 16, columns * 16, 3)
    holes, completed, truth = sheet[:16], sheet[16:32], sheet[32:]
    white = (holes == 255).all(axis=2)
    assert 9 * columns <= white.sum() < 50 * columns
    assert np.array_equal(holes[~white], truth[~white])
    assert np.array_equal(completed[~white], truth[~white])
    assert not np.array_equal(completed[white], truth[white])


def test_tensorboard_gets_the_losses_of_each_phase(pictures, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = run(pictures, tmp_path / "run", "--logging_steps", "1", "--checkpointing_steps", "99")
    (events,) = (output / "logs").rglob("events*")
    log = EventAccumulator(str(events)).Reload()
    steps = {name: [event.step for event in log.Scalars(name)] for name in log.Tags()["scalars"]}
    assert steps["completion_loss"] == [1, 2, 6, 7]
    assert steps["adversarial_loss"] == [6, 7]
    assert steps["discriminator_loss"] == [3, 4, 5, 6, 7]
    for event, psnr in zip(log.Scalars("completion_loss"), log.Scalars("hole_psnr"), strict=True):
        assert psnr.value == pytest.approx(-10 * np.log10(event.value), rel=1e-4)


# -------------------------------------------------------------------------------------- interruptions and restarts


@pytest.mark.parametrize("step", [1, 2, 4, 5, 6])
def test_resumed_run_ends_bit_identical(whole_run, pictures, tmp_path, step):
    output = tmp_path / "run"
    shutil.copytree(whole_run / f"checkpoint-{step}", output / f"checkpoint-{step}")
    (output / "unfinished-checkpoint-7").mkdir()  # as after a crash in the middle of writing
    run(pictures, output, "--resume_from_checkpoint", "latest")
    assert_same_training_state(whole_run, output)
    assert json.loads((output / "training.json").read_text())["crops"] == 14


def test_longer_run_goes_on_from_a_finished_one(whole_run, pictures, tmp_path):
    run(pictures, tmp_path / "run", "--max_train_steps", "4")
    run(pictures, tmp_path / "run", "--resume_from_checkpoint", "latest")
    assert_same_training_state(whole_run, tmp_path / "run")


def test_resumed_run_keeps_its_mean_colour_whatever_the_data_are_now(whole_run, pictures, tmp_path):
    shutil.copytree(whole_run / "checkpoint-4", tmp_path / "run" / "checkpoint-4")
    (tmp_path / "one").mkdir()
    shutil.copy(pictures / "coffee.png", tmp_path / "one" / "coffee.png")
    run(tmp_path / "one", tmp_path / "run", "--resume_from_checkpoint", "latest")
    assert (tmp_path / "run" / "config.json").read_text() == (whole_run / "config.json").read_text()


def test_checkpoint_may_be_named_and_may_lie_elsewhere(whole_run, pictures, tmp_path):
    run(pictures, tmp_path / "run", "--resume_from_checkpoint", str(whole_run / "checkpoint-3"))
    assert_same_training_state(whole_run, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint-3").exists()


def test_latest_without_a_checkpoint_starts_from_the_beginning(whole_run, pictures, tmp_path):
    run(pictures, tmp_path / "run", "--resume_from_checkpoint", "latest")
    assert_same_training_state(whole_run, tmp_path / "run")


def test_worker_processes_leave_the_run_as_it_is(whole_run, pictures, tmp_path):
    run(pictures, tmp_path / "run", "--dataloader_num_workers", "2", "--checkpointing_steps", "99")
    assert_same_training_state(whole_run, tmp_path / "run")


def test_other_seed_is_another_run(whole_run, pictures, tmp_path):
    run(pictures, tmp_path / "run", "--seed", "1", "--checkpointing_steps", "99")
    assert moved(completion_weights(whole_run, 7), completion_weights(tmp_path / "run", 7))


def test_earlier_run_is_not_overwritten(whole_run, pictures):
    before = (whole_run / "model.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match="--resume_from_checkpoint latest"):
        run(pictures, whole_run)
    assert (whole_run / "model.safetensors").read_bytes() == before


def test_folder_that_is_no_checkpoint_is_named(pictures, tmp_path):
    with pytest.raises(FileNotFoundError, match="pictures"):
        run(pictures, tmp_path / "run", "--resume_from_checkpoint", str(pictures))


def test_only_the_newest_checkpoints_stay(pictures, tmp_path):
    output = run(pictures, tmp_path / "run", "--checkpoints_total_limit", "2", "--checkpointing_steps", "2")
    kept = sorted(path.name for path in output.iterdir() if "checkpoint" in path.name)
    assert kept == ["checkpoint-6", "checkpoint-7"]


# ------------------------------------------------------------------------------------------ averages and precisions


def test_saved_weights_are_the_moving_average_also_after_an_interruption(pictures, tmp_path):
    options = ("--ema_decay", "0.2", "--lr_scheduler", "constant")
    output = run(pictures, tmp_path / "whole", *options)
    average = completion_weights(output, 1)
    for count, step in enumerate((2, 6, 7), start=1):  # the steps of phases 1 and 3
        decay = min(0.2, (1 + count) / (10 + count))
        latest = completion_weights(output, step)
        average = {name: decay * value + (1 - decay) * latest[name] for name, value in average.items()}
    saved = GLCICModel.from_pretrained(output).network.state_dict()
    for name, value in saved.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, average[name], msg=name)
    assert moved(completion_weights(output, 7), saved)

    shutil.copytree(output / "checkpoint-4", tmp_path / "resumed" / "checkpoint-4")
    run(pictures, tmp_path / "resumed", *options, "--resume_from_checkpoint", "latest")
    assert_same_training_state(output, tmp_path / "resumed")


def test_mixed_precision_trains_all_phases_and_saves_float32(pictures, tmp_path):
    output = run(
        pictures, tmp_path / "run", "--mixed_precision", "bf16", "--ema_decay", "0.9", "--checkpointing_steps", "99"
    )
    weights = load_file(output / "model.safetensors")
    assert all(value.dtype == torch.float32 for value in weights.values() if value.is_floating_point())
    assert all(torch.isfinite(value).all() for value in weights.values())


# ------------------------------------------------------------------------------------------- learning and fine-tuning


def hole_error(model: GLCICModel, folder: Path) -> float:
    """Mean squared error in fixed holes of fixed crops."""
    crops = TrainingCrops(find_pictures([folder]), 16, (1.0, 1.0), 8, seed=5)
    image = torch.stack([crops[index] for index in range(8)])
    mask = torch.zeros(8, 1, 16, 16)
    mask[..., 5:11, 5:11] = 1
    with torch.no_grad():
        return completion_loss(complete_batch(model.network, image, mask, model.mean), image, mask).item()


PHASE_1 = "--completion_steps 80 --max_train_steps 80 --checkpointing_steps 999 --resize_range 1 1"


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory) -> tuple[Path, Path]:
    """Two pictures, and the output of a run that saw no others."""
    root = tmp_path_factory.mktemp("trained")
    (root / "two").mkdir()
    for name in ("astronaut.png", "coffee.png"):
        shutil.copy(pictures / name, root / "two" / name)
    return root / "two", run(
        root / "two", root / "run", *PHASE_1.split(), "--init", "identity", "--train_batch_size", "4"
    )


def test_network_learns_two_pictures(trained):
    folder, output = trained
    model = GLCICModel.from_pretrained(output)
    torch.manual_seed(0)
    untrained = GLCICModel(base_channels=4, mean=tuple(model.mean.tolist()), sample_size=16, max_hole_size=7).eval()
    of_mean_colour = np.mean([np.asarray(Image.open(path)).std() for path in folder.iterdir()]) ** 2 / 255**2
    assert hole_error(model, folder) < 0.75 * hole_error(untrained, folder)
    assert hole_error(model, folder) < of_mean_colour


def test_fine_tuning_starts_from_the_given_model(trained, tmp_path):
    folder, output = trained
    model = GLCICModel.from_pretrained(output)
    options = "--completion_steps 1 --max_train_steps 1 --learning_rate 1e-6 --base_channels 6"
    tuned = run(folder, tmp_path / "tuned", *options.split(), "--pretrained_model_name_or_path", str(output))
    result = GLCICModel.from_pretrained(tuned)
    assert result.network.base_channels == 4  # the model's, whatever the option says
    torch.testing.assert_close(result.mean, model.mean)
    for (name, before), after in zip(model.network.named_parameters(), result.network.parameters(), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=1e-5, msg=name)
