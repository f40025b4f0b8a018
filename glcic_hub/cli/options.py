"""Options that several commands have, and the types of their values."""

import argparse

from glcic_hub.workflow import Settings

DTYPES = ("auto", "float32", "bfloat16", "float16")
BLENDS = ("poisson", "feather", "none")
TEXTURES = ("none", "photo")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model."""
    parser.add_argument(
        "--model",
        help="name of an embedded model, a folder or a Hub repository id; without it the embedded default model",
    )


def add_filling(parser: argparse.ArgumentParser) -> None:
    """How holes are filled; `settings_of` reads it."""
    add_model(parser)
    parser.add_argument(
        "--working-size",
        metavar="N",
        type=pixels,
        help="show holes larger than N pixels to the network reduced to N; small: smoother, more coherent fills, "
        "large: each hole at its own size, and slower (default: about the largest training holes)",
    )
    parser.add_argument(
        "--blend",
        choices=BLENDS,
        default="poisson",
        help="how the fill meets its surroundings: poisson shifts all of it smoothly, feather its outer half, none "
        "leaves it as the network gave it (default: %(default)s)",
    )
    parser.add_argument(
        "--texture",
        choices=TEXTURES,
        default="none",
        help="photo adds fine detail of the known parts, for grass, leaves and grain (default: %(default)s)",
    )
    parser.add_argument(
        "--adapt",
        metavar="N",
        type=steps,
        default=0,
        help="before completing, learn from the known part of each picture for N steps, for example 40; that "
        "takes about 5 seconds on two CPU cores with bfloat16, more without, and helps a little, most where things "
        "repeat themselves (default: %(default)s)",
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="auto",
        help="what the network computes in; auto is the fastest that the device has arithmetic for, float32 the most "
        "exact (default: %(default)s)",
    )


def add_quality(parser: argparse.ArgumentParser) -> None:
    """Lossy formats."""
    parser.add_argument(
        "--quality", metavar="N", type=_quality, help="1 to 100, for .jpg and for a .webp that is not to be lossless"
    )


def settings_of(args: argparse.Namespace, file_format: str) -> Settings:
    """What `add_filling` and `add_quality` were told."""
    return Settings(
        model=args.model,
        dtype=None if args.dtype == "auto" else args.dtype,
        working_size=args.working_size,
        blend=None if args.blend == "none" else args.blend,
        texture=None if args.texture == "none" else args.texture,
        adapt_steps=args.adapt,
        file_format=file_format,
        quality=args.quality,
    )


def pixels(text: str) -> int:
    """A length from 1 to 10000."""
    return _whole_number(text, 10_000)


def processes(text: str) -> int:
    """A number of processes."""
    return _whole_number(text, 1000)


def steps(text: str) -> int:
    """A number of steps; there may be none."""
    return _whole_number(text, 10_000, least=0)


def _quality(text: str) -> int:
    return _whole_number(text, 100)


def _whole_number(text: str, largest: int, least: int = 1) -> int:
    # Python reads no numbers of thousands of digits
    if not (text.isdecimal() and len(text) <= 2 * len(str(largest)) and least <= int(text) <= largest):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {largest}")
    return int(text)
