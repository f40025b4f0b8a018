"""`glcic inpaint`."""

import argparse
import functools
from pathlib import Path

from glcic_hub.bar import share_bar
from glcic_hub.cli import options
from glcic_hub.cli.checks import check_may_write, check_quality, format_of, say
from glcic_hub.cli.places import STANDARD, box, file_in, hand_over, point, source_of
from glcic_hub.cli.texts import INPAINT_DESCRIPTION, INPAINT_EPILOG, RESULT_SUFFIXES
from glcic_hub.errors import WrongUse, quoted
from glcic_hub.opening import FIRST_ALONE
from glcic_hub.workflow import Shapes, complete, file_of, load_completer, read_pair


def add_to(commands: argparse._SubParsersAction) -> None:
    """Its arguments."""
    command = commands.add_parser(
        "inpaint",
        usage="%(prog)s IMAGE [MASK] -o OUT [options]",
        help="complete an image",
        description=INPAINT_DESCRIPTION,
        epilog=INPAINT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("image", metavar="IMAGE", type=Path, help="the image to complete, of any common format")
    command.add_argument(
        "mask",
        metavar="MASK",
        type=Path,
        nargs="?",
        help="white = fill; without it, the transparent part of IMAGE is filled",
    )
    command.add_argument(
        "--box",
        metavar="LEFT,TOP,WIDTH,HEIGHT",
        type=box,
        action="append",
        default=[],
        help="fill this rectangle, instead of a MASK; pixels from the top left corner; may be given several times",
    )
    command.add_argument(
        "--polygon",
        metavar="X,Y",
        type=point,
        nargs="+",
        action="append",
        default=[],
        help="fill the area inside three or more points, instead of a MASK; may be given several times",
    )
    command.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        type=Path,
        required=True,
        help=f"the result: a {RESULT_SUFFIXES} file, or a folder, where it gets the name of IMAGE",
    )
    command.add_argument("--force", action="store_true", help="overwrite OUT if it exists (even if it is IMAGE)")
    options.add_quality(command)
    options.add_filling(command)
    options.add_reading(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read, complete, write.

    Raises:
        WrongUse, FailedWork: with one sentence.
    """
    out = file_in(args.out, args.image)
    settings = options.settings_of(args, "PNG" if out == STANDARD else format_of(out))
    check_quality(args.quality, settings.file_format)
    shapes = Shapes(args.box, args.polygon) if args.box or args.polygon else None
    if args.mask and shapes:
        raise WrongUse("MASK and --box or --polygon both say what to fill: give one of the two")
    if args.image == args.mask == STANDARD:
        raise WrongUse("IMAGE and MASK cannot both be -: standard input carries only one image")
    photo, mask = source_of(args.image), source_of(args.mask) if args.mask else shapes
    if out != STANDARD:
        check_may_write(out, args.force)

    picture, hole = read_pair(photo, mask, settings, functools.partial(say, args))
    if hole.any():
        completer = load_completer(settings)
        with share_bar(disable=None) as show:  # None: only a terminal shows it, files and programs do not get it
            result = complete(completer, picture, hole, settings, show)
    else:
        say(args, "the mask is empty: there is nothing to fill, so the image is written as it is")
        result = picture.image
    hand_over(out, file_of(result, settings))
    if picture.has_more_frames:
        say(args, f"{quoted(photo.label)} {FIRST_ALONE}")
