"""The photos that visitors have opened, and the versions that they have had made.

A version is kept as the box that it changes, on disk. Decoded photos are kept as long as there is room in memory.
"""

import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from glcic_hub import deep, images
from glcic_hub.errors import readable, reason
from glcic_hub.formats import WRITABLE, encoded
from glcic_hub.images import Picture
from glcic_hub.masks import bounding_box
from glcic_hub.ui.reading import open_photo

KEPT_SECONDS = 3600
PREVIEW_SIDE = 2048
"""Longest side in pixels of what the page shows: phones draw no larger canvas quickly, and lines are slow."""
LOSSLESS_PIXELS = 512 * 512
"""Patches of more pixels are encoded with losses, which is faster and smaller, and only shown."""
PREVIEW_QUALITY = 90
LONGEST_NAME = 200
"""Bytes; file systems have 255, and "-completed" and a number follow."""

SUFFIXES = {file_format: suffix for suffix, file_format in reversed(WRITABLE.items())}
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "TIFF": "image/tiff"}

Box = tuple[int, int, int, int]  # (left, top, width, height), pixels of the photo


class Gone(LookupError):
    """There is no such photo or version, or no longer."""


GONE = {"error": "This photo is no longer on the server: open it again.", "gone": True}
"""How the page is told; it then uploads the photo again."""


@dataclass(frozen=True)
class Version:
    """A completion of a photo.

    Attributes:
        id: cannot be guessed.
        base: the id of the version that it goes on from, or None.
        box: what it changes.
        seconds: how long it took.
        path: the file with the samples in the box, and which of them were filled.
    """

    id: str
    base: str | None
    box: Box
    seconds: float
    path: Path


@dataclass(eq=False)
class Photo:
    """A photo that somebody has opened.

    Attributes:
        id: cannot be guessed.
        name: that of its file, without folders.
        width, height: upright, pixels.
        file_format: of results in the photo's own format (`reading.Opened`).
        note: a sentence for the visitor, or "".
        profile: its colour profile (ICC), or None.
        folder: where it and its versions are kept.
        versions: by their ids.
        used: when it was last asked for (`time.monotonic`).
    """

    id: str
    name: str
    width: int
    height: int
    file_format: str
    note: str
    profile: bytes | None
    folder: Path
    versions: dict[str, Version] = field(default_factory=dict)
    used: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> Path:
        """The file as it came."""
        return self.folder / "photo"

    def version(self, id: str) -> Version:
        """The version of that id.

        Raises:
            Gone: there is none.
        """
        try:
            return self.versions[id]
        except KeyError:
            raise Gone(id) from None


class Completed(NamedTuple):
    """What became of a photo.

    Attributes:
        image: the whole photo, completed.
        mask: bool (height, width), True = filled; there is some.
        seconds: how long it took.
    """

    image: Image.Image
    mask: np.ndarray
    seconds: float


class ResultFile(NamedTuple):
    """A result as people get it."""

    name: str
    media_type: str
    data: bytes


