"""Train the completion network: Algorithm 1 of the paper, from the first line to the last.

Phase 1 trains the completion network C alone on the reconstruction loss, phase 2 the discriminators D alone, phase 3
both together. Examples (from the repository's root; `--help` lists every option; the file's path does in place of
`-m train.train_glcic`, too):

    python -m train.train_glcic --preset places-256 --train_data_dir photos/ --output_dir runs/mine
    torchrun --nproc_per_node 8 -m train.train_glcic --preset places-256 --train_data_dir photos/ --output_dir runs/mine
    python -m train.train_glcic --preset places-256 --output_dir runs/mine --resume_from_checkpoint latest ...

Everything random depends on (seed, step), so a resumed run draws what an uninterrupted one would have drawn, and
several processes draw together what one would draw. `--output_dir` ends as a folder that `GLCICModel.from_pretrained`
loads.
"""

import argparse
import contextlib
import errno
import gc
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if not __package__:  # started as a file, with its own folder on the path and not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, gather_object
from torch import nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from glcic_hub.model import GLCICModel
from glcic_hub.network import CompletionNetwork, Discriminator, complete_batch
from train.checkpoints import (
    Progress,
    choose_checkpoint,
    load_checkpoint,
    mark_best,
    read_best,
    read_progress,
    save_checkpoint,
)
from train.initialisation import initialise
from train.interruption import Interrupted, StopRequest
from train.loading import DamageReport, merged
from train.losses import completion_loss, composite, gradient_penalty, local_patches, random_holes, real_or_fake_loss
from train.outputs import save_model, save_samples, training_record
from train.perceptual import load_judge, perceptual_loss
from train.settings import OPTIMIZERS, parse_args
from train.sources import open_batches, open_crops
from train.stability import AccuracyWatch, gradient_ratio, require_finite
from train.validation import Validation, psnr

R1_EVERY = 16
"""The penalty of `--r1_weight` comes every so many steps, times as much (Karras et al., CVPR 2020, appendix B)."""

PICTURES_FOR_MEAN = 512
SAMPLE_PICTURES = 8
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed")
"""What torch and CUDA's libraries say then, in small letters."""


# ----------------------------------------------------------------------------------------------- Algorithm 1, one step


@dataclass
class Players:
    """Both networks with their optimisers, prepared for the device and the processes; and C's moving average."""

    network: nn.Module
    network_optimizer: torch.optim.Optimizer
    discriminator: nn.Module
    discriminator_optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    mean: torch.Tensor  # (3,), what C's input has subtracted
    judge: nn.Module | None = None  # of the perceptual loss


def phase_of(args: argparse.Namespace, step: int) -> int:
    """1: the completion network alone, 2: the discriminators alone, 3: both. `step` is Algorithm 1's t, from 0."""
    if step < args.completion_steps:
        return 1
    return 2 if step <= args.completion_steps + args.discriminator_steps else 3


