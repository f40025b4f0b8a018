"""Less memory and room on the disk than there is. Whatever needs it is skipped on systems other than Linux."""

import contextlib
import sys
from collections.abc import Iterator

import pytest

if sys.platform != "linux":
    pytest.skip("limits, devices and /proc as Linux has them", allow_module_level=True)

import resource  # noqa: E402 - Windows has no such module

MEMORY = 2**30
"""Bytes of address space that a case may take; the files have some thousands."""


@contextlib.contextmanager
def memory_limit(extra: int = MEMORY) -> Iterator[None]:
    """This process cannot take more than so many bytes in addition; what tries gets a MemoryError."""
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    with _limit(resource.RLIMIT_AS, taken + extra):
        yield


def full_disk(limit: int) -> contextlib.AbstractContextManager[None]:
    """No file of this process can become larger."""
    return _limit(resource.RLIMIT_FSIZE, limit)


@contextlib.contextmanager
def _limit(kind: int, value: int) -> Iterator[None]:
    former = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, former)
