"""What takes part, what is left out and why; with contestants that do nothing for a long or a short time."""

import numpy as np
import pytest

from tests.benchmark import speed
from tests.benchmark.contestants import Entry


class Idle:
    """Remembers the sizes of what it was given."""

    def __init__(self, seen: list):
        self.seen = seen

    def prepare(self, rgb: np.ndarray, mask: np.ndarray) -> tuple:
        return rgb, mask

    def __call__(self, rgb: np.ndarray, mask: np.ndarray) -> None:
        self.seen.append((len(rgb), int(mask.sum()) ** 0.5))


def test_everybody_runs_and_the_full_frame_once_for_all_holes():
    one, all_holes = [], []
    entries = {"one": Entry(lambda: Idle(one)), "all": Entry(lambda: Idle(all_holes), works_on_all=True)}
    rows, left_out = speed.measure(entries, [(32, 8), (32, 16), (64, 8)], rounds=2)
    assert [(row["contestant"], row["photo"], row["hole"]) for row in rows] == [
        ("one", 32, 8), ("all", 32, None), ("one", 32, 16), ("one", 64, 8), ("all", 64, None),
    ]  # fmt: skip
    assert not left_out and all(len(row["seconds"]) == 2 for row in rows)
    assert set(one) == {(32, 8), (32, 16), (64, 8)} and {photo for photo, _ in all_holes} == {32, 64}


@pytest.mark.parametrize("longest", [1e-9, 1e9])
def test_what_works_on_the_whole_photo_is_left_out_where_it_would_take_too_long(monkeypatch, longest):
    monkeypatch.setattr(speed, "LONGEST_RUN", longest)
    entries = {"slow": Entry(lambda: Idle([]), works_on_all=True), "other": Entry(lambda: Idle([]))}
    rows, left_out = speed.measure(entries, [(32, 8), (64, 8)], rounds=1)
    found = [(row["contestant"], row["photo"]) for row in rows]
    everything = [("slow", 32), ("other", 32), ("slow", 64), ("other", 64)]
    if longest > 1:
        assert found == everything and not left_out
    else:
        assert found == [run for run in everything if run != ("slow", 64)]
        assert len(left_out) == 1 and left_out[0].startswith("slow at 64 x 64 px: a run would take up to")


def test_what_would_need_too_much_memory_is_left_out():
    rows, left_out = speed.measure({"big": Entry(lambda: Idle([]), bytes_per_pixel=10**7)}, [(16, 8), (32, 8)], 1)
    assert [row["photo"] for row in rows] == [16]
    assert left_out == ["big at 32 x 32 px: it would need about 10 GB"]
