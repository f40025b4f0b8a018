"""Options that several commands have, and the types of their values."""

import argparse
import functools
from dataclasses import Field, fields
from typing import Any

from glcic_hub.filling.options import NONE, FillOptions, choice_names, from_text
from glcic_hub.formats import WRITABLE
from glcic_hub.workflow import Settings

DTYPES = ("auto", "float32", "bfloat16", "float16")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model."""
    parser.add_argument(
        "--model",
        help="name of an embedded model, a folder or a Hub repository id (default: the embedded default model)",
    )


def add_filling(parser: argparse.ArgumentParser) -> None:
    """Which holes are filled, how and with what; `settings_of` reads it."""
    parser.add_argument("--invert", action="store_true", help="fill what is black in the mask and keep what is white")
    add_model(parser)
    add_fill_options(parser)
    add_device(parser)
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="auto",
        help="type that the network computes in; auto is the fastest that the device supports, float32 the most exact "
        "(default: %(default)s)",
    )


def add_fill_options(parser: argparse.ArgumentParser) -> None:
    """A flag for each of the `FillOptions`; `fill_options_of` reads them."""
    for option in fields(FillOptions):
        help = option.metadata["help"].replace("%", "%%")
        if "choices" in option.metadata:
            names = choice_names(option)
            parser.add_argument(_flag(option), choices=names, default=names[0], help=f"{help} (default: %(default)s)")
        else:
            read = functools.partial(_option, option)
            default = "" if option.default is None else " (default: %(default)s)"
            parser.add_argument(_flag(option), metavar="N", type=read, default=option.default, help=f"{help}{default}")


def fill_options_of(args: argparse.Namespace) -> FillOptions:
    """What the flags of `add_fill_options` say."""
    given = {option.name: getattr(args, option.name) for option in fields(FillOptions)}
    values: dict[str, Any] = {name: None if value == NONE else value for name, value in given.items()}
    return FillOptions(**values)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument(
        "--device",
        metavar="DEVICE",
        help="where to compute: cpu, cuda, cuda:1, mps, xpu (default: an accelerator if there is one, otherwise cpu)",
    )


def add_quality(parser: argparse.ArgumentParser) -> None:
    """Lossy formats."""
    parser.add_argument("--quality", metavar="N", type=_quality, help="1 to 100, for .jpg and for lossy .webp")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Which images are read."""
    parser.add_argument(
        "--max-megapixels",
        metavar="N",
        type=_megapixels,
        help="read images of up to N million pixels (default: 178; above that, a small malicious file could fill the "
        "memory)",
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    """What the results of many images are written as, and which of them."""
    choices = [suffix[1:] for suffix in WRITABLE]
    parser.add_argument("--format", choices=choices, default="png", help="format of the results (default: %(default)s)")
    add_quality(parser)
    parser.add_argument("--force", action="store_true", help="complete images again that already have a result in OUT")


def settings_of(args: argparse.Namespace, file_format: str) -> Settings:
    """What `add_filling`, `add_quality` and `add_reading` were told."""
    return Settings(
        model=args.model,
        dtype=None if args.dtype == "auto" else args.dtype,
        device=args.device,
        options=fill_options_of(args),
        file_format=file_format,
        quality=args.quality,
        invert=args.invert,
        max_megapixels=args.max_megapixels,
    )


def _flag(option: Field) -> str:
    return f"--{option.name.replace('_', '-')}"


def _option(option: Field, text: str) -> object:
    try:
        return from_text(option, text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def pixels(text: str) -> int:
    """A length from 1 to 10000."""
    return _whole_number(text, 10_000)


def processes(text: str) -> int:
    """A number of processes."""
    return _whole_number(text, 1000)


def port(text: str) -> int:
    """A port of this machine."""
    return _whole_number(text, 65535)


def _megapixels(text: str) -> int:
    return _whole_number(text, 100_000)


def _quality(text: str) -> int:
    return _whole_number(text, 100)


def _whole_number(text: str, largest: int) -> int:
    # Python reads no numbers of thousands of digits
    if not (text.isdecimal() and len(text) <= 2 * len(str(largest)) and 1 <= int(text) <= largest):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {largest}")
    return int(text)
