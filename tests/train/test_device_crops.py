"""Crops made on a device (here: the CPU), against Pillow's of the same pictures one by one."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photos

from tests.train.pictures import DAMAGED, noise
from train import memory
from train.dataset import TrainingCrops, find_pictures
from train.device_crops import DeviceCrops


@pytest.fixture
def pictures(tmp_path):
    """Wide, high, square, small and noisy ones."""
    Image.fromarray(photos.astronaut()[:240, :400]).save(tmp_path / "wide.png")
    Image.fromarray(photos.coffee()[:390, :150]).save(tmp_path / "high.png")
    Image.fromarray(photos.chelsea()[:200, :200]).save(tmp_path / "square.png")
    Image.fromarray(photos.chelsea()[50:67, 50:80]).save(tmp_path / "small.png")
    noise(130, 90).save(tmp_path / "noise.png")
    return find_pictures([tmp_path])


def by_pillow(pictures, sample: int, resolution: int, resize_range: tuple[float, float], seed: int) -> np.ndarray:
    """Sample `sample` as the docstrings define it, (R, R, 3) in 0 to 255: reduce, draw, resize the box, flip."""
    order = np.random.default_rng([seed, 0, sample // len(pictures)]).permutation(len(pictures))
    picture = pictures[order[sample % len(pictures)]].decode()
    scale = min(1, round(resolution * resize_range[1]) / min(picture.size))
    picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.LANCZOS)
    rng = np.random.default_rng([seed, 1, sample])
    side = min(picture.size) * resolution / round(resolution * rng.uniform(*resize_range))
    left = rng.uniform(0, picture.width - side) if picture.width > side else rng.uniform(0, 0)
    top = rng.uniform(0, picture.height - side) if picture.height > side else rng.uniform(0, 0)
    box = (left, top, min(left + side, picture.width), min(top + side, picture.height))
    crop = picture.resize((resolution, resolution), Image.Resampling.BICUBIC, box)
    return np.asarray(crop if rng.random() >= 0.5 else crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT), np.float64)


@pytest.mark.parametrize("resize_range", [(1.0, 1.0), (1.0, 1.5), (1.0, 3.0), (2.0, 2.5)])
@pytest.mark.parametrize("resolution", [16, 60])
def test_crops_are_those_of_pillow(pictures, resolution, resize_range):
    crops = DeviceCrops(pictures, resolution, resize_range, 3, "cpu")
    for rank in range(2):
        batch = crops.batch(2, 6, rank, 2)
        assert batch.shape == (6, 3, resolution, resolution)
        assert batch.dtype == torch.float32 and batch.min() >= 0 and batch.max() <= 1
        for place, crop in enumerate(batch):
            expected = by_pillow(pictures, 2 * 12 + 2 * place + rank, resolution, resize_range, 3)
            # Pillow rounds after each of its two passes.
            assert np.abs(crop.numpy().transpose(1, 2, 0) * 255 - expected).max() < 1.3


@pytest.mark.parametrize("cache", [False, True])
def test_crops_are_those_of_the_data_loader(pictures, cache):
    on_device = DeviceCrops(pictures, 32, (1.0, 2.0), 5, "cpu")
    loaded = TrainingCrops(pictures, 32, (1.0, 2.0), 24, 5, cache=cache)
    expected = torch.stack([loaded[sample] for sample in range(8, 16)])
    assert (on_device.batch(1, 8, 0, 1) - expected).abs().max() < 1.3 / 255
    assert on_device.picture_count == loaded.picture_count == 5
    for crop, other in zip(on_device.first(9), loaded.first(9), strict=True):
        assert (crop - other).abs().max() < 1.3 / 255


def test_batch_depends_on_seed_and_step_alone(pictures):
    crops = DeviceCrops(pictures, 16, (1.0, 1.5), 0, "cpu")
    batches = [crops.batch(step, 4, 0, 1) for step in range(4)]
    again = DeviceCrops(pictures, 16, (1.0, 1.5), 0, "cpu")
    torch.manual_seed(9)
    assert all(torch.equal(again.batch(step, 4, 0, 1), batches[step]) for step in (3, 0, 2, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(again.batch(1, 4, 0, 1), batches[1])
    other = DeviceCrops(pictures, 16, (1.0, 1.5), 1, "cpu")
    assert not any(torch.equal(other.batch(step, 4, 0, 1), batches[step]) for step in range(4))


def test_pictures_take_their_reduced_size_and_no_more(pictures, tmp_path):
    Image.new("RGB", (3000, 20)).save(tmp_path / "panorama.png")
    crops = DeviceCrops(find_pictures([tmp_path]), 16, (1.0, 1.5), 0, "cpu")
    sizes = {"wide": (40, 24), "high": (24, 62), "square": (24, 24), "small": (30, 17), "noise": (24, 35)}
    assert crops.pixels.dtype == torch.uint8
    assert crops.pixels.numel() == 3 * (sum(width * height for width, height in sizes.values()) + 3000 * 20)


def test_damaged_pictures_are_told_and_replaced_as_by_the_data_loader(pictures, tmp_path):
    (tmp_path / "bad.png").write_bytes(DAMAGED["truncated"])
    (tmp_path / "bomb.png").write_bytes(DAMAGED["decompression bomb"])
    all_of_them = find_pictures([tmp_path])
    on_device = DeviceCrops(all_of_them, 16, (1.0, 1.5), 2, "cpu")
    assert [damaged.name for damaged in on_device.damaged] == ["bad.png", "bomb.png"]
    cached = TrainingCrops(all_of_them, 16, (1.0, 1.5), 28, 2, cache=True)
    samples = [cached.sample(n) for n in range(28)]
    assert any(len(sample.damaged) > 1 for sample in samples)
    expected = torch.stack([sample.crop for sample in samples])
    assert (on_device.batch(0, 28, 0, 1) - expected).abs().max() < 1.3 / 255


def test_set_of_damaged_pictures_is_refused(tmp_path):
    noise(20, 20).save(tmp_path / "good.png")
    (tmp_path / "a.png").write_bytes(b"")
    DeviceCrops(find_pictures([tmp_path]), 16, (1.0, 1.5), 0, "cpu")
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(OSError, match=r"2 of the first 3 pictures cannot be read, among them a\.png, b\.png"):
        DeviceCrops(find_pictures([tmp_path]), 16, (1.0, 1.5), 0, "cpu")


def test_pictures_that_do_not_fit_are_refused(pictures, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 20_000)
    with pytest.raises(MemoryError, match="the 5 decoded pictures would take"):
        DeviceCrops(pictures, 16, (1.0, 1.5), 0, "cpu")
