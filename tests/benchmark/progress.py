"""How far the benchmark is, and how long it still takes."""

import sys
import time

from tqdm import tqdm

QUIET_INTERVAL = 30
"""Seconds between two lines where the output is no terminal."""


class ProgressBar:
    """A bar on stderr with the time left, for work whose cost is known in any unit.

    Args:
        title: what is being done.
        total: cost of all of it.
    """

    def __init__(self, title: str, total: float):
        self._title = title
        self._is_terminal = sys.stderr.isatty()
        self._latest = time.monotonic()
        form = "{desc:<40.40} {percentage:3.0f}% |{bar:20}| {elapsed} gone, {remaining} left"
        self._bar = tqdm(total=total, bar_format=form, disable=not self._is_terminal, leave=True)
        self._started, self._done, self._total = time.monotonic(), 0.0, total

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.set_description_str(f"{self._title}: done")
        self._bar.close()
        if not self._is_terminal:
            self._say(f"done in {time.monotonic() - self._started:.0f} s")

    def now(self, what: str) -> None:
        """Say what comes next."""
        self._bar.set_description_str(f"{self._title}: {what}")

    def done(self, cost: float) -> None:
        """A piece of that cost is done."""
        self._done += cost
        self._bar.update(min(cost, self._bar.total - self._bar.n) if self._is_terminal else 0)
        if not self._is_terminal and time.monotonic() - self._latest > QUIET_INTERVAL:
            self._latest = time.monotonic()
            left = (self._latest - self._started) * (self._total / self._done - 1)
            self._say(f"{100 * self._done / self._total:.0f} %, about {left:.0f} s left")

    def _say(self, what: str) -> None:
        print(f"{self._title}: {what}", file=sys.stderr, flush=True)
