"""What the commands look at before they start, and what they say."""

import argparse
import os
import stat
import sys
from pathlib import Path

from glcic_hub.atomic import write_whole
from glcic_hub.cli.texts import RESULT_SUFFIXES
from glcic_hub.errors import FailedWork, WrongUse, quoted, reason
from glcic_hub.formats import WRITABLE


def say(args: argparse.Namespace, message: object) -> None:
    """One line on stderr."""
    print(f"glcic {args.command}: {message}", file=sys.stderr)


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        FailedWork: the disk is full, the folder cannot be written to, ...
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise FailedWork(f"cannot write {quoted(path)}: {reason(error)}") from error


def make_folder(folder: Path) -> None:
    """Make a folder for results, with those above it; it may be there.

    Raises:
        FailedWork: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FailedWork(f"cannot make the folder {quoted(folder)}: {reason(error)}") from error


def format_of(out: Path) -> str:
    """The format that the name of a result asks for.

    Raises:
        WrongUse: the suffix is of no format in `WRITABLE`.
    """
    file_format = WRITABLE.get(out.suffix.lower())
    if file_format is None:
        raise WrongUse(f"the name {quoted(out)} must end in {RESULT_SUFFIXES}, which decides the format")
    return file_format


def check_quality(quality: int | None, file_format: str) -> None:
    """Check that a format that is always exact is given no quality.

    Raises:
        WrongUse: it is given one.
    """
    if file_format in ("PNG", "TIFF") and quality is not None:
        raise WrongUse(f"--quality is for .jpg and .webp; {file_format} is always exact")


def check_is_readable(path: Path, wanted: str = "an image") -> None:
    """Check that the path is that of a file.

    Raises:
        WrongUse: there is no file of this name, or it is a folder.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise WrongUse(f"cannot read {quoted(path)}: {reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise WrongUse(f"{quoted(path)} is a folder, not {wanted}")


def check_may_write(out: Path, force: bool) -> None:
    """Check that a file of this name can be written, and none is lost.

    Raises:
        WrongUse: the name is taken, or cannot be that of a file.
        FailedWork: the folder is not writable.
    """
    try:
        if out.is_dir():
            raise WrongUse(f"{quoted(out)} is a folder; -o is the name of the file to write")
        if out.exists() and not out.is_file():
            raise WrongUse(f"{quoted(out)} is a pipe or a device, not a file; choose another name with -o")
        if (out.exists() or out.is_symlink()) and not force:
            raise WrongUse(f"{quoted(out)} exists; --force overwrites it")
        if not out.parent.is_dir():
            raise WrongUse(f"there is no folder {quoted(out.parent)} to write {quoted(out)} into")
    except OSError as error:  # For example, the name is too long.
        raise WrongUse(f"cannot write {quoted(out)}: {reason(error)}") from error
    check_is_writable(out.parent)


def check_is_no_file(folder: Path) -> None:
    """Check that a folder of this name is there or can be made.

    Raises:
        WrongUse: a file has this name, or none can have it.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise WrongUse(f"{quoted(folder)} is not a folder: choose another one with -o")
    except OSError as error:  # For example, the name is too long.
        raise WrongUse(f"cannot write into {quoted(folder)}: {reason(error)}") from error


def check_may_make(folder: Path) -> None:
    """Check that a new folder of this name can be made; an empty one may be there.

    Raises:
        WrongUse: a file has this name, or a folder that is not empty, or none can have it.
        FailedWork: the folder above it is not writable.
    """
    try:
        if folder.is_symlink() or folder.exists():
            if not folder.is_dir():
                raise WrongUse(f"{quoted(folder)} is not a folder; -o is the name of the folder to make")
            if any(folder.iterdir()):
                raise WrongUse(f"the folder {quoted(folder)} is not empty; choose a new one with -o")
        parent = Path(os.path.realpath(folder)).parent
        if not parent.is_dir():
            raise WrongUse(f"there is no folder {quoted(folder.parent)} to make {quoted(folder)} in")
    except OSError as error:  # For example, the name is too long.
        raise WrongUse(f"cannot make {quoted(folder)}: {reason(error)}") from error
    check_is_writable(parent, folder.parent)


def check_is_writable(folder: Path, called: Path | None = None) -> None:
    """Check that files can be made in the folder; `called`: its name in the message.

    Raises:
        FailedWork: they cannot.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FailedWork(f"the folder {quoted(called or folder)} is not writable")
