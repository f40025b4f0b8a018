"""What `--recoloured_share` does to crops, from files, from streams and on a device."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photos

from tests.train.pictures import noise, write_shard
from train.dataset import TrainingCrops, find_pictures
from train.device_crops import DeviceCrops
from train.recolouring import UNCHANGED, draw_recolouring, recoloured

PICTURES = 60


@pytest.fixture
def folder(tmp_path):
    for number in range(PICTURES):
        part = photos.astronaut()[4 * number :][:40, 5 * number :][:, :40]
        Image.fromarray(part).save(tmp_path / f"{number:02}.png")
    return tmp_path


def crops_of(folder, share: float) -> torch.Tensor:
    crops = TrainingCrops(find_pictures([folder]), 16, (1.0, 1.5), PICTURES, 3, share)
    return torch.stack([crops[sample] for sample in range(PICTURES)])


def kind_of(crop: torch.Tensor) -> str:
    """By the rank of its colours: all alike, grey, on another line, or as they were."""
    colours = crop.flatten(1).double().numpy()
    if np.ptp(colours, axis=1).max() < 1e-5:
        return "plain"
    if np.ptp(colours, axis=0).max() < 1e-5:
        return "grey"
    _, strengths, _ = np.linalg.svd(colours - colours.mean(axis=1, keepdims=True))
    return "toned" if strengths[1] < 1e-4 * strengths[0] else "coloured"


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_crops_is_recoloured_a_third_in_each_way(folder, share):
    kinds = [kind_of(crop) for crop in crops_of(folder, share)]
    assert kinds.count("coloured") == pytest.approx(PICTURES * (1 - share), abs=PICTURES / 6)
    for kind in ("grey", "toned", "plain"):
        assert kinds.count(kind) == pytest.approx(PICTURES * share / 3, abs=PICTURES / 8)
    assert share or set(kinds) == {"coloured"}


def test_crops_that_keep_their_colours_are_the_same_to_the_bit(folder):
    plain, some = crops_of(folder, 0.0), crops_of(folder, 0.5)
    kept = [torch.equal(crop, other) for crop, other in zip(plain, some, strict=True)]
    assert kept == [kind_of(crop) == "coloured" for crop in some]
    assert some.min() >= 0 and some.max() <= 1


def test_grey_is_the_luma_of_pillow(folder):
    plain, all_of_them = crops_of(folder, 0.0), crops_of(folder, 1.0)
    grey = [number for number, crop in enumerate(all_of_them) if kind_of(crop) == "grey"]
    assert grey
    for number in grey:
        picture = Image.fromarray((plain[number].numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8))
        expected = np.asarray(picture.convert("L"), np.float32) / 255
        assert np.abs(all_of_them[number].numpy() - expected).max() < 0.6 / 255  # Pillow rounds


def test_tones_go_from_a_dark_to_a_bright_colour_with_the_luma(folder):
    plain, all_of_them = crops_of(folder, 0.0), crops_of(folder, 1.0)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    tones = [number for number, crop in enumerate(all_of_them) if kind_of(crop) == "toned"]
    assert tones
    for number in tones:
        luma = (weights * plain[number]).sum(dim=0).flatten().numpy()
        for channel in all_of_them[number].flatten(1).numpy():
            slope, dark = np.polyfit(luma, channel, 1)
            assert np.abs(dark + slope * luma - channel).max() < 1e-4
            assert -1e-4 <= dark <= 0.2501 and 0.5999 <= dark + slope <= 1.0001


def test_plain_colours_reach_black_and_white_in_each_channel(folder):
    drawn = [draw_recolouring(1.0, 0, sample) for sample in range(600)]
    colours = np.array([matrix[:, 3] for matrix in drawn if not matrix[:, :3].any()])
    for channel in colours.T:
        assert (channel == 0).mean() > 0.05 and (channel == 1).mean() > 0.05
        assert np.ptp(channel[(channel > 0) & (channel < 1)]) > 0.9


def test_seed_and_sample_decide():
    first, again, other = (np.stack([draw_recolouring(0.5, s, n) for n in range(20)]) for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert 0 < (first == UNCHANGED).all(axis=(1, 2)).mean() < 1


def test_crops_on_a_device_are_recoloured_alike(folder):
    on_device = DeviceCrops(find_pictures([folder]), 16, (1.0, 1.5), 3, "cpu", 0.5)
    assert (on_device.batch(0, PICTURES, 0, 1) - crops_of(folder, 0.5)).abs().max() < 1.3 / 255


def test_streamed_crops_are_recoloured_alike(tmp_path):
    streaming = pytest.importorskip("train.streaming")
    pytest.importorskip("datasets", reason="streams need the datasets library")
    files = {}
    for number in range(12):
        buffer = io.BytesIO()
        noise(24, 24, number).save(buffer, "PNG")
        files[f"{number}.png"] = buffer.getvalue()
    write_shard(tmp_path / "a.tar", files)
    stream = streaming.open_stream("webdataset", data_files=[str(tmp_path / "a.tar")], image_column="png")
    plain, some = (
        list(streaming.StreamedCrops(stream, "png", 16, (1.0, 1.5), 12, 3, share).first(12)) for share in (0.0, 0.6)
    )
    matrices = torch.from_numpy(np.stack([draw_recolouring(0.6, 3, number) for number in range(12)]))
    expected = recoloured(torch.stack(plain), matrices)
    assert torch.equal(torch.stack(some), expected)
    assert not torch.equal(torch.stack(some), torch.stack(plain))
