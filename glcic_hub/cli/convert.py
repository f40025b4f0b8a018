"""`glcic convert`."""

import argparse
from pathlib import Path

from glcic_hub.cli import options
from glcic_hub.cli.checks import check_is_readable, check_may_make, say
from glcic_hub.cli.texts import CONVERT_DESCRIPTION, CONVERT_EPILOG
from glcic_hub.convert import KINDS
from glcic_hub.errors import FailedWork, WrongUse, quoted, reason


def add_to(commands: argparse._SubParsersAction) -> None:
    """Its arguments."""
    command = commands.add_parser(
        "convert",
        help="turn a checkpoint of another implementation into a model folder",
        description=CONVERT_DESCRIPTION,
        epilog=CONVERT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("source", metavar="SOURCE", type=Path, help="the checkpoint: a .t7 or .pth file")
    command.add_argument(
        "-o", "--out", metavar="FOLDER", type=Path, required=True, help="the model folder to make; new or empty"
    )
    command.add_argument(
        "--from", dest="kind", choices=("auto", *KINDS), default="auto", help="refuse SOURCE if it is of another kind"
    )
    command.add_argument(
        "--mean",
        metavar=("R", "G", "B"),
        nargs=3,
        type=float,
        help="mean colour of the training images, from 0 to 1, where SOURCE does not say it",
    )
    command.add_argument(
        "--sample-size", metavar="N", type=options.pixels, help="side of the training crops in pixels (the paper: 256)"
    )
    command.add_argument(
        "--max-hole-size",
        metavar="N",
        type=options.pixels,
        help="longest side of the training holes in pixels (the paper: 128; default: half of the crops, at most 128)",
    )
    command.add_argument("--approximate", action="store_true", help="allow a result with a known largest error")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read, convert, save.

    Raises:
        WrongUse, FailedWork: with one sentence.
    """
    check_is_readable(args.source, "a checkpoint")
    check_may_make(args.out)
    from glcic_hub.convert import convert as convert_file
    from glcic_hub.convert import save_whole

    try:
        model, notes = convert_file(
            args.source,
            kind=None if args.kind == "auto" else args.kind,
            mean=args.mean,
            sample_size=args.sample_size,
            max_hole_size=args.max_hole_size,
            approximate=args.approximate,
        )
    except (OSError, ValueError) as error:
        raise WrongUse(f"cannot convert {quoted(args.source)}: {reason(error)}") from error
    try:
        save_whole(model, args.out)
    except OSError as error:
        raise FailedWork(f"cannot write {quoted(args.out)}: {reason(error)}") from error
    for note in notes:
        say(args, note)
    print(args.out)
