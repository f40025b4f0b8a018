"""The figures of train/evaluate.py against independent computations, and what the command writes."""

import hashlib
import json
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photos
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from glcic_hub.filling.completer import Completer
from glcic_hub.filling.options import FillOptions
from glcic_hub.images import paste
from glcic_hub.masks import random_strokes
from glcic_hub.model import GLCICModel
from train import evaluate
from train.dataset import find_pictures
from train.evaluate import DTYPES, Protocol, centre_crop, figures, load_completer, main, opencv_method
from train.feature_distance import feature_distance, picture_maps
from train.layout import Layout

FACES = Protocol("box", 64, 15, 25, 5)
SMALL = ["--size", "64", "--min_hole_size", "15", "--max_hole_size", "25", "--hole_margin", "5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five pictures of 64 x 64, so that nothing is resampled."""
    path = tmp_path_factory.mktemp("pictures")
    for index, name in enumerate(["astronaut", "chelsea", "coffee", "rocket", "astronaut"]):
        photo = Image.fromarray(getattr(photos, name)()[50 * index : 50 * index + 128, 100:228])
        photo.resize((64, 64)).save(path / f"{index}.png")
    return path


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny"
    GLCICModel(base_channels=4, mean=(0.5, 0.4, 0.3), sample_size=64, max_hole_size=32).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def methods(model_folder):
    return {
        "telea": opencv_method(cv2.INPAINT_TELEA),
        "tiny": evaluate.model_method(Completer(GLCICModel.from_pretrained(model_folder))),
    }


# The figures


def noisy_pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth = photos.chelsea()[100:180, 100:196]
    mask = np.zeros(truth.shape[:2], bool)
    mask[20:50, 30:70] = True
    result = truth.copy()
    noise = np.random.default_rng(seed).normal(0, 30, truth.shape)
    result[mask] = np.clip(truth + noise, 0, 255).astype(np.uint8)[mask]
    return truth, result, mask


def test_figures_equal_independent_computations():
    truth, result, mask = noisy_pair()
    values = figures(truth, result, mask)
    inside = np.concatenate([(result.astype(float) - truth)[y, x] for y, x in zip(*np.nonzero(mask), strict=True)])
    assert values["l1_x100"] == pytest.approx(100 * np.mean(np.abs(inside)) / 255)
    assert values["hole_psnr"] == pytest.approx(20 * np.log10(255 / np.sqrt(np.mean(inside**2))))
    assert values["psnr"] == pytest.approx(peak_signal_noise_ratio(truth, result, data_range=255), abs=1e-3)
    ssim = structural_similarity(
        truth, result, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert values["ssim"] == pytest.approx(ssim, abs=2e-5)


def test_exact_fill_has_finite_figures():
    truth, _, mask = noisy_pair()
    values = figures(truth, truth.copy(), mask)
    assert values == pytest.approx({"l1_x100": 0, "hole_psnr": 100, "psnr": 100, "ssim": 1})


def test_difference_does_not_wrap_around():
    truth, mask = np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    result = truth.copy()
    result[mask] = 255
    assert figures(truth, result, mask)["l1_x100"] == pytest.approx(100)
    assert figures(255 - truth, 255 - result, mask)["l1_x100"] == pytest.approx(100)


def test_fill_is_rounded_and_pasted_into_the_hole_alone():
    truth, _, mask = noisy_pair()
    before = truth.copy()
    result = paste(truth, np.full(truth.shape, 100.6 / 255, np.float32), mask)
    assert (result[mask] == 101).all()
    assert np.array_equal(result[~mask], truth[~mask])
    assert np.array_equal(truth, before)


# The protocol


def test_holes_are_those_of_the_protocol():
    for index in range(200):
        rng = np.random.default_rng([7, index])
        side = rng.integers(88, 129)
        y, x = (int(rng.integers(20, 256 - 20 - side + 1)) for _ in range(2))
        expected = np.zeros((256, 256), bool)
        expected[y : y + side, x : x + side] = True
        assert np.array_equal(Protocol().mask(index), expected)


@pytest.mark.parametrize("protocol", [Protocol(), FACES, Protocol("box", 64, 24, 24, 20)])
def test_holes_are_squares_within_their_limits(protocol):
    sides = set()
    for index in range(300):
        rows, columns = np.nonzero(protocol.mask(index))
        side = rows.max() - rows.min() + 1
        assert side == columns.max() - columns.min() + 1
        assert len(rows) == side**2
        assert min(rows.min(), columns.min()) >= protocol.hole_margin
        assert max(rows.max(), columns.max()) < protocol.size - protocol.hole_margin
        sides.add(side)
    assert (min(sides), max(sides)) == (protocol.min_hole_size, protocol.max_hole_size)


def holes_of(*options: str) -> tuple[int, ...]:
    args = evaluate.parse_args(["--data", "x", *options])
    return args.size, args.min_hole_size, args.max_hole_size, args.hole_margin


def test_holes_go_along_with_the_size_unless_they_are_given():
    assert holes_of() == (256, 88, 128, 20)
    assert holes_of("--size", "128") == (128, 44, 64, 10)
    assert holes_of(*SMALL) == (64, 15, 25, 5)


def test_crop_is_the_centre_at_the_right_size():
    picture = np.random.default_rng(0).integers(0, 256, (64, 101, 3), dtype=np.uint8)
    assert np.array_equal(centre_crop(Image.fromarray(picture), 64), picture[:, 18:82])
    upright = centre_crop(Image.fromarray(picture.swapaxes(0, 1).copy()), 64)
    assert np.array_equal(upright, picture.swapaxes(0, 1)[18:82])
    wide = Image.fromarray(picture).resize((202, 128))
    expected = np.asarray(wide.resize((101, 64), Image.Resampling.LANCZOS))[:, 18:82]
    assert np.array_equal(centre_crop(wide, 64), expected)
    for size in ((30, 31), (1000, 64), (97, 65)):
        assert centre_crop(Image.new("RGB", size), 64).shape == (64, 64, 3)


# What the methods see


def test_methods_see_nothing_under_the_mask_and_cannot_change_the_truth(folder):
    seen = []

    def method(rgb, mask):
        seen.append((rgb.copy(), mask.copy()))
        rgb[:] = 9
        mask[:] = True
        return np.zeros(rgb.shape, np.float32)

    _, _, rows = evaluate.evaluate(find_pictures([folder]), {"a": method, "b": method}, FACES, keep=range(5))
    assert len(rows) == 5
    for rgb, mask in seen:
        assert 15**2 <= mask.sum() <= 25**2
        assert (rgb[mask] == 0).all()
        assert rgb[~mask].any()
    for index, row in enumerate(rows):
        stored = np.asarray(Image.open(folder / f"{index}.png"))
        assert np.array_equal(row["truth"], stored)
        mask = FACES.mask(index)
        for column in ("a", "b", "hole"):
            assert np.array_equal(row[column][~mask], stored[~mask])
        assert (row["hole"][mask] == 128).all()


def test_completions_do_not_depend_on_what_was_in_the_hole(folder, methods, tmp_path):
    for index in range(5):
        picture = np.array(Image.open(folder / f"{index}.png"))
        picture[FACES.mask(index)] = (255, 0, 200)
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    original, changed = (
        evaluate.evaluate(find_pictures([source]), methods, FACES, keep=range(5)) for source in (folder, tmp_path)
    )
    assert original[0] != changed[0]
    for row, other in zip(original[2], changed[2], strict=True):
        for name in methods:
            assert np.array_equal(row[name], other[name])


def test_means_are_those_of_the_single_pictures(folder, methods):
    means, seconds, rows = evaluate.evaluate(find_pictures([folder]), methods, FACES, keep=range(5))
    for name in methods:
        singles = [figures(row["truth"], row[name], FACES.mask(index)) for index, row in enumerate(rows)]
        for figure, value in means[name].items():
            assert value == pytest.approx(np.mean([single[figure] for single in singles]), abs=1e-5)
        assert seconds[name] >= 0


def test_free_form_holes_are_strokes_that_the_number_decides():
    protocol = Protocol("free-form", 128, 44, 64, 10)
    masks = [protocol.mask(index) for index in range(6)]
    expected = random_strokes((128, 128), (5, 18), (2, 6), [7, 3])
    assert np.array_equal(masks[3], expected)
    assert all(mask.shape == (128, 128) and 0 < mask.mean() < 0.9 for mask in masks)


def test_features_are_measured_when_asked_for(folder, tmp_path):
    """A model's features against the same maps compared by hand."""
    record = record_of(tmp_path, "--data", str(folder), "--model", "--features", *SMALL)
    pictures = sorted(find_pictures([folder]), key=lambda picture: picture.name)
    distances = []
    for index, picture in enumerate(pictures):
        truth, mask = centre_crop(picture.decode(), 64), FACES.mask(index)
        blanked = truth.copy()
        blanked[mask] = 0
        result = paste(truth, opencv_method(cv2.INPAINT_TELEA)(blanked, mask), mask)
        distances.append(feature_distance(picture_maps(result), picture_maps(truth), mask))
    assert record["figures"]["telea"]["feature_distance"] == pytest.approx(np.mean(distances), abs=1e-4)
    assert "kid_x1000" in record["figures"]["telea"]


def test_layout_is_that_which_the_first_model_sees(folder, model_folder, tmp_path, capsys):
    """Holes of 15 to 25 px, for a model that sees them at 15 at most."""
    coarse = tmp_path / "coarse"
    GLCICModel.from_pretrained(model_folder, max_hole_size=15).save_pretrained(coarse)
    options = ["--data", str(folder), "--model", str(coarse), str(model_folder), "--features", *SMALL]
    plain = record_of(tmp_path, *options)
    capsys.readouterr()
    record = record_of(tmp_path, *options, "--layout")
    table = capsys.readouterr().out
    assert "layout" not in plain and record["layout"] == {"sample_size": 64, "max_hole_size": 15}
    expected = []
    for index, picture in enumerate(sorted(find_pictures([folder]), key=lambda picture: picture.name)):
        truth, mask = centre_crop(picture.decode(), 64), FACES.mask(index)
        blanked = np.where(mask[..., None], np.uint8(0), truth)
        result = paste(truth, opencv_method(cv2.INPAINT_TELEA)(blanked, mask), mask)
        expected.append(evaluate.layout_figures(truth, result, mask, Layout(64, 15), features=True))
    assert len(record["figures"]) == 4
    for method, values in record["figures"].items():
        own = {name: values.pop(name) for name in expected[0]}
        assert values == plain["figures"][method]
        if method == "telea":
            assert own == pytest.approx({name: np.mean([one[name] for one in expected]) for name in own}, abs=1e-5)
        assert f"{own['layout_feature_distance']:.3f}" in table
    assert "layout L1  layout PSNR  layout FD" in table


def test_layout_too_small_for_features_is_told(folder, model_folder, tmp_path):
    GLCICModel.from_pretrained(model_folder, max_hole_size=4).save_pretrained(tmp_path)
    options = ["--data", str(folder), "--model", str(tmp_path), "--layout", *SMALL]
    assert "must be at least 32" in message_of(*options, "--features")
    main(options)


def test_layout_without_a_model_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--data", "x", "--model", "--layout"])
    assert "--layout needs a --model" in capsys.readouterr().err


# The command


def record_of(tmp_path, *options: str) -> dict:
    main([*options, "--output", str(tmp_path / "new" / "figures.json")])
    return json.loads((tmp_path / "new" / "figures.json").read_text())


def test_record_is_complete_and_the_same_each_time(folder, model_folder, tmp_path, capsys):
    options = ["--data", str(folder), "--model", str(model_folder), *SMALL]
    record = record_of(tmp_path, *options)
    table = capsys.readouterr().out
    again = record_of(tmp_path, *options)
    assert record.pop("seconds_per_picture").keys() == again.pop("seconds_per_picture").keys()
    assert record == again

    name = str(model_folder)
    assert list(record["figures"]) == ["telea", "navier-stokes", name]
    assert record["protocol"] == {
        "name": "box",
        "size": 64,
        "min_hole_size": 15,
        "max_hole_size": 25,
        "hole_margin": 5,
        "seed": 7,
    }
    assert record["data"] == {"sources": [folder.name], "pictures": 5}
    weights = (model_folder / "model.safetensors").read_bytes()
    assert record["models"][name]["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert record["models"][name]["config"]["base_channels"] == 4
    assert record["versions"]["torch"] == torch.__version__
    for method, values in record["figures"].items():
        line = next(line for line in table.splitlines() if line.startswith(method))
        assert f"{values['l1_x100']:.2f}" in line
        assert f"{values['ssim']:.4f}" in line


def test_folder_and_shard_and_their_order_give_the_same_figures(folder, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as shard:
        for path in sorted(folder.iterdir(), reverse=True):
            shard.add(path, f"sub/{path.name}")
    from_folder = record_of(tmp_path, "--data", str(folder), "--model", *SMALL)
    from_shard = record_of(tmp_path, "--data", str(tmp_path / "a.tar"), "--model", *SMALL)
    assert from_folder["figures"] == from_shard["figures"]
    assert from_shard["models"] == {}


def test_the_network_alone_is_measured_beside_patches_of_the_photo(folder, model_folder, tmp_path, capsys):
    name = str(model_folder)
    options = ["--data", str(folder), "--model", name, *SMALL]
    plain, record = record_of(tmp_path, *options), record_of(tmp_path, *options, "--variant", "texture=none")
    assert record["figures"] == plain["figures"] and record["seconds_per_picture"].keys() == plain["figures"].keys()
    completer = Completer(GLCICModel.from_pretrained(model_folder, dtype=torch.float32))
    alone = evaluate.model_method(completer, FillOptions(texture=None))
    expected, _, _ = evaluate.evaluate(
        sorted(find_pictures([folder]), key=lambda p: p.name), {"telea": alone, "alone": alone}, FACES
    )
    assert record["variants"]["texture=none"]["figures"] == {name: expected["alone"]}
    assert expected["alone"] != record["figures"][name]
    assert f"{name} texture=none" in capsys.readouterr().out


def test_the_network_without_blending_is_measured_beside_it(folder, model_folder, tmp_path):
    name = str(model_folder)
    options = ["--data", str(folder), "--model", name, *SMALL]
    plain, record = record_of(tmp_path, *options), record_of(tmp_path, *options, "--variant", "blend=none")
    completer = Completer(GLCICModel.from_pretrained(name, dtype=torch.float32))
    method = evaluate.model_method(completer, FillOptions(blend=None))
    raw = {"telea": method, "without": method}
    expected, _, _ = evaluate.evaluate(sorted(find_pictures([folder]), key=lambda p: p.name), raw, FACES)
    assert record["variants"]["blend=none"]["figures"] == {name: expected["without"]}
    assert record["figures"] == plain["figures"] and expected["without"] != plain["figures"][name]


def test_limit_takes_the_first_pictures(folder, methods, tmp_path):
    record = record_of(tmp_path, "--data", str(folder), "--model", "--limit", "2", *SMALL)
    expected, _, _ = evaluate.evaluate(find_pictures([folder])[:2], {"telea": methods["telea"]}, FACES)
    assert record["data"]["pictures"] == 2
    assert record["figures"]["telea"] == expected["telea"]


@pytest.mark.parametrize(("count", "shown"), [(3, [0, 2, 4]), (24, [0, 1, 2, 3, 4]), (1, [0])])
def test_sheet_shows_pictures_from_the_whole_range(folder, model_folder, tmp_path, count, shown):
    path = tmp_path / "new" / "sheet.png"
    options = ["--model", str(model_folder), "--sheet", str(path), "--sheet_count", str(count)]
    main(["--data", str(folder), *options, *SMALL])
    sheet = np.asarray(Image.open(path))
    caption = sheet.shape[0] - 64 * len(shown)
    assert sheet.shape[1:] == (4 * 64, 3)  # hole, truth, Telea, the model
    assert 8 <= caption <= 32
    assert sheet[:caption].min() < 128 < sheet[:caption].max()
    for row, index in enumerate(shown):
        hole, truth, telea, completed = np.split(sheet[caption + 64 * row :][:64], 4, axis=1)
        mask = FACES.mask(index)
        assert np.array_equal(truth, np.asarray(Image.open(folder / f"{index}.png")))
        assert (hole[mask] == 128).all()
        assert not np.array_equal(telea[mask], completed[mask])
        for cell in (hole, telea, completed):
            assert np.array_equal(cell[~mask], truth[~mask])


def message_of(*options: str) -> str:
    """The sentence with which the command ends."""
    with pytest.raises(SystemExit) as raised:
        main(list(options))
    assert isinstance(raised.value.code, str)
    return raised.value.code


def test_errors_are_sentences(folder, tmp_path):
    data = ("--data", str(folder), "--model")
    assert "nowhere" in message_of("--data", str(tmp_path / "nowhere"))
    assert str(tmp_path) in message_of(*data, str(tmp_path))
    assert "--hole_margin" in message_of(*data, "--hole_margin", "70")
    assert "--min_hole_size" in message_of(*data, "--min_hole_size", "129")
    assert "--size 8" in message_of(*data, "--size", "8")
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG nonsense")
    assert "damaged.png" in message_of("--data", str(tmp_path), "--model", *SMALL)


@pytest.mark.parametrize("option", ["--limit", "--sheet_count"])
def test_numbers_below_one_are_refused(capsys, option):
    with pytest.raises(SystemExit):
        main(["--data", "x", option, "0"])
    assert f"{option} must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["cv2", "torchmetrics.functional.image"])
def test_missing_package_names_what_to_install(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match=r'pip install "\.\[train\]"'):
        runpy.run_path(evaluate.__file__)


@pytest.mark.parametrize("dtype", DTYPES)
def test_models_compute_in_the_type_that_is_asked_for(dtype):
    completer = load_completer("glcic-faces-64", dtype)
    assert completer.network.output.weight.dtype == getattr(torch, dtype)


def test_training_and_evaluation_do_without_diffusers():
    code = "import sys, train.evaluate, train.train_glcic; sys.exit('diffusers' in sys.modules)"
    root = Path(evaluate.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
