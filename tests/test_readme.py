"""What README and docs say: their figures are those of the records, the Python runs, the pictures are there."""

import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from docs.make_pictures import PICTURES
from glcic_hub import cli
from glcic_hub.model import DEFAULT_NAME, PRETRAINED_DIR, embedded_models
from tests.benchmark.contestants import PATCHES

ROOT = Path(__file__).parents[1]
README, QUALITY_TEXT, SPEED_TEXT, WEIGHTS_TEXT = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "docs/quality.md", "docs/speed.md", "docs/weights.md")
)
FOLDER = PRETRAINED_DIR / DEFAULT_NAME
FIGURES = {"l1_x100": 2, "psnr": 2, "ssim": 4, "feature_distance": 3, "kid_x1000": 1}
QUALITY = json.loads((ROOT / "docs" / "quality.json").read_text())
ALONE = f"{DEFAULT_NAME} texture=none"
METHODS = {
    "OpenCV Telea": "telea",
    "OpenCV Navier-Stokes": "navier-stokes",
    "PatchMatch (PyPatchMatch)": "patchmatch",
    "Resynthesizer": "resynthesizer",
    "MI-GAN": "mi-gan",
    "the network alone, `texture=None`": ALONE,
    "glcic-scenes": DEFAULT_NAME,
}


@pytest.mark.parametrize(("protocol", "table"), [("box", 0), ("free-form", 1)])
def test_the_table_shows_the_record(protocol, table):
    figures = QUALITY["protocols"][protocol]["figures"]
    assert f"{QUALITY['data']['pictures']} validation photos of 256 px" in QUALITY_TEXT
    for shown, method in METHODS.items():
        rows = re.findall(rf"^\|(?:[^|]*:\*)? \**{re.escape(shown)}\** \|(.*)\|$", QUALITY_TEXT, re.MULTILINE)
        assert len(rows) == 2
        cells = [cell.strip(" *") for cell in rows[table].split("|")]
        assert cells == [f"{figures[method][figure]:.{digits}f}" for figure, digits in FIGURES.items()]


def test_the_table_of_the_page_shows_its_record():
    rows = json.loads((ROOT / "docs" / "page.json").read_text())["rows"]
    shown = re.findall(
        r"^\| ([\w ]+) \| (glcic ui|IOPaint) \| ([\d.]+) s \| ([\d.]+) s \| (\d+) kB \|$", SPEED_TEXT, re.M
    )
    expected = [
        (
            row["photo"],
            name,
            f"{row[name]['open_seconds']:.2f}",
            f"{row[name]['complete_seconds']:.1f}",
            f"{math.ceil(row[name]['second_completion_bytes'] / 1000)}",
        )
        for row in rows
        for name in ("glcic ui", "IOPaint")
    ]
    assert shown == expected and len(shown) == 4


def test_the_table_is_of_the_weights_in_the_package():
    weights = hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest()
    assert QUALITY["models"][DEFAULT_NAME]["weights_sha256"] == weights


@pytest.mark.parametrize(("protocol", "file"), [("box", "evaluation.json"), ("free-form", "evaluation-free-form.json")])
def test_the_record_beside_the_weights_has_the_same_figures(protocol, file):
    record = json.loads((FOLDER / file).read_text())
    figures = QUALITY["protocols"][protocol]["figures"]
    assert record["figures"] == {name: figures[name] for name in ("telea", "navier-stokes", DEFAULT_NAME)}
    assert record["variants"]["texture=none"]["figures"] == {DEFAULT_NAME: figures[ALONE]}


@pytest.mark.parametrize("name", embedded_models())
def test_the_records_are_of_the_weights_beside_them(name):
    folder = PRETRAINED_DIR / name
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert json.loads((folder / "training.json").read_text())["sha256"] == digest
    for file in ("evaluation.json", "evaluation-free-form.json"):
        record = json.loads((folder / file).read_text())
        assert record["models"][name]["weights_sha256"] == digest


