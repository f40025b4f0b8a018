"""Folders of pictures and tar shards -> training crops, in an order that depends on the seed alone.

Sample `n` of a run is the same crop however the run was cut into processes, workers and resumed pieces: the epoch's
shuffle comes from (seed, epoch) and the crop from (seed, n). To resume after `n` samples is to start counting at `n`.
"""

import glob
import io
import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from glcic_hub import images

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True)
class PictureFile:
    """Where one encoded picture lies: a whole file, or `size` bytes from `offset` of a tar shard."""

    path: Path
    name: str
    offset: int = 0
    size: int = -1

    def decode(self) -> Image.Image:
        """Return the picture, upright, as RGB. Raises OSError with its name when it cannot be read."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
            return Image.fromarray(images.read(Image.open(io.BytesIO(data))).rgb)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise OSError(f"cannot read the picture {self.name} of {self.path}: {error}") from error


def find_pictures(sources: Iterable[str | Path]) -> list[PictureFile]:
    """List the pictures of folders and tar shards, in a fixed order.

    Args:
        sources: folders (searched to any depth), tar files, and patterns of tar files: `*`, `?` and ranges such as
            `scenes-{0000..0005}.tar`. Tar members are read in place; nothing is unpacked.

    Raises:
        FileNotFoundError: a source matches nothing.
        ValueError: there is no picture in a source, or a shard is not a complete tar file.
    """
    pictures = []
    for source in sources:
        paths = _matches(str(source))
        found = [picture for path in paths for picture in (_in_folder(path) if path.is_dir() else _in_shard(path))]
        if not found:
            raise ValueError(f"no picture in {source}; these are read: {', '.join(sorted(PICTURE_SUFFIXES))}")
        pictures += found
    return pictures


def source_names(sources: Iterable[str | Path]) -> list[str]:
    """The names, without their folders, of the folders and shards that the sources match: for a record."""
    return [path.name for source in sources for path in _matches(str(source))]


def _matches(source: str) -> list[Path]:
    if Path(source).exists():  # also where its name has characters of a pattern
        return [Path(source)]
    paths = []
    for pattern in expand_braces(source):
        found = sorted(glob.glob(pattern))
        if not found:
            raise FileNotFoundError(f"no folder and no tar file matches {pattern}")
        paths += map(Path, found)
    return paths


def expand_braces(pattern: str) -> list[str]:
    """Expand the first range of a pattern: `a-{08..10}.tar` -> a-08.tar, a-09.tar, a-10.tar (WebDataset's notation)."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if not match:
        return [pattern]
    first, last = match.groups()
    numbers = [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
    return [pattern[: match.start()] + number + pattern[match.end() :] for number in numbers]


def _in_folder(folder: Path) -> list[PictureFile]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
    return [PictureFile(path, path.name) for path in files]


def _in_shard(path: Path) -> list[PictureFile]:
    try:
        with tarfile.open(path, "r:") as shard:
            members = [m for m in shard if m.isfile() and Path(m.name).suffix.lower() in PICTURE_SUFFIXES]
            # To tarfile, a shard that was cut between two members or inside a header looks complete.
            shard.fileobj.seek(shard.offset)
            if shard.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("its end is missing")
    except (tarfile.TarError, OSError) as error:
        raise ValueError(f"{path} is not a complete, uncompressed tar file: {error}") from error
    return [PictureFile(path, m.name, m.offset_data, m.size) for m in members]


class TrainingCrops(Dataset):
    """Square training crops: shorter side resized at random, random place, random flip (paper, section 4).

    Item `n` is sample `n` of the run, a float32 tensor (3, resolution, resolution), RGB in [0, 1].

    Args:
        pictures: from `find_pictures`.
        resolution: side of the crop in pixels.
        resize_range: the shorter side is resized to `resolution` times a number drawn from this range, before the
            crop; the paper's 256 to 384 px for 256 px crops is (1.0, 1.5). A picture that is too small is enlarged.
        length: samples in the run.
        seed: decides the order and the crops.
        cache: keep the decoded pictures, reduced to the largest size that a crop needs, in memory.
    """

    def __init__(
        self,
        pictures: list[PictureFile],
        resolution: int,
        resize_range: tuple[float, float],
        length: int,
        seed: int,
        cache: bool = False,
    ):
        if not 1.0 <= resize_range[0] <= resize_range[1]:
            raise ValueError(f"resize_range must be two rising numbers from 1.0 up; got {resize_range}")
        self.pictures = pictures
        self.resolution = resolution
        self.resize_range = resize_range
        self.length = length
        self.seed = seed
        self.cache: dict[int, Image.Image] | None = {} if cache else None
        self._shuffle: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, sample: int) -> torch.Tensor:
        epoch, position = divmod(sample, len(self.pictures))
        picture = self._reduced(int(self._order(epoch)[position]))
        rng = np.random.default_rng([self.seed, 1, sample])
        shorter_side = round(self.resolution * rng.uniform(*self.resize_range))
        scale = shorter_side / min(picture.size)
        crop_side = self.resolution / scale  # in the picture's own pixels, so that one resampling does both
        left, top = (rng.uniform(0, max(0, side - crop_side)) for side in picture.size)
        box = (left, top, min(left + crop_side, picture.width), min(top + crop_side, picture.height))
        crop = picture.resize((self.resolution, self.resolution), Image.Resampling.BICUBIC, box)
        array = np.asarray(crop)
        if rng.random() < 0.5:
            array = array[:, ::-1]
        return torch.from_numpy(array.transpose(2, 0, 1).astype(np.float32) / 255)

    def _order(self, epoch: int) -> np.ndarray:
        if self._shuffle is None or self._shuffle[0] != epoch:
            self._shuffle = epoch, np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.pictures))
        return self._shuffle[1]

    def _reduced(self, index: int) -> Image.Image:
        if self.cache is None:
            return self.pictures[index].decode()
        if index not in self.cache:
            picture = self.pictures[index].decode()
            shorter_side = round(self.resolution * self.resize_range[1])
            scale = min(1.0, shorter_side / min(picture.size))
            size = tuple(round(side * scale) for side in picture.size)
            self.cache[index] = picture.resize(size, Image.Resampling.LANCZOS)
        return self.cache[index]
