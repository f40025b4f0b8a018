"""Train the completion network: Algorithm 1 of the paper, from the first line to the last.

Phase 1 trains the completion network C alone on the masked squared error, phase 2 the discriminators D alone, phase 3
both together. Examples (from the repository's root; `--help` lists every option):

    python -m train.train_glcic --preset places-256 --train_data_dir photos/ --output_dir runs/mine
    accelerate launch -m train.train_glcic --preset modern --train_data_dir "a-{0000..0099}.tar" --output_dir runs/mine
    python -m train.train_glcic --preset places-256 --output_dir runs/mine --resume_from_checkpoint latest ...

Everything random depends on (seed, step), so a resumed run draws what an uninterrupted one would have drawn.
`--output_dir` ends as a folder that `GLCICModel.from_pretrained` loads.
"""

import argparse
import json
import math
import platform
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm

from glcic_hub.masks import bounding_box, random_boxes, random_strokes
from glcic_hub.model import GLCICModel
from glcic_hub.network import CompletionNetwork, Discriminator, complete_batch
from train.dataset import TrainingCrops, find_pictures, source_names
from train.initialisation import INITIALISATIONS, initialise

PRESETS_DIR = Path(__file__).parent / "presets"
PICTURES_FOR_MEAN = 512
SAMPLE_PICTURES = 8
STROKE_WIDTH_SHARES, STROKE_COUNTS = (1 / 20, 1 / 5), (1, 4)  # widths in units of --resolution


# ---------------------------------------------------------------------------------------------------------- settings


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the settings: the command line wins over the preset, the preset over the defaults."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    presets = sorted(path.stem for path in PRESETS_DIR.glob("*.toml"))
    parser.add_argument("--preset", choices=presets, default="places-256")

    data = parser.add_argument_group("data")
    data.add_argument("--train_data_dir", nargs="+", help="folders, tar shards, patterns as a-{00..09}.tar")
    data.add_argument("--resolution", type=int, help="side of the square crops, pixels")
    data.add_argument("--resize_range", type=float, nargs=2, help="shorter side before the crop, in resolutions")
    data.add_argument("--cache_pictures", action="store_true", help="keep the decoded, reduced pictures in memory")
    data.add_argument("--dataloader_num_workers", type=int, default=0)

    holes = parser.add_argument_group("holes")
    holes.add_argument("--min_hole_size", type=int, help="shortest side of the random rectangles, pixels")
    holes.add_argument("--max_hole_size", type=int, help="longest side of the random rectangles, pixels")
    holes.add_argument("--hole_margin", type=int, help="least distance of the rectangles from the border, pixels")

    holes.add_argument("--free_form_share", type=float, help="share of pictures with brush strokes instead, 0 to 1")

    networks = parser.add_argument_group("networks")
    networks.add_argument("--base_channels", type=int, help="width of all networks; the paper: 64")
    networks.add_argument("--local_size", type=int, help="side of the local discriminator's patch, pixels")
    networks.add_argument("--init", choices=sorted(INITIALISATIONS), help="how the completion network starts")
    networks.add_argument("--pretrained_model_name_or_path", help="start from these weights instead (fine-tuning)")

    steps = parser.add_argument_group("length")
    steps.add_argument("--train_batch_size", type=int, help="pictures per step and process")
    steps.add_argument("--max_train_steps", type=int, help="all three phases together (the paper's T_train)")
    steps.add_argument("--completion_steps", type=int, help="length of phase 1 (T_C)")
    steps.add_argument("--discriminator_steps", type=int, help="length of phase 2 (T_D)")

    optimisation = parser.add_argument_group("optimisation")
    optimisation.add_argument("--alpha", type=float, help="weight of the adversarial loss in phase 3")
    optimisation.add_argument("--optimizer", choices=sorted(OPTIMIZERS))
    optimisation.add_argument("--learning_rate", type=float, help="of the completion network")
    optimisation.add_argument("--discriminator_learning_rate", type=float)
    optimisation.add_argument("--lr_scheduler", choices=["constant", "cosine"], help="cosine falls to 2 %% of the rate")
    optimisation.add_argument("--ema_decay", type=float, help="0: no moving average; else the average is what is saved")
    optimisation.add_argument("--mixed_precision", choices=["no", "bf16", "fp16"])
    optimisation.add_argument("--seed", type=int, default=0)

    output = parser.add_argument_group("output")
    output.add_argument("--output_dir", type=Path)
    output.add_argument("--checkpointing_steps", type=int, default=1000)
    output.add_argument("--checkpoints_total_limit", type=int, default=2, help="older ones are removed")
    output.add_argument("--resume_from_checkpoint", help='"latest" (or the start if there is none), or a checkpoint')
    output.add_argument("--logging_steps", type=int, default=50)
    output.add_argument("--sample_steps", type=int, default=1000, help="a picture of completed crops every so often")

    chosen, _ = parser.parse_known_args(arguments)
    preset = tomllib.loads((PRESETS_DIR / f"{chosen.preset}.toml").read_text())
    known = {action.dest for action in parser._actions}
    if unknown := preset.keys() - known:
        parser.error(f"preset {chosen.preset} sets what is not an option: {', '.join(sorted(unknown))}")
    parser.set_defaults(**preset)
    args = parser.parse_args(arguments)

    for name in ("train_data_dir", "output_dir"):
        if not getattr(args, name):
            parser.error(f"--{name} is needed")
    for name in (
        "train_batch_size",
        "max_train_steps",
        "checkpointing_steps",
        "checkpoints_total_limit",
        "logging_steps",
        "sample_steps",
    ):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)} is less than 1")
    if args.completion_steps > args.max_train_steps:
        parser.error(
            f"--completion_steps {args.completion_steps} is more than --max_train_steps {args.max_train_steps}, "
            "which counts all phases"
        )
    if args.resolution % 4:
        parser.error(f"--resolution {args.resolution} is not a multiple of 4")
    if args.local_size > args.resolution:
        parser.error(f"--local_size {args.local_size} is more than --resolution {args.resolution}")
    if args.min_hole_size > args.max_hole_size:
        parser.error(f"--min_hole_size {args.min_hole_size} is more than --max_hole_size {args.max_hole_size}")
    if args.max_hole_size + 2 * args.hole_margin > args.resolution:
        parser.error(
            f"--max_hole_size {args.max_hole_size} and --hole_margin {args.hole_margin} on both sides do not fit into "
            f"--resolution {args.resolution}"
        )
    if not 0 <= args.free_form_share <= 1:
        parser.error(f"--free_form_share {args.free_form_share} is not between 0 and 1")
    if args.max_hole_size > args.local_size:
        parser.error(f"--max_hole_size {args.max_hole_size} does not fit into --local_size {args.local_size}")
    return args