def test_what_is_said_about_the_figures_is_in_the_record():
    text = " ".join(QUALITY_TEXT.split())
    for protocol, words in (("box", "On squares"), ("free-form", "On brush strokes")):
        figures = QUALITY["protocols"][protocol]["figures"]
        ours, alone, migan, telea = (figures[name] for name in (DEFAULT_NAME, ALONE, "mi-gan", "telea"))
        ratio = ours["feature_distance"] / migan["feature_distance"]
        less = round(100 * (1 - ours["l1_x100"] / migan["l1_x100"]))
        error = "the same error" if less == 0 else f"{abs(less)} percent {'less' if less > 0 else 'more'} error"
        assert f"{words} its feature distance is {ratio:.2f} times MI-GAN's, at {error}. It is " in text
        assert f"{ours['feature_distance'] / telea['feature_distance']:.2f} times Telea's" in text
        assert f"{ours['l1_x100'] / alone['l1_x100']:.2f} times the network's own error" in text


def test_the_judges_counts_are_in_their_record():
    judged = json.loads((ROOT / "docs" / "judged.json").read_text())
    sets = [judged["removals"], judged["validation photos"]]
    before = {name: sum(one["patches_before"][name] for one in sets) for name in ("network", "mi-gan", "patchmatch")}
    assert [one["sheets"] for one in sets] == [24, 24]
    text = " ".join(QUALITY_TEXT.split())
    assert "by vision models and not by people" in text and "no people" in judged["judges"]
    assert f"before the network alone on {before['network']} of 48, before MI-GAN on {before['mi-gan']}, and" in text
    assert f"before PatchMatch on {before['patchmatch']} " in text
    firsts = [min(one["mean_rank"], key=one["mean_rank"].get) for one in sets]
    assert firsts == ["patchmatch", "patches"] and "PatchMatch is first in rank on the removals" in text
    removals, squares = (one["patches_before"]["patchmatch"] for one in sets)
    assert f"ours is first in rank and comes before PatchMatch on {squares} of 24" in text
    level = judged["removals"]["level_with"]["patchmatch"]
    behind = 24 - removals - level
    assert f"ours comes before it on {removals} of 24, is level with it on {level} and behind it on {behind}" in text


def test_the_seconds_of_patches_are_in_the_record():
    text = " ".join(SPEED_TEXT.split())
    seconds = QUALITY["protocols"]["box"]["seconds_per_picture"]
    assert f"takes {seconds[DEFAULT_NAME]:.1f} s on one core" in " ".join(README.split())
    ratio = seconds[DEFAULT_NAME] / seconds["mi-gan"]
    assert f"takes {seconds[DEFAULT_NAME]:.1f} s on one core, {ratio:.2f} times MI-GAN's time in the same run" in text


