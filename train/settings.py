"""The options of the training: the command line wins over the preset, the preset over the defaults."""

import argparse
import math
import tomllib
from pathlib import Path

import torch

from glcic_hub.network import DISCRIMINATOR_BRANCHES
from train.crops import check_resize_range
from train.initialisation import INITIALISATIONS

PRESETS_DIR = Path(__file__).parent / "presets"

OPTIMIZERS = {
    # The paper names Adadelta without constants: these are Torch7's and PyTorch's.
    "adadelta": lambda parameters, lr, fused: torch.optim.Adadelta(parameters, lr=lr, rho=0.9, eps=1e-6),
    "adam": lambda parameters, lr, fused: torch.optim.Adam(parameters, lr=lr, betas=(0.9, 0.99), fused=fused),
}
"""(parameters, learning rate, one kernel for all of them: on CUDA) -> optimizer."""


COUNTS = (
    "min_hole_size",
    "base_channels",
    "train_batch_size",
    "max_train_steps",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "logging_steps",
    "sample_steps",
    "shuffle_buffer_size",
)
"""Options that are at least 1."""

FROM_ZERO_UP = (
    "seed",
    "hole_margin",
    "dataloader_num_workers",
    "completion_steps",
    "discriminator_steps",
    "perceptual_weight",
    "alpha",
    "r1_weight",
    "learning_rate",
    "discriminator_learning_rate",
)
"""Options that are at least 0, and finite."""


