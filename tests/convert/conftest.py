"""Settings of the converters' tests."""

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """The networks here are tiny: threads only wait for each other, a second and more a test on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
