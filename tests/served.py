"""Servers in processes of their own."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SECONDS_TO_START = 300


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serving(command: Sequence[object], port: int, log: Path, **options: object) -> Iterator[str]:
    """The address of a server, which is started by a command and ended at the end of the context.

    Args:
        command: that starts it.
        port: where it will answer.
        log: the file for what it says.
        **options: those of `subprocess.Popen`; `env` is added to the environment.
    """
    # Completions are small; more threads would wait for one another beside other work.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | options.pop("env", {})
    with open(log, "w") as output:
        process = subprocess.Popen(
            [*map(str, command)], env=environment, stdout=output, stderr=subprocess.STDOUT, **options
        )
    address = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not _answers(address):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}host.json", timeout=5):
            return True
    except OSError:
        return False


def assert_completed_alike(found, expected, hole: np.ndarray, unlike) -> None:
    """That two processes made the same of a photo: known pixels bit for bit, fills but for rounding.

    Sums depend on their order, and so on how many threads there are for them: by a thousandth of a level here, which
    moves a value to the next level now and then. Any other fill is off by tens of levels.

    Args:
        found, expected: completed photos (H, W, ...), 8 bits a channel.
        hole: what was filled, bool (H, W).
        unlike: a photo with something else in the hole; `found` has to be ten times nearer to what is expected.
    """
    found, expected, unlike = (np.asarray(photo).astype(int) for photo in (found, expected, unlike))
    assert np.array_equal(found[~hole], expected[~hole])
    error, difference = (np.abs(photo - expected)[hole].mean() for photo in (found, unlike))
    assert error < difference / 10, f"it is {error:.2f} levels off; what it is not to be, {difference:.2f}"
