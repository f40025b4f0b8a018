"""Part "training": how fast a step of each phase is, how near to what the device can do, and where its time goes.

    python -m tests.benchmark.training --resolution 64 --batch 16

The steps are those of `train.train_glcic.take_step`, on the GPU if there is one: the paper's training (preset
places-256), its holes and patches scaled to the resolution, on one batch of noise that is on the device already, so
that reading pictures is not measured. FLOPs are counted on one real step: a multiplication and an addition each count,
in convolutions and matrix products alone, also those with padding's zeros, which a CPU's convolutions skip (at 64 px
much of the dilated layers). The rate of a large matrix product, in the precision of the convolutions, is a yardstick:
on a GPU near the best that it can do; on a CPU, where another library computes convolutions, they can be above it. The
device is waited for before and after the timed steps, not between them.
"""

import argparse
import sys
from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from glcic_hub.network import CompletionNetwork
from tests.benchmark.arguments import positive
from tests.benchmark.rounds import timed
from train import settings
from train.train_glcic import Players, make_players, phase_of, take_step

PHASES = {1: "1: C", 2: "2: D", 3: "3: C and D"}
WARM_UP_STEPS = 2
"""Steps that are not counted, after the one whose FLOPs are: the choice of algorithms, the compilation."""
LISTED_OPERATORS = 5
DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PRODUCT_SIDES = {"cpu": 2048, "cuda": 8192}
PRODUCTS = 10


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; an empty one gives a measurement for two CPU cores."""
    parser = argparse.ArgumentParser(
        "python -m tests.benchmark.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--resolution", type=positive, default=64, help="pixels, default: %(default)s")
    parser.add_argument("--batch", type=positive, default=2, help="pictures in a step, default: %(default)s")
    parser.add_argument("--base_channels", type=positive, default=64, help="default: %(default)s, the paper's")
    parser.add_argument("--mixed_precision", choices=DTYPES, default="no", help="default: %(default)s")
    parser.add_argument("--compile", action="store_true", help="as the training's --compile")
    parser.add_argument("--steps", type=positive, default=3, help="timed steps of each phase, default: %(default)s")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace) -> dict:
    """Measure every phase.

    Args:
        options: of `parse_args`.

    Returns:
        The record; rates in 1e12 FLOP per second, shares from 0 to 1.

    Raises:
        ValueError, RuntimeError: the networks or the device cannot do that (sizes, precision, memory).
    """
    args = training_settings(options)
    torch.manual_seed(args.seed)
    accelerator = Accelerator(mixed_precision=args.mixed_precision)
    device = accelerator.device
    if args.mixed_precision == "fp16" and device.type == "cpu":
        raise ValueError(
            "there is no GPU, and on a CPU fp16 takes minutes for a step: take --mixed_precision bf16 or no"
        )
    players = make_players(args, accelerator, CompletionNetwork(args.base_channels))
    players.mean = torch.full((3,), 0.5, device=device)
    image = torch.rand(args.train_batch_size, 3, args.resolution, args.resolution, device=device)
    image = image.contiguous(memory_format=torch.channels_last)
    product = product_tflops(device, DTYPES[args.mixed_precision])
    phases = []
    for step in range(args.max_train_steps):
        if step and phase_of(args, step) == phase_of(args, step - 1):
            continue
        row = measure_step(args, accelerator, players, step, image, options.steps)
        phases.append({"phase": phase_of(args, step), **row, "share_of_product": _rounded(row["tflops"] / product)})
    return {
        **vars(options),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "product_side": PRODUCT_SIDES[device.type],
        "product_tflops": _rounded(product),
        "phases": phases,
    }


def training_settings(options: argparse.Namespace) -> argparse.Namespace:
    """Settings of the trainer under which steps 0, 1 and 3 are the first ones of the three phases."""
    wanted = {
        "preset": "places-256",
        "train_data_dir": "none",  # is not read
        "output_dir": "none",
        "resolution": options.resolution,
        "min_hole_size": options.resolution * 3 // 8,
        "max_hole_size": options.resolution // 2,
        "local_size": options.resolution // 2,
        "base_channels": options.base_channels,
        "train_batch_size": options.batch,
        "mixed_precision": options.mixed_precision,
        "completion_steps": 1,
        "discriminator_steps": 1,
        "max_train_steps": 4,
    }
    arguments = [text for name, value in wanted.items() for text in (f"--{name}", str(value))]
    return settings.parse_args([*arguments, *(["--compile"] if options.compile else [])])


def measure_step(
    args: argparse.Namespace, accelerator: Accelerator, players: Players, step: int, image: torch.Tensor, count: int
) -> dict:
    """Count, time and profile Algorithm 1's step `step`, taken again and again; `count` times for the time."""

    def take() -> None:
        take_step(args, accelerator, players, step, image, with_gradient_ratio=False)

    # without compilation: the counter does not look into compiled kernels, and the step's arithmetic is the same
    with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
        take()
    seconds = block_seconds(take, count, WARM_UP_STEPS, image.device) / count
    flops = counter.get_total_flops()
    return {
        "step_seconds": _rounded(seconds),
        "pictures_per_second": _rounded(len(image) / seconds),
        "flops_per_picture": flops / len(image),
        "tflops": _rounded(flops / seconds / 1e12),
        "operators": costly_operators(take, image.device),
    }


