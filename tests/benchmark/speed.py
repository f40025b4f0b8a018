"""Part "speed": the whole grid of photos and holes, every contestant, in rounds."""

from collections.abc import Callable

from tests.benchmark.contestants import REFERENCES, Entry
from tests.benchmark.memory import needs_too_much
from tests.benchmark.progress import ProgressBar
from tests.benchmark.rounds import Task, rows_of, timed
from tests.benchmark.scenes import hole_in, photo_of

LONGEST_RUN = 20.0
"""Seconds."""


def measure(
    entries: dict[str, Entry],
    cells: list[tuple[int, int]],
    rounds: int,
    references: tuple[str, ...] = REFERENCES,
) -> tuple[list[dict], list[str]]:
    """Run everything once to warm up, then `rounds` times.

    Who works on the whole photo is left out where that is too much: when a run, foreseen from the next smaller photo by
    the number of pixels, takes longer than LONGEST_RUN seconds, or when it needs too much memory.

    Args:
        entries: the contestants, all of which can take part.
        cells: (photo, hole) sides in pixels, photos from small to large.
        rounds: how many count.
        references: whom the others are compared with.

    Returns:
        The rows of the record, and what was left out, in sentences.
    """
    made = {name: entry.make() for name, entry in entries.items()}
    tasks, left_out, latest, expected = [], [], {}, []
    wanted = _wanted(entries, cells)
    with ProgressBar("warm-up", len(wanted)) as progress:
        for name, photo, hole in wanted:
            progress.now(f"{name}, {photo} px")
            if reason := _too_much(entries[name], photo, latest.get(name)):
                left_out.append(f"{name} at {photo} x {photo} px: {reason}")
            else:
                task = Task(name, photo, hole, _work(made[name], photo, hole), [])
                expected.append(task.warm_up())
                latest[name] = (photo, expected[-1] / task.repeats)
                tasks.append(task)
            progress.done(1)
    with ProgressBar("speed", rounds * sum(expected)) as progress:
        for _ in range(rounds):
            for task, seconds in zip(tasks, expected):
                progress.now(f"{task.contestant}, {task.photo} px")
                task.one_round()
                progress.done(seconds)
    return rows_of(tasks, references), left_out


def _wanted(entries: dict[str, Entry], cells: list[tuple[int, int]]) -> list[tuple[str, int, int | None]]:
    """(contestant, photo, hole), photo by photo; those to whom the hole makes no difference once for each photo."""
    wanted = {}
    for photo, hole in cells:
        for name, entry in entries.items():
            wanted[name, photo, None if entry.works_on_all else hole] = None
    return list(wanted)


def _too_much(entry: Entry, photo: int, latest: tuple[int, float] | None) -> str | None:
    if reason := needs_too_much(entry, photo**2):
        return reason
    if entry.works_on_all and latest is not None:
        smaller, seconds = latest
        foreseen = seconds * (photo / smaller) ** 2
        if foreseen > LONGEST_RUN:
            return f"a run would take up to {foreseen:.0f} s"
    return None


def _work(contestant: Callable, photo: int, hole: int | None) -> Callable[[], float]:
    def run() -> float:
        # made anew each time: inputs kept for all cells would fill the memory, and users have just read theirs, too
        inputs = contestant.prepare(photo_of(photo, photo), hole_in(photo, photo, hole or photo // 4))
        return timed(lambda: contestant(*inputs))

    return run
