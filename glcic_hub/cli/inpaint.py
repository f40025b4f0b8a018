"""`glcic inpaint`."""

import argparse
from pathlib import Path

from glcic_hub.bar import share_bar
from glcic_hub.cli import options
from glcic_hub.cli.checks import check_is_readable, check_may_write, check_quality, format_of, say, write
from glcic_hub.cli.texts import INPAINT_DESCRIPTION, INPAINT_EPILOG, RESULT_SUFFIXES
from glcic_hub.errors import quoted
from glcic_hub.opening import FIRST_ALONE
from glcic_hub.picture_files import PictureFile
from glcic_hub.workflow import complete, file_of, load_completer, read_pair


def add_to(commands: argparse._SubParsersAction) -> None:
    """Its arguments."""
    command = commands.add_parser(
        "inpaint",
        help="complete a picture",
        description=INPAINT_DESCRIPTION,
        epilog=INPAINT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("image", metavar="IMAGE", type=Path, help="the picture to complete, of any common format")
    command.add_argument(
        "mask", metavar="MASK", type=Path, nargs="?", help="white = fill; without it the transparency of IMAGE"
    )
    command.add_argument(
        "-o", "--out", metavar="OUT", type=Path, required=True, help=f"the result: a {RESULT_SUFFIXES} file"
    )
    command.add_argument("--force", action="store_true", help="overwrite OUT if it exists (even if it is IMAGE)")
    options.add_quality(command)
    options.add_filling(command)
    options.add_reading(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read, complete, write."""
    settings = options.settings_of(args, format_of(args.out))
    check_quality(args.quality, settings.file_format)
    for path in (args.image, args.mask):
        if path is not None:
            check_is_readable(path)
    check_may_write(args.out, args.force)

    photo_file, mask_file = (path and PictureFile(path, path.name) for path in (args.image, args.mask))
    picture, mask = read_pair(photo_file, mask_file, settings.file_format, settings.max_megapixels)
    if mask.any():
        completer = load_completer(settings)
        with share_bar() as show:
            result = complete(completer, picture, mask, settings, show)
    else:
        say(args, "the mask is empty: there is nothing to fill, the picture is written as it is")
        result = picture.image
    write(args.out, file_of(result, settings))
    if picture.has_more_frames:
        say(args, f"{quoted(args.image)} {FIRST_ALONE}")
    print(args.out)
