"""What a process reports when something goes wrong that nobody foresaw."""

from multiprocessing import Pipe

import pytest

from glcic_hub.batch.worker import Report, _Worker
from glcic_hub.errors import FailedWork, WrongUse
from glcic_hub.workflow import Settings


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (WrongUse("no picture"), "no picture"),
        (FailedWork("no memory"), "no memory"),
        (MemoryError(), "not enough memory; try fewer processes or a smaller image"),
        (ZeroDivisionError("division by\nzero"), "unexpected ZeroDivisionError: division by zero"),
    ],
)
def test_every_error_of_a_step_becomes_a_report(error, message):
    """Without one, the parent would wait for ever."""

    def step(word: str) -> None:
        assert word == "argument"
        raise error

    ours, theirs = Pipe()
    worker = _Worker(theirs, Settings(), 0)
    worker._step(3, step, "argument")
    assert ours.recv() == Report(3, message)
    worker._step(None, step, "argument")  # the model
    assert ours.recv() == Report(None, message, is_hopeless=True)


def test_no_field_of_a_report_hides_a_method_of_tuple():
    assert not set(Report._fields) & set(dir(tuple))
