"""What several test modules look at: three pictures, and the whole of a tiny run with a checkpoint at each step."""

from pathlib import Path

import pytest

from tests.train.runs import make_pictures, run


@pytest.fixture(scope="session")
def tiny_pictures(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures")


@pytest.fixture(scope="session")
def whole_run(tiny_pictures, tmp_path_factory) -> Path:
    return run(tiny_pictures, tmp_path_factory.mktemp("runs") / "whole")
