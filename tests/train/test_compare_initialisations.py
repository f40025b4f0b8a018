"""The comparison of initialisations: its arithmetic, and one whole tiny study."""

import json

import pytest
from PIL import Image
from skimage import data as photos

from train import compare_initialisations
from train.compare_initialisations import psnr, table


def test_psnr_is_that_of_the_mean_error():
    assert psnr([0.01, 0.01]) == pytest.approx(20)
    assert psnr([0.0, 0.02]) == pytest.approx(20)


def test_table_averages_over_seeds_and_puts_the_best_first():
    worse = {"0": [1.0] * 300 + [0.01] * 100, "1": [1.0] * 300 + [0.001] * 100}
    better = {"0": [0.1] * 300 + [1e-4] * 100, "1": [0.1] * 300 + [1e-4] * 100}
    lines = table({"worse": worse, "better": better}).splitlines()
    assert lines[0] == "| initialisation | steps 51 to 150 | steps 301 to 400 |"
    assert lines[2] == "| better | 10.00 ± 0.00 | 40.00 ± 0.00 |"
    assert lines[3] == "| worse | 0.00 ± 0.00 | 25.00 ± 7.07 |"  # 20 and 30 dB


def test_study_is_written_and_not_repeated(tmp_path, capsys):
    pictures, output = tmp_path / "pictures", tmp_path / "study"
    pictures.mkdir()
    for name in ("astronaut", "coffee"):
        Image.fromarray(getattr(photos, name)()).resize((80, 80)).save(pictures / f"{name}.png")
    options = ["--train_data_dir", str(pictures), "--output_dir", str(output), "--steps", "3", "--batch", "2"]
    options += ["--base_channels", "2", "--mixed_precision", "no", "--inits", "normal", "identity", "--seeds", "0", "1"]
    compare_initialisations.main(options)
    curves = json.loads((output / "curves.json").read_text())["completion_loss"]
    assert all(len(curves[init][seed]) == 3 for init in ("normal", "identity") for seed in ("0", "1"))
    assert curves["normal"]["0"] != curves["identity"]["0"] != curves["identity"]["1"]
    assert (output / "curves.svg").read_text().startswith("<?xml")
    assert "| identity |" in (output / "table.md").read_text()

    kept = output / "normal-0.json"
    kept.write_text("[1.0, 1.0, 1.0]")
    capsys.readouterr()
    compare_initialisations.main(options)
    assert kept.read_text() == "[1.0, 1.0, 1.0]"
    assert "seed" not in capsys.readouterr().out.split("| initialisation")[0]