def product_tflops(device: torch.device, dtype: torch.dtype) -> float:
    """1e12 FLOP per second of a product of two large square matrices."""
    side = PRODUCT_SIDES[device.type]
    one, other = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = torch.backends.cudnn.allow_tf32  # as the convolutions, whose default is another
    try:
        seconds = block_seconds(lambda: one @ other, PRODUCTS, 2, device)
    finally:
        matmul.allow_tf32 = before
    return PRODUCTS * 2 * side**3 / seconds / 1e12


def block_seconds(work: Callable[[], object], count: int, warm_up: int, device: torch.device) -> float:
    """Seconds for `count` times the work after `warm_up` times, the device waited for around them alone."""

    def block(times: int) -> None:
        for _ in range(times):
            work()
        _wait_for(device)

    block(warm_up)
    return timed(lambda: block(count))


def costly_operators(work: Callable[[], object], device: torch.device) -> list[dict]:
    """Where the time of one `work` goes: on a CPU PyTorch's operators, on a GPU its kernels; each without its callees.

    Returns:
        {"operator", "share"} of the LISTED_OPERATORS most costly, the first the most costly; shares of the sum of all.
    """
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    with profile(activities=activities) as profiler:
        work()
        _wait_for(device)
    costs = {}
    for event in profiler.key_averages():
        if not on_gpu:
            costs[event.key] = event.self_cpu_time_total
        elif event.device_type == DeviceType.CUDA and not event.is_user_annotation:  # those contain kernels
            costs[event.key] = event.self_device_time_total
    total = sum(costs.values())
    costly = sorted(costs, key=costs.get, reverse=True)[:LISTED_OPERATORS]
    return [{"operator": name, "share": _rounded(costs[name] / total)} for name in costly]


def table(record: dict) -> str:
    """The record as lines of text."""
    precision = {"no": "float32"}.get(record["mixed_precision"], record["mixed_precision"])
    lines = [
        f"Training on {record['device']}: {record['resolution']} px, batch {record['batch']}, "
        f"{record['base_channels']} channels, {precision}{', compiled' if record['compile'] else ''}",
        f"a matrix product of side {record['product_side']}: {record['product_tflops']:.3g} TFLOP/s",
        f"{'phase':12}{'pictures/s':>14}{'GFLOP/picture':>16}{'TFLOP/s':>12}{'of the product':>18}",
    ]
    for row in record["phases"]:
        lines.append(
            f"{PHASES[row['phase']]:12}{row['pictures_per_second']:14.3g}{row['flops_per_picture'] / 1e9:16.4g}"
            f"{row['tflops']:12.3g}{row['share_of_product']:18.0%}"
        )
    for row in record["phases"]:
        lines += ["", f"where the time of phase {PHASES[row['phase']]} goes"]
        lines += [f"{operator['share']:8.1%}  {operator['operator']:.100}" for operator in row["operators"]]
    return "\n".join(lines)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def main() -> None:
    """Measure and print; an error is one sentence and exit status 1."""
    options = parse_args()
    try:
        print(table(measure(options)))
    except (ValueError, RuntimeError) as error:
        sys.exit(f"the benchmark failed: {error}")


if __name__ == "__main__":
    main()
