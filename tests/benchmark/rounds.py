"""Timing side by side: everybody runs once in every round, so that a machine that slows down slows all of them."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

SHORTEST = 0.2
"""Seconds that a contestant works in a round at least; quick ones run several times."""
MOST_REPEATS = 10


@dataclass
class Task:
    """A contestant with one photo and hole.

    Attributes:
        contestant: its name.
        photo, hole: sides in pixels; `hole` is None where it has no influence on the work.
        run: does the work once and returns the seconds that count.
        seconds: one figure for each round.
    """

    contestant: str
    photo: int
    hole: int | None
    run: Callable[[], float]
    seconds: list[float]
    repeats: int = 1

    def warm_up(self) -> float:
        """The first run, which is not counted; returns the seconds of a round to come."""
        started = time.perf_counter()
        seconds = self.run()
        self.repeats = max(1, min(MOST_REPEATS, math.ceil(SHORTEST / seconds)))
        return self.repeats * (time.perf_counter() - started)

    def one_round(self) -> None:
        """Run as often as `repeats` says, and note the median."""
        self.seconds.append(statistics.median(self.run() for _ in range(self.repeats)))


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ratio(seconds: list[float], reference: list[float]) -> float:
    """How many times as long as the reference: the median of the ratios of each round.

    Raises:
        ValueError: the lists are not of the same rounds.
    """
    return statistics.median(own / other for own, other in zip(seconds, reference, strict=True))


def rows_of(tasks: list[Task], references: tuple[str, ...]) -> list[dict]:
    """The record of all tasks: contestant, photo, hole, median, all rounds, and the ratios to the references.

    A reference is the task of that name with the same photo and hole, or with hole None; where there is none, there is
    no ratio.
    """
    found = {(task.contestant, task.photo, task.hole): task for task in tasks}
    rows = []
    for task in tasks:
        ratios = {}
        for name in references:
            other = found.get((name, task.photo, task.hole)) or found.get((name, task.photo, None))
            if other is not None and other is not task:
                ratios[name] = float(f"{ratio(task.seconds, other.seconds):.4g}")
        rows.append(
            {
                "contestant": task.contestant,
                "photo": task.photo,
                "hole": task.hole,
                "median_seconds": float(f"{statistics.median(task.seconds):.4g}"),
                "ratio_to": ratios,
                "seconds": [float(f"{seconds:.4g}") for seconds in task.seconds],
            }
        )
    return rows
