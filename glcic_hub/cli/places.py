"""Where `glcic inpaint` reads and writes: files, a folder for the result, standard input and output."""

import os
import re
import sys
from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glcic_hub.cli.checks import check_is_readable, write
from glcic_hub.errors import FailedWork, WrongUse, quoted, reason
from glcic_hub.formats import WRITABLE
from glcic_hub.picture_files import PictureFile, opened

if TYPE_CHECKING:
    from PIL import Image

STANDARD = Path("-")
"""Standard input and output."""

_NUMBER = r"-?\d{1,7}"


@dataclass(frozen=True)
class StandardInput:
    """An encoded image that comes through standard input; as `PictureFile`."""

    label: str = "standard input"

    def load(self) -> "Image.Image":
        """The image; OSError or ValueError if it cannot be read."""
        from glcic_hub.images import load_image

        data = sys.stdin.buffer.read()
        opened(data).close()  # it is of one of the formats that files have
        return load_image(data)


def source_of(path: Path) -> PictureFile | StandardInput:
    """Where an image comes from. WrongUse if there is no file of this name."""
    if path == STANDARD:
        return StandardInput()
    check_is_readable(path)
    return PictureFile(path, path.name)


def file_in(out: Path, image: Path) -> Path:
    """`out`, or, where it is a folder, the file in it with the name of `image`: a .png if that name is of no result.

    Raises:
        WrongUse: it is a folder, and the image has no name.
    """
    if not os.path.isdir(out) or out.suffix.lower() in WRITABLE:
        return out
    if image == STANDARD:
        raise WrongUse(f"{quoted(out)} is a folder, and an image from standard input has no name: give a file")
    return out / (image.name if image.suffix.lower() in WRITABLE else f"{image.stem}.png")


def hand_over(out: Path, data: bytes) -> None:
    """Write the result, and say on stdout where it is, unless it goes there itself.

    Raises:
        FailedWork: it cannot be written.
    """
    if out != STANDARD:
        write(out, data)
        print(out)
        return
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise FailedWork(f"cannot write to standard output: {reason(error)}") from error


def box(text: str) -> tuple[int, ...]:
    """(left, top, width, height)."""
    return _numbers(text, 4, "LEFT,TOP,WIDTH,HEIGHT")


def point(text: str) -> tuple[int, ...]:
    """(x, y)."""
    return _numbers(text, 2, "X,Y")


def _numbers(text: str, count: int, names: str) -> tuple[int, ...]:
    if not re.fullmatch(",".join([_NUMBER] * count), text):
        raise ArgumentTypeError(f"{text!r} is not {names}, {count} whole numbers of pixels without spaces")
    return tuple(map(int, text.split(",")))
