"""From crops to the batches of a run, with the report on damaged pictures."""

import itertools
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader, IterableDataset

NAMES_KEPT = 20
TRIED_BEFORE_CHECK, LARGEST_DAMAGED_SHARE = 100, 0.5


class Damaged(NamedTuple):
    """A picture that cannot be used: its name, for records, and a sentence with its place and what is wrong."""

    name: str
    message: str


class Sample(NamedTuple):
    """One crop (3, resolution, resolution), and the damaged pictures that were met and replaced on the way to it."""

    crop: torch.Tensor
    damaged: tuple[Damaged, ...] = ()


class Batch(NamedTuple):
    """The crops of one step, float32 (B, 3, resolution, resolution) in [0, 1], and the damaged pictures met."""

    images: torch.Tensor
    damaged: list[Damaged]


def collate(samples: Iterable[Sample]) -> Batch:
    """Stack samples to a batch."""
    crops, damaged = zip(*samples)
    return Batch(torch.stack(crops), [one for several in damaged for one in several])


def load_batches(
    crops,
    batch_size: int,
    *,
    first_step: int,
    rank: int,
    world: int,
    workers: int = 0,
    pin_memory: bool = False,
    worker_init_fn: Callable[[int], None] | None = None,
) -> Iterator[Batch]:
    """The batches of a run's steps from `first_step` to the end of `crops`, for one of its processes.

    Args:
        crops: `TrainingCrops` or `StreamedCrops`.
        batch_size: samples per step and process.
        first_step: steps done before.
        rank, world: number of this process and of all processes; each gets other samples.
        workers: processes that decode; a stream uses at most as many as it has shards, and a warning says so.
        pin_memory, worker_init_fn: as of `DataLoader`.

    Raises (when the batch is asked for):
        OSError: a hundred pictures in a row are damaged, or a stream broke off.
        ValueError: a stream has no pictures for this process.
    """
    steps = len(crops) // (batch_size * world)
    batches = crops.batches(batch_size, first_step, rank, world)
    is_stream = isinstance(batches, IterableDataset)
    if is_stream and workers > batches.most_workers:
        most = batches.most_workers
        warnings.warn(f"{most} workers read the stream instead of {workers}: it has no more shards", stacklevel=2)
        workers = most
    loader = DataLoader(
        batches,
        batch_size=None,  # the items are batches
        sampler=None if is_stream else range(first_step, steps),
        num_workers=workers,
        collate_fn=_unchanged,
        pin_memory=pin_memory,
        worker_init_fn=worker_init_fn,
    )
    present = (batch for batch in loader if batch is not None)
    return map(_raise_errors, itertools.islice(present, max(0, steps - first_step)))


def _unchanged(item):
    return item


def _raise_errors(item: Batch | Exception) -> Batch:
    """Errors come as items, because what a worker raises arrives with its whole traceback in the message."""
    if isinstance(item, Exception):
        raise item
    return item


class DamageReport:
    """Counts the damaged pictures that a process meets, names them on stderr, and keeps the first names.

    It goes into checkpoints by its state, where there are several processes by what `merged` makes of all of them.
    """

    def __init__(self):
        self.tried = 0
        self.count = 0
        self.names: list[str] = []
        self.checked = False
        self._told: set[str] = set()

    def add(self, batch: Batch) -> None:
        """Count a batch of `load_batches`.

        Raises:
            OSError: more than half of the first pictures that were tried (100, filled up to whole batches) are damaged.
        """
        self.tried += len(batch.images) + len(batch.damaged)
        self.add_all(batch.damaged)
        if not self.checked and self.tried >= TRIED_BEFORE_CHECK:
            self.checked = True
            check_damaged_share(self.count, self.tried, self.names)

    def add_all(self, damaged: Iterable[Damaged]) -> None:
        """Count damaged pictures that were found otherwise: without a check of their share."""
        for name, message in damaged:
            self.count += 1
            if name in self._told:
                continue
            self._told.add(name)
            print(f"train_glcic: another picture is taken instead: {message}", file=sys.stderr)
            if len(self.names) < NAMES_KEPT:
                self.names.append(name)

    def state_dict(self) -> dict:
        """What `load_state_dict` needs; JSON types."""
        return {"tried": self.tried, "count": self.count, "names": list(self.names), "checked": self.checked}

    def load_state_dict(self, state: dict, rank: int = 0) -> None:
        """Go on from an earlier report. Of several processes the first takes its counts, so that their sum is right."""
        self.names, self.checked = list(state["names"]), state["checked"]
        self._told = set(self.names)
        self.tried, self.count = (state["tried"], state["count"]) if rank == 0 else (0, 0)


def merged(states: list[dict]) -> dict:
    """The state of one report from those of all processes: counts are added, each name is there once."""
    names = dict.fromkeys(name for state in states for name in state["names"])
    return {
        "tried": sum(state["tried"] for state in states),
        "count": sum(state["count"] for state in states),
        "names": list(names)[:NAMES_KEPT],
        "checked": all(state["checked"] for state in states),
    }


def check_damaged_share(count: int, tried: int, names: list[str]) -> None:
    """Check that at most half of `tried` pictures are damaged.

    Raises:
        OSError: more are; with one sentence.
    """
    if count > LARGEST_DAMAGED_SHARE * tried:
        raise OSError(
            f"{count} of the first {tried} pictures cannot be read, among them {', '.join(names[:3])}: "
            "check that the data are what they should be, and fetch or write them again"
        )
