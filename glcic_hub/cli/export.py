"""`glcic export onnx`."""

import argparse
from pathlib import Path

from glcic_hub.cli.checks import check_may_write, write
from glcic_hub.cli.texts import EXPORT_ONNX_DESCRIPTION, EXPORT_ONNX_EPILOG
from glcic_hub.errors import FailedWork, WrongUse, quoted
from glcic_hub.export import KINDS, PRECISIONS, export_onnx, terms_of
from glcic_hub.workflow import load_model


def add_to(commands: argparse._SubParsersAction) -> None:
    """Its arguments."""
    command = commands.add_parser("export", help="write a model as a file for other runtimes")
    formats = command.add_subparsers(title="formats", metavar="FORMAT", required=True)
    command = formats.add_parser(
        "onnx",
        help="an ONNX file",
        description=EXPORT_ONNX_DESCRIPTION,
        epilog=EXPORT_ONNX_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("model", metavar="MODEL", nargs="?", help="which model")
    command.add_argument("-o", "--out", metavar="FILE", type=Path, required=True, help="the .onnx file to write")
    command.add_argument("--kind", choices=KINDS, default="pipeline", help="default: %(default)s")
    command.add_argument("--precision", choices=PRECISIONS, default="fp32", help="default: %(default)s")
    command.add_argument("--force", action="store_true", help="overwrite FILE if it exists")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Load, export, write.

    Raises:
        WrongUse, FailedWork: with one sentence.
    """
    if args.out.suffix.lower() != ".onnx":
        raise WrongUse(f"the name {quoted(args.out)} must end in .onnx")
    check_may_write(args.out, args.force)
    from glcic_hub.model import DEFAULT_NAME

    model = load_model(args.model)
    try:
        data = export_onnx(
            model, args.kind, args.precision, name=str(args.model or DEFAULT_NAME), terms=terms_of(args.model)
        )
    except ImportError as error:
        raise FailedWork(str(error)) from error
    write(args.out, data)
    print(args.out)