def take_step(
    args: argparse.Namespace,
    accelerator: Accelerator,
    players: Players,
    step: int,
    image: torch.Tensor,
    with_gradient_ratio: bool,
) -> dict[str, torch.Tensor]:
    """One iteration of Algorithm 1.

    Args:
        args, accelerator, players: of the run.
        step: t, from 0.
        image: x, float32 (B, 3, resolution, resolution), RGB in [0, 1], on the device.
        with_gradient_ratio: in phase 3, measure how strong the adversarial loss is; costs one more pass through D.

    Returns:
        What to log: scalar tensors on the device, which nobody has waited for.
    """
    network, discriminator, phase = players.network, players.discriminator, phase_of(args, step)
    processes = accelerator.num_processes
    log = {}

    def draw_holes(purpose: int) -> tuple[torch.Tensor, torch.Tensor]:
        mine = (accelerator.process_index, processes)
        holes = random_holes(args, len(image) * processes, [args.seed, step, purpose, 0], mine)
        return tuple(to_device(tensor, image.device) for tensor in holes)

    # C(x, M_c). In phase 2 the completion network stands still, its running statistics included.
    masks, boxes = draw_holes(purpose=0)
    network.train(phase != 2)
    with torch.set_grad_enabled(phase != 2), accelerator.autocast():
        completed = complete_batch(network, image, masks, players.mean).float()
    fake = composite(image, completed, masks)

    if phase > 1:  # update D with (C(x, M_c), M_c) as fake and (x, M_d) as real
        _, other_boxes = draw_holes(purpose=1)
        discriminator.requires_grad_(True)
        with accelerator.autocast():
            on_real = discriminator(image, local_patches(image, other_boxes, args.local_size))
            on_fake = discriminator(fake.detach(), local_patches(fake.detach(), boxes, args.local_size))
        discriminator_loss = real_or_fake_loss(on_real, real=True) + real_or_fake_loss(on_fake, real=False)
        log["discriminator_loss"] = discriminator_loss
        if args.r1_weight and (step - args.completion_steps) % R1_EVERY == 0:
            with accelerator.autocast():
                penalty = gradient_penalty(discriminator, image, other_boxes, args.local_size)
            discriminator_loss = discriminator_loss + R1_EVERY * args.r1_weight / 2 * penalty
        players.discriminator_optimizer.zero_grad()
        accelerator.backward(discriminator_loss)
        players.discriminator_optimizer.step()
        log["discriminator_accuracy"] = ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2

    if phase != 2:  # update C
        hole_pixels = accelerator.reduce(masks.sum(), "mean") if processes > 1 else masks.sum()
        reconstruction = completion_loss(completed, image, masks, hole_pixels, args.loss_type)
        loss = reconstruction
        log["completion_loss"] = reconstruction
        if players.judge:
            with accelerator.autocast():
                perceptual = perceptual_loss(players.judge, fake, image, masks, hole_pixels)
            loss = loss + args.perceptual_weight * perceptual
            log["perceptual_loss"] = perceptual
        if phase == 3:
            # D's gradients belong to its own update alone; without them there is nothing for its processes to exchange.
            judge = accelerator.unwrap_model(discriminator).requires_grad_(False)
            with accelerator.autocast():
                judged = judge(fake, local_patches(fake, boxes, args.local_size))
            # The usual non-saturating form of equation 5: -log D instead of log(1 - D).
            adversarial = real_or_fake_loss(judged, real=True)
            loss = loss + args.alpha * adversarial
            log["adversarial_loss"] = adversarial
            if with_gradient_ratio:
                log["gradient_ratio"] = gradient_ratio(args.alpha * adversarial, reconstruction, completed)
        players.network_optimizer.zero_grad()
        accelerator.backward(loss)
        players.network_optimizer.step()
    if processes > 1 and (image.device.type != "cuda" or args.r1_weight):
        share_statistics(accelerator, network, discriminator)
    if players.average and phase != 2:
        update_average(players.average, accelerator.unwrap_model(network), args.ema_decay)
    return {name: value.detach() for name, value in log.items()}


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy to the device; to a GPU from memory that it reads by itself, so that nobody waits."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


@torch.no_grad()
def share_statistics(accelerator: Accelerator, *networks: nn.Module) -> None:
    """Give every process the mean of all processes' running statistics.

    For CPUs, where there is no SyncBatchNorm, and for a D without it (`make_players`): each process normalises by its
    own batch, but C in phase 2, checkpoints and a resumed run are the same for all.
    """
    buffers = [buffer for net in networks for buffer in net.buffers() if buffer.is_floating_point()]
    shared = accelerator.reduce(torch.cat([buffer.flatten() for buffer in buffers]), "mean")
    for buffer, values in zip(buffers, shared.split([buffer.numel() for buffer in buffers])):
        buffer.copy_(values.view_as(buffer))