SHARES = ("free_form_share", "silhouette_share", "recoloured_share")
"""Options between 0 and 1."""


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read and check the settings; wrong ones end the program with a sentence that names them (exit status 2)."""
    parser = _parser()
    chosen, _ = parser.parse_known_args(arguments)
    preset = tomllib.loads((PRESETS_DIR / f"{chosen.preset}.toml").read_text())
    known = {action.dest for action in parser._actions}
    if unknown := preset.keys() - known:
        parser.error(f"preset {chosen.preset} sets what is not an option: {', '.join(sorted(unknown))}")
    parser.set_defaults(**preset)
    args = parser.parse_args(arguments)
    if args.discriminators == "none":  # the reconstruction loss alone, for as long as the run lasts
        args.completion_steps, args.discriminator_steps = args.max_train_steps, 0
    if args.validation_data_dir and args.validation_steps is None:
        args.validation_steps = args.checkpointing_steps
    for problem in _problems(args):
        parser.error(problem)
    return args


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train_glcic",
        usage="python -m train.train_glcic [--preset NAME] --train_data_dir FOLDER --output_dir FOLDER [options]",
        description="Train the completion network: Algorithm 1 of the paper.",
    )
    presets = sorted(path.stem for path in PRESETS_DIR.glob("*.toml"))
    parser.add_argument("--preset", choices=presets, default="places-256")

    data = parser.add_argument_group("data")
    data.add_argument("--train_data_dir", nargs="+", help="folders, tar shards, patterns as a-{00..09}.tar")
    data.add_argument("--dataset_name", help="instead: a dataset of the Hub or a builder of `datasets`, streamed")
    data.add_argument("--dataset_config_name")
    data.add_argument("--data_files", nargs="+", help="of --dataset_name: paths or addresses, with patterns")
    data.add_argument("--image_column", default="image", help="of --dataset_name")
    data.add_argument("--shuffle_buffer_size", type=int, default=1000, help="pictures of a stream that are mixed")
    data.add_argument("--resolution", type=int, help="side of the square crops, pixels")
    data.add_argument("--resize_range", type=float, nargs=2, help="shorter side before the crop, in resolutions")
    data.add_argument(
        "--recoloured_share", type=float, help="share of crops made grey, toned or plain, 0 to 1 (0: none, the paper)"
    )
    data.add_argument("--cache_pictures", action="store_true", help="keep the decoded, reduced pictures in memory")
    data.add_argument(
        "--cache_on_device", action="store_true", help="keep them in the memory of the GPU, and cut the crops there"
    )
    data.add_argument("--dataloader_num_workers", type=int, default=0)

    holes = parser.add_argument_group("holes")
    holes.add_argument("--min_hole_size", type=int, help="shortest side of the random rectangles, pixels")
    holes.add_argument("--max_hole_size", type=int, help="longest side of the random rectangles, pixels")
    holes.add_argument("--hole_margin", type=int, help="least distance of the rectangles from the border, pixels")
    holes.add_argument("--free_form_share", type=float, help="share of pictures with brush strokes instead, 0 to 1")
    holes.add_argument(
        "--silhouette_share", type=float, help="share of pictures with rounded silhouettes in the rectangles, 0 to 1"
    )

    networks = parser.add_argument_group("networks")
    networks.add_argument("--base_channels", type=int, help="width of all networks; the paper: 64")
    networks.add_argument("--local_size", type=int, help="side of the local discriminator's patch, pixels")
    networks.add_argument(
        "--discriminators",
        choices=["none", *DISCRIMINATOR_BRANCHES],
        default="both",
        help="the paper's ablations: none is the reconstruction loss alone (phase 1 for the whole run)",
    )
    networks.add_argument("--init", choices=sorted(INITIALISATIONS), help="how the completion network starts")
    networks.add_argument("--pretrained_model_name_or_path", help="start from these weights instead (fine-tuning)")

    steps = parser.add_argument_group("length")
    steps.add_argument("--train_batch_size", type=int, help="pictures per step and process")
    steps.add_argument("--max_train_steps", type=int, help="all three phases together (the paper's T_train)")
    steps.add_argument("--completion_steps", type=int, help="length of phase 1 (T_C)")
    steps.add_argument("--discriminator_steps", type=int, help="length of phase 2 (T_D)")

    optimisation = parser.add_argument_group("optimisation")
    optimisation.add_argument("--loss_type", choices=["l2", "l1"], help="squared (the paper) or absolute error")
    optimisation.add_argument(
        "--perceptual_weight", type=float, help="of a perceptual loss (0: none, the paper); needs the extra `features`"
    )
    optimisation.add_argument("--alpha", type=float, help="weight of the adversarial loss in phase 3")
    optimisation.add_argument(
        "--r1_weight", type=float, help="gamma of the discriminators' gradient penalty R1 (0: none, the paper)"
    )
    optimisation.add_argument("--optimizer", choices=sorted(OPTIMIZERS))
    optimisation.add_argument("--learning_rate", type=float, help="of the completion network")
    optimisation.add_argument("--discriminator_learning_rate", type=float)
    optimisation.add_argument("--lr_scheduler", choices=["constant", "cosine"], help="cosine falls to 2 %% of the rate")
    optimisation.add_argument("--ema_decay", type=float, help="0: no moving average; else the average is what is saved")
    optimisation.add_argument("--mixed_precision", choices=["no", "bf16", "fp16"])
    optimisation.add_argument(
        "--compile", action="store_true", help="compile the networks (torch.compile); with --r1_weight C alone"
    )
    optimisation.add_argument("--seed", type=int, default=0)

    output = parser.add_argument_group("output")
    output.add_argument("--output_dir", type=Path)
    output.add_argument("--checkpointing_steps", type=int, default=1000)
    output.add_argument(
        "--checkpoints_total_limit", type=int, default=2, help="older ones are removed, but not the best one"
    )
    output.add_argument("--resume_from_checkpoint", help='"latest" (or the start if there is none), or a checkpoint')
    output.add_argument("--logging_steps", type=int, default=50)
    output.add_argument("--sample_steps", type=int, default=1000, help="a picture of completed crops every so often")
    output.add_argument("--validation_data_dir", nargs="+", help="pictures to measure with; as --train_data_dir")
    output.add_argument(
        "--validation_steps", type=int, help="measure every so often, at checkpoints; default: at each of them"
    )
    return parser


def _problems(args: argparse.Namespace) -> list[str]:
    """What is wrong with the settings: sentences for the user, none when all is well."""
    if not args.output_dir:
        return ["--output_dir is needed"]
    if bool(args.train_data_dir) == bool(args.dataset_name):
        return ["--train_data_dir is needed, or --dataset_name; not both"]
    problems = [f"--{name} {getattr(args, name)} is less than 1" for name in COUNTS if getattr(args, name) < 1]
    problems += [
        f"--{name} {getattr(args, name)} is not a finite number from 0 up"
        for name in FROM_ZERO_UP
        if not 0 <= getattr(args, name) < math.inf
    ]
    try:
        check_resize_range(args.resize_range)
    except ValueError as error:
        problems.append(f"--{error}")
    if args.completion_steps > args.max_train_steps:
        problems.append(
            f"--completion_steps {args.completion_steps} is more than --max_train_steps {args.max_train_steps}, "
            "which counts all phases"
        )
    if args.resolution % 4:
        problems.append(f"--resolution {args.resolution} is not a multiple of 4")
    if args.local_size > args.resolution:
        problems.append(f"--local_size {args.local_size} is more than --resolution {args.resolution}")
    if args.min_hole_size > args.max_hole_size:
        problems.append(f"--min_hole_size {args.min_hole_size} is more than --max_hole_size {args.max_hole_size}")
    if args.max_hole_size + 2 * args.hole_margin > args.resolution:
        problems.append(
            f"--max_hole_size {args.max_hole_size} and --hole_margin {args.hole_margin} on both sides do not fit into "
            f"--resolution {args.resolution}"
        )
    problems += [
        f"--{name} {getattr(args, name)} is not between 0 and 1" for name in SHARES if not 0 <= getattr(args, name) <= 1
    ]
    if args.free_form_share + args.silhouette_share > 1:
        problems.append(
            f"--free_form_share {args.free_form_share} and --silhouette_share {args.silhouette_share} are more than 1 "
            "together"
        )
    if not 0 <= args.ema_decay < 1:
        problems.append(f"--ema_decay {args.ema_decay} is not from 0 up and below 1")
    if args.max_hole_size > args.local_size:
        problems.append(f"--max_hole_size {args.max_hole_size} does not fit into --local_size {args.local_size}")
    if args.cache_on_device and args.cache_pictures:
        problems.append("--cache_on_device and --cache_pictures: choose one, both would hold all pictures twice")
    if args.cache_on_device and args.dataset_name:
        problems.append("--cache_on_device holds all pictures at once: it needs --train_data_dir, not a stream")
    if args.validation_steps is not None:
        if not args.validation_data_dir:
            problems.append(f"--validation_steps {args.validation_steps} needs --validation_data_dir")
        if args.validation_steps < 1 or args.validation_steps % args.checkpointing_steps:
            problems.append(
                f"--validation_steps {args.validation_steps} is not a multiple of --checkpointing_steps "
                f"{args.checkpointing_steps}: the best weights must have a checkpoint to go on from"
            )
    return problems
