"""Tables and plot from a given record alone."""

import copy
import re

import pytest
from PIL import Image

from tests.benchmark.plot import LOOKS, draw
from tests.benchmark.report import tables


def timed(contestant: str, photo: int, hole: int | None, seconds: float, **ratios: float) -> dict:
    return {
        "contestant": contestant,
        "photo": photo,
        "hole": hole,
        "median_seconds": seconds,
        "ratio_to": {name.replace("_", " "): ratio for name, ratio in ratios.items()},
        "seconds": [seconds],
    }


def weighed(contestant: str, side: int, megabytes: float) -> dict:
    return {"contestant": contestant, "height": side, "width": side, "hole": 128, "above_photo_mb": megabytes}


RECORD = {
    "machine": {
        "date": "2026-01-02",
        "processor": "Some Processor",
        "cores": 4,
        "threads": 3,
        "bf16_in_hardware": False,
        "model": "some-model",
        "versions": {"torch": "9.8.7"},
    },
    "left_out": ["full frame at 512 x 512 px: a run would take up to 99 s"],
    "speed": [
        timed("full frame", 256, None, 4.0),
        timed("pipeline", 256, 32, 0.1, full_frame=0.025, Telea=50),
        timed("pipeline", 256, 128, 0.2, full_frame=0.05),
        timed("Telea", 256, 32, 0.002, full_frame=0.0005),
        timed("pipeline", 512, 128, 0.3, Telea=12),
        timed("Telea", 512, 128, 0.025),
    ],
    "memory": [weighed("pipeline", 256, 11), weighed("pipeline", 512, 12), weighed("Telea", 512, 3)],
    "seam": {
        "pictures": ["coffee", "rocket"],
        "holes_per_picture": 3,
        "hole_sides": [20, 27],
        "visibility": {"network, pasted": 5.25, "pipeline": -0.5},
    },
    "startup": {
        "median_seconds": {"import torch": 1.25, "glcic inpaint": 2.5},
        "inpaint_without_torch_seconds": 1.2,
        "imports": [{"module": "torch", "importer": "glcic_hub.images", "seconds": 1.125}],
    },
}


def test_the_tables_show_the_record():
    text = tables(RECORD)
    assert re.search(r"Some Processor, 3 of 4 cores, no bf16 .* torch 9\.8\.7, weights some-model, 2026-01-02", text)
    assert re.search(r"as full frame\n256 x 256 px +hole 32 +hole 128\nfull frame +4 +4\n", text)
    assert re.search(r"\npipeline +0\.1 \(0\.025\) +0\.2 \(0\.05\)\nTelea +0\.002 \(0\.0005\) +-\n", text)
    assert re.search(r"as Telea\n512 x 512 px +hole 128\npipeline +0\.3 \(12\)\nTelea +0\.025\n", text)
    assert re.search(r" 256x256/128 +512x512/128\npipeline +11 +12\nTelea +- +3\n", text)
    assert "6 holes of 20 to 27 px\nnetwork, pasted                     5.25\n" in text
    assert re.search(r"1\.125 s  torch +by glcic_hub\.images", text)
    assert text.endswith("Left out:\n  full frame at 512 x 512 px: a run would take up to 99 s")


def test_parts_that_were_not_measured_are_not_shown():
    text = tables({"machine": RECORD["machine"], "left_out": [], "seam": RECORD["seam"]})
    assert "seam" in text and not re.search("Seconds|Memory|import|Left out", text)


def test_the_plot_is_made_of_the_record(tmp_path):
    for name in ("a.svg", "b.svg", "c.png"):
        draw(RECORD, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.svg").stat().st_size < 100_000
    drawn = (tmp_path / "a.svg").read_text()
    for name in LOOKS:
        assert (f"<!-- {name} -->" in drawn) == (name in ("full frame", "pipeline", "Telea"))
    with Image.open(tmp_path / "c.png") as picture:
        corner = picture.convert("RGBA").getpixel((0, 0))
    assert corner == (255, 255, 255, 255)

    changed = copy.deepcopy(RECORD)
    changed["speed"][2]["median_seconds"] = 0.25
    draw(changed, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() != (tmp_path / "b.svg").read_bytes()


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nothing to draw"):
        draw({"machine": RECORD["machine"], "seam": RECORD["seam"]}, tmp_path / "a.svg")
