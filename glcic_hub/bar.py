"""A bar on stderr for one long work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS = 2
"""What is done sooner needs no bar."""


@contextmanager
def share_bar(**options) -> Iterator[Callable[[float], None]]:
    """A bar, with the time left, that is told the share of the work that is done, from 0 to 1.

    Args:
        **options: of `tqdm`.
    """
    from tqdm import tqdm

    looks = {"bar_format": "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}", "dynamic_ncols": True}
    with tqdm(total=100, **{"desc": "completing", "delay": SECONDS, "leave": False} | looks | options) as bar:
        yield lambda share: bar.update(round(100 * share) - bar.n)
