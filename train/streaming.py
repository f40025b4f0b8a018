"""Pictures that are read as they come: data sets on the Hub and remote tar shards -> training crops.

The `datasets` library lists and opens the data. Pictures stay encoded until a crop is made, so that the memory taken is
the shuffle buffer (and, of Parquet, a row group of each of ten files), however large the data set is. What a process
reads is fixed by (seed, epoch, its number). To go on after n samples it reads and drops what came before, without
decoding: that takes the time of downloading it again, except for pictures in single files, which are not opened.

A run goes on exactly if the data, the version of `datasets`, the batch size and the numbers of processes and workers
are as they were.
"""

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import fsspec
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from glcic_hub.picture_files import decode_picture
from train.crops import MOST_TRIES, check_resize_range, crop, crop_rng
from train.dataset import expand_braces, step_samples
from train.loading import Batch, Damaged, Sample, collate
from train.recolouring import draw_recolouring, recoloured

_STREAM_ORDER = 3  # second number of the seed, beside those of `crops.py`


def open_stream(
    name: str, config_name: str | None = None, data_files: list[str] | None = None, image_column: str = "image"
):
    """Open the training split of a data set as a stream of encoded pictures.

    Args:
        name: of a data set on the Hub or of a folder laid out as one; or a builder of `datasets` for `data_files`:
            "webdataset" for tar shards, "parquet", "imagefolder".
        config_name: of the data set, where it has several.
        data_files: addresses, paths and patterns, also as `https://host/a-{0000..0099}.tar`.
        image_column: where the pictures are. In tar shards that is the suffix of their names, such as jpg.

    Returns:
        A `datasets.IterableDataset` with this column alone, its pictures not decoded.

    Raises:
        ImportError: the package `datasets` is missing.
        OSError: the data set, or a file of it, is not found, not open to the user, or cannot be read.
        ValueError: it has no such configuration, no training split, or no pictures in this column.
    """
    try:
        import datasets
    except ImportError as error:
        raise ImportError(f'{error}: streams need what comes with pip install ".[stream]"') from error
    files = data_files and {"train": [path for pattern in data_files for path in expand_braces(pattern)]}
    try:
        stream = datasets.load_dataset(name, config_name, data_files=files, split="train", streaming=True)
    except Exception as error:  # noqa: BLE001 - each format and each protocol has errors of its own
        kind = ValueError if isinstance(error, ValueError) else OSError
        raise kind(f"cannot open the data set {name}: {error}") from error
    columns = [column for column, feature in (stream.features or {}).items() if _may_hold_pictures(feature)]
    if image_column not in columns:
        advice = f"choose one of these as image column: {', '.join(columns)}" if columns else "no other column has any"
        raise ValueError(f"the data set {name} has no pictures in a column {image_column!r}; {advice}")
    # The first of these undoes decoding in threads, which is the default for remote data and ignores the last.
    return stream.decode(False).select_columns([image_column]).cast_column(image_column, datasets.Image(decode=False))


def _may_hold_pictures(feature) -> bool:
    """Whether a column has pictures, or encoded files that nobody has marked as such."""
    import datasets

    return isinstance(feature, datasets.Image) or "binary" in (
        getattr(feature, "dtype", None),
        getattr(feature.get("bytes"), "dtype", None) if isinstance(feature, dict) else None,
    )


