"""The program in docs/large-collections.md, run as it stands there by Ray Data on this machine."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glcic_hub import GLCICPipeline
from tests.batch.conftest import HOLE, ROOT, files, make_photos, opened, samples, save
from tests.integrations.tools import run_with

START = "import ray\nray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)\n"
"""What the test adds, for less work and noise."""


@pytest.fixture
def collection(tmp_path, monkeypatch) -> Path:
    """Three photos with masks, one of them done and one damaged, and one without a mask."""
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # listens on 127.0.0.1 alone, on every system
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    make_photos(tmp_path, 3)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "000.png").write_text("done before")
    (tmp_path / "photos" / "002.png").write_text("no picture")
    save(samples(9), tmp_path / "photos" / "alone.png")
    [program] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "large-collections.md").read_text(), re.DOTALL)
    (tmp_path / "program.py").write_text(START + program)
    return tmp_path


def test_the_program_completes_what_is_not_done_and_reports_what_cannot_be(collection):
    addresses = [str(collection / name) for name in ("photos", "masks", "out")]
    said = run_with("ray", collection, "program.py", *addresses).splitlines()
    assert sorted(files(collection / "out")) == ["000.png", "001.png"]
    assert (collection / "out" / "000.png").read_text() == "done before"
    result = opened(collection / "out" / "001.png")
    pipe = GLCICPipeline.from_pretrained()
    expected = np.asarray(pipe(Image.fromarray(samples(1)), Image.fromarray(HOLE)).images[0])
    np.testing.assert_array_equal(result[~HOLE], samples(1)[~HOLE])
    assert np.abs(result.astype(int) - expected).max() <= 2  # threads may differ by a rounding
    errors = sorted(line.rpartition("/")[2] for line in said if "Error" in line)
    assert len(errors) == 2
    assert errors[0].startswith("002.png UnidentifiedImageError") and "alone.png" in errors[1]
