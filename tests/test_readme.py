"""What the README says: its figures are those of the records, its Python runs, its pictures are there."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from glcic_hub.model import DEFAULT_NAME, PRETRAINED_DIR, embedded_models

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDER = PRETRAINED_DIR / DEFAULT_NAME
FIGURES = {"l1_x100": 2, "psnr": 2, "ssim": 4, "feature_distance": 3}
TEXTURED = f'{DEFAULT_NAME}, `texture="photo"`'
METHODS = {"OpenCV Telea": "telea", "OpenCV Navier-Stokes": "navier-stokes"}
METHODS |= {DEFAULT_NAME: DEFAULT_NAME, TEXTURED: TEXTURED}


@pytest.mark.parametrize(("file", "table"), [("evaluation.json", 0), ("evaluation-free-form.json", 1)])
def test_the_table_shows_the_record(file, table):
    record = json.loads((FOLDER / file).read_text())
    figures = record["figures"] | {TEXTURED: record["figures_with_texture"][DEFAULT_NAME]}
    for shown, method in METHODS.items():
        rows = re.findall(rf"^\|(?:[^|]*:\*)? \**{shown}\** \|(.*)\|$", README, re.MULTILINE)
        assert len(rows) == 2
        cells = [cell.strip(" *") for cell in rows[table].split("|")]
        assert cells == [f"{figures[method][figure]:.{digits}f}" for figure, digits in FIGURES.items()]


@pytest.mark.parametrize("name", embedded_models())
def test_the_records_are_of_the_weights_beside_them(name):
    folder = PRETRAINED_DIR / name
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert json.loads((folder / "training.json").read_text())["sha256"] == digest
    for file in ("evaluation.json", "evaluation-free-form.json"):
        record = json.loads((folder / file).read_text())
        assert record["models"][name]["weights_sha256"] == digest


def test_the_table_of_ways_shows_its_record():
    record = json.loads((ROOT / "docs" / "ways.json").read_text())
    weights = hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest()
    assert record["models"][DEFAULT_NAME]["weights_sha256"] == weights
    assert f"The {record['data']['pictures']} photos with squares" in README
    ways = {
        "the network alone, `blend=None`": "_without_blending",
        "seam correction (default)": "",
        "texture": "_with_texture",
    }
    for way, ending in ways.items():
        (row,) = re.findall(rf"^\| {re.escape(way)} \|(.*)\|$", README, re.MULTILINE)
        figures, seconds = (record[section + ending][DEFAULT_NAME] for section in ("figures", "seconds_per_picture"))
        wanted = [f"{figures[figure]:.{digits}f}" for figure, digits in FIGURES.items()]
        assert [cell.strip(" *") for cell in row.split("|")] == [*wanted, f"{seconds:.2g}"]


def test_the_times_are_those_of_the_benchmark():
    record = json.loads((ROOT / "docs" / "benchmark.json").read_text())
    runs = {run["contestant"]: run for run in record["speed"] if (run["photo"], run["hole"]) == (1024, 128)}
    seconds = {name: run["median_seconds"] for name, run in runs.items()}
    exact = runs["exact window, fp32"]["ratio_to"]["full frame"]
    text = " ".join(README.split())
    assert f"takes {seconds['pipeline']:.2f} s: a tenth of MI-GAN's time" in text
    assert 9.5 < seconds["MI-GAN"] / seconds["pipeline"] < 10.9
    share = runs["pipeline"]["ratio_to"]["full frame"]
    assert f"1/{round(1 / share, -1):.0f} of the network on the whole photo" in text
    assert f"it takes {seconds['exact window, fp32']:.2f} s in fp32 ({1 / exact:.0f} times as fast)" in text
    assert f"and {seconds['exact window, bf16']:.2f} s in bf16" in text
    (large,) = [run for run in record["memory"] if run["contestant"] == "pipeline" and run["width"] == 8000]
    assert f"need {large['above_photo_mb'] / 1000:.2f} GB" in text
    batch = record["batch"]["median_pictures_per_second"]["JPEG"]
    assert f"completes {batch:.0f} JPEG photos" in text
    compiled = [run["ratio_to"]["pipeline"] for run in record["compiled"] if "pipeline" in run["ratio_to"]]
    gains = sorted(round(100 * (1 - ratio)) for ratio in compiled)
    assert f"`torch.compile` gains {gains[0]} to {gains[-1]} percent" in text


def test_what_is_said_about_the_training_and_the_ways_is_in_the_records():
    training = json.loads((FOLDER / "training.json").read_text())
    text = " ".join(README.split())
    numbers = dict(enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], start=1))
    hours = numbers[round(training["minutes"] / 60)]
    assert f"{round(training['crops'], -3):,} crops of 64 and 96 px in {hours} hours" in text
    gains = []
    for file in ("evaluation.json", "evaluation-free-form.json"):
        record = json.loads((FOLDER / file).read_text())
        plain, textured = (
            record[section][DEFAULT_NAME]["feature_distance"] for section in ("figures", "figures_with_texture")
        )
        gains.append(round(100 * (1 - textured / plain)))
    assert f"(the feature distance falls by {gains[0]} to {gains[1]} percent)" in text


def test_what_is_said_about_faces_is_in_the_record():
    figures = json.loads((PRETRAINED_DIR / "glcic-faces-64" / "evaluation.json").read_text())["figures"]
    ours, telea = (figures[name]["hole_psnr"] for name in ("glcic-faces-64", "telea"))
    raw = json.loads((PRETRAINED_DIR / "glcic-faces-64" / "evaluation.json").read_text())["figures_without_blending"]
    text = " ".join(README.split())
    assert f"; {raw['glcic-faces-64']['hole_psnr'] - telea:.1f} dB with `blend=None`" in text
    assert f"{ours - telea:.1f} dB ahead of Telea in the hole ({ours:.2f} against {telea:.2f} dB" in text


def test_the_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo, mask = data.coffee()[:200, :300], np.zeros((200, 300), bool)
    mask[80:110, 100:160] = True
    Image.fromarray(photo).save("photo.jpg")
    Image.fromarray(mask).save("mask.png")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    before, after = (np.asarray(Image.open(name)) for name in ("photo.jpg", "completed.png"))
    assert np.array_equal(after[~mask], before[~mask])
    assert (after != before).any(axis=2)[mask].mean() > 0.5


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links and all((ROOT / link).exists() for link in links)
