"""Folders and tar files -> the pictures in them, in an order that depends on their names alone."""

import os
import posixpath
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from glcic_hub.errors import WrongUse, quoted, reason
from glcic_hub.workflow import PictureFile

PICTURE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"),
    *(".tga", ".tif", ".tiff", ".webp"),
)
"""Other files are counted, not read."""


@dataclass
class Found:
    """What lies in folders and tar files.

    Attributes:
        pictures: sorted by name.
        problems: (what, one sentence) for each part that could not be listed.
        ignored: how many files are no pictures, by suffix.
    """

    pictures: list[PictureFile] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


def find_pictures(sources: Iterable[Path]) -> Found:
    """All pictures in folders (with their sub-folders) and uncompressed tar files; hidden ones are left out.

    Nothing is decoded. A name inside a tar file that leads out of it, and what comes after a damage, are problems.

    Raises:
        WrongUse: a source is neither a folder nor a tar file.
    """
    found = Found()
    for source in sources:
        try:
            files = _files_of_folder(source, found) if source.is_dir() else _files_of_tar(source, found)
            for file in files:
                if any(part.startswith(".") for part in PurePosixPath(file.name).parts):
                    continue
                suffix = PurePosixPath(file.name).suffix.lower()
                if suffix in PICTURE_SUFFIXES:
                    found.pictures.append(file)
                else:
                    found.ignored[suffix] += 1
        except OSError as error:
            raise WrongUse(f"cannot read {quoted(source)}: {reason(error)}") from error
    found.pictures.sort(key=lambda file: (file.name, str(file.path), file.offset))
    return found


def _files_of_folder(folder: Path, found: Found) -> Iterator[PictureFile]:
    def note(error: OSError) -> None:
        found.problems.append((str(error.filename), f"the folder cannot be read: {reason(error)}"))

    seen = set()
    for parent, folders, names in os.walk(folder, onerror=note, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder further up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(parent, name)
            yield PictureFile(path, path.relative_to(folder).as_posix())


def _files_of_tar(path: Path, found: Found) -> Iterator[PictureFile]:
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed below
    except tarfile.ReadError as error:
        raise WrongUse(
            f"{quoted(path)} is neither a folder nor an uncompressed tar file; unpack it, or name the folder it is in"
        ) from error
    with archive:
        try:
            for member in archive:
                if not member.isreg():
                    continue
                name = posixpath.normpath(member.name)
                if name.startswith(("/", "../")):
                    found.problems.append((f"{path}: {member.name}", "its name leads out of the tar file: rename it"))
                else:
                    yield PictureFile(path, name, member.offset_data, member.size)
            archive.fileobj.seek(archive.offset)
            complete = archive.fileobj.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
        except tarfile.ReadError:
            complete = False
    if not complete:  # tarfile takes many a damage for the end
        found.problems.append((str(path), "the tar file is cut off or damaged: what is left of it is completed"))