OPTIMIZERS = {
    # The paper names Adadelta without constants: these are Torch7's and PyTorch's.
    "adadelta": lambda parameters, lr: torch.optim.Adadelta(parameters, lr=lr, rho=0.9, eps=1e-6),
    "adam": lambda parameters, lr: torch.optim.Adam(parameters, lr=lr, betas=(0.9, 0.99)),
}


# ------------------------------------------------------------------------------------------ holes, losses, patches


def random_holes(args: argparse.Namespace, count: int, seed: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw M_c or M_d of Algorithm 1: a rectangle, or in `--free_form_share` of the pictures brush strokes.

    Returns:
        The masks, float32 (count, 1, resolution, resolution), 1 in the holes; and the holes' bounding boxes,
        int64 (count, 4) as top, left, height, width.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    size, sides = (args.resolution, args.resolution), (args.min_hole_size, args.max_hole_size)
    masks, boxes = random_boxes(count, size, sides, args.hole_margin, generator)
    widths = tuple(max(1, round(args.resolution * share)) for share in STROKE_WIDTH_SHARES)
    for index in np.flatnonzero(rng.random(count) < args.free_form_share):
        strokes = random_strokes(size, widths, STROKE_COUNTS, int(rng.integers(2**63)))
        masks[index, 0] = torch.from_numpy(strokes)
        boxes[index] = torch.tensor(bounding_box(strokes))
    return masks.float(), boxes


def completion_loss(completed: torch.Tensor, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Equation 2: squared error inside the holes, as a mean over their samples (the paper states no norm)."""
    return ((completed - image).square() * mask).sum() / (mask.sum() * image.shape[1])


def composite(image: torch.Tensor, completed: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Known pixels from the image, hole pixels from the network: what the discriminators see."""
    return image * (1 - mask) + completed * mask


def local_patches(images: torch.Tensor, boxes: torch.Tensor, size: int) -> torch.Tensor:
    """Cut a (size, size) patch around the centre of each picture's hole, moved inside the picture where it sticks out.

    Args:
        images: (B, C, H, W).
        boxes: (B, 4), each hole's top, left, height, width.
        size: side of the patches, at most H and W.

    Returns:
        (B, C, size, size), differentiable with respect to `images`.
    """
    sides = torch.tensor(images.shape[-2:], device=boxes.device)
    corners = (boxes[:, :2] + boxes[:, 2:] // 2 - size // 2).clamp(min=0).minimum(sides - size)
    offsets = torch.arange(size, device=boxes.device)
    rows, columns = (corners[:, axis, None] + offsets for axis in (0, 1))
    batch = torch.arange(len(images), device=boxes.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def real_or_fake_loss(logits: torch.Tensor, real: bool) -> torch.Tensor:
    """Binary cross-entropy of the discriminator's logits against one label for all."""
    return F.binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, float(real), dtype=torch.float32))


# ---------------------------------------------------------------------------------------------------------- training


def train(args: argparse.Namespace) -> None:
    """Run Algorithm 1 under the settings of `parse_args`, from the start or from a checkpoint."""
    accelerator = Accelerator(mixed_precision=args.mixed_precision, log_with="tensorboard", project_dir=args.output_dir)
    device, processes = accelerator.device, accelerator.num_processes
    torch.manual_seed(args.seed)

    # Data. Sample numbers count through the whole run; this process takes every `processes`-th of them.
    pictures = find_pictures(args.train_data_dir)
    samples_per_step = args.train_batch_size * processes
    crops = TrainingCrops(
        pictures,
        args.resolution,
        args.resize_range,
        args.max_train_steps * samples_per_step,
        args.seed,
        args.cache_pictures,
    )

    # Networks and optimisers.
    if args.pretrained_model_name_or_path:
        start = GLCICModel.from_pretrained(args.pretrained_model_name_or_path)
        network, mean = start.network, start.mean
    else:
        network, mean = CompletionNetwork(args.base_channels), mean_colour(crops)
        initialise(network, args.init)
    model_config = {
        "base_channels": network.base_channels,
        "mean": [round(value, 6) for value in mean.tolist()],
        "sample_size": args.resolution,
        "max_hole_size": args.max_hole_size,
    }
    discriminator = Discriminator(args.resolution, args.local_size, args.base_channels)
    network, discriminator = (net.to(memory_format=torch.channels_last) for net in (network, discriminator))
    network_optimizer = OPTIMIZERS[args.optimizer](network.parameters(), args.learning_rate)
    discriminator_optimizer = OPTIMIZERS[args.optimizer](discriminator.parameters(), args.discriminator_learning_rate)
    network, discriminator, network_optimizer, discriminator_optimizer = accelerator.prepare(
        network, discriminator, network_optimizer, discriminator_optimizer
    )
    average = None
    if args.ema_decay:
        average = AveragedModel(
            accelerator.unwrap_model(network), multi_avg_fn=moving_average(args.ema_decay), use_buffers=True
        )
        accelerator.register_for_checkpointing(average)

    first_step, seconds_before, earlier_mean = resume(accelerator, args)
    if earlier_mean:  # the weights belong to it, even if the data or the options are others now
        model_config["mean"] = earlier_mean
    mean = torch.tensor(model_config["mean"], device=device)
    loader = DataLoader(
        crops,
        batch_size=args.train_batch_size,
        sampler=range(first_step * samples_per_step + accelerator.process_index, len(crops), processes),
        num_workers=args.dataloader_num_workers,
        pin_memory=device.type == "cuda",
        persistent_workers=args.dataloader_num_workers > 0,
    )

    def draw_holes(step: int, purpose: int) -> tuple[torch.Tensor, torch.Tensor]:
        masks, boxes = random_holes(args, args.train_batch_size, [args.seed, step, purpose, accelerator.process_index])
        return masks.to(device), boxes.to(device)

    def save_model(folder: Path) -> None:
        model = GLCICModel(**model_config)
        model.network.load_state_dict((average.module if average else accelerator.unwrap_model(network)).state_dict())
        model.save_pretrained(folder)

    accelerator.init_trackers("logs")
    if accelerator.is_main_process:
        print(f"{len(pictures)} pictures, {processes} x {device}, steps {first_step} to {args.max_train_steps}")
    started = time.perf_counter()
    bar = tqdm(
        initial=first_step,
        total=args.max_train_steps,
        unit_scale=samples_per_step,
        unit="picture",
        mininterval=0.5 if sys.stderr.isatty() else 60,
        disable=not accelerator.is_main_process,
    )

    for step, image in enumerate(loader, start=first_step):
        image = image.to(device, non_blocking=True, memory_format=torch.channels_last)
        phase = phase_of(args, step)
        set_learning_rate(network_optimizer, args.learning_rate * learning_rate_factor(args, step))
        set_learning_rate(discriminator_optimizer, args.discriminator_learning_rate * learning_rate_factor(args, step))
        log = {}

        # C(x, M_c). In phase 2 the completion network stands still, its running statistics included.
        masks, boxes = draw_holes(step, purpose=0)
        network.train(phase != 2)
        with torch.set_grad_enabled(phase != 2), accelerator.autocast():
            completed = complete_batch(network, image, masks, mean).float()
        fake = composite(image, completed, masks)

        if phase > 1:  # update D with (C(x, M_c), M_c) as fake and (x, M_d) as real
            _, other_boxes = draw_holes(step, purpose=1)
            discriminator.requires_grad_(True)
            with accelerator.autocast():
                on_real = discriminator(image, local_patches(image, other_boxes, args.local_size))
                on_fake = discriminator(fake.detach(), local_patches(fake.detach(), boxes, args.local_size))
            discriminator_loss = real_or_fake_loss(on_real, real=True) + real_or_fake_loss(on_fake, real=False)
            discriminator_optimizer.zero_grad()
            accelerator.backward(discriminator_loss)
            discriminator_optimizer.step()
            log["discriminator_loss"] = discriminator_loss
            log["discriminator_accuracy"] = ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2

        if phase != 2:  # update C
            reconstruction = completion_loss(completed, image, masks)
            loss = reconstruction
            log["completion_loss"] = reconstruction
            if phase == 3:
                discriminator.requires_grad_(False)  # its gradients belong to its own update alone
                with accelerator.autocast():
                    judged = discriminator(fake, local_patches(fake, boxes, args.local_size))
                # The usual non-saturating form of equation 5: -log D instead of log(1 - D).
                adversarial = real_or_fake_loss(judged, real=True)
                loss = reconstruction + args.alpha * adversarial
                log["adversarial_loss"] = adversarial
            network_optimizer.zero_grad()
            accelerator.backward(loss)
            network_optimizer.step()
            if average:
                average.update_parameters(accelerator.unwrap_model(network))

        done = step + 1
        bar.update()
        if done % args.logging_steps == 0 or done == args.max_train_steps:
            values = {name: value.item() for name, value in log.items()}
            if not all(math.isfinite(value) for value in values.values()):
                raise FloatingPointError(f"the loss is not a number at step {done}: {values}; lower the learning rate")
            if "completion_loss" in values:
                values["hole_psnr"] = -10 * math.log10(values["completion_loss"])
            accelerator.log(values, step=done)
            bar.set_postfix(phase=phase, **{name: f"{value:.4g}" for name, value in values.items()}, refresh=False)
        if accelerator.is_main_process and (done % args.sample_steps == 0 or done == args.max_train_steps):
            sampled = average.module if average else accelerator.unwrap_model(network)
            save_samples(sampled, mean, crops, args, args.output_dir / "samples" / f"{done:07d}.png")
        if done % args.checkpointing_steps == 0 or done == args.max_train_steps:
            seconds = seconds_before + time.perf_counter() - started
            save_checkpoint(accelerator, args, {"step": done, "seconds": seconds, "mean": model_config["mean"]})
            if accelerator.is_main_process:
                save_model(args.output_dir)
                write_record(args, done, samples_per_step, len(pictures), seconds)
    bar.close()
    accelerator.end_training()


def phase_of(args: argparse.Namespace, step: int) -> int:
    """1: the completion network alone, 2: the discriminators alone, 3: both. `step` is Algorithm 1's t, from 0."""
    if step < args.completion_steps:
        return 1
    return 2 if step <= args.completion_steps + args.discriminator_steps else 3


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter of the optimizer this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def learning_rate_factor(args: argparse.Namespace, step: int) -> float:
    """What the learning rates are multiplied with at this step."""
    if args.lr_scheduler == "constant":
        return 1.0
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / args.max_train_steps))


