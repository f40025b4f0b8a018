"""`glcic demo`."""

import argparse
from pathlib import Path

from glcic_hub.cli import options
from glcic_hub.cli.checks import check_is_no_file, make_folder, say, write
from glcic_hub.cli.texts import DEMO_DESCRIPTION, EXIT_CODES
from glcic_hub.demo import DEFAULT_PHOTO, PHOTOS, demo_pictures
from glcic_hub.formats import encoded
from glcic_hub.workflow import Settings, load_completer


def add_to(commands: argparse._SubParsersAction) -> None:
    """Its arguments."""
    command = commands.add_parser(
        "demo",
        help="complete a photo that comes with the package",
        description=DEMO_DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "-o", "--out", metavar="FOLDER", type=Path, default=Path("demo"), help="where to write (default: ./demo)"
    )
    command.add_argument("--photo", choices=PHOTOS, default=DEFAULT_PHOTO, help="which photo (default: %(default)s)")
    options.add_model(command)
    options.add_device(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Complete the photo, write its images."""
    check_is_no_file(args.out)
    completer = load_completer(Settings(model=args.model, device=args.device))
    pictures, seconds = demo_pictures(args.photo, completer)
    make_folder(args.out)
    for name, picture in pictures.items():
        path = args.out / f"{name}.png"
        write(path, encoded(picture, "PNG"))
        print(path)
    say(args, f"completed the hole in {seconds:.1f} seconds")
