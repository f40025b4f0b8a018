"""Folders of pictures and tar shards -> training crops, in an order that depends on the seed alone.

Any sample can be read by itself: only the index of the pictures is kept in memory. A shard that ends early stops a run
before it starts; a single damaged picture is replaced and reported. `streaming.py` is for data that lie elsewhere.

Sample `n` of a run is the same crop however the run was cut into processes, workers and resumed pieces: the epoch's
shuffle comes from (seed, epoch) and the crop from (seed, n). To resume after `n` samples is to start counting at `n`.
"""

import contextlib
import glob
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import Dataset

from glcic_hub.formats import READABLE
from glcic_hub.picture_files import PictureFile, list_pictures
from train.crops import SampleOrder, at_reduced_size, check_resize_range, crop, crop_rng, reduced_size
from train.loading import Batch, Damaged, Sample, collate
from train.memory import check_fits_in_memory
from train.recolouring import draw_recolouring, recoloured

SIZES_READ = 200  # pictures that are looked at to estimate the cache


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
        found = [picture for path in paths for picture in _pictures_in(path)]
        if not found:
            raise ValueError(f"no picture in {source}; these are read: {', '.join(READABLE)}")
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


def _pictures_in(path: Path) -> list[PictureFile]:
    """A shard must be whole; of a folder, what can be read will do."""
    sentence = f"{path} is not a complete, uncompressed tar file; fetch or write it again, or leave it out"
    try:
        found = list_pictures(path)
    except ValueError as error:
        raise ValueError(sentence) from error
    if found.problems and not path.is_dir():
        raise ValueError(sentence)
    for folder, problem in found.problems:
        warnings.warn(f"{folder} is left out: {problem}", stacklevel=3)
    return found.pictures


class TrainingCrops(Dataset):
    """Square training crops: shorter side resized at random, random place, random flip (paper, section 4).

    Item `n` is sample `n` of the run, a float32 tensor (3, resolution, resolution), RGB in [0, 1]. Where the picture of
    a sample is damaged, another takes its place that depends on (seed, n) alone; `sample` says which were damaged, an
    item warns of them. Pictures that are too small are not damaged: they are enlarged.

    Args:
        pictures: from `find_pictures`.
        resolution: side of the crop in pixels.
        resize_range: the shorter side is resized to `resolution` times a number drawn from this range, before the
            crop; the paper's 256 to 384 px for 256 px crops is (1.0, 1.5). A picture that is too small is enlarged.
        length: samples in the run.
        seed: decides the order and the crops.
        recoloured_share: share of the crops that lose their colours; see `recolouring.py`.
        cache: keep the decoded pictures, reduced to the largest size that a crop needs, in memory. If that would take
            more than half of the free memory (`memory.LARGEST_SHARE`), a warning says so and they are not kept; the
            crops are the same to the last bit.
        cache_copies: processes on this machine that fill such a cache: ranks times workers.
    """

    def __init__(
        self,
        pictures: list[PictureFile],
        resolution: int,
        resize_range: tuple[float, float],
        length: int,
        seed: int,
        recoloured_share: float = 0.0,
        cache: bool = False,
        cache_copies: int = 1,
    ):
        check_resize_range(resize_range)
        self.pictures = pictures
        self.resolution = resolution
        self.resize_range = resize_range
        self.length = length
        self.seed = seed
        self.recoloured_share = recoloured_share
        self.order = SampleOrder(len(pictures), seed)
        self.cache: dict[int, Image.Image] | None = {} if cache and self._cache_fits(cache_copies) else None
        self._damaged: dict[int, Damaged] = {}  # so that no picture is tried in vain twice

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, sample: int) -> torch.Tensor:
        found = self.sample(sample)
        for damaged in found.damaged:
            warnings.warn(f"another picture takes the place of a damaged one: {damaged.message}", stacklevel=2)
        return found.crop

    @property
    def picture_count(self) -> int:
        """Pictures in one epoch."""
        return len(self.pictures)

    def sample(self, sample: int) -> Sample:
        """Sample `sample` of the run, with the damaged pictures that were met on the way.

        Raises:
            OSError: none of the `MOST_TRIES` pictures tried for it can be read.
        """
        met = []
        for index in self.order.candidates(sample):
            picture = self._picture(index)
            if isinstance(picture, Damaged):
                met.append(picture)
                continue
            made = crop(picture, self.resolution, self.resize_range, crop_rng(self.seed, sample))
            recolouring = torch.from_numpy(draw_recolouring(self.recoloured_share, self.seed, sample))
            return Sample(recoloured(made[None], recolouring[None])[0], tuple(met))
        raise OSError(f"none of the {len(met)} pictures tried for sample {sample} can be read; {met[0].message}")

    def first(self, count: int) -> Iterator[torch.Tensor]:
        """The first `count` crops of the run, at most one per picture."""
        return (self.sample(index).crop for index in range(min(count, len(self.pictures))))

    def batches(self, batch_size: int, first_step: int, rank: int, world: int) -> "StepBatches":
        """Item `step` is the batch of that step for process `rank` of `world` (whatever `first_step` is)."""
        return StepBatches(self, batch_size, rank, world)

    def _picture(self, index: int) -> Image.Image | Damaged:
        if index in self._damaged:
            return self._damaged[index]
        try:
            return self._decoded(index)
        except OSError as error:
            self._damaged[index] = Damaged(self.pictures[index].public_name, str(error))
            return self._damaged[index]

    def _decoded(self, index: int) -> Image.Image:
        if self.cache is None:
            return self.pictures[index].decode()
        if index not in self.cache:
            self.cache[index] = at_reduced_size(self.pictures[index].decode(), self.resolution, self.resize_range)
        return self.cache[index]

    def _cache_fits(self, copies: int) -> bool:
        wanted = copies * _cache_bytes(self.pictures, self.resolution, self.resize_range)
        try:
            check_fits_in_memory(wanted, f"the {len(self.pictures)} decoded pictures ({copies} times)")
        except MemoryError as error:
            warnings.warn(f"the pictures are not kept in memory but decoded anew each time: {error}", stacklevel=3)
            return False
        return True


class StepBatches(Dataset):
    """The batches of `TrainingCrops` for one process: item `step` holds every `world`-th sample of that step."""

    def __init__(self, crops: TrainingCrops, batch_size: int, rank: int, world: int):
        self.crops, self.batch_size, self.rank, self.world = crops, batch_size, rank, world

    def __getitem__(self, step: int) -> Batch | Exception:
        try:
            return collate(self.crops.sample(n) for n in step_samples(step, self.batch_size, self.rank, self.world))
        except (OSError, MemoryError) as error:
            return error  # see `load_batches`


def step_samples(step: int, batch_size: int, rank: int, world: int) -> range:
    """The sample numbers of process `rank` of `world` in a step; all counts from 0."""
    first = step * batch_size * world
    return range(first + rank, first + batch_size * world, world)


def _cache_bytes(pictures: list[PictureFile], resolution: int, resize_range: tuple[float, float]) -> int:
    """Estimate, from the sizes of up to `SIZES_READ` pictures, what all of them take when decoded and reduced."""
    looked_at = pictures[:: max(1, len(pictures) // SIZES_READ)]
    taken = []
    for picture in looked_at:
        with contextlib.suppress(OSError):  # it is reported when its turn comes
            width, height = reduced_size(picture.size_in_pixels(), resolution, resize_range)
            taken.append(3 * width * height)
    return round(sum(taken) / max(1, len(taken)) * len(pictures))