class Photos:
    """All photos of a server. Its methods may be called from any thread.

    Args:
        most_pixels: larger photos are refused.
        kept_seconds: after so long without use a photo is forgotten.
        most_bytes: of files; above it the photos that were not used for longest are forgotten.
        memory: bytes of decoded photos that are kept, beside the one that was used last.
    """

    def __init__(
        self,
        most_pixels: int,
        kept_seconds: float = KEPT_SECONDS,
        most_bytes: int = 8 * 2**30,
        memory: int = 2**30,
    ):
        self.most_pixels = most_pixels
        self._kept_seconds, self._most_bytes, self._memory = kept_seconds, most_bytes, memory
        self._folder = tempfile.TemporaryDirectory(prefix="glcic-photos-", ignore_cleanup_errors=True)
        self._photos: dict[str, Photo] = {}
        self._pictures: OrderedDict[tuple[str, str | None], Picture] = OrderedDict()
        self._lock = threading.RLock()
        self._decoding = threading.Lock()  # one at a time: each takes several times its size
        self._closed = threading.Event()
        threading.Thread(target=self._forget_in_time, daemon=True).start()

    def close(self) -> None:
        """Forget all."""
        self._closed.set()
        with self._lock:
            self._photos.clear()
            self._pictures.clear()
        self._folder.cleanup()

    def new_file(self) -> Path:
        """The path for a file that is to become a photo or mask; whoever asks for it removes it."""
        return Path(self._folder.name, secrets.token_hex(16))

    def add(self, path: Path, name: str) -> Photo:
        """Open a file of ours, which is moved. ValueError with a sentence for the visitor if it cannot be used."""
        with self._decoding:
            picture, file_format, note = open_photo(path, self.most_pixels)
        id = secrets.token_urlsafe(16)
        folder = Path(self._folder.name, id)
        folder.mkdir()
        height, width = picture.size
        profile = picture.image.info.get("icc_profile")
        photo = Photo(id, plain_name(name), width, height, file_format, note, profile, folder)
        shutil.move(path, photo.path)
        with self._lock:
            self._photos[id] = photo
        self._keep((id, None), picture)
        self._forget_above(self._most_bytes)
        return photo

    def add_copy(self, path: Path, name: str) -> Photo:
        """Open a copy of a file. OSError if it cannot be copied, ValueError as of `add`."""
        copy = self.new_file()
        try:
            shutil.copyfile(path, copy)
            return self.add(copy, name)
        finally:
            copy.unlink(missing_ok=True)

    def get(self, id: str) -> Photo:
        """The photo of that id, which has now been used.

        Raises:
            Gone: there is none.
        """
        with self._lock:
            try:
                photo = self._photos[id]
            except KeyError:
                raise Gone(id) from None
            photo.used = time.monotonic()
            return photo

    def picture(self, photo: Photo, version: str | None = None) -> Picture:
        """The photo, upright, or a version of it.

        Raises:
            Gone: it was forgotten meanwhile.
        """
        kept, missing = self._kept(photo, version)
        if kept is not None and not missing:
            return kept
        with self._decoding:
            kept, missing = self._kept(photo, version)  # perhaps somebody else has just done it
            try:
                picture = open_photo(photo.path, self.most_pixels).picture if kept is None else kept
                if missing:
                    picture = _changed(picture, missing)
            except (OSError, ValueError) as error:
                raise Gone(photo.id) from error
            self._keep((photo.id, version), picture)
        return picture

    def add_version(self, photo: Photo, base: str | None, completed: Completed) -> Version:
        """Keep a completion of a photo: of its version with the id `base`, or of the photo itself.

        Raises:
            Gone: the photo was forgotten meanwhile.
            ValueError: it cannot be stored; the message is a sentence for the visitor.
        """
        top, left, height, width = bounding_box(completed.mask)
        id = secrets.token_urlsafe(16)
        path = photo.folder / f"{id}.npz"
        samples = deep.samples_of(deep.crop(completed.image, (left, top, left + width, top + height)))
        mask = completed.mask[top : top + height, left : left + width]
        try:
            np.savez(path, samples=samples, mask=np.packbits(mask))
        except FileNotFoundError as error:
            raise Gone(photo.id) from error
        except OSError as error:
            path.unlink(missing_ok=True)
            raise ValueError(f"The result cannot be kept on the server: {reason(error)}.") from error
        version = Version(id, base, (left, top, width, height), completed.seconds, path)
        with self._lock:
            photo.versions[id] = version
        self._keep((photo.id, id), images.read(completed.image))
        self._forget_above(self._most_bytes)
        return version

    def preview(self, photo: Photo) -> bytes:
        """The photo as WebP, at most `PREVIEW_SIDE` pixels a side."""
        picture = self.picture(photo)
        size = _preview_size(picture.size)
        shown = picture if size == picture.size else picture.resized(*size)
        return encoded(_eight_bits(shown), "WEBP", PREVIEW_QUALITY)

    def patch(self, photo: Photo, version: Version) -> bytes:
        """The version's box as WebP, at most `PREVIEW_SIDE` pixels a side; its alpha says what was filled.

        The photo's own transparency is not in it: draw the patch where the photo is ("source-atop").
        """
        samples, mask = _stored(version)
        size = _preview_size(mask.shape)
        box = deep.image_of(samples)
        box.info["icc_profile"] = photo.profile
        picture = images.read(box)
        shown = _eight_bits(picture if size == mask.shape else picture.resized(*size)).convert("RGB")
        alpha = Image.fromarray(mask.astype(np.uint8) * 255)
        if size == mask.shape:
            shown.paste(0, mask=Image.fromarray(~mask))  # what is not seen takes no room
        else:
            alpha = alpha.resize(size[::-1], Image.Resampling.BOX)
        shown.putalpha(alpha)
        return encoded(shown, "WEBP", None if size[0] * size[1] <= LOSSLESS_PIXELS else PREVIEW_QUALITY)

    def file(self, photo: Photo, version: Version, own_format: bool) -> ResultFile:
        """The whole version as a file, in the photo's own format or as PNG.

        Raises:
            ValueError: it cannot be written as that; the message is a sentence for the visitor.
        """
        file_format = photo.file_format if own_format else "PNG"
        image = self.picture(photo, version.id).image
        try:
            data = encoded(image, file_format)
        except ValueError as error:
            raise ValueError(f"This result cannot be written as {file_format}: download it as PNG.") from error
        name = f"{completed_stem(photo.name)}{suffix_of(photo.name, file_format)}"
        return ResultFile(name, MEDIA_TYPES[file_format], data)

    def _kept(self, photo: Photo, version: str | None) -> tuple[Picture | None, list[Version]]:
        """The nearest picture in memory that the version goes on from, and the versions from there, in their order."""
        missing: list[Version] = []
        with self._lock:
            while (picture := self._pictures.get((photo.id, version))) is None and version is not None:
                missing.insert(0, photo.version(version))
                version = missing[0].base
            if picture is not None:
                self._pictures.move_to_end((photo.id, version))
        return picture, missing

    def _keep(self, key: tuple[str, str | None], picture: Picture) -> None:
        with self._lock:
            if key[0] not in self._photos:
                return
            self._pictures[key] = picture
            self._pictures.move_to_end(key)
            while len(self._pictures) > 1 and sum(map(_bytes_of, self._pictures.values())) > self._memory:
                self._pictures.popitem(last=False)

    def _forget(self, photo: Photo) -> None:
        with self._lock:
            self._photos.pop(photo.id, None)
            for key in [key for key in self._pictures if key[0] == photo.id]:
                del self._pictures[key]
        shutil.rmtree(photo.folder, ignore_errors=True)

    def _forget_above(self, most_bytes: int) -> None:
        with self._lock:
            oldest_first = sorted(self._photos.values(), key=lambda photo: photo.used)
        sizes = [_size_of(photo.folder) for photo in oldest_first]
        total = sum(sizes)
        for photo, size in zip(oldest_first[:-1], sizes):
            if total <= most_bytes:
                return
            self._forget(photo)
            total -= size

    def _forget_in_time(self) -> None:
        while not self._closed.wait(min(60, self._kept_seconds / 4)):
            last = time.monotonic() - self._kept_seconds
            with self._lock:
                old = [photo for photo in self._photos.values() if photo.used < last]
            for photo in old:
                self._forget(photo)


