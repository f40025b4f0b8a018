"""The command line inside this process, watched: what it says, whether it hangs, and what it leaves behind."""

import contextlib
import io
import logging
import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glcic_hub import cli

SECONDS = 30
"""After which a case counts as one that hangs; a case takes some hundredths of it on an idle machine."""

SILENT = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""Python shows no warnings of these kinds."""


class Hang(BaseException):
    """Not an Exception, so that nothing takes it for damage in a file."""


@dataclass
class Outcome:
    """What a user sees.

    Attributes:
        code: the exit code.
        said: on stdout.
        complained: on stderr: messages, warnings, log.
        printed_in_c: on stderr, past Python; libtiff does so for damaged files, and Pillow has no setting against it.
    """

    code: int
    said: str
    complained: str
    printed_in_c: str


@contextlib.contextmanager
def deadline(seconds: float = SECONDS) -> Iterator[None]:
    """Ends what Python code does inside with `Hang`."""

    def end(*_: object) -> None:
        raise Hang(f"not finished after {seconds} seconds")

    former = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@contextlib.contextmanager
def c_libraries() -> Iterator[io.StringIO]:
    """Catches what is written to the file descriptor 2 past Python; it is complete at the end."""
    kept, printed = os.dup(2), io.StringIO()
    with tempfile.TemporaryFile("w+b") as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield printed
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            printed.write(caught.read().decode(errors="replace"))


def run(*arguments: object) -> Outcome:
    """`glcic` with these arguments. An exception is one that a user would see as a traceback."""
    stdout, stderr = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []  # as in a process of its own, and not as pytest has it
    try:
        with (
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
            warnings.catch_warnings(record=True) as warned,
            c_libraries() as printed,
            deadline(),
        ):
            warnings.simplefilter("always")
            code = _exit_code([str(argument) for argument in arguments])
    finally:
        root.handlers = handlers
    shown = [f"{warning.category.__name__}: {warning.message}\n" for warning in warned]
    shown = [text for text, warning in zip(shown, warned) if not issubclass(warning.category, SILENT)]
    return Outcome(code, stdout.getvalue(), stderr.getvalue() + "".join(shown), printed.getvalue())


def check(outcome: Outcome, out: Path) -> None:
    """It is whole and silent, or one sentence and nothing; `out` is the only file that there may be in its folder."""
    left = sorted(os.listdir(out.parent))
    if outcome.code == 0:
        assert (outcome.said, outcome.complained) == (f"{out}\n", "")
        assert left == [out.name]
    else:
        assert outcome.code in (1, 2), outcome
        assert outcome.said == "", outcome
        assert is_one_sentence(outcome.complained), outcome.complained
        assert left == []


def is_one_sentence(text: str) -> bool:
    """One line that begins with the command's name and ends in words."""
    return text.startswith("glcic ") and text.endswith("\n") and text.count("\n") == 1 and text.rstrip()[-1] != ":"


def _exit_code(arguments: list[str]) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as end:  # argparse
        return end.code
