"""Whose turn it is: one completion at a time, first come, first served."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_WAITING = 64
SECONDS_BETWEEN = 0.5
"""After so long at the latest, who waits is told again, so that somebody who has left leaves the queue."""


class TooManyWaiting(ValueError):
    """The queue is full; the message is a sentence for visitors."""


class Turns:
    """A queue of threads.

    Args:
        most_waiting: how many may wait behind the one whose turn it is.
    """

    def __init__(self, most_waiting: int = MOST_WAITING):
        self._most_waiting = most_waiting
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, tell: Callable[[int], object]) -> Iterator[None]:
        """Wait for one's turn, which lasts as long as the context.

        Args:
            tell: called with the number of people before, at each change and every `SECONDS_BETWEEN`. What it raises
                ends the waiting.

        Raises:
            TooManyWaiting: the queue is full.
        """
        own = object()
        with self._changed:
            if len(self._queue) > self._most_waiting:
                raise TooManyWaiting("Too many people are waiting: try again in a minute.")
            self._queue.append(own)
        try:
            while before := self._before(own):
                tell(before)
                with self._changed:
                    if self._queue.index(own) == before:
                        self._changed.wait(SECONDS_BETWEEN)
            yield
        finally:
            with self._changed:
                self._queue.remove(own)
                self._changed.notify_all()

    def _before(self, own: object) -> int:
        with self._changed:
            return self._queue.index(own)
