import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from glcic_hub.picture_files import PictureFile, list_pictures
from tests.privileges import without_privileges
from tests.train.pictures import DAMAGED, encoded, noise, write_shard
from train import memory
from train.dataset import TrainingCrops, expand_braces, find_pictures
from train.loading import load_batches
from train.train_glcic import sentence_for


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


def test_the_pictures_of_folders_are_those_of_glcic_batch(tmp_path):
    """Hidden files and thumbnails are none, linked folders have some (one rule: `glcic_hub.picture_files`)."""
    for name in ("photos/a.jfif", "photos/._a.jpg", "photos/.thumbnails/a.jpg", "elsewhere/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        noise(9, 9).save(tmp_path / name, "JPEG")
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    found = find_pictures([tmp_path / "photos"])
    assert found == list_pictures(tmp_path / "photos").pictures
    assert [picture.name for picture in found] == ["a.jfif", "linked/b.jpg"]


def test_a_sub_folder_that_cannot_be_read_is_left_out_with_a_warning():
    def look() -> int:
        with pytest.warns(UserWarning, match="closed is left out: the folder cannot be read"):
            return len(find_pictures([folder]))

    with tempfile.TemporaryDirectory() as folder:  # unlike tmp_path, others than its owner may look into it
        for name in ("a.png", "closed/b.png"):
            Path(folder, name).parent.mkdir(exist_ok=True)
            noise(9, 9).save(Path(folder, name))
        Path(folder).chmod(0o755)
        Path(folder, "closed").chmod(0)
        count, said = without_privileges(look)
        Path(folder, "closed").chmod(0o755)
    assert count == 1, said


def test_folder_whose_name_looks_like_a_pattern(tmp_path):
    folder = tmp_path / "photos [2020] {1..2}"
    folder.mkdir()
    noise(9, 9).save(folder / "x.png")
    assert [picture.name for picture in find_pictures([folder])] == ["x.png"]


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
    with pytest.raises(ValueError, match=r"cut\.tar is not a complete.*fetch or write it again, or leave it out"):
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


def test_postscript_is_not_opened(tmp_path):
    (tmp_path / "x.jpg").write_bytes(DAMAGED["PostScript"])  # Pillow would hand it to another program
    with pytest.raises(OSError, match="none of .*BMP, "):
        find_pictures([tmp_path])[0].decode()


def test_damaged_picture_of_a_shard_is_named_with_its_shard(tmp_path):
    shard = write_shard(tmp_path / "a.tar", {"good.png": encoded(noise(9, 9)), "bad.png": b"\x89PNG nonsense"})
    good, bad = find_pictures([shard])
    good.decode()
    with pytest.raises(OSError, match=r"bad\.png of .*a\.tar"):
        bad.decode()


# ------------------------------------------------------------------------------------- damaged pictures in a training


@pytest.fixture
def partly_damaged(grey_folder):
    """`grey_folder` in which numbers 2, 5 and 6 are damaged."""
    for number, kind in ((2, "truncated"), (5, "text"), (6, "decompression bomb")):
        (grey_folder / f"{number}.png").write_bytes(DAMAGED[kind])
    return grey_folder


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_picture_is_replaced_and_named(tmp_path, kind):
    Image.new("RGB", (24, 20), (80, 80, 80)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(DAMAGED[kind])
    samples = [crops_of(tmp_path).sample(n) for n in range(2)]
    assert all(torch.allclose(sample.crop, torch.tensor(80 / 255)) for sample in samples)
    assert {damaged.name for sample in samples for damaged in sample.damaged} == {"b.png"}
    assert str(tmp_path / "b.png") in next(sample.damaged[0].message for sample in samples if sample.damaged)


def test_damaged_picture_of_a_shard_is_named_without_folders(tmp_path):
    shard = write_shard(tmp_path / "a.tar", {"x/good.png": encoded(noise(9, 9)), "x/bad.png": b"nonsense"})
    crops = TrainingCrops(find_pictures([shard]), 8, (1.0, 1.5), 40, 0)
    assert {damaged.name for n in range(2) for damaged in crops.sample(n).damaged} == {"x/bad.png of a.tar"}


@pytest.mark.parametrize("cache", [False, True])
def test_replacements_depend_on_seed_and_sample_alone(partly_damaged, cache):
    # The draws that the docstrings name, with the damaged numbers known beforehand.
    expected, met = [], []
    for n in range(60):
        order = np.random.default_rng([4, 0, n // 10]).permutation(10)
        replacements = np.random.default_rng([4, 2, n])
        number = int(order[n % 10])
        met.append([])
        while number in (2, 5, 6):
            met[-1].append(f"{number}.png")
            number = int(replacements.integers(10))
        expected.append(number)
    assert max(map(len, met)) > 1
    crops = crops_of(partly_damaged, length=60, seed=4, cache=cache)
    for part in (range(60), range(59, -1, -1)):  # what came before has no influence
        samples = {n: crops.sample(n) for n in part}
        assert [round(samples[n].crop.mean().item() * 25.5) for n in range(60)] == expected
        assert [[damaged.name for damaged in samples[n].damaged] for n in range(60)] == met


def test_other_samples_do_not_change_when_a_picture_is_damaged(tmp_path):
    for number in range(4):
        noise(20, 30, number).save(tmp_path / f"{number}.png")
    before = crops_of(tmp_path)
    whole = [before[n] for n in range(40)]
    (tmp_path / "1.png").write_bytes(b"")
    after = crops_of(tmp_path)
    with pytest.warns(UserWarning, match=r"1\.png"):
        now = [after[n] for n in range(40)]
    assert [torch.equal(*pair) for pair in zip(whole, now)] == [not after.sample(n).damaged for n in range(40)]


def test_damaged_pictures_are_told_from_any_start_and_by_any_worker(partly_damaged):
    def run(first_step: int, workers: int):
        crops = crops_of(partly_damaged, length=24)
        return list(load_batches(crops, 2, first_step=first_step, rank=0, world=1, workers=workers))

    expected = run(0, 0)
    assert {damaged.name for batch in expected for damaged in batch.damaged} == {"2.png", "5.png", "6.png"}
    for first_step, workers in ((0, 2), (5, 0), (5, 2)):
        batches = run(first_step, workers)
        assert len(batches) == 12 - first_step
        for batch, same in zip(batches, expected[first_step:]):
            assert torch.equal(batch.images, same.images)
            assert batch.damaged == same.damaged


@pytest.mark.parametrize("workers", [0, 2])
def test_a_set_of_damaged_pictures_stops_with_one_sentence(tmp_path, workers):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"")
    batches = load_batches(crops_of(tmp_path), 2, first_step=0, rank=0, world=1, workers=workers)
    with pytest.raises(OSError, match=r"none of the 100 pictures tried for sample \d+ can be read; .*\.png") as raised:
        next(batches)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_too_little_memory_for_a_picture_is_no_traceback(grey_folder, workers):
    whole = find_pictures([grey_folder])[0]
    larger_than_memory = PictureFile(whole.path, whole.name, offset=0, byte_count=2**62)
    crops = TrainingCrops([larger_than_memory], 8, (1.0, 1.5), 40, 0)
    batches = load_batches(crops, 2, first_step=0, rank=0, world=1, workers=workers)
    with pytest.raises(MemoryError) as raised:
        next(batches)
    assert "Traceback" not in str(raised.value)
    assert sentence_for(raised.value).endswith("fewer --dataloader_num_workers or smaller pictures")


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


@pytest.mark.parametrize("resize_range", [(1.0, 1.0), (1.0, 1.5), (2.0, 2.5)])
def test_crops_are_the_same_to_the_last_bit_cached_or_not(tmp_path, monkeypatch, resize_range):
    # Noise tells every way of resampling from every other; the last picture is smaller than a crop.
    for number, (height, width) in enumerate([(120, 160), (77, 50), (48, 48), (20, 25)]):
        noise(height, width, number).save(tmp_path / f"{number}.png")

    def crops(free: int, cache: bool) -> TrainingCrops:
        monkeypatch.setattr(memory, "free_memory", lambda device: free)
        return crops_of(tmp_path, resolution=32, resize_range=resize_range, cache=cache)

    plain, cached = crops(10**9, False), crops(10**9, True)
    with pytest.warns(UserWarning, match="not kept in memory"):
        without_room = crops(1000, True)
    assert (plain.cache, cached.cache, without_room.cache) == (None, {}, None)
    expected = torch.stack([plain[sample] for sample in range(12)])
    assert torch.equal(torch.stack([without_room[sample] for sample in range(12)]), expected)
    for _ in range(2):
        assert torch.equal(torch.stack([cached[sample] for sample in range(12)]), expected)
        for path in tmp_path.iterdir():  # each file was read once
            path.unlink()


def test_cache_that_does_not_fit_is_left_out_with_a_warning(tmp_path, monkeypatch):
    for number in range(4):
        noise(30, 40, number).save(tmp_path / f"{number}.png")
    taken = 4 * 3 * 12 * 16  # at a resolution of 8 the shorter side is reduced to 12

    def cached(free: int, copies: int = 1) -> bool:
        monkeypatch.setattr(memory, "free_memory", lambda device: free)
        return crops_of(tmp_path, cache=True, cache_copies=copies).cache is not None

    assert cached(2 * taken)
    assert cached(6 * taken, copies=3)
    for free, copies in ((2 * taken - 1, 1), (6 * taken - 1, 3)):
        with pytest.warns(UserWarning, match=r"not kept in memory.*the 4 decoded pictures"):
            assert not cached(free, copies)


@pytest.mark.parametrize("resize_range", [(0.5, 1.0), (1.5, 1.0), (1.0, float("inf")), (float("nan"), 1.0)])
def test_wrong_resize_range_is_refused(tmp_path, resize_range):
    with pytest.raises(ValueError, match="resize_range"):
        TrainingCrops([], 8, resize_range, 1, 0)