def moving_average(decay: float) -> Callable:
    """Exponential moving average of weights and running statistics, which forgets its first steps faster."""

    @torch.no_grad()
    def update(averaged: list[torch.Tensor], current: list[torch.Tensor], count: torch.Tensor) -> None:
        if not averaged[0].is_floating_point():  # batch normalisation's counters
            torch._foreach_copy_(averaged, current)
            return
        done = int(count)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + done) / (10 + done)))

    return update


def mean_colour(crops: TrainingCrops) -> torch.Tensor:
    """Mean RGB of the first crops of the run, in [0, 1]; the same however long the run is."""
    count = min(PICTURES_FOR_MEAN, len(crops.pictures))
    return torch.stack([crops[index].mean(dim=(1, 2)) for index in range(count)]).mean(dim=0)


# ------------------------------------------------------------------------------------------------ what a run writes


def resume(accelerator: Accelerator, args: argparse.Namespace) -> tuple[int, float, list[float] | None]:
    """Load the wanted checkpoint; return the step to go on with, the seconds trained before and the mean colour."""
    if not args.resume_from_checkpoint:
        if checkpoints(args.output_dir):
            raise FileExistsError(
                f"{args.output_dir} holds checkpoints of an earlier run: "
                "add --resume_from_checkpoint latest, or choose another --output_dir"
            )
        return 0, 0.0, None
    if args.resume_from_checkpoint == "latest":
        found = checkpoints(args.output_dir)
        if not found:
            return 0, 0.0, None
        folder = found[-1]
    else:
        folder = Path(args.resume_from_checkpoint)
        if not (folder / "progress.json").is_file():
            raise FileNotFoundError(f"{folder} is not a checkpoint of this script")
    accelerator.load_state(str(folder))
    progress = json.loads((folder / "progress.json").read_text())
    return progress["step"], progress["seconds"], progress.get("mean")


