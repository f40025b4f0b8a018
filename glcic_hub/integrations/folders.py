"""Folders of images wherever they are: on this machine, and in the stores that fsspec knows.

A folder can be sent to other processes and machines, which open it there; beside it only names need to travel.
"""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from glcic_hub.atomic import UNFINISHED, write_whole
from glcic_hub.batch.plan import Job, Plan, by_key, key, result_names
from glcic_hub.errors import WrongUse, quoted, reason
from glcic_hub.formats import READABLE
from glcic_hub.picture_files import Found, PictureFile, list_pictures

if TYPE_CHECKING:
    from PIL import Image

OBJECT_STORES = {"s3", "gs", "az", "abfs", "oss", "oci"}
"""Protocols whose files appear when all of them is there, so that they can be written under their own names."""


class Folder(Protocol):
    """A folder with all that is in it; methods raise OSError where it cannot be read or written.

    Attributes:
        place: where it really is, so that two folders can be compared.
    """

    place: str

    def pictures(self) -> Found:
        """What `list_pictures` says of it."""

    def existing(self, names: Iterable[str]) -> set[str]:
        """Those of the names that are files in it; none, if there is no such folder."""

    def picture(self, name: str) -> "PictureFile | StoredPicture":
        """One of its images, to be read."""

    def place_of(self, name: str) -> str:
        """Where one of its files really is."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all; sub-folders are made."""

    def remove(self, name: str) -> None:
        """Remove a file that may be there or not."""


def folder_at(address: str) -> Folder:
    """The folder at a path or an address such as s3://bucket/photos, which may not exist.

    OSError if the address is of no store that fsspec knows here.
    """
    with _errors_of_stores():
        files, path = fsspec.url_to_fs(address)
    if isinstance(files, LocalFileSystem):
        return LocalFolder(Path(path))
    return StoreFolder(address if address.endswith("://") else address.rstrip("/"))


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def place(self) -> str:
        return self.path.resolve().as_posix()

    def pictures(self) -> Found:
        """As `Folder` says.

        Raises:
            NotADirectoryError: there is no such folder.
        """
        if not self.path.is_dir():
            raise NotADirectoryError("there is no such folder")
        return list_pictures(self.path)

    def existing(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if os.path.isfile(self.path / name)}

    def picture(self, name: str) -> PictureFile:
        return PictureFile(self.path / name, name)

    def place_of(self, name: str) -> str:
        return (self.path / name).resolve().as_posix()

    def write(self, name: str, data: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class StoreFolder:
    """A folder that fsspec reads and writes, by its address."""

    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def place(self) -> str:
        files, path = self._opened()
        return files.unstrip_protocol(path)

    def pictures(self) -> Found:
        found = Found()
        for name in self._listed():
            found.sort_in(StoredPicture(self, name))
        found.pictures.sort(key=lambda picture: picture.name.split("/"))
        return found

    def existing(self, names: Iterable[str]) -> set[str]:
        try:
            return set(names).intersection(self._listed())
        except FileNotFoundError:
            return set()

    def picture(self, name: str) -> "StoredPicture":
        return StoredPicture(self, name)

    def place_of(self, name: str) -> str:
        return f"{self.place}/{name}"

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        files, path = self._opened()
        with _errors_of_stores():
            return files.cat_file(f"{path}/{name}")

    def write(self, name: str, data: bytes) -> None:
        files, path = self._opened()
        target = f"{path}/{name}"
        with _errors_of_stores():
            if OBJECT_STORES.intersection((files.protocol,) if isinstance(files.protocol, str) else files.protocol):
                files.pipe_file(target, data)
                return
            parent = target.rpartition("/")[0]
            files.makedirs(parent, exist_ok=True)
            unfinished = f"{parent}/{UNFINISHED.replace('*', secrets.token_hex(8))}"
            files.pipe_file(unfinished, data)
            files.mv(unfinished, target)

    def remove(self, name: str) -> None:
        files, path = self._opened()
        with _errors_of_stores():
            if files.exists(f"{path}/{name}"):
                files.rm_file(f"{path}/{name}")

    def _listed(self) -> list[str]:
        files, path = self._opened()
        with _errors_of_stores():
            files.invalidate_cache()  # others write, too
            return [found.removeprefix(f"{path}/") for found in files.find(path)]

    def _opened(self) -> tuple[fsspec.AbstractFileSystem, str]:
        with _errors_of_stores():
            files, path = fsspec.url_to_fs(self.address)  # fsspec keeps what is open
        return files, path.rstrip("/")


@dataclass(frozen=True)
class StoredPicture:
    """One encoded image in a store; as `PictureFile`."""

    folder: StoreFolder
    name: str

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.folder}/{self.name}"

    def load(self) -> "Image.Image":
        """As `PictureFile.load`."""
        from glcic_hub.images import load_image

        return load_image(self.folder.read(self.name))


def make_plan(photos: Folder, masks: Folder, out: Folder, suffix: str, force: bool) -> Plan:
    """As `glcic_hub.batch.plan.make_plan`, for folders of any kind.

    Raises:
        WrongUse: there is nothing to do, a folder cannot be read, or two files would be written to one place, or over
            an input.
    """
    for folder in (photos, masks):
        if f"{out.place}/".startswith(f"{folder.place}/"):
            raise WrongUse(f"{quoted(out)} is inside {quoted(folder)}, which is read: choose another folder")
    with _reading(photos):
        found = photos.pictures()
    with _reading(masks):
        found_masks = masks.pictures()
    if not found.pictures and not found.problems:
        raise WrongUse(f"there is no image in {quoted(photos)} ({', '.join(READABLE)})")
    names = result_names(found.pictures, suffix, out)
    mask_of = by_key(found_masks.pictures)
    inputs = {photos.place_of(photo.name) for photo in found.pictures}
    inputs |= {masks.place_of(mask.name) for mask in found_masks.pictures}
    with _reading(out):
        done = out.existing(names)

    plan = Plan([], 0, found.problems + found_masks.problems, found.ignored)
    for photo, name in zip(found.pictures, names):
        if name in done and out.place_of(name) in inputs:
            raise WrongUse(f"{quoted(f'{out}/{name}')} would be written over an input: choose another folder")
        plan.add(Job(photo, mask_of.get(key(photo.name)), name), name in done and not force, quoted(masks))
    return plan


@contextmanager
def _reading(folder: Folder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WrongUse(f"cannot read {quoted(folder)}: {reason(error)}") from error


@contextmanager
def _errors_of_stores() -> Iterator[None]:
    """Every store has errors of its own, from "no such bucket" to "no credentials"; each becomes an OSError."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else OSError
        raise kind(f"{type(error).__name__}: {reason(error)}") from error
