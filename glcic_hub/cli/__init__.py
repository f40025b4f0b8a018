"""The command `glcic`: one file a command.

What can be answered without torch is answered without importing it: help, version and wrong paths. The imports are
therefore inside the functions.
"""

import argparse
import codecs
import sys
from contextlib import suppress

from glcic_hub import __version__
from glcic_hub.cli import batch, convert, demo, export, inpaint, ui
from glcic_hub.cli.checks import say
from glcic_hub.cli.texts import DESCRIPTION, EPILOG
from glcic_hub.errors import FailedWork, WrongUse

_WRITABLE_NAMES = "glcic_hub.names"


def main(argv: list[str] | None = None) -> int:
    """Run the command with these arguments (`sys.argv` without them); returns the exit code."""
    return exit_code(_parser().parse_args(argv))


def _writable_name(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stdout gets for a character of a file's name that its code page has not.

    Names are bytes, which need not be text: those come out as they are, unless the code page takes no single bytes.
    All else is written as Python escapes it.
    """
    assert isinstance(error, UnicodeEncodeError)  # nothing is read from stdout
    one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    with suppress(UnicodeError):
        if not error.encoding.startswith(("utf-16", "utf-32")):
            return codecs.lookup_error("surrogateescape")(one)
    return codecs.backslashreplace_errors(one)


codecs.register_error(_WRITABLE_NAMES, _writable_name)


def exit_code(args: argparse.Namespace) -> int:
    """Run what was parsed, `args.run`; whatever ends it becomes a sentence and the exit code that it has."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors=_WRITABLE_NAMES)
    try:
        args.run(args)
    except WrongUse as error:
        return _fail(args, error, 2)
    except FailedWork as error:
        return _fail(args, error, 1)
    except MemoryError:
        return _fail(args, "not enough memory for an image of this size; try a smaller one", 1)
    except KeyboardInterrupt as interrupt:
        return _fail(args, str(interrupt) or "interrupted", 130)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "glcic", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"glcic-hub {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for command in (inpaint, ui, batch, demo, convert, export):
        command.add_to(commands)
    return parser


def _fail(args: argparse.Namespace, message: object, code: int) -> int:
    say(args, message)
    return code
