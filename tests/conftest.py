"""What holds for all tests, whatever ran before and however pytest was started."""

import signal

import pytest
import torch


def pytest_configure() -> None:
    # A shell's background job ignores SIGINT, and so would every program that the tests interrupt.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    """Sums depend on their order and so on the threads: a test must not decide about the next one's."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
