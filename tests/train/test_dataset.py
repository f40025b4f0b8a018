import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from train.dataset import TrainingCrops, expand_braces, find_pictures


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def write_shard(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as shard:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def grey_folder(tmp_path):
    """Ten even pictures: number n has the value 10 * n, so that a crop tells where it comes from."""
    for number in range(10):
        Image.new("RGB", (24, 20), (10 * number,) * 3).save(tmp_path / f"{number}.png")
    return tmp_path


def crops_of(folder: Path, **settings) -> TrainingCrops:
    defaults = {"resolution": 8, "resize_range": (1.0, 1.5), "length": 40, "seed": 0}
    return TrainingCrops(find_pictures([folder]), **{**defaults, **settings})


def numbers(crops: TrainingCrops, samples: range) -> list[int]:
    return [round(crops[sample].mean().item() * 25.5) for sample in samples]


# -------------------------------------------------------------------------------------------------- finding pictures


def test_folder_is_searched_to_any_depth_and_only_for_pictures(tmp_path):
    names = ["b.png", "a/deep/er/x.JPG", "a/Zürich – 東京.webp", "mit Leerzeichen/y.jpeg"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(9, 9).save(path)
    (tmp_path / "readme.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    found = find_pictures([tmp_path])
    assert {picture.path for picture in found} == {tmp_path / name for name in names}
    assert found == find_pictures([str(tmp_path)])
    assert all(picture.decode().size == (9, 9) for picture in found)


def test_folder_whose_name_looks_like_a_pattern(tmp_path):
    folder = tmp_path / "photos [2020] {1..2}"
    folder.mkdir()
    noise(9, 9).save(folder / "x.png")
    assert [picture.name for picture in find_pictures([folder])] == ["x.png"]


def test_exif_orientation_is_applied(tmp_path):
    stored = noise(20, 30)
    exif = stored.getexif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    stored.save(tmp_path / "turned.png", exif=exif)
    decoded = np.asarray(find_pictures([tmp_path])[0].decode())
    assert np.array_equal(decoded, np.rot90(np.asarray(stored), -1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    noise(9, 9).convert(mode).save(tmp_path / ("x.jpg" if mode == "CMYK" else "x.png"))
    assert find_pictures([tmp_path])[0].decode().mode == "RGB"


def test_shard_gives_the_same_pixels_as_the_files(tmp_path):
    pictures = {f"sub/{n}.png": noise(11, 13, seed=n) for n in range(3)}
    shard = write_shard(
        tmp_path / "a.tar", {"note.txt": b"hello"} | {name: encoded(image) for name, image in pictures.items()}
    )
    found = find_pictures([shard])
    assert [picture.name for picture in found] == list(pictures)
    for picture in found:
        assert np.array_equal(np.asarray(picture.decode()), np.asarray(pictures[picture.name]))


def test_shards_by_range_and_by_pattern(tmp_path):
    for number in range(8, 12):
        write_shard(tmp_path / f"a-{number:02d}.tar", {f"{number}.png": encoded(noise(9, 9))})

    def names(pattern):
        return [picture.name for picture in find_pictures([tmp_path / pattern])]

    assert names("a-{09..11}.tar") == ["9.png", "10.png", "11.png"]
    assert names("a-*.tar") == ["8.png", "9.png", "10.png", "11.png"]
    assert names("a-0?.tar") == ["8.png", "9.png"]


def test_ranges_keep_their_leading_zeros():
    assert expand_braces("x-{008..010}.tar") == ["x-008.tar", "x-009.tar", "x-010.tar"]
    assert expand_braces("x-{8..10}.tar") == ["x-8.tar", "x-9.tar", "x-10.tar"]
    assert expand_braces("plain.tar") == ["plain.tar"]


def test_several_sources_stay_in_the_given_order(tmp_path):
    (tmp_path / "folder").mkdir()
    noise(9, 9).save(tmp_path / "folder" / "from_folder.png")
    shard = write_shard(tmp_path / "a.tar", {"from_shard.png": encoded(noise(9, 9))})
    found = find_pictures([shard, tmp_path / "folder"])
    assert [picture.name for picture in found] == ["from_shard.png", "from_folder.png"]


# --------------------------------------------------------------------------------------------------- unusable sources


def test_missing_source_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_pictures([tmp_path / "nowhere"])


def test_missing_shard_of_a_range_is_named(tmp_path):
    write_shard(tmp_path / "a-0.tar", {"x.png": encoded(noise(9, 9))})
    with pytest.raises(FileNotFoundError, match=r"a-1\.tar"):
        find_pictures([tmp_path / "a-{0..1}.tar"])


def test_source_without_pictures_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty"):
        find_pictures([tmp_path / "empty"])
    with pytest.raises(ValueError, match=r"texts\.tar"):
        find_pictures([write_shard(tmp_path / "texts.tar", {"a.txt": b"text"})])


@pytest.mark.parametrize(
    "kept", [200, 700, 1024, 1500], ids=["first header", "in a picture", "between members", "second header"]
)
def test_truncated_shard_is_named(tmp_path, kept):
    whole = write_shard(tmp_path / "whole.tar", {f"{n}.png": encoded(noise(9, 9, n)) for n in range(3)}).read_bytes()
    assert len(encoded(noise(9, 9))) <= 512  # so that each member takes one block, behind its header of one block
    (tmp_path / "cut.tar").write_bytes(whole[:kept])
    with pytest.raises(ValueError, match=r"cut\.tar is not a complete"):
        find_pictures([tmp_path / "cut.tar"])


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100], ids=["empty", "text"])
def test_other_file_in_place_of_a_shard_is_named(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.tar is not a complete"):
        find_pictures([tmp_path / "x.tar"])


def test_compressed_shard_is_named(tmp_path):
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz"):
        pass
    with pytest.raises(ValueError, match=r"x\.tar\.gz is not a complete, uncompressed"):
        find_pictures([tmp_path / "x.tar.gz"])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
def test_damaged_picture_is_named(tmp_path, kind, share):
    data = encoded(noise(40, 40), kind)
    path = tmp_path / f"bad.{kind.lower()}"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(OSError, match=r"bad\."):
        find_pictures([tmp_path])[0].decode()


def test_damaged_picture_of_a_shard_is_named_with_its_shard(tmp_path):
    shard = write_shard(tmp_path / "a.tar", {"good.png": encoded(noise(9, 9)), "bad.png": b"\x89PNG nonsense"})
    good, bad = find_pictures([shard])
    good.decode()
    with pytest.raises(OSError, match=r"bad\.png of .*a\.tar"):
        bad.decode()


# ------------------------------------------------------------------------------------------------- order of the crops


def test_every_picture_comes_once_per_epoch_in_changing_order(grey_folder):
    crops = crops_of(grey_folder)
    epochs = [numbers(crops, range(start, start + 10)) for start in (0, 10, 20, 30)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_order_depends_on_the_seed_alone(grey_folder):
    order = numbers(crops_of(grey_folder), range(20))
    torch.manual_seed(99)
    np.random.seed(99)
    assert numbers(crops_of(grey_folder, length=20), range(20)) == order
    assert numbers(crops_of(grey_folder, resolution=12), range(20)) == order
    assert numbers(crops_of(grey_folder, seed=1), range(20)) != order


def test_sample_is_the_same_from_any_start_and_with_any_number_of_workers(tmp_path):
    for number in range(3):
        noise(20, 30, number).save(tmp_path / f"{number}.png")
    one_by_one = crops_of(tmp_path, length=8)
    expected = torch.stack([one_by_one[sample] for sample in range(8)])
    for start, workers in ((0, 0), (0, 2), (5, 0), (5, 2)):
        loader = DataLoader(crops_of(tmp_path, length=8), 2, sampler=range(start, 8), num_workers=workers)
        assert torch.equal(torch.cat(list(loader)), expected[start:])


# ----------------------------------------------------------------------------------------------------------- the crops


def test_crops_have_their_size_and_range(tmp_path):
    black_and_white = np.random.default_rng(0).choice([0, 255], (40, 60, 1)).astype(np.uint8).repeat(3, axis=2)
    Image.fromarray(black_and_white).save(tmp_path / "x.png")
    crops = crops_of(tmp_path, resolution=12)
    for sample in range(10):
        crop = crops[sample]
        assert crop.shape == (3, 12, 12)
        assert crop.dtype == torch.float32
        assert crop.min() >= 0
        assert crop.max() <= 1


def test_crop_at_full_scale_is_a_piece_of_the_picture(tmp_path):
    # The shorter side is the resolution and the range is 1: nothing is resampled down, only a column offset is drawn.
    picture = np.zeros((16, 64, 3), np.uint8)
    picture[..., 0] = np.arange(64) * 4
    picture[..., 1] = np.arange(16)[:, None] * 16
    Image.fromarray(picture).save(tmp_path / "x.png")
    crops = crops_of(tmp_path, resolution=16, resize_range=(1.0, 1.0))
    offsets, flips = set(), set()
    for sample in range(20):
        crop = crops[sample].numpy().transpose(1, 2, 0) * 255
        assert np.abs(crop[..., 1] - picture[:, :16, 1]).max() <= 1
        flipped = crop[0, 0, 0] > crop[0, -1, 0]
        upright = crop[:, ::-1] if flipped else crop
        offset = upright[0, 8, 0] / 4 - 8  # in columns, a fraction where the crop lies between them
        assert np.abs(upright[:, 2:-2, 0] - 4 * (offset + np.arange(2, 14))).max() <= 1.01
        assert -0.5 <= offset <= 48.5
        offsets.add(round(offset))
        flips.add(bool(flipped))
    assert len(offsets) > 10
    assert flips == {False, True}


def test_crop_equals_resizing_first_and_cropping_then(tmp_path):
    # A smooth picture, so that the two ways of resampling agree; the draws are those that the docstrings name.
    rows, columns = np.mgrid[0:90, 0:120]
    waves = 127 + 100 * np.sin(rows / 15 + columns / 20)
    picture = np.stack([waves, 255 - waves, waves / 2], axis=2).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "x.png")
    crops = crops_of(tmp_path, resolution=32, resize_range=(1.25, 1.5), seed=3)
    rng = np.random.default_rng([3, 1, 7])
    shorter = round(32 * rng.uniform(1.25, 1.5))
    scale = shorter / 90
    left, top = (rng.uniform(0, side - 32 / scale) * scale for side in (120, 90))
    resized = Image.fromarray(picture).resize((round(120 * scale), shorter), Image.Resampling.LANCZOS)
    shifted = resized.transform((32, 32), Image.Transform.AFFINE, (1, 0, left, 0, 1, top), Image.Resampling.BICUBIC)
    expected = np.asarray(shifted)[:, ::-1] if rng.random() < 0.5 else np.asarray(shifted)
    difference = np.abs(crops[7].numpy().transpose(1, 2, 0) * 255 - expected)
    assert np.median(difference) <= 1
    assert difference.max() <= 6


def test_scale_of_the_crops_covers_the_range(tmp_path):
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None] * 4, (64, 64, 3))
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "x.png")
    crops = crops_of(tmp_path, resolution=32, resize_range=(1.0, 1.5))
    heights = []  # of the piece of the picture that a crop shows, pixels
    for sample in range(40):
        column = crops[sample][0, :, 0] * 255 / 4
        heights.append((column[24] - column[8]).item() * 2)
    assert min(heights) >= 64 / 1.5 - 1
    assert max(heights) <= 64 + 1
    assert max(heights) - min(heights) > 14


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (3, 50)])
def test_too_small_pictures_are_enlarged(tmp_path, size):
    Image.new("RGB", size, (200, 100, 50)).save(tmp_path / "x.png")
    for cache in (False, True):
        crop = crops_of(tmp_path, resolution=16, cache=cache)[0]
        assert torch.allclose(crop, torch.tensor([200, 100, 50]).view(3, 1, 1).expand(3, 16, 16) / 255)


def test_cache_reads_each_file_once_and_gives_nearly_the_same_crops(tmp_path):
    rows, columns = np.mgrid[0:120, 0:160]
    waves = 127 + 100 * np.sin(rows / 12 + columns / 17)
    Image.fromarray(waves.astype(np.uint8)).save(tmp_path / "x.png")
    plain, cached = crops_of(tmp_path, resolution=32), crops_of(tmp_path, resolution=32, cache=True)
    expected = torch.stack([plain[sample] for sample in range(6)])
    first = torch.stack([cached[sample] for sample in range(6)])
    (tmp_path / "x.png").unlink()
    assert torch.equal(torch.stack([cached[sample] for sample in range(6)]), first)
    assert (first - expected).abs().max() < 0.03


@pytest.mark.parametrize("resize_range", [(0.5, 1.0), (1.5, 1.0)])
def test_wrong_resize_range_is_refused(tmp_path, resize_range):
    with pytest.raises(ValueError, match="resize_range"):
        TrainingCrops([], 8, resize_range, 1, 0)