@torch.no_grad()
def update_average(average: AveragedModel, network: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and running statistics, which forgets its first steps faster.

    `AveragedModel.update_parameters` would ask the device for the number of updates in every step.
    """
    done = int(average.n_averaged)  # on the CPU
    weight = 1 - min(decay, (1 + done) / (10 + done)) if done else 1.0
    pairs = list(zip(average.module.state_dict().values(), network.state_dict().values(), strict=True))
    averaged, current = zip(*[pair for pair in pairs if pair[0].is_floating_point()])
    torch._foreach_lerp_(averaged, current, weight)
    for counter, latest in pairs:
        if not counter.is_floating_point():  # batch normalisation's counters
            counter.copy_(latest)
    average.n_averaged += 1


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter of the optimizer this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def learning_rate_factor(args: argparse.Namespace, step: int) -> float:
    """What the learning rates are multiplied with at this step."""
    if args.lr_scheduler == "constant":
        return 1.0
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / args.max_train_steps))


# ------------------------------------------------------------------------------------------------------------ a run


def mean_colour(crops) -> torch.Tensor:
    """Mean RGB of the first crops of the run, in [0, 1]; the same however long the run is."""
    return torch.stack([crop.mean(dim=(1, 2)) for crop in crops.first(PICTURES_FOR_MEAN)]).mean(dim=0)


def make_players(args: argparse.Namespace, accelerator: Accelerator, network: CompletionNetwork) -> Players:
    """Add discriminators, optimisers and moving average to the network, and prepare all for device and processes."""
    device = accelerator.device
    discriminator = Discriminator(
        args.resolution,
        args.local_size,
        args.base_channels,
        "both" if args.discriminators == "none" else args.discriminators,
    )
    networks = []
    for net in (network, discriminator):
        # R1 differentiates D twice, which neither SyncBatchNorm nor compiled networks can
        is_penalised = net is discriminator and args.r1_weight > 0
        if device.type == "cuda" and accelerator.num_processes > 1 and not is_penalised:
            net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
        net = net.to(device, memory_format=torch.channels_last)
        if args.compile and not is_penalised:
            net.compile()
        networks.append(net)
    rates = (args.learning_rate, args.discriminator_learning_rate)
    optimizers = [
        OPTIMIZERS[args.optimizer](net.parameters(), rate, device.type == "cuda") for net, rate in zip(networks, rates)
    ]
    network, discriminator, *optimizers = accelerator.prepare(*networks, *optimizers)
    # `take_step` says where C runs in lower precision; what is measured and saved runs in float32, as users run it.
    accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    average = None
    if args.ema_decay:
        average = AveragedModel(accelerator.unwrap_model(network))
        accelerator.register_for_checkpointing(average)
    return Players(network, optimizers[0], discriminator, optimizers[1], average, torch.empty(0))


@dataclass
class Run:
    """Everything that a training holds from its first step to its last."""

    args: argparse.Namespace
    accelerator: Accelerator
    crops: Any  # as `open_crops` says
    validation: Validation | None  # of the main process
    players: Players
    result: nn.Module  # what is saved: C, or its moving average
    model_config: dict
    progress: Progress
    damage: DamageReport
    watch: AccuracyWatch = field(default_factory=AccuracyWatch)

    @property
    def samples_per_step(self) -> int:
        """Crops that all processes together train with in one step."""
        return self.args.train_batch_size * self.accelerator.num_processes


def open_run(args: argparse.Namespace) -> Run:
    """Data, networks and optimisers, at the start or as a checkpoint has them."""
    # Without broadcasts of the running statistics: D judges twice before its gradients are taken, and the second
    # broadcast would change what the first judgement's gradients need.
    without_broadcasts = DistributedDataParallelKwargs(broadcast_buffers=False)
    accelerator = Accelerator(
        mixed_precision=args.mixed_precision,
        log_with="tensorboard",
        project_dir=args.output_dir,
        kwargs_handlers=[without_broadcasts],
    )
    is_main = accelerator.is_main_process
    torch.manual_seed(args.seed)
    checkpoint = choose_checkpoint(accelerator, args.output_dir, args.resume_from_checkpoint)
    progress = read_progress(checkpoint) if checkpoint else Progress()

    judge = load_judge(accelerator.device) if args.perceptual_weight else None  # before the long reading of pictures
    crops = open_crops(args, accelerator)
    damage = DamageReport()
    damage.load_state_dict(progress.damage, accelerator.process_index)
    damage.checked |= args.cache_on_device  # there the share of all pictures was checked
    if args.cache_on_device and is_main and not checkpoint:  # each process has found the same ones
        damage.add_all(crops.damaged)
    validation = Validation(args) if args.validation_data_dir and is_main else None

    # Networks and optimisers. A resumed run keeps its mean colour and what it has kept of the model that it started
    # from, even if the data or the options are others now.
    if args.pretrained_model_name_or_path:
        start = GLCICModel.from_pretrained(args.pretrained_model_name_or_path)
        network, mean = start.network, start.mean.tolist()
        kept = {"blend": start.blend, "texture": start.texture}
    else:
        network = CompletionNetwork(args.base_channels)
        mean = progress.mean or mean_colour(crops).tolist()
        initialise(network, args.init)
        kept = {}
    progress.kept = kept if progress.kept is None else progress.kept
    progress.mean = progress.mean or [round(value, 6) for value in mean]
    model_config = {
        "base_channels": network.base_channels,
        "mean": progress.mean,
        "sample_size": args.resolution,
        "max_hole_size": args.max_hole_size,
        **progress.kept,
    }
    players = make_players(args, accelerator, network)
    players.mean, players.judge = torch.tensor(progress.mean, device=accelerator.device), judge
    if checkpoint:
        load_checkpoint(accelerator, checkpoint, (players.network_optimizer, players.discriminator_optimizer))
    result = players.average.module if players.average else accelerator.unwrap_model(players.network)
    run = Run(args, accelerator, crops, validation, players, result, model_config, progress, damage)
    progress.samples = progress.samples or progress.step * run.samples_per_step
    return run


def train(args: argparse.Namespace) -> None:
    """Run Algorithm 1 under the settings of `parse_args`, from the start or from a checkpoint.

    Raises:
        Interrupted: by a signal; the run can go on from its last checkpoint.
    """
    run = open_run(args)
    accelerator, players, progress = run.accelerator, run.players, run.progress
    device, is_main = accelerator.device, accelerator.is_main_process
    accelerator.init_trackers("logs")
    if is_main:
        sample_images = torch.stack(list(run.crops.first(SAMPLE_PICTURES)))
        pictures = "a stream" if run.crops.picture_count is None else f"{run.crops.picture_count} pictures"
        print(f"{pictures}, {accelerator.num_processes} x {device}, steps {progress.step} to {args.max_train_steps}")
        if progress.step >= args.max_train_steps:  # nothing is left to do but, perhaps, this
            write_model(run, args.output_dir)
    seconds_before, started, stopped_by = progress.seconds, time.perf_counter(), 0

    bar = tqdm(
        initial=progress.step,
        total=args.max_train_steps,
        unit_scale=run.samples_per_step,
        unit="picture",
        mininterval=0.5 if sys.stderr.isatty() else 60,
        disable=not is_main,
    )
    # Closed at the end, whatever ends it: workers that nobody tells to stop would be waited for.
    batches = contextlib.closing(open_batches(args, run.crops, progress.step, accelerator))
    with bar, StopRequest() as stop, batches as batches:
        for step, batch in enumerate(batches, start=progress.step):
            done = step + 1
            is_last = done == args.max_train_steps
            is_logged = is_last or done % args.logging_steps == 0
            factor = learning_rate_factor(args, step)
            set_learning_rate(players.network_optimizer, args.learning_rate * factor)
            set_learning_rate(players.discriminator_optimizer, args.discriminator_learning_rate * factor)
            run.damage.add(batch)
            image = batch.images.to(device, non_blocking=True, memory_format=torch.channels_last)
            log = take_step(args, accelerator, players, step, image, is_logged)
            bar.update()
            progress.step, progress.samples = done, progress.samples + run.samples_per_step
            progress.seconds = seconds_before + time.perf_counter() - started
            stopped_by = stop.number()
            is_saved = is_last or stopped_by or done % args.checkpointing_steps == 0

            if is_logged or is_saved:  # only now does anybody wait for the device
                values = {name: accelerator.reduce(value, "mean").item() for name, value in log.items()}
                require_finite((), values, done)
            if is_logged:
                log_step(run, values, bar)
            if is_main and (done % args.sample_steps == 0 or is_last):
                path = args.output_dir / "samples" / f"{done:07d}.png"
                save_samples(path, run.result, players.mean, sample_images, args)
            if is_saved:
                require_finite((players.network, players.discriminator, run.result), values, done)
                save(run)
            if stopped_by and not is_last:
                break
        end(run)
    if stopped_by and progress.step < args.max_train_steps:
        raise Interrupted(stopped_by, progress.step)


def end(run: Run) -> None:
    """Close the logs and leave the other processes, once no network exchanges with them any more.

    Were DDP the last to hold their group, it would wait for the group's threads while it holds Python's lock, for which
    one of them may be waiting.
    """
    del run.players.network, run.players.discriminator
    run.accelerator.free_memory()
    gc.collect()
    run.accelerator.end_training()


def log_step(run: Run, values: dict[str, float], bar: tqdm) -> None:
    """Show and log what `take_step` measured; warn of discriminators that are too strong or too weak."""
    args, accelerator, done = run.args, run.accelerator, run.progress.step
    phase = phase_of(args, done - 1)
    if "completion_loss" in values and args.loss_type == "l2":
        values = values | {"hole_psnr": psnr(values["completion_loss"])}
    damaged = accelerator.reduce(torch.tensor(run.damage.count, device=accelerator.device), "sum").item()
    accelerator.log(values | {"damaged_pictures": damaged}, step=done)
    bar.set_postfix(phase=phase, **{name: f"{value:.4g}" for name, value in values.items()}, refresh=False)
    if phase == 3 and (warning := run.watch.warning(values["discriminator_accuracy"])):
        accelerator.print(f"train_glcic: {warning}", file=sys.stderr)


def save(run: Run) -> None:
    """Measure the model, where its time has come, and write a checkpoint and the model."""
    args, progress = run.args, run.progress
    progress.damage = merged(gather_object([run.damage.state_dict()]))
    if run.validation and (progress.step == args.max_train_steps or progress.step % args.validation_steps == 0):
        validate(run)
    save_checkpoint(run.accelerator, args.output_dir, progress, args.checkpoints_total_limit)
    if run.accelerator.is_main_process:
        write_model(run, args.output_dir)


def validate(run: Run) -> None:
    """Measure the model; one that is better than all before goes to `best/`."""
    folder, step = run.args.output_dir, run.progress.step
    figures = run.validation.measure(run.result, run.players.mean)
    run.accelerator.log({f"validation_{name}": value for name, value in figures.items()}, step=step)
    best = read_best(folder)
    comparable = best and best["protocol"] == run.validation.protocol
    if not comparable or figures["hole_l1_x100"] < best["hole_l1_x100"]:
        write_model(run, folder / "best")
        mark_best(folder, step, figures | {"protocol": run.validation.protocol})


def write_model(run: Run, folder: Path) -> None:
    """Write the model as it is now, with its record."""
    record = training_record(run.args, run.progress, run.crops.picture_count)
    save_model(folder, run.result, run.model_config, record, run.args.output_dir)


def main(arguments: list[str] | None = None) -> None:
    """The command: an error is one sentence and exit status 1; after Ctrl-C and SIGTERM it is 130 and 143."""
    try:
        train(parse_args(arguments))
    except Interrupted as interrupted:
        print(f"train_glcic: {interrupted}", file=sys.stderr)
        sys.exit(interrupted.exit_status)
    except KeyboardInterrupt:  # before the first step, or for the second time
        print("train_glcic: stopped", file=sys.stderr)
        sys.exit(130)
    except (ImportError, OSError, ValueError, MemoryError, FloatingPointError, RuntimeError) as error:
        sentence = sentence_for(error)
        if sentence is None:
            raise
        sys.exit(f"train_glcic: {sentence}")


def sentence_for(error: Exception) -> str | None:
    """What the user should know of an error that ends the run; None for a RuntimeError that is a mistake of ours."""
    said = " ".join(str(error).split())
    go_on = "go on with --resume_from_checkpoint latest"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{said}: make room and {go_on}"
    if isinstance(error, RuntimeError):  # torch has no kinds of its own for most of what can happen
        if "DataLoader worker" in said:
            return f"a process that loads pictures was ended ({said[:200]}): {go_on} and fewer --dataloader_num_workers"
        if any(sign in said.lower() for sign in OUT_OF_MEMORY):
            return f"there is not enough memory ({said[:200]}): {go_on} and a smaller --train_batch_size"
        return None
    if isinstance(error, MemoryError) and not said:  # Python's own
        return f"there is not enough memory: {go_on} and fewer --dataloader_num_workers or smaller pictures"
    return said or type(error).__name__


if __name__ == "__main__":
    main()