class StreamedCrops:
    """Training crops from a stream, as `TrainingCrops` cuts them.

    Processes and workers share the shards out among themselves (`datasets.distributed.split_dataset_by_node`); where
    the shards cannot be divided by the number of processes, each process reads all and takes its part of the pictures.
    A shuffle buffer mixes the pictures of several shards; every epoch has another order.

    In the place of a damaged picture comes the next one of the stream that is not, which keeps its own turn, too.

    Args:
        stream: from `open_stream`.
        image_column: where its pictures are.
        resolution, resize_range, length, seed, recoloured_share: as of `TrainingCrops`.
        shuffle_buffer_size: encoded pictures that are held and drawn from, in each process.
    """

    picture_count = None
    """A stream does not say how many pictures it has."""

    def __init__(
        self,
        stream,
        image_column: str,
        resolution: int,
        resize_range: tuple[float, float],
        length: int,
        seed: int,
        recoloured_share: float = 0.0,
        shuffle_buffer_size: int = 1000,
    ):
        check_resize_range(resize_range)
        self.stream = stream
        self.image_column = image_column
        self.resolution = resolution
        self.resize_range = resize_range
        self.length = length
        self.seed = seed
        self.recoloured_share = recoloured_share
        self.shuffle_buffer_size = shuffle_buffer_size

    def __len__(self) -> int:
        return self.length

    def first(self, count: int) -> Iterator[torch.Tensor]:
        """The first `count` crops that a single process would train with; each call opens the stream anew."""
        pictures = self.pictures(rank=0, world=1)
        return (self.sample(pictures, number).crop for number in range(count))

    def batches(self, batch_size: int, first_step: int, rank: int, world: int) -> "StreamedBatches":
        """The batches of process `rank` of `world` from `first_step` on, for a `DataLoader`, without end."""
        return StreamedBatches(self, batch_size, first_step, rank, world)

    def pictures(self, rank: int, world: int) -> "LookAhead":
        """The part of process `rank` of `world`: one encoded picture after the other, epoch after epoch.

        In a worker of a `DataLoader` that worker's part of it. ValueError when there is nothing in it.
        """
        return LookAhead(self._encoded(rank, world))

    def sample(self, pictures: "LookAhead", number: int) -> Sample:
        """Take the next picture and make sample `number` of the run of it, or of the first one behind it that is whole.

        Raises:
            OSError: the next `MOST_TRIES` pictures are all damaged; or reading failed, at which the run had better stop
                and go on later: another picture in this one's place would be another run.
        """
        met = []
        for ahead in range(MOST_TRIES):
            encoded = pictures.peek(ahead)
            data = encoded.read()
            try:
                picture = decode_picture(data)
            except OSError as error:
                met.append(Damaged(encoded.label, f"cannot read the picture {encoded.place}: {error}"))
                continue
            pictures.drop()
            made = crop(picture, self.resolution, self.resize_range, crop_rng(self.seed, number))
            recolouring = torch.from_numpy(draw_recolouring(self.recoloured_share, self.seed, number))
            return Sample(recoloured(made[None], recolouring[None])[0], tuple(met))
        raise OSError(f"none of the {MOST_TRIES} pictures tried for sample {number} can be read; {met[0].message}")

    def _encoded(self, rank: int, world: int) -> "Iterator[EncodedPicture]":
        from datasets.distributed import split_dataset_by_node

        for epoch in itertools.count():
            # A seed for each epoch and not `set_epoch`, whose number all workers share.
            seed = int(np.random.default_rng([self.seed, _STREAM_ORDER, epoch]).integers(2**31))
            shuffled = self.stream.shuffle(seed=seed, buffer_size=self.shuffle_buffer_size)
            number = -1
            try:
                for number, example in enumerate(split_dataset_by_node(shuffled, rank, world)):
                    stored = example[self.image_column] or {}
                    yield EncodedPicture(stored.get("path"), stored.get("bytes"), f"number {number} of epoch {epoch}")
            except Exception as error:  # noqa: BLE001 - each format and each protocol has errors of its own
                raise OSError(f"the stream broke off after {number + 1} pictures of epoch {epoch}: {error}") from error
            if number < 0:
                raise ValueError(
                    f"there is no picture for process {rank} of {world} in the stream: "
                    "it needs at least as many shards, or pictures, as there are processes and workers"
                )


@dataclass(frozen=True)
class EncodedPicture:
    """A picture as a stream has it: by its bytes, by a path or an address, or not at all; `turn` is when it came."""

    path: str | None
    data: bytes | None
    turn: str

    @property
    def label(self) -> str:
        """A name for records, without folders."""
        return PurePosixPath(self.path).name if self.path else self.turn

    @property
    def place(self) -> str:
        """Where it lies, as far as the stream tells."""
        return f"{self.path} ({self.turn} of the stream)" if self.path else f"{self.turn} of the stream"

    def read(self) -> bytes:
        """The encoded picture; empty when there is none. OSError if what the path names cannot be read."""
        if self.data is not None or self.path is None:
            return self.data or b""
        with fsspec.open(self.path, "rb") as file:
            return file.read()


class LookAhead:
    """An iterator whose coming items can be looked at without taking them."""

    def __init__(self, items: Iterator):
        self._items = items
        self._seen = deque()

    def peek(self, ahead: int) -> EncodedPicture:
        """The next item, or that many behind it."""
        while len(self._seen) <= ahead:
            self._seen.append(next(self._items))
        return self._seen[ahead]

    def drop(self) -> None:
        """Go on to the next item."""
        self.peek(0)
        self._seen.popleft()


class StreamedBatches(IterableDataset):
    """Endless batches of `StreamedCrops` for a `DataLoader` that does not batch by itself.

    A `DataLoader` asks its workers in turn, so worker w makes the batches of the steps w, w + workers, ... of a run. A
    new loader begins with worker 0, whatever the step: those whose turn is over for this round give None first.
    """

    def __init__(self, crops: StreamedCrops, batch_size: int, first_step: int, rank: int, world: int):
        self.crops, self.batch_size, self.first_step, self.rank, self.world = crops, batch_size, first_step, rank, world

    @property
    def most_workers(self) -> int:
        """Workers that get a shard."""
        from datasets.distributed import split_dataset_by_node

        return split_dataset_by_node(self.crops.stream, self.rank, self.world).num_shards

    def __iter__(self) -> Iterator[Batch | None | Exception]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        rounds, in_round = divmod(self.first_step, workers)
        done = rounds + (number < in_round)
        if number < in_round:
            yield None
        try:
            pictures = self.crops.pictures(self.rank, self.world)
            for _ in range(done * self.batch_size):
                pictures.drop()
            for step in itertools.count(number + done * workers, workers):
                samples = step_samples(step, self.batch_size, self.rank, self.world)
                yield collate(self.crops.sample(pictures, sample) for sample in samples)
        except (OSError, ValueError, MemoryError) as error:
            yield error  # see `load_batches`
