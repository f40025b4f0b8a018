"""Images in folders and tar files: found by their names, and read where they lie.

`glcic batch` and the training share it, so that both take the same files for images. Importing this module imports
neither torch nor PIL.
"""

import os
import posixpath
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from glcic_hub.errors import quoted, reason
from glcic_hub.formats import READABLE

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


LEAST_SQUARE = 16
"""Side, in pixels, of what must be visible of an image with transparent parts: of less there is nothing to learn."""


class Source(Protocol):
    """An encoded image, wherever it lies."""

    @property
    def label(self) -> str:
        """How messages call it."""

    def load(self) -> "Image.Image":
        """The image as it is stored, its samples in memory; OSError or ValueError if it cannot be read."""


@dataclass(frozen=True)
class PictureFile:
    """Where one encoded image lies: a whole file, or a part of a tar file.

    Attributes:
        path: the file.
        name: the image's name inside its folder or tar file, with "/" between the parts.
        offset, byte_count: the part of a tar file; `byte_count` is None for a whole file.
    """

    path: Path
    name: str
    offset: int = 0
    byte_count: int | None = None

    @property
    def label(self) -> str:
        """How messages call it."""
        return str(self.path) if self.byte_count is None else f"{self.path}: {self.name}"

    @property
    def public_name(self) -> str:
        """How records call it: without the folders of this machine, with the tar file where it is in one."""
        return self.name if self.byte_count is None else f"{self.name} of {self.path.name}"

    def load(self) -> "Image.Image":
        """The image as it is stored, of any format that Pillow reads, its samples in memory.

        OSError or ValueError if it cannot be read.
        """
        from glcic_hub.images import load_image

        return load_image(self.path if self.byte_count is None else self._data())

    def decode(self) -> "Image.Image":
        """What `decode_picture` makes of the file. OSError with its name if it cannot be read as that."""
        with self._errors_named():
            return decode_picture(self._data())

    def size_in_pixels(self) -> tuple[int, int]:
        """(width, height) as the file's header says, not turned by EXIF. OSError as of `decode`."""
        with self._errors_named():
            return opened(self._data()).size

    def _data(self) -> bytes:
        if not stat.S_ISREG(os.stat(self.path).st_mode):
            raise OSError("it is a pipe, a device or a folder")  # a pipe may never say anything, a device never end
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            return file.read(self.byte_count)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(f"cannot read the image {self.name} of {self.path}: {error}") from error


@dataclass
class Found:
    """What lies in folders and tar files.

    Attributes:
        pictures: files whose suffix is one of `READABLE`.
        problems: (what, one sentence) for each part that could not be listed.
        ignored: how many other files there are, by suffix.
    """

    pictures: list[PictureFile] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def sort_in(self, file: PictureFile) -> None:
        """Take the file for an image, count it as another one, or, if it or a folder of it is hidden, leave it out."""
        *folders, last = file.name.split("/")
        if any(part.startswith(".") and part != ".." for part in (*folders, last)):
            return
        suffix = posixpath.splitext(last)[1].lower()
        if suffix in READABLE:
            self.pictures.append(file)
        else:
            self.ignored[suffix] += 1


def list_pictures(source: Path) -> Found:
    """The images of a folder (with its sub-folders) or an uncompressed tar file. Nothing is decoded.

    Hidden files and folders are left out. Linked folders are followed, and every folder is listed once. The images
    of a folder are sorted by name, part for part; those of a tar file come as they lie there, under the names that it
    gives them, which may lead out of it. After a damage of a tar file, which is a problem, its beginning is listed.

    Raises:
        OSError: the source cannot be read.
        ValueError: it is neither a folder nor a tar file.
    """
    found = Found()
    for file in _files_of_folder(source, found) if source.is_dir() else _files_of_tar(source, found):
        found.sort_in(file)
    if source.is_dir():
        found.pictures.sort(key=lambda file: file.name.split("/"))
    return found


def decode_picture(data: bytes) -> "Image.Image":
    """The image in an encoded file, upright, as RGB; of one with fully transparent pixels the largest square without.

    Nobody sees what colours such pixels have, so nobody is to learn from them.

    Raises:
        OSError: it is damaged, too large, of none of the formats `READABLE`, or nearly all of it is transparent.
    """
    from PIL import Image

    from glcic_hub import images

    try:
        picture = images.read(opened(data))
        rgb = picture.rgb if picture.hidden is None else _largest_square(picture.rgb, picture.hidden)
        return Image.fromarray(rgb)
    except ValueError as error:
        raise OSError(str(error)) from error


def _largest_square(rgb: "np.ndarray", hidden: "np.ndarray") -> "np.ndarray":
    """The largest square of an image (H, W, 3) without hidden pixels, the uppermost of several.

    ValueError if its side is below `LEAST_SQUARE`.
    """
    import numpy as np

    sums = np.pad(hidden, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)  # of what lies above and to the left

    def visible_ones(side: int) -> np.ndarray:
        """Which of all squares of this side, counted row by row, have no hidden pixels."""
        return np.flatnonzero(
            sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side] == 0
        )

    side, too_large = 0, min(hidden.shape) + 1
    while too_large - side > 1:
        middle = (side + too_large) // 2
        side, too_large = (middle, too_large) if len(visible_ones(middle)) else (side, middle)
    if side < LEAST_SQUARE:
        raise ValueError(f"it is transparent in too many places: no square of {LEAST_SQUARE} pixels is visible")
    top, left = divmod(int(visible_ones(side)[0]), hidden.shape[1] - side + 1)
    return np.ascontiguousarray(rgb[top : top + side, left : left + side])


def opened(data: bytes) -> "Image.Image":
    """The image in an encoded file of one of the formats `READABLE`, its samples not yet decoded.

    Raises:
        OSError: it is of none of them, or damaged.
    """
    from PIL import UnidentifiedImageError

    from glcic_hub.opening import CannotRead, open_image, warnings_off

    formats = sorted(set(READABLE.values()))
    try:
        with warnings_off():
            return open_image(data, formats)
    except CannotRead as error:
        raise OSError(f"it {error}") from error
    except UnidentifiedImageError as error:
        raise OSError(f"it is empty, damaged, or none of {', '.join(formats)}") from error
    except MemoryError:
        raise
    except Exception as error:  # damaged headers raise many kinds: SyntaxError, struct.error, ...
        raise OSError(f"its header is damaged: {error}") from error


def _files_of_folder(folder: Path, found: Found) -> Iterator[PictureFile]:
    def note(error: OSError) -> None:
        found.problems.append((str(error.filename), f"the folder cannot be read: {reason(error)}"))

    seen = set()
    for parent, folders, names in os.walk(folder, onerror=note, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder further up, or to one that has been listed
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(parent).relative_to(folder)
        for name in names:
            yield PictureFile(Path(parent, name), (inside / name).as_posix())


def _files_of_tar(path: Path, found: Found) -> Iterator[PictureFile]:
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed below
    except tarfile.ReadError as error:
        raise ValueError(
            f"{quoted(path)} is neither a folder nor an uncompressed tar file; unpack it, or name the folder it is in"
        ) from error
    with archive:
        try:
            for member in archive:
                if member.isreg():
                    yield PictureFile(path, posixpath.normpath(member.name), member.offset_data, member.size)
            archive.fileobj.seek(archive.offset)
            complete = archive.fileobj.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
        except tarfile.ReadError:
            complete = False
    if not complete:  # tarfile takes many a damage for the end
        found.problems.append((str(path), "the tar file is cut off or damaged, and only its beginning can be used"))
