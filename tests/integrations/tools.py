"""Other people's tools, each laid over our environment in a process of its own, and how their results are judged."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def run_with(tool: str, home: Path, *arguments: str) -> str:
    """Run Python with the packages of a tool before our own, to its end; returns what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments], env=environment(tool, home), cwd=home, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(tool: str, home: Path) -> dict[str, str]:
    """The variables of a process that has a tool; `home` takes what it keeps, and nothing is asked of the Hub."""
    folder = ROOT / f".venv-{tool}"
    if not (folder / "peer.installed").is_file():
        pytest.fail(f"{folder.name} is missing: `make peers` installs it", pytrace=False)
    return os.environ | {
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home),
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }


def assert_completed(result: np.ndarray, picture: np.ndarray, mask: np.ndarray, expected: np.ndarray) -> None:
    """uint8 pictures (H, W, 3): known pixels as they were, the others as expected (threads may differ by a rounding).

    The fill must also differ from what was under it, and from its own colours in reverse.
    """
    assert result.shape == picture.shape and result.dtype == np.uint8
    np.testing.assert_array_equal(result[~mask], picture[~mask])
    difference = np.abs(result[mask].astype(int) - expected[mask])
    assert difference.max() <= 2, f"up to {difference.max()} levels, {difference.mean():.2f} on average"
    for other in (picture[mask], expected[mask][:, ::-1]):
        assert np.abs(result[mask].astype(int) - other).mean() > 5