def completed_stem(name: str) -> str:
    """The name of a result without suffix: that of its photo with "-completed", once."""
    return f"{Path(name).stem.removesuffix('-completed')}-completed"


def suffix_of(name: str, file_format: str) -> str:
    """The suffix for a result: that of the photo's name, where it is one of the format."""
    own = Path(name).suffix
    return own if WRITABLE.get(own.lower()) == file_format else SUFFIXES[file_format]


def _size_of(folder: Path) -> int:
    """Bytes of its files; 0 if it is removed meanwhile."""
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except OSError:
        return 0


def plain_name(name: str) -> str:
    """The name of a file without folders, in characters that every system has, so short that a suffix fits."""
    last = readable(re.split(r"[/\\]", name)[-1])
    plain = re.sub(r'[\x00-\x1f\x7f"<>|:*?]', "_", last)
    return plain.encode()[-LONGEST_NAME:].decode(errors="ignore").lstrip(".") or "photo"


def _preview_size(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1, PREVIEW_SIDE / max(size))
    height, width = (max(1, round(side * scale)) for side in size)
    return height, width


def _eight_bits(picture: Picture) -> Image.Image:
    """What is shown of a picture: RGB, or RGBA, with its profile."""
    image = picture.image
    if image.mode in ("RGB", "RGBA"):
        shown = image.copy()
    else:
        shown = Image.fromarray(picture.rgb)
        alpha = images.opacity(image)
        if alpha is not None:
            shown.putalpha(Image.fromarray(images.turned(alpha, picture.orientation)))
    shown.info = {"icc_profile": image.info.get("icc_profile")}
    return shown


def _stored(version: Version) -> tuple[np.ndarray, np.ndarray]:
    """The samples in the version's box, and which of them were filled, bool (height, width)."""
    _, _, width, height = version.box
    try:
        with np.load(version.path) as stored:
            samples, packed = stored["samples"], stored["mask"]
    except OSError as error:
        raise Gone(version.id) from error
    return samples, np.unpackbits(packed, count=height * width).reshape(height, width).astype(bool)


def _changed(picture: Picture, versions: list[Version]) -> Picture:
    """A picture with what the versions changed, one on top of the other."""
    image = picture.image
    for version in versions:
        left, top, width, height = version.box
        box = deep.image_of(_stored(version)[0])
        image = image.copy() if image.mode == box.mode else image.convert(box.mode)
        deep.paste(image, box, (left, top, left + width, top + height))
    return images.read(image)


def _bytes_of(picture: Picture) -> int:
    depth = 1 if deep.lower_bytes(picture.image) is None else 2
    samples = picture.image.width * picture.image.height * len(picture.image.getbands()) * depth
    arrays = (picture.rgb, picture.values, picture.hidden)
    return samples + sum(array.nbytes for array in arrays if array is not None)
