"""The memory that is reported is that of the completion."""

import numpy as np
import pytest

from tests.benchmark import memory

NOTHING = np.zeros(0)


class Allocates:
    """Holds `megabytes` for the time of a completion, and as much as that before, which does not count."""

    def __init__(self, megabytes: int):
        self.megabytes = megabytes

    def prepare(self, rgb: np.ndarray, mask: np.ndarray) -> tuple:
        np.ones(2 * self.megabytes * 10**6, np.uint8)  # a peak that is over
        return (np.ones(self.megabytes * 10**6, np.uint8),)

    def __call__(self, held: np.ndarray) -> None:
        held + np.uint8(1)


@pytest.mark.skipif(not memory.CLEAR_REFS.exists(), reason="the memory is measured on Linux only")
@pytest.mark.parametrize("megabytes", [50, 200])  # what is below 32 may come from memory that malloc has kept
def test_the_memory_is_what_the_completion_needs_above_what_was_held(megabytes):
    above, whole = memory.peak_of(Allocates(megabytes), NOTHING, NOTHING)
    assert abs(above / 1e6 - megabytes) < 5
    assert whole > 2 * megabytes * 1e6


@pytest.mark.skipif(not memory.CLEAR_REFS.exists(), reason="the memory is measured on Linux only")
def test_a_large_photo_with_a_small_hole_needs_a_few_copies_of_the_photo():
    """12 megapixels; the network alone, run on all of them, would need 12 GB."""
    row = memory.measure("pipeline", 3000, 4000, 64, threads=1)
    assert row["photo_mb"] == 36
    assert row["above_photo_mb"] < 250
