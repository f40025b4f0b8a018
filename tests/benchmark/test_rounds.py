"""The statistics of the benchmark, on given times."""

import pytest

from tests.benchmark.rounds import MOST_REPEATS, Task, ratio, rows_of


def test_a_ratio_is_made_round_by_round():
    """A machine that is ten times slower in one round changes nothing; the ratio of medians would be 40 / 3."""
    assert ratio([40, 4, 400], [10, 1, 100]) == 4
    assert ratio([2, 40, 60], [1, 10, 3]) == 4


def test_a_ratio_needs_the_same_rounds():
    with pytest.raises(ValueError):
        ratio([1, 2, 3], [1, 2])


@pytest.mark.parametrize(("first", "repeats"), [(1e-6, MOST_REPEATS), (0.05, 4), (0.07, 3), (0.2, 1), (9.0, 1)])
def test_quick_runs_are_repeated_within_a_round(first, repeats):
    seconds = iter([first] + [5, 1, 3, 2, 4, 6, 7, 8, 9, 10][:repeats])
    task = Task("a", 256, 32, lambda: next(seconds), [])
    task.warm_up()
    assert task.repeats == repeats
    task.one_round()
    medians = {1: 5, 3: 3, 4: 2.5, 10: 5.5}
    assert task.seconds == [medians[repeats]]
    assert next(seconds, None) is None


def task_of(contestant: str, photo: int, hole: int | None, seconds: list[float]) -> Task:
    return Task(contestant, photo, hole, lambda: 0.0, seconds)


def test_rows_have_the_ratio_to_the_reference_of_the_same_cell():
    tasks = [
        task_of("whole", 256, None, [10, 20, 30]),
        task_of("ours", 256, 32, [1, 2, 6]),
        task_of("ours", 256, 64, [5, 5, 5]),
        task_of("fast", 256, 32, [0.5, 0.5, 0.5]),
        task_of("ours", 512, 32, [1, 2, 3]),
    ]
    rows = rows_of(tasks, ("whole", "fast"))
    assert [(row["contestant"], row["photo"], row["hole"]) for row in rows] == [
        (task.contestant, task.photo, task.hole) for task in tasks
    ]
    assert [row["median_seconds"] for row in rows] == [20, 2, 5, 0.5, 2]
    assert [row["ratio_to"] for row in rows] == [
        {},
        {"whole": 0.1, "fast": 4},
        {"whole": 0.25},
        {"whole": 0.025},
        {},
    ]
    assert rows[1]["seconds"] == [1, 2, 6]
