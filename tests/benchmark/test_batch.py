"""The batch's benchmark in its smallest form: everybody completes pictures, and the table says so."""

from tests.benchmark.batch import FORMATS, STEPS, measure, table


def test_all_rates_are_measured_and_shown():
    record = measure(processes=1, rounds=1, pictures=6, scene=(120, 160, 32))
    assert (record["photo"], record["hole"]) == ([120, 160], 32)
    assert record["median_pictures_per_second"].keys() == {*STEPS, *FORMATS}
    assert all(rate > 0 for rate in record["median_pictures_per_second"].values())
    rates = record["median_pictures_per_second"]
    for file_format in FORMATS:
        for step in STEPS:
            expected = rates[file_format] / rates[step]
            assert abs(record["batch_as_share_of"][file_format][step] - expected) < 0.1 * expected + 0.01
    lines = table(record).splitlines()
    assert len(lines) == 1 + len(STEPS) + len(FORMATS)
    assert all(f"x {step}" in lines[-1] for step in STEPS)
