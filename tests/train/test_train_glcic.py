"""Algorithm 1: one step of each phase by hand, and short runs with tiny networks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from glcic_hub.model import GLCICModel
from glcic_hub.network import complete_batch
from tests.train.by_hand import LONGER, SMALL_RATES, assert_steps_agree
from tests.train.runs import (
    assert_same_training_state,
    completion_weights,
    discriminator_weights,
    moved,
    options_for,
    run,
    settings,
)
from train import stability, train_glcic
from train.dataset import TrainingCrops, find_pictures
from train.losses import completion_loss, local_patches
from train.settings import parse_args
from train.train_glcic import learning_rate_factor, sentence_for
from train.validation import Validation


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


def test_discriminators_look_at_real_pictures_in_places_of_their_own(tiny_pictures, tmp_path, monkeypatch):
    calls = []

    def recorded(images, boxes, size):
        calls.append((images.detach().clone(), boxes))
        return local_patches(images, boxes, size)

    monkeypatch.setattr(train_glcic, "local_patches", recorded)
    run(tiny_pictures, tmp_path / "run", "--checkpointing_steps", "99", "--max_train_steps", "5")
    real, fake = calls[0::2], calls[1::2]  # three steps of phase 2
    assert len(real) == len(fake) == 3
    for (image, other_boxes), (completed, boxes) in zip(real, fake, strict=True):
        assert not torch.equal(other_boxes, boxes)
        changed = (image != completed).any(dim=1)
        for index, (top, left, height, width) in enumerate(boxes.tolist()):
            assert changed[index, top : top + height, left : left + width].any()
            changed[index, top : top + height, left : left + width] = False
        assert not changed.any()  # what is judged as fake is the composite


def test_adversarial_loss_reaches_the_completion_network(whole_run, tiny_pictures, tmp_path):
    without = run(tiny_pictures, tmp_path / "run", "--alpha", "0")
    assert not moved(completion_weights(without, 5), completion_weights(whole_run, 5))
    assert moved(completion_weights(without, 6), completion_weights(whole_run, 6))


def test_output_is_a_model_with_the_last_weights(whole_run):
    model = GLCICModel.from_pretrained(whole_run)
    assert not moved(completion_weights(whole_run, 7), model.network.state_dict())
    assert (model.sample_size, model.max_hole_size, model.network.base_channels) == (16, 7, 4)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:9, 5:9] = 1
    completed = model(torch.rand(1, 3, 16, 16), mask)
    assert torch.isfinite(completed).all()


def test_mean_is_the_mean_colour_of_the_pictures(whole_run, tiny_pictures):
    expected = (
        np.mean([np.asarray(Image.open(path)).mean(axis=(0, 1)) for path in tiny_pictures.iterdir()], axis=0) / 255
    )
    np.testing.assert_allclose(GLCICModel.from_pretrained(whole_run).mean.numpy(), expected, atol=0.08)


def test_record_names_settings_data_and_cost(whole_run, tiny_pictures):
    record = json.loads((whole_run / "training.json").read_text())
    assert (record["steps"], record["crops"], record["pictures"]) == (7, 14, 3)
    assert record["adversarial_steps"] == 2  # phase 3 is steps 6 and 7, as `TINY` says
    assert record["data"] == [tiny_pictures.name]
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


def test_tensorboard_gets_the_losses_of_each_phase(tiny_pictures, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = run(tiny_pictures, tmp_path / "run", "--logging_steps", "1", "--checkpointing_steps", "99")
    (events,) = (output / "logs").rglob("events*")
    log = EventAccumulator(str(events)).Reload()
    steps = {name: [event.step for event in log.Scalars(name)] for name in log.Tags()["scalars"]}
    assert steps["completion_loss"] == [1, 2, 6, 7]
    assert steps["adversarial_loss"] == [6, 7]
    assert steps["discriminator_loss"] == [3, 4, 5, 6, 7]
    for event, psnr in zip(log.Scalars("completion_loss"), log.Scalars("hole_psnr"), strict=True):
        assert psnr.value == pytest.approx(-10 * np.log10(event.value), rel=1e-4)


def test_saved_weights_are_the_moving_average_also_after_an_interruption(tiny_pictures, tmp_path):
    options = ("--ema_decay", "0.2", "--lr_scheduler", "constant")
    output = run(tiny_pictures, tmp_path / "whole", *options)
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
    run(tiny_pictures, tmp_path / "resumed", *options, "--resume_from_checkpoint", "latest")
    assert_same_training_state(output, tmp_path / "resumed")


def test_mixed_precision_trains_all_phases_and_saves_float32(tiny_pictures, tmp_path):
    output = run(
        tiny_pictures,
        tmp_path / "run",
        "--mixed_precision",
        "bf16",
        "--ema_decay",
        "0.9",
        "--checkpointing_steps",
        "99",
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
def trained(tiny_pictures, tmp_path_factory) -> tuple[Path, Path]:
    """Two tiny_pictures, and the output of a run that saw no others."""
    root = tmp_path_factory.mktemp("trained")
    (root / "two").mkdir()
    for name in ("astronaut.png", "coffee.png"):
        shutil.copy(tiny_pictures / name, root / "two" / name)
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
    folder, trained_model = trained
    output = Path(shutil.copytree(trained_model, tmp_path / "faces"))
    config = json.loads((output / "config.json").read_text())
    (output / "config.json").write_text(json.dumps(config | {"blend": "fading", "texture": None}))
    model = GLCICModel.from_pretrained(output)
    options = "--completion_steps 1 --max_train_steps 1 --learning_rate 1e-6 --base_channels 6"
    tuned = run(folder, tmp_path / "tuned", *options.split(), "--pretrained_model_name_or_path", str(output))
    result = GLCICModel.from_pretrained(tuned)
    assert result.network.base_channels == 4  # the model's, whatever the option says
    record = (tuned / "training.json").read_text()
    assert json.loads(record)["settings"]["pretrained_model_name_or_path"] == output.name
    assert str(output.parent) not in record  # it is published with the weights
    torch.testing.assert_close(result.mean, model.mean)
    assert (result.blend, result.texture) == ("fading", None), "how it is best used stays with it"
    for (name, before), after in zip(model.network.named_parameters(), result.network.parameters(), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("first, kept", [(True, ("fading", None)), (False, ("poisson", "photo"))])
def test_how_a_model_is_used_is_settled_when_the_run_starts(trained, tmp_path, first, kept):
    """The model is named when the run starts, or only when it is resumed: too late."""
    folder, trained_model = trained
    source = Path(shutil.copytree(trained_model, tmp_path / "faces"))
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"blend": "fading", "texture": None}))
    options = ["--completion_steps", "1", "--base_channels", "4", "--max_train_steps"]
    named = ["--pretrained_model_name_or_path", str(source)]
    run(folder, tmp_path / "tuned", *options, "1", *named * first)
    resumed = run(folder, tmp_path / "tuned", *options, "2", *named * (not first), "--resume_from_checkpoint", "latest")
    assert json.loads((resumed / "training.json").read_text())["steps"] == 2
    model = GLCICModel.from_pretrained(resumed)
    assert (model.blend, model.texture) == kept


# ---------------------------------------------------------------------------------------------------- steps by hand


@pytest.mark.parametrize(
    "variant",
    [
        "--optimizer adam --free_form_share 0.5",
        "--optimizer adadelta --learning_rate 1 --discriminator_learning_rate 1",  # as in the paper
        "--discriminators global",
        "--discriminators local",
        "--loss_type l1 --perceptual_weight 0.05",
    ],
)
def test_every_phase_is_algorithm_1_computed_by_hand(tiny_pictures, tmp_path, variant):
    options = [*SMALL_RATES, *LONGER, *variant.split()]
    run(tiny_pictures, tmp_path / "run", *options)
    assert_steps_agree(options_for(tiny_pictures, tmp_path / "run", *options), tmp_path / "run")


def test_penalty_of_the_gradient_is_part_of_the_discriminators_loss(tiny_pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(train_glcic, "R1_EVERY", 1)
    options = [*SMALL_RATES, *LONGER, "--r1_weight", "10"]
    run(tiny_pictures, tmp_path / "run", *options)
    assert_steps_agree(options_for(tiny_pictures, tmp_path / "run", *options), tmp_path / "run")


def test_penalty_comes_at_the_first_of_every_sixteen_steps(tiny_pictures, tmp_path):
    phase_2 = ("--discriminator_steps", "18")
    without = run(tiny_pictures, tmp_path / "without", *phase_2, "--max_train_steps", "19")
    for step, comes in ((2, True), (3, False), (17, False), (18, True)):  # phase 2 begins with step 2
        folder = tmp_path / str(step)
        shutil.copytree(without / f"checkpoint-{step}", folder / f"checkpoint-{step}")
        options = ("--r1_weight", "1", "--resume_from_checkpoint", "latest", "--max_train_steps", str(step + 1))
        run(tiny_pictures, folder, *phase_2, *options)
        penalised, plain = (discriminator_weights(output, step + 1) for output in (folder, without))
        assert bool(moved(penalised, plain)) == comes


def test_without_discriminators_the_squared_error_alone_trains(tiny_pictures, tmp_path):
    alone = run(tiny_pictures, tmp_path / "alone", "--discriminators", "none")
    phase_1 = run(tiny_pictures, tmp_path / "phase-1", "--completion_steps", "7", "--discriminator_steps", "0")
    assert_same_training_state(alone, phase_1)
    assert not moved(discriminator_weights(alone, 1), discriminator_weights(alone, 7))
    assert moved(completion_weights(alone, 6), completion_weights(alone, 7))


@pytest.mark.parametrize("branches", ["global", "local"])
def test_one_branch_is_half_of_the_discriminator(tiny_pictures, tmp_path, branches):
    options = ("--discriminators", branches, "--checkpointing_steps", "99")
    weights = discriminator_weights(run(tiny_pictures, tmp_path / "run", *options), 7)
    assert {name.split(".")[0] for name in weights} == {f"{branches}_branch", "output"}
    assert weights["output.weight"].shape == (1, 64)


def test_a_model_trained_in_bfloat16_is_measured_in_float32(tiny_pictures, tmp_path):
    data = ("--validation_data_dir", str(tiny_pictures), "--mixed_precision", "bf16", "--ema_decay", "0.5")
    output = run(tiny_pictures, tmp_path / "run", *data, "--max_train_steps", "4", "--completion_steps", "4")
    model = GLCICModel.from_pretrained(output / "best")
    figures = Validation(parse_args(options_for(tiny_pictures, output, *data))).measure(model.network, model.mean)
    best = json.loads((output / "best.json").read_text())
    assert {name: best[name] for name in figures} == pytest.approx(figures, rel=1e-6)


# ------------------------------------------------------------------------------------------------------------ warnings


def test_not_every_allocation_is_of_memory():
    assert sentence_for(RuntimeError("the tensor has elements, but its data is not allocated yet")) is None


def test_only_an_error_of_memory_says_memory_where_nothing_else_is_said():
    assert "not enough memory" in sentence_for(MemoryError())
    assert sentence_for(OSError()) == "OSError"


def test_log_has_the_ratio_of_the_gradients_in_phase_3_alone(tiny_pictures, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = run(tiny_pictures, tmp_path / "run", "--logging_steps", "1", "--checkpointing_steps", "99")
    (events,) = (output / "logs").rglob("events*")
    ratios = EventAccumulator(str(events)).Reload().Scalars("gradient_ratio")
    assert [event.step for event in ratios] == [6, 7]
    twice = run(
        tiny_pictures, tmp_path / "twice", "--logging_steps", "1", "--checkpointing_steps", "99", "--alpha", ".2"
    )
    (events,) = (twice / "logs").rglob("events*")
    first = EventAccumulator(str(events)).Reload().Scalars("gradient_ratio")[0]
    assert first.value == pytest.approx(2 * ratios[0].value, rel=1e-3)


def test_too_strong_discriminators_are_warned_of_once_and_in_phase_3_alone(
    tiny_pictures, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(stability, "TOO_STRONG", -1)  # whatever their accuracy is
    options = ("--logging_steps", "1", "--checkpointing_steps", "99", "--max_train_steps")
    run(tiny_pictures, tmp_path / "short", *options, "14")
    assert "too strong" not in capsys.readouterr().err  # nine logged steps of phase 3
    run(tiny_pictures, tmp_path / "long", *options, "30")
    assert capsys.readouterr().err.count("too strong for C to learn from") == 1


# --------------------------------------------------------------------------------------------------------------- speed


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("c++") or shutil.which("g++")), reason="torch.compile on CPUs needs a C++ compiler"
)
@pytest.mark.parametrize("r1_weight", ["0", "1"])
def test_compiled_networks_train_alike(tiny_pictures, tmp_path, r1_weight):
    options = ["--completion_steps", "1", "--discriminator_steps", "0", "--max_train_steps", "3"]
    options += ["--r1_weight", r1_weight]
    plain = run(tiny_pictures, tmp_path / "plain", *options)
    compiled = run(tiny_pictures, tmp_path / "compiled", *options, "--compile")
    for weights in (completion_weights, discriminator_weights):
        one, other = weights(plain, 1), weights(compiled, 1)
        assert one.keys() == other.keys()
        for name, value in one.items():
            if not name.endswith("bias"):  # those in front of batch normalisations are rounding errors
                torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-3, msg=name)
    assert GLCICModel.from_pretrained(compiled).network.base_channels == 4