def checkpoints(output_dir: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    found = [path for path in output_dir.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def save_checkpoint(accelerator: Accelerator, args: argparse.Namespace, progress: dict) -> None:
    """Write `checkpoint-<step>` under a temporary name, rename it when it is complete, and drop the oldest ones."""
    unfinished = args.output_dir / f"unfinished-checkpoint-{progress['step']}"
    accelerator.save_state(str(unfinished))
    if accelerator.is_main_process:
        (unfinished / "progress.json").write_text(json.dumps(progress))
        final = args.output_dir / f"checkpoint-{progress['step']}"
        if final.exists():
            shutil.rmtree(final)
        unfinished.rename(final)
        for old in checkpoints(args.output_dir)[: -args.checkpoints_total_limit]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def save_samples(
    network: CompletionNetwork, mean: torch.Tensor, crops: TrainingCrops, args: argparse.Namespace, path: Path
) -> None:
    """Write a picture of the run's first crops: a row with holes, a row completed, a row as they were."""
    image = torch.stack([crops[index] for index in range(min(SAMPLE_PICTURES, len(crops)))]).to(mean.device)
    masks = random_holes(args, len(image), [args.seed])[0].to(mean.device)
    was_training = network.training
    with torch.no_grad():
        completed = complete_batch(network.eval(), image, masks, mean)
    network.train(was_training)
    rows = [image * (1 - masks) + masks, composite(image, completed, masks), image]
    sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((sheet * 255).round().byte().permute(1, 2, 0).cpu().numpy()).save(path)


def write_record(args: argparse.Namespace, steps: int, samples_per_step: int, pictures: int, seconds: float) -> None:
    """Write `training.json`: the settings, the data and the cost of the weights beside it."""
    settings = {name: value for name, value in vars(args).items() if name not in ("output_dir", "train_data_dir")}
    cpu = f"CPU, {torch.get_num_threads()} thread(s)"
    record = {
        "steps": steps,
        "crops": steps * samples_per_step,
        "pictures": pictures,
        "data": source_names(args.train_data_dir),
        "minutes": round(seconds / 60, 1),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else cpu,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "settings": settings,
    }
    (args.output_dir / "training.json").write_text(json.dumps(record, indent=2) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """The command: an error is one sentence and exit status 1."""
    try:
        train(parse_args(arguments))
    except (OSError, ValueError, FloatingPointError) as error:
        sys.exit(f"train_glcic: {error}")


if __name__ == "__main__":
    main()