def test_the_times_are_those_of_the_benchmark():
    record = json.loads((ROOT / "docs" / "benchmark.json").read_text())
    runs = {run["contestant"]: run for run in record["speed"] if (run["photo"], run["hole"]) == (1024, 128)}
    seconds = {name: run["median_seconds"] for name, run in runs.items()}
    exact = runs["exact window, fp32"]["ratio_to"]["full frame"]
    text = " ".join(SPEED_TEXT.split())
    ratio = seconds["pipeline"] / seconds["MI-GAN"]
    assert f"takes {seconds['pipeline']:.2f} s, {ratio:.2f} times MI-GAN's time" in text
    of_holes = {run["hole"]: run for run in record["speed"] if (run["contestant"], run["photo"]) == (PATCHES, 1024)}
    small, middle, large = (of_holes[hole]["median_seconds"] for hole in (128, 256, 512))
    said = f"128 px takes {small:.2f} s, one of 256 px {middle:.2f} s and one of 512 px {large:.1f} s"
    across = {
        run["photo"]: run["median_seconds"]
        for run in record["speed"]
        if run["contestant"] == PATCHES
        if run["hole"] == 128
    }
    assert f"takes {across[256]:.2f} s in a photo of 256 x 256 and {across[4096]:.2f} s in one of 4096 x 4096" in text
    assert said in text and "MI-GAN (ONNX Runtime) takes 0.5 s for each" in text
    of_migan = {run["hole"]: run for run in record["speed"] if (run["contestant"], run["photo"]) == ("MI-GAN", 1024)}
    assert {round(of_migan[hole]["median_seconds"], 1) for hole in (128, 256, 512)} == {0.5}
    assert small < of_migan[128]["median_seconds"] and middle > of_migan[256]["median_seconds"]
    share = runs["pipeline"]["ratio_to"]["full frame"]
    assert f"1/{round(1 / share, -1):.0f} of the network on the whole photo" in text
    assert f"it takes {seconds['exact window, fp32']:.2f} s in fp32 ({1 / exact:.0f} times as fast)" in text
    assert f"and {seconds['exact window, bf16']:.2f} s in bf16" in text
    (most,) = [run for run in record["memory"] if run["contestant"] == "pipeline" and run["width"] == 8000]
    assert f"need {most['above_photo_mb'] / 1000:.2f} GB" in text
    batch = record["batch"]["median_pictures_per_second"]["JPEG"]
    assert f"completes {batch:.0f} JPEG photos" in text
    compiled = [run["ratio_to"]["pipeline"] for run in record["compiled"] if "pipeline" in run["ratio_to"]]
    gains = sorted(round(100 * (1 - ratio)) for ratio in compiled)
    assert f"`torch.compile` gains {gains[0]} to {gains[-1]} percent" in text


def test_what_is_said_about_the_training_and_the_ways_is_in_the_records():
    training = json.loads((FOLDER / "training.json").read_text())
    text = " ".join(WEIGHTS_TEXT.split())
    numbers = dict(enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], start=1))
    hours = numbers[round(training["minutes"] / 60)]
    assert f"{round(training['crops'], -3):,} crops of 64 and 96 px in {hours} hours" in text


def test_what_is_said_about_faces_is_in_the_record():
    record = json.loads((PRETRAINED_DIR / "glcic-faces-64" / "evaluation.json").read_text())
    ours, telea = (record["figures"][name]["hole_psnr"] for name in ("glcic-faces-64", "telea"))
    (as_scenes,) = record["variants"]["blend=poisson"]["figures"].values()
    text = " ".join(WEIGHTS_TEXT.split())
    assert f'; {as_scenes["hole_psnr"] - telea:.1f} dB with `blend="poisson"`' in text
    assert f"{ours - telea:.1f} dB ahead of Telea in the hole ({ours:.2f} against {telea:.2f} dB" in text


def test_the_python_runs(tmp_path, monkeypatch):
    """Nothing but what `make demo` leaves is needed, which ends with `glcic demo -o demo`."""
    assert "glcic demo -o demo\n" in (ROOT / "Makefile").read_text()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", "-o", "demo"]) == 0
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 7
    exec(code, {})
    before, mask, after = (
        np.asarray(Image.open(name)) for name in ("demo/before.png", "demo/mask.png", "completed.png")
    )
    assert np.array_equal(after[mask == 0], before[mask == 0])
    assert (after != before).any(axis=2)[mask > 0].mean() > 0.5


def test_every_photo_is_named_with_its_licence():
    removals = json.loads((ROOT / "docs" / "removals" / "removals.json").read_text())
    assert {path.stem for path in (ROOT / "docs" / "removals").glob("*.webp")} == removals.keys()
    assert {name for rows in PICTURES.values() for row in rows for name in row} == removals.keys()
    for file, rows in PICTURES.items():
        [shown] = [text for text in (README, QUALITY_TEXT) if re.search(rf"\]\((docs/)?{file}\.jpg\)", text)]
        beside = " ".join(re.split(rf"{file}\.jpg\)", shown)[1].split("\n\n")[1].split())
        for name in (name for row in rows for name in row):
            assert removals[name]["licence"] == "CC BY 2.0" and "CC BY 2.0" in beside
            assert removals[name]["image_id"] in beside
