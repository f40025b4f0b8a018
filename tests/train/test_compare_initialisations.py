"""The comparison of initialisations: its arithmetic, and one whole tiny study."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from skimage import data as photos

from train import compare_initialisations
from train.compare_initialisations import mean_psnr, table


def test_psnr_is_that_of_the_mean_error():
    assert mean_psnr([0.01, 0.01]) == pytest.approx(20)
    assert mean_psnr([0.0, 0.02]) == pytest.approx(20)


def test_table_averages_over_seeds_and_puts_the_best_first():
    worse = {"0": [1.0] * 300 + [0.01] * 100, "1": [1.0] * 300 + [0.001] * 100}
    better = {"0": [0.1] * 300 + [1e-4] * 100, "1": [0.1] * 300 + [1e-4] * 100}
    lines = table({"worse": worse, "better": better}).splitlines()
    assert lines[0] == "| initialisation | steps 51 to 150 | steps 301 to 400 |"
    assert lines[2] == "| better | 10.00 ± 0.00 | 40.00 ± 0.00 |"
    assert lines[3] == "| worse | 0.00 ± 0.00 | 25.00 ± 7.07 |"  # 20 and 30 dB


SETTINGS = {"data": ["pictures"], "steps": 3, "batch": 2, "learning_rate": 1e-3, "base_channels": 2}
SETTINGS |= {"mixed_precision": "no"}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> list[str]:
    """The options of a study that is done; its folder is `study` beside that of the pictures."""
    folder = tmp_path_factory.mktemp("comparison")
    (folder / "pictures").mkdir()
    for name in ("astronaut", "coffee"):
        Image.fromarray(getattr(photos, name)()).resize((80, 80)).save(folder / "pictures" / f"{name}.png")
    options = ["--train_data_dir", str(folder / "pictures"), "--output_dir", str(folder / "study")]
    options += ["--inits", "normal", "identity", "--seeds", "0", "1"]
    for name, value in SETTINGS.items():
        options += [] if name == "data" else [f"--{name}", str(value)]
    compare_initialisations.main(options)
    return options


def test_study_is_written_with_its_settings(study):
    output = Path(study[3])
    written = json.loads((output / "curves.json").read_text())
    curves = written["completion_loss"]
    assert written["settings"] == SETTINGS
    assert json.loads((output / "normal-1.json").read_text()) == {
        "settings": SETTINGS,
        "completion_loss": curves["normal"]["1"],
    }
    assert all(len(curves[init][seed]) == 3 for init in ("normal", "identity") for seed in ("0", "1"))
    assert curves["normal"]["0"] != curves["identity"]["0"] != curves["identity"]["1"]
    assert (output / "curves.svg").read_text().startswith("<?xml")
    assert "| identity |" in (output / "table.md").read_text()


def copied(study: list[str], folder: Path) -> tuple[Path, list[str]]:
    output = shutil.copytree(study[3], folder / "study")
    return output, [*study[:3], str(output), *study[4:]]


def test_finished_trainings_are_not_repeated(study, tmp_path, capsys):
    output, options = copied(study, tmp_path)
    kept, missing = output / "normal-0.json", output / "identity-1.json"
    kept.write_text(json.dumps({"settings": SETTINGS, "completion_loss": [1.0, 1.0, 1.0]}))
    before = missing.read_text()
    missing.unlink()
    compare_initialisations.main(options)
    curves = json.loads((output / "curves.json").read_text())["completion_loss"]
    assert curves["normal"]["0"] == [1.0, 1.0, 1.0]
    assert missing.read_text() == before
    assert [line for line in capsys.readouterr().out.splitlines() if "seed" in line] == ["identity, seed 1"]


@pytest.mark.parametrize(
    ("options", "theirs", "ours"),
    [
        (["--steps", "4"], "steps 3", "steps 4"),
        (["--mixed_precision", "bf16", "--batch", "1"], "batch 2, mixed_precision no", "batch 1, mixed_precision bf16"),
        (["--train_data_dir", "{folder}/others"], "data ['pictures']", "data ['others']"),
    ],
)
def test_trainings_of_other_settings_are_refused(study, tmp_path, capsys, options, theirs, ours):
    output, first = copied(study, tmp_path)
    (tmp_path / "others").mkdir()
    (output / "normal-0.json").unlink()  # what is missing is not trained before the refusal
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    with pytest.raises(SystemExit) as raised:
        compare_initialisations.main([*first, *(option.format(folder=tmp_path) for option in options)])
    assert raised.value.code == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert f"identity-0.json was made with {theirs}, not with {ours}: choose another --output_dir" in sentence
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


@pytest.mark.parametrize(
    "content", ['{"settings": {"ste', "[1.0, 1.0, 1.0]", "{}", '{"settings": 3, "completion_loss": []}']
)
def test_file_without_settings_is_named(study, tmp_path, capsys, content):
    output, options = copied(study, tmp_path)
    (output / "identity-0.json").write_text(content)
    with pytest.raises(SystemExit):
        compare_initialisations.main(options)
    assert "identity-0.json does not hold a training with its settings: remove it" in capsys.readouterr().err


def test_full_disk_leaves_no_half_file(tmp_path):
    resource = pytest.importorskip("resource", reason="limits of POSIX")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError):
            compare_initialisations.write_json(tmp_path / "x.json", {"completion_loss": [0.125] * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
