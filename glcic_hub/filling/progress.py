"""How far a long work is: a function that is called with the share that is done, from 0 to 1."""

from collections.abc import Callable

Progress = Callable[[float], object]
"""What it raises ends the work."""


def unseen(share: float) -> None:
    """Progress that nobody wants to see."""


def part_of(progress: Progress, before: float, own: float) -> Progress:
    """The progress of a part that makes up the share `own` of a work; `before` is the share of what comes before it."""
    return lambda share: progress(before + own * share)
