"""The row of the record, from given seconds."""

from tests.benchmark.page import IOPAINT, OURS, row_of


def test_ratios_are_made_round_by_round():
    ours = {"open": [0.1, 0.3, 0.2], "complete": [1.0, 4.0], "sent": [10, 30, 20]}
    theirs = {"open": [0.2, 0.3, 0.8], "complete": [2.0, 2.0], "sent": [7, 7, 7]}
    row = row_of({OURS: ours, IOPAINT: theirs})
    assert row[OURS] == {"open_seconds": 0.2, "complete_seconds": 2.5, "second_completion_bytes": 20}
    assert row["open_ratio"] == 0.5, "the middle one of 1/2, 1 and 1/4"
    assert row["complete_ratio"] == 1.25
