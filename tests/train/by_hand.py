"""One step of Algorithm 1 in plain PyTorch, from the paper; data, holes and perceptual loss are the trainer's own.

The trainer's checkpoint before the step comes in, and what this makes of it is compared with its checkpoint after it.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from glcic_hub.network import CompletionNetwork, Discriminator
from train import train_glcic
from train.dataset import TrainingCrops, find_pictures
from train.losses import random_holes
from train.perceptual import load_judge, perceptual_loss
from train.settings import parse_args

LONGER = ("--completion_steps", "4", "--discriminator_steps", "3", "--max_train_steps", "12")
PHASES = {1: (1, 2, 3), 2: (4, 5, 7), 3: (8, 9, 10)}
"""Steps of each phase under `LONGER`; before each of them there is a checkpoint."""

SMALL_RATES = ("--learning_rate", "1e-3", "--discriminator_learning_rate", "1e-3")  # Adam's steps, 30 x the tolerance
STRIDES = {1: 2, 3: 2}
DILATIONS = {6: 2, 7: 4, 8: 8, 9: 16}
DECONVOLUTIONS = (12, 14)
MOMENTUM, EPS = 0.1, 1e-5  # PyTorch's, of batch normalisation


@dataclass
class State:
    """Networks and optimisers of a checkpoint as plain dicts of tensors."""

    network: dict[str, torch.Tensor]
    discriminator: dict[str, torch.Tensor]
    optimizers: list[dict]
    mean: torch.Tensor

    @classmethod
    def read(cls, folder: Path) -> "State":
        optimizers = [torch.load(folder / name, weights_only=True) for name in ("optimizer.bin", "optimizer_1.bin")]
        networks = [load_file(folder / name) for name in ("model.safetensors", "model_1.safetensors")]
        mean = torch.tensor(json.loads((folder / "progress.json").read_text())["mean"])
        return cls(*networks, optimizers, mean)

    def assert_close(self, other: "State") -> None:
        """Equal but for rounding.

        Biases in front of batch normalisations have no effect: their gradients are rounding errors, which Adam blows up
        to whole steps. Their values are not compared (but the optimiser's moments are, which must be next to 0), and
        running means have the room that these biases need.
        """
        for mine, theirs in ((self.network, other.network), (self.discriminator, other.discriminator)):
            assert mine.keys() == theirs.keys()
            for name, value in mine.items():
                if re.search(r"(blocks\.\d+\.0|convolutions\.(?:0|3|6|9|12|15))\.bias$", name):
                    continue
                room = 3e-4 if name.endswith("running_mean") else 3e-5
                torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=room, msg=f"{name} differs")
        for mine, theirs in zip(self.optimizers, other.optimizers, strict=True):
            assert mine["state"].keys() == theirs["state"].keys()
            for number, values in mine["state"].items():
                for name, value in values.items():
                    expected = theirs["state"][number][name]
                    room = 1e-6 + 1e-3 * expected.abs().max().item()
                    torch.testing.assert_close(value, expected, rtol=1e-3, atol=room, msg=f"{name} {number} differs")


def normalised(x: torch.Tensor, weights: dict, name: str, training: bool) -> torch.Tensor:
    """Batch normalisation, written out; moves the running statistics in `weights` when training."""
    if training:
        mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)
        count = x.numel() / x.shape[1]
        with torch.no_grad():
            for key, latest in (("mean", mean), ("var", variance * count / (count - 1))):
                old = weights[f"{name}.running_{key}"]
                weights[f"{name}.running_{key}"] = (1 - MOMENTUM) * old + MOMENTUM * latest
            weights[f"{name}.num_batches_tracked"] = weights[f"{name}.num_batches_tracked"] + 1
    else:
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    shape = (1, -1, 1, 1)
    x = (x - mean.view(shape)) / (variance.view(shape) + EPS).sqrt()
    return x * weights[f"{name}.weight"].view(shape) + weights[f"{name}.bias"].view(shape)


def complete(weights: dict, image: torch.Tensor, mask: torch.Tensor, mean: torch.Tensor, training: bool):
    """C(x, M_c): Table 1."""
    x = torch.cat([(image - mean.view(1, 3, 1, 1)) * (1 - mask), mask], dim=1)
    for index in range(16):
        kernel, bias = weights[f"blocks.{index}.0.weight"], weights[f"blocks.{index}.0.bias"]
        if index in DECONVOLUTIONS:
            x = F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)
        else:
            dilation = DILATIONS.get(index, 1)
            padding = dilation * (kernel.shape[-1] // 2)
            x = F.conv2d(x, kernel, bias, STRIDES.get(index, 1), padding, dilation)
        x = normalised(x, weights, f"blocks.{index}.1", training).relu()
    return F.conv2d(x, weights["output.weight"], weights["output.bias"], padding=1).sigmoid()


def judge(weights: dict, image: torch.Tensor, boxes: torch.Tensor, local_size: int) -> torch.Tensor:
    """D(x, M): Table 2, always in training mode; the local branch gets a window of `local_size` around each hole."""
    side = image.shape[-1]
    windows = []
    for picture, (top, left, height, width) in zip(image, boxes.tolist(), strict=True):
        y = min(max(top + height // 2 - local_size // 2, 0), side - local_size)
        x = min(max(left + width // 2 - local_size // 2, 0), side - local_size)
        windows.append(picture[:, y : y + local_size, x : x + local_size])
    features = []
    for branch, x in (("global_branch", image), ("local_branch", torch.stack(windows))):
        if f"{branch}.linear.weight" not in weights:
            continue
        index = 0
        while (name := f"{branch}.convolutions.{index}") + ".weight" in weights:
            x = F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=2, padding=2)
            x = normalised(x, weights, f"{branch}.convolutions.{index + 1}", True).relu()
            index += 3
        features.append(
            F.linear(x.flatten(1), weights[f"{branch}.linear.weight"], weights[f"{branch}.linear.bias"]).relu()
        )
    return F.linear(torch.cat(features, dim=1), weights["output.weight"], weights["output.bias"])


def assert_steps_agree(options: list[str], output: Path, processes: int = 1) -> None:
    """In each phase of a run with `LONGER`, one of three steps agrees with the computation by hand up to rounding.

    Not each of the three: where a ReLU's input is 0 but for rounding, its gradient falls either way.
    """
    hand = Hand(options, processes)
    for phase, steps in PHASES.items():
        differences = []
        for step in steps:
            state = State.read(output / f"checkpoint-{step}")
            hand.take_step(state, step)
            try:
                state.assert_close(State.read(output / f"checkpoint-{step + 1}"))
                break
            except AssertionError as error:
                differences.append(f"step {step}: {error}")
        else:
            raise AssertionError(f"phase {phase}: {differences}")


def parameters_of(weights: dict) -> list[str]:
    return [name for name in weights if "running" not in name and "num_batches" not in name]


class Hand:
    """Takes steps as `processes` processes would: each computes on its own pictures, gradients are averaged."""

    def __init__(self, options: list[str], processes: int = 1):
        self.args = args = parse_args(options)
        self.processes = processes
        count = args.max_train_steps * args.train_batch_size * processes
        self.crops = TrainingCrops(
            find_pictures(args.train_data_dir),
            args.resolution,
            args.resize_range,
            count,
            args.seed,
            args.recoloured_share,
        )

    def take_step(self, state: State, step: int) -> None:
        """Change `state` from before step `step` (from 0) to after it."""
        args, world = self.args, self.processes
        phase = 1 if step < args.completion_steps else 2
        if step > args.completion_steps + args.discriminator_steps:
            phase = 3
        batch = args.train_batch_size * world
        images = torch.stack([self.crops[n] for n in range(step * batch, (step + 1) * batch)])
        masks, boxes = random_holes(args, batch, [args.seed, step, 0, 0])
        _, other_boxes = random_holes(args, batch, [args.seed, step, 1, 0])
        network = {name: value.clone() for name, value in state.network.items()}
        discriminator = {name: value.clone() for name, value in state.discriminator.items()}
        for weights in (network, discriminator):
            for name in parameters_of(weights):
                weights[name].requires_grad_()

        ranks = [slice(rank, None, world) for rank in range(world)]
        own = [(dict(network), dict(discriminator)) for _ in ranks]
        fakes, reconstructions, d_losses = [], [], []
        for mine, (c, d) in zip(ranks, own, strict=True):
            completed = complete(c, images[mine], masks[mine], state.mean, training=phase != 2)
            error = (completed - images[mine]).abs() ** {"l1": 1, "l2": 2}[args.loss_type] * masks[mine]
            fakes.append(torch.where(masks[mine] > 0, completed, images[mine]))
            reconstructions.append(world * error.sum() / (3 * masks.sum()))
            if args.perceptual_weight:
                perceptual = perceptual_loss(
                    load_judge("cpu"), fakes[-1], images[mine], masks[mine], masks.sum() / world
                )
                reconstructions[-1] = reconstructions[-1] + args.perceptual_weight * perceptual
            if phase > 1:
                on_real = judge(d, images[mine], other_boxes[mine], args.local_size)
                on_fake = judge(d, fakes[-1].detach(), boxes[mine], args.local_size)
                d_losses.append(-(on_real.sigmoid().log().mean() + (1 - on_fake.sigmoid()).log().mean()))
                if args.r1_weight and (step - args.completion_steps) % train_glcic.R1_EVERY == 0:
                    x = images[mine].clone().requires_grad_()
                    judged = judge(d, x, other_boxes[mine], args.local_size)
                    slope = torch.autograd.grad(judged.sum(), x, create_graph=True)[0]
                    weight = train_glcic.R1_EVERY * args.r1_weight / 2
                    d_losses[-1] = d_losses[-1] + weight * (slope**2).sum() / len(x)
        if phase > 1:
            self._update(state.optimizers[1], discriminator, sum(d_losses) / world, args.discriminator_learning_rate)
        if phase != 2:
            loss = sum(reconstructions) / world
            if phase == 3:
                for mine, fake, (_, d) in zip(ranks, fakes, own, strict=True):
                    d.update({name: discriminator[name].detach() for name in parameters_of(discriminator)})
                    judged = judge(d, fake, boxes[mine], args.local_size)
                    loss = loss - args.alpha * judged.sigmoid().log().mean() / world
            self._update(state.optimizers[0], network, loss, args.learning_rate)
        for weights, of_ranks, into in (
            (network, [c for c, _ in own], state.network),
            (discriminator, [d for _, d in own], state.discriminator),
        ):
            for name in weights:
                value = weights[name]
                if "running" in name:  # the mean of what the processes saw
                    value = sum(statistics[name] for statistics in of_ranks) / world
                elif "num_batches" in name:
                    value = of_ranks[0][name]
                into[name] = value.detach()

    def _update(self, optimizer: dict, weights: dict, loss: torch.Tensor, rate: float) -> None:
        """Adam or Adadelta by their papers' formulas, in place of the optimiser's state and the weights."""
        args = self.args
        module = Discriminator(args.resolution, args.local_size, args.base_channels, args.discriminators)
        if "blocks.0.0.weight" in weights:
            module = CompletionNetwork(args.base_channels)
        names = [name for name, _ in module.named_parameters()]  # as the optimisers number them
        gradients = torch.autograd.grad(loss, [weights[name] for name in names])
        for number, (name, gradient) in enumerate(zip(names, gradients, strict=True)):
            state = optimizer["state"].setdefault(number, {})
            value = weights[name].detach()
            if self.args.optimizer == "adam":
                zeros = torch.zeros_like(value)
                step = state.get("step", torch.tensor(0.0)) + 1
                first = 0.9 * state.get("exp_avg", zeros) + 0.1 * gradient
                second = 0.99 * state.get("exp_avg_sq", zeros) + 0.01 * gradient**2
                state.update(step=step, exp_avg=first, exp_avg_sq=second)
                value = value - rate * (first / (1 - 0.9**step)) / ((second / (1 - 0.99**step)).sqrt() + 1e-8)
            else:
                zeros = torch.zeros_like(value)
                squares = 0.9 * state.get("square_avg", zeros) + 0.1 * gradient**2
                before = state.get("acc_delta", zeros)
                change = ((before + 1e-6).sqrt() / (squares + 1e-6).sqrt()) * gradient
                step = state.get("step", torch.tensor(0.0)) + 1
                state.update(step=step, square_avg=squares, acc_delta=0.9 * before + 0.1 * change**2)
                value = value - rate * change
            weights[name] = value
