"""The pipeline as people use it: pictures and masks of every kind in, the same pictures with filled holes out."""

import copy
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForInpainting, DiffusionPipeline
from diffusers.pipelines import pipeline_utils
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import glcic_hub
from glcic_hub.filling import completer as completer_module
from glcic_hub.filling.completer import Completer
from glcic_hub.model import GLCICModel
from glcic_hub.pipeline import GLCICPipeline
from tests.fills import filled
from tests.random_models import MAX_HOLE_SIZE, random_model

HEIGHT, WIDTH = 41, 55
OFTEN = settings(max_examples=25, deadline=None, derandomize=True)


PIPE = GLCICPipeline(random_model())


def new_pipe() -> GLCICPipeline:
    return GLCICPipeline(copy.deepcopy(PIPE.completion_network))


def photo(height: int = HEIGHT, width: int = WIDTH, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def box_mask(rows: slice, columns: slice, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    return mask


SMALL = box_mask(slice(15, 26), slice(20, 33))
MASKS = {
    "small": SMALL,
    "large": box_mask(slice(3, 38), slice(5, 45)),
    "at the border": box_mask(slice(0, 30), slice(30, WIDTH)),
    "two beside one another": box_mask(slice(10, 20), slice(5, 15)) | box_mask(slice(10, 20), slice(24, 34)),
    "line": box_mask(slice(20, 21), slice(0, WIDTH)),
    "noise": np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.3,
}
each_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())


def as_image(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)


def complete(image, mask, **arguments):
    """The only result for one picture."""
    (result,) = PIPE(image, mask, **arguments).images
    return result


def picture_of_mode(mode: str, samples: np.ndarray) -> Image.Image:
    """`samples`: uint8 (H, W, 4)."""
    height, width = samples.shape[:2]
    if mode == "I;16":
        return Image.frombytes(mode, (width, height), samples[..., :2].tobytes())
    channels = {"L": 1, "P": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    image = Image.frombytes(mode, (width, height), samples[..., :channels].tobytes())
    if mode == "P":
        image.putpalette(np.random.default_rng(7).integers(0, 256, 768, np.uint8).tolist())
    return image


MODES = ["L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]
COLOUR_CHANNELS = {"LA": slice(0, 1), "RGBA": slice(0, 3)}


def samples_of(image: Image.Image) -> np.ndarray:
    samples = np.asarray(image)
    return samples if samples.ndim == 3 else samples[..., None]


# Pictures of every kind


@each_mask
@pytest.mark.parametrize("mode", MODES)
def test_known_pixels_come_back_bit_for_bit_and_the_hole_is_filled(mode, mask):
    image = picture_of_mode(mode, photo(channels=4))
    before = image.copy()
    result = complete(image, as_image(mask))
    assert result.mode == ("RGB" if mode == "P" else mode) and result.size == image.size
    source, filled = samples_of(image.convert("RGB") if mode == "P" else image), samples_of(result)
    np.testing.assert_array_equal(filled[~mask], source[~mask])
    colours = COLOUR_CHANNELS.get(mode, slice(None))
    assert (filled[..., colours] != source[..., colours]).any(axis=2)[mask].mean() > 0.9
    if mode in COLOUR_CHANNELS:
        np.testing.assert_array_equal(filled[..., -1], source[..., -1])
    assert image.mode == before.mode and image.tobytes() == before.tobytes() and image.info == before.info


@each_mask
@pytest.mark.parametrize("mode", MODES)
def test_nothing_under_the_mask_leaks_into_the_result(mode, mask):
    samples = photo(channels=4)
    results = set()
    for seed in (1, 2):
        hidden = np.where(mask[..., None], photo(channels=4, seed=seed), samples)
        if mode in COLOUR_CHANNELS:  # alpha under the mask is kept, and so part of the result
            alpha = COLOUR_CHANNELS[mode].stop
            hidden[..., alpha] = samples[..., alpha]
        results.add(complete(picture_of_mode(mode, hidden), as_image(mask)).tobytes())
    assert len(results) == 1
    surroundings = np.where(mask[..., None], samples, photo(channels=4, seed=3))
    assert complete(picture_of_mode(mode, surroundings), as_image(mask)).tobytes() not in results


ARRAYS = {
    "uint8 array": lambda rgb: rgb,
    "uint16 array": lambda rgb: rgb.astype(np.uint16) * 256 + 17,
    "float32 array": lambda rgb: rgb.astype(np.float32) / np.float32(255.5),
    "float64 array": lambda rgb: rgb / 255.5,
    "float16 array": lambda rgb: (rgb / 255.5).astype(np.float16),
    "uint8 tensor": lambda rgb: torch.from_numpy(rgb.transpose(2, 0, 1).copy()),
    "float32 tensor": lambda rgb: torch.from_numpy((rgb / np.float32(255.5)).transpose(2, 0, 1).copy()),
    "bfloat16 tensor": lambda rgb: torch.from_numpy((rgb / 255.5).transpose(2, 0, 1).copy()).bfloat16(),
}
each_kind = pytest.mark.parametrize("kind", ARRAYS)


def channels_last(array: np.ndarray | torch.Tensor) -> np.ndarray:
    return array.double().permute(1, 2, 0).numpy() if isinstance(array, torch.Tensor) else array


@each_kind
@each_mask
@pytest.mark.parametrize("output_type", ["np", "pt"])
def test_arrays_and_tensors_keep_their_known_values_and_leak_nothing(kind, mask, output_type):
    make = ARRAYS[kind]
    picture = make(photo())
    before = copy.deepcopy(picture)
    result = complete(picture, mask, output_type=output_type)
    values = channels_last(picture)
    largest = {"uint8": 255, "uint16": 65535}.get(str(picture.dtype).removeprefix("torch."), 1)
    wanted = values if largest == 1 else values.astype(np.float32) / np.float32(largest)
    np.testing.assert_array_equal(channels_last(result)[~mask], wanted[~mask])
    assert (channels_last(result) != wanted).any(axis=2)[mask].mean() > 0.9
    assert type(picture) is type(before) and (picture == before).all()
    if largest == 1 and type(picture) is type(result):
        assert result.dtype == picture.dtype
    hidden = complete(make(np.where(mask[..., None], photo(seed=1), photo())), mask, output_type=output_type)
    assert (hidden == result).all()


def test_the_fill_is_the_completers():
    fill = filled(PIPE.completion_network, photo(), SMALL)
    picture = photo().astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(complete(photo(), SMALL, output_type="np"), np.where(SMALL[..., None], fill, picture))
    eight_bit = np.where(SMALL[..., None], np.rint(fill * 255).astype(np.uint8), photo())
    np.testing.assert_array_equal(np.asarray(complete(Image.fromarray(photo()), as_image(SMALL))), eight_bit)
    np.testing.assert_array_equal(
        complete(photo(), SMALL, output_type="pt"), complete(photo(), SMALL, output_type="np").transpose(2, 0, 1)
    )


@pytest.mark.parametrize(
    "mask",
    [
        SMALL,
        SMALL.astype(np.uint8),
        SMALL.astype(np.uint8) * 255,
        SMALL.astype(np.float32),
        SMALL[..., None].astype(np.float64),
        torch.from_numpy(SMALL),
        torch.from_numpy(SMALL)[None].float(),
        as_image(SMALL).convert("RGB"),
        as_image(SMALL).convert("1"),
        [as_image(SMALL)],
        SMALL[None],
    ],
    ids=lambda mask: f"{type(mask).__name__} {getattr(mask, 'dtype', '')} {getattr(mask, 'shape', '')}",
)
@pytest.mark.parametrize("picture", [photo(), Image.fromarray(photo()), torch.from_numpy(photo()).permute(2, 0, 1)])
def test_every_kind_of_mask_means_the_same(mask, picture):
    assert complete(picture, mask).tobytes() == complete(photo(), SMALL).tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_pictures_are_completed_as_they_are_seen(orientation, tmp_path):
    image = Image.fromarray(photo())
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "rotated.png", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "rotated.png"))
    mask = box_mask(slice(5, 17), slice(7, 16), (upright.height, upright.width))
    result = complete(Image.open(tmp_path / "rotated.png"), as_image(mask))
    assert result.size == image.size and result.getexif()[0x0112] == orientation
    wanted = complete(Image.fromarray(np.asarray(upright)), as_image(mask))
    np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(result)), np.asarray(wanted))
    np.testing.assert_array_equal(np.asarray(wanted)[~mask], np.asarray(upright)[~mask])


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_mask_gives_the_picture_as_it_was(mode):
    image = picture_of_mode(mode, photo(channels=4))
    image.info["dpi"] = (72, 72)
    result = complete(image, Image.new("L", image.size))
    assert (result.mode, result.size, result.info) == (image.mode, image.size, image.info)
    assert result.tobytes() == image.tobytes() and result.getpalette() == image.getpalette()


@pytest.mark.parametrize("output_type", ["np", "pt"])
def test_an_empty_mask_gives_the_values_as_they_were(output_type):
    values = photo().astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(channels_last(complete(values, SMALL & False, output_type=output_type)), values)


def test_a_picture_of_one_pixel_comes_back():
    assert complete(photo(1, 1), np.zeros((1, 1), bool)).tobytes() == photo(1, 1).tobytes()


# Any size, any mask


@st.composite
def pictures_and_masks(draw) -> tuple[np.ndarray, np.ndarray]:
    """Sizes from 1 to 40, at least one known pixel."""
    height, width, seed = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.integers(0, 999))
    mask = np.random.default_rng(seed).random((height, width)) < draw(st.sampled_from([0, 0, 0.05, 0.5]))
    for _ in range(draw(st.integers(0, 3))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : top + draw(st.integers(1, height)), left : left + draw(st.integers(1, width))] = True
    mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = False
    return photo(height, width, seed=seed), mask


@OFTEN
@given(st.lists(pictures_and_masks(), min_size=1, max_size=3))
def test_any_pictures_keep_size_and_known_pixels_and_are_completed_as_each_by_itself(pairs):
    pipe = new_pipe()
    pipe.set_progress_bar_config(disable=True)
    pictures, masks = (list(parts) for parts in zip(*pairs))
    floats = pipe(pictures, masks, output_type="np").images
    images = pipe([Image.fromarray(picture) for picture in pictures], [as_image(mask) for mask in masks]).images
    assert len(floats) == len(images) == len(pairs)
    for picture, mask, values, image in zip(pictures, masks, floats, images):
        assert values.shape == picture.shape and image.size == picture.shape[1::-1] and image.mode == "RGB"
        assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1
        np.testing.assert_array_equal(values[~mask], picture[~mask].astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(np.asarray(image)[~mask], picture[~mask])
        np.testing.assert_array_equal(complete(picture, mask, output_type="np"), values)
        assert complete(Image.fromarray(picture), as_image(mask)).tobytes() == image.tobytes()
        hidden = np.where(mask[..., None], photo(*mask.shape, seed=1000), picture)
        np.testing.assert_array_equal(complete(hidden, mask, output_type="np"), values)


# Batches


@pytest.mark.parametrize("output_type", ["np", "pt"])
def test_batches_of_one_size_are_stacked_and_others_are_lists(output_type):
    pictures = np.stack([photo(seed=seed) for seed in range(3)])
    masks = np.stack([MASKS["small"], MASKS["line"], MASKS["large"]])
    batches = [pictures, list(pictures), torch.from_numpy(pictures).permute(0, 3, 1, 2)]
    for batch in batches:
        result = PIPE(batch, masks, output_type=output_type).images
        assert isinstance(result, np.ndarray if output_type == "np" else torch.Tensor)
        assert result.shape == ((3, HEIGHT, WIDTH, 3) if output_type == "np" else (3, 3, HEIGHT, WIDTH))
        for picture, mask, one in zip(pictures, masks, result):
            single = PIPE(picture, mask, output_type=output_type).images
            assert type(single) is type(result) and len(single) == 1
            assert (single[0] == one).all()
    others = PIPE([photo(), photo(20, 30)], [SMALL, SMALL[10:30, 15:45]], output_type=output_type).images
    assert isinstance(others, list) and len(others) == 2


@pytest.mark.parametrize("count", [1, 2])
def test_lists_of_batches_are_lists_of_their_pictures(count):
    """diffusers' own tests make batches so: a list of tensors of four dimensions."""
    pictures = [torch.rand(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    bool_masks = [torch.from_numpy(MASKS[name])[None, None].expand(count, -1, -1, -1) for name in ("small", "line")]
    result = PIPE(pictures, bool_masks, output_type="pt").images
    assert torch.equal(result, PIPE(torch.cat(pictures), torch.cat(bool_masks), output_type="pt").images)
    arrays = [picture.permute(0, 2, 3, 1).numpy() for picture in pictures], [mask[:, 0] for mask in bool_masks]
    if count == 1:
        assert (PIPE(*arrays, output_type="np").images == result.permute(0, 2, 3, 1).numpy()).all()
    with pytest.raises(ValueError, match="image 1: "):
        PIPE([pictures[0][:1], pictures[1][:1] * 300], SMALL)


def test_one_mask_serves_all_pictures():
    pictures = [photo(seed=seed) for seed in range(2)]
    for picture, result in zip(pictures, PIPE(pictures, SMALL).images):
        assert result.tobytes() == complete(picture, SMALL).tobytes()


def test_pictures_of_different_kinds_go_together(tmp_path):
    Image.fromarray(photo(20, 31)).save(tmp_path / "picture.png")
    kinds = [Image.fromarray(photo()).convert("L"), photo(33, 35), torch.from_numpy(photo(30, 30)).permute(2, 0, 1)]
    kinds.append(str(tmp_path / "picture.png"))
    masks = [as_image(SMALL), SMALL[:33, :35], torch.from_numpy(SMALL[:30, :30].copy()), SMALL[5:25, 10:41]]
    results = PIPE(kinds, masks).images
    assert [(result.mode, result.size) for result in results] == [
        ("L", (WIDTH, HEIGHT)),
        ("RGB", (35, 33)),
        ("RGB", (30, 30)),
        ("RGB", (31, 20)),
    ]
    for kind, mask, result in zip(kinds, masks, results):
        assert result.tobytes() == complete(kind, mask).tobytes()


def test_several_pictures_have_a_progress_bar_and_one_has_none(capfd):
    pipe = new_pipe()
    pipe([photo()] * 3, SMALL)
    assert "3/3" in capfd.readouterr().err
    pipe(photo(), SMALL)
    assert capfd.readouterr() == ("", "")
    pipe.set_progress_bar_config(disable=True)
    pipe([photo()] * 3, SMALL)
    assert capfd.readouterr() == ("", "")


# Arguments


def test_return_dict_false_gives_a_tuple():
    result = PIPE(photo(), SMALL, return_dict=False)
    assert type(result) is tuple and len(result) == 1
    assert result[0][0].tobytes() == PIPE(photo(), SMALL).images[0].tobytes()


def test_results_are_deterministic_whatever_the_generator():
    generators = [None, torch.Generator().manual_seed(1), [torch.Generator().manual_seed(2)]]
    states = torch.random.get_rng_state()
    results = {complete(photo(), MASKS["large"], generator=generator).tobytes() for generator in generators}
    assert len(results) == 1
    assert torch.equal(torch.random.get_rng_state(), states)


def test_no_graph_is_kept_and_the_model_stays_as_it_is():
    pipe = GLCICPipeline(copy.deepcopy(PIPE.completion_network).train())
    before = {key: value.clone() for key, value in pipe.completion_network.state_dict().items()}
    result = pipe(photo(), SMALL, output_type="pt").images
    assert not result.requires_grad
    assert (result == PIPE(photo(), SMALL, output_type="pt").images).all()
    assert all(torch.equal(value, before[key]) for key, value in pipe.completion_network.state_dict().items())


@pytest.mark.parametrize(("height", "width"), [(30, 44), (64, 60), (HEIGHT, 20)])
def test_height_and_width_resize_first(height, width):
    for kind in (photo(), Image.fromarray(photo())):
        result = complete(kind, SMALL, height=height, width=width)
        assert result.size == (width, height)
        resized = np.asarray(Image.fromarray(photo()).resize((width, height), Image.Resampling.LANCZOS))
        touched = box_mask(slice(15 - 8, 26 + 8), slice(20 - 8, 33 + 8))  # 3 pixels of the smaller picture
        far = ~np.asarray(as_image(touched).resize((width, height), Image.Resampling.NEAREST)) > 0
        assert far.mean() > 0.3
        np.testing.assert_array_equal(np.asarray(result)[far], resized[far])
    assert complete(photo(), SMALL, height=height, width=width, output_type="np").shape == (height, width, 3)
    assert complete(photo(), SMALL, height=height, width=width, output_type="pt").shape == (3, height, width)


def test_the_pictures_own_height_and_width_change_nothing():
    image, own = picture_of_mode("CMYK", photo(channels=4)), {"height": HEIGHT, "width": WIDTH}
    assert complete(image, SMALL, **own).tobytes() == complete(image, SMALL).tobytes()


def test_height_and_width_bring_pictures_of_different_sizes_to_one():
    result = PIPE([photo(), photo(20, 30)], [SMALL, SMALL[10:30, 15:45]], height=24, width=28, output_type="np").images
    assert result.shape == (2, 24, 28, 3)


@each_mask
@pytest.mark.parametrize(("height", "width"), [(20, 28), (82, 110), (64, 20)])
def test_nothing_under_the_mask_leaks_into_a_resized_picture(mask, height, width):
    samples = photo(channels=4)
    for mode in ("RGB", "RGBA", "I;16"):
        results = set()
        for seed in (1, 2):
            hidden = np.where(mask[..., None], photo(channels=4, seed=seed), samples)
            hidden[..., 3] = samples[..., 3]
            image = picture_of_mode(mode, hidden)
            results.add(complete(image, as_image(mask), height=height, width=width).tobytes())
        assert len(results) == 1, mode


def test_padding_mask_crop_sets_what_the_network_is_shown():
    picture, shown = photo(90, 100), box_mask(slice(30, 52), slice(37, 59), (90, 100))
    mask = box_mask(slice(36, 46), slice(43, 53), (90, 100))
    other = np.where(shown[..., None], picture, photo(90, 100, seed=1))

    def fill(picture, **arguments):
        return complete(picture, mask, output_type="np", **arguments)[mask]

    np.testing.assert_array_equal(fill(picture, padding_mask_crop=6), fill(other, padding_mask_crop=6))
    for padding in (None, 7):
        assert np.abs(fill(picture, padding_mask_crop=padding) - fill(other, padding_mask_crop=padding)).max() > 1e-3
    np.testing.assert_array_equal(fill(picture, padding_mask_crop=500), fill(picture, padding_mask_crop=90))
    assert np.isfinite(fill(picture, padding_mask_crop=0)).all()


# Patches of the photo

WIDE_SIZE = (150, 160)
WIDE_MASK = box_mask(slice(50, 90), slice(60, 104), WIDE_SIZE)


def wide(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (*WIDE_SIZE, channels), np.uint8)


WIDE_PICTURES = {
    "RGB": lambda: Image.fromarray(wide()),
    "grey": lambda: Image.fromarray(wide(1)[..., 0]),
    "alpha": lambda: Image.fromarray(wide(4)),
    "16 bits": lambda: Image.fromarray(wide(1)[..., 0].astype(np.uint16) * 257),
    "CMYK": lambda: Image.frombytes("CMYK", WIDE_SIZE[::-1], wide(4).tobytes()),
    "floats": lambda: wide().astype(np.float32) / 255,
    "tensor": lambda: torch.from_numpy(wide()).permute(2, 0, 1).double() / 255,
}


@pytest.mark.parametrize("make", WIDE_PICTURES.values(), ids=WIDE_PICTURES.keys())
def test_with_patches_known_samples_come_back_bit_for_bit_in_every_kind(make):
    kind = "pt" if isinstance(make(), torch.Tensor) else "np" if isinstance(make(), np.ndarray) else "pil"
    results = [complete(make(), WIDE_MASK, texture=texture, output_type=kind) for texture in (None, "photo")]
    alone, result, before = (
        np.asarray(picture) if kind == "pil" else channels_last(picture) for picture in (*results, make())
    )
    np.testing.assert_array_equal(result[~WIDE_MASK], before[~WIDE_MASK])
    assert (result != alone)[WIDE_MASK].mean() > 0.2, "patches were used"


def test_with_patches_a_grey_photo_in_colour_stays_grey():
    grey = np.repeat(wide(1), 3, axis=2)
    result = np.asarray(complete(Image.fromarray(grey), WIDE_MASK, texture="photo"))
    assert (np.ptp(result, axis=2) == 0).all()


def test_generators_decide_which_patches():
    def results(generator, count: int = 1) -> list[bytes]:
        found = PIPE([wide()] * count, WIDE_MASK, texture="photo", generator=generator, output_type="np").images
        return [one.tobytes() for one in found]

    def seeded(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    assert results(None) == results(None)
    assert results(seeded(1)) == results(seeded(1)) != results(seeded(2))
    each = results([seeded(1), seeded(2)], 2)
    assert each == [*results([seeded(1)]), *results([seeded(2)])]


# What may not be meant


def test_swapped_arguments_are_told():
    with pytest.warns(UserWarning, match="looks like a photo.*pass the image first and its mask second"):
        PIPE(as_image(SMALL), Image.fromarray(photo()))


def test_a_mask_without_white_is_told_and_fills_nothing():
    dark = np.tile(np.linspace(20, 100, WIDTH).astype(np.uint8), (HEIGHT, 1))
    with pytest.warns(UserWarning, match="no pixel of the mask is white, its values range from 20 to 100 of 255"):
        np.testing.assert_array_equal(np.asarray(complete(Image.fromarray(photo()), dark)), photo())


# What cannot be completed


def refused(match: str, image, mask, error: type[Exception] = ValueError, **arguments):
    """The error says `match`, and comes before any work is done."""
    pipe = new_pipe()
    pipe.completion_network.network.blocks = None  # nothing can be computed with it
    with pytest.raises(error, match=match):
        pipe(image, mask, **arguments)


WHITE = np.ones((HEIGHT, WIDTH), bool)


@pytest.mark.parametrize(
    ("image", "mask", "match"),
    [
        (photo(), WHITE, "covers the whole image.*keep part of the mask black"),
        ([photo(), photo()], [SMALL, WHITE], "mask of image 1 covers the whole image"),
        (photo(1, 1), np.ones((1, 1), bool), "covers the whole image"),
        (photo(), SMALL[1:], "mask of image 0: the mask is 55x40 but its image is 55x41.*resize the mask"),
        (photo(), SMALL.T, "the sides are swapped"),
        ([photo(), photo(20, 30)], [SMALL, SMALL], "mask of image 1: the mask is 55x41 but its image is 30x20"),
        ([photo(), photo(20, 30)], SMALL, "mask of image 1"),
        ([photo()] * 3, [SMALL] * 2, "2 masks for 3 images; give one mask for each"),
        ([], [], "no image"),
        (photo()[:0][None][:0], SMALL, "no image"),
        (torch.zeros(0, 3, 8, 8), SMALL, "no image"),
        (np.full((HEIGHT, WIDTH, 3), np.nan, np.float32), SMALL, "NaN.*replace"),
        ([photo(), np.full((HEIGHT, WIDTH, 3), np.inf)], SMALL, "image 1: .*NaN or infinite"),
        (photo(), np.where(SMALL, np.nan, 0), "mask.*NaN"),
        (photo().astype(np.float32), SMALL, r"in \[0, 1\].*x / 255"),
        (photo()[:, :0], SMALL[:, :0], "no pixels"),
        (photo().transpose(2, 0, 1), SMALL, "move its channels"),
    ],
)
def test_what_cannot_be_completed_is_refused_with_advice(image, mask, match):
    refused(match, image, mask)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"blend": "alpha"}, "blend must be one of 'auto', 'poisson', 'fading', None; got 'alpha'"),
        ({"blend": np.ones(2)}, "blend must be one of 'auto', 'poisson', 'fading', None; got array"),
        ({"texture": np.ones(2)}, "texture must be one of 'auto', 'photo', None; got array"),
        ({"generator": 42}, "generator must be a torch.Generator, or a list of them; got 42"),
        ({"texture": "grass"}, "texture must be one of 'auto', 'photo', None; got 'grass'"),
        ({"working_size": 0}, "working_size must be .* from 1 to 10000; got 0"),
        ({"padding_mask_crop": -1}, "padding_mask_crop must be .* from 0 to 10000; got -1"),
        ({"generator": [torch.Generator()] * 2}, "2 generators for 1 images; give one for each, or a single one"),
        ({"height": 20}, "both height and width, or neither; got height=20, width=None"),
        ({"width": 20}, "both height and width, or neither"),
        ({"height": 0, "width": 20}, "at least 1"),
        ({"height": -4, "width": 20}, "at least 1"),
        ({"height": 1, "width": 1}, "covers the whole image"),
        ({"output_type": "latent"}, "output_type must be one of pil, np, pt; got 'latent'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, match):
    refused(match, photo(), MASKS["large"], **arguments)


@pytest.mark.parametrize("image", [None, 3, {}])
def test_what_is_no_picture_is_refused(image):
    refused("an image must be a PIL image, an array, a tensor or the path", image, SMALL, TypeError)
    refused("a mask must be a PIL image, an array, a tensor or the path", photo(), image, TypeError)


def test_damaged_missing_and_huge_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "picture.jpg"
    Image.fromarray(photo()).save(path)
    with monkeypatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH // 2 - 1)
        refused("picture.jpg' is too large to read, make it smaller", path, SMALL)
    path.write_bytes(path.read_bytes()[:-400])
    refused("picture.jpg.*damaged", path, SMALL, OSError)
    with Image.open(path) as damaged:
        refused("damaged", damaged, SMALL, OSError)
    refused("mask of image 0.*damaged", photo(), path, OSError)
    refused("nothing.png", str(tmp_path / "nothing.png"), SMALL, FileNotFoundError)


# Devices, types, saving and loading


def as_array(pipe: GLCICPipeline, mask: np.ndarray = MASKS["large"]) -> np.ndarray:
    return pipe(photo(), mask, output_type="np").images[0]


def test_working_size_sets_the_scale_at_which_a_large_hole_is_shown():
    default = as_array(PIPE)
    np.testing.assert_array_equal(
        PIPE(photo(), MASKS["large"], working_size=MAX_HOLE_SIZE, output_type="np").images[0], default
    )
    finer = PIPE(photo(), MASKS["large"], working_size=1000, output_type="np").images[0]
    assert np.abs(finer - default)[MASKS["large"]].mean() > 0.01
    np.testing.assert_array_equal(finer[~MASKS["large"]], default[~MASKS["large"]])


def test_changed_weights_are_used_at_once_and_unchanged_ones_are_prepared_once(monkeypatch):
    prepared = []
    monkeypatch.setattr(completer_module, "Completer", lambda *a: prepared.append(a) or Completer(*a))
    pipe = new_pipe()
    first = as_array(pipe)
    np.testing.assert_array_equal(as_array(pipe), first)
    assert len(prepared) == 1
    weight = pipe.completion_network.network.output.weight
    weight.data.copy_(weight.flip(-1))  # what neither a version counter nor a norm sees
    assert np.abs(as_array(pipe) - first).max() > 0.01
    weight.data.copy_(weight.flip(-1))
    np.testing.assert_array_equal(as_array(pipe), first)
    pipe.completion_network.compute_dtype = torch.float16
    assert np.abs(as_array(pipe) - first).max() > 0
    assert len(prepared) == 4


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.005), (torch.bfloat16, 0.04)], ids=str)
@pytest.mark.parametrize("name", ["small", "large"])
def test_half_precision_gives_nearly_the_same(dtype, tolerance, name):
    pipe, mask, exact = new_pipe().to(dtype), MASKS[name], new_pipe()
    assert pipe.dtype == dtype
    exact.completion_network.compute_dtype = torch.float32
    result, wanted = as_array(pipe, mask), as_array(exact, mask)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result[~mask], wanted[~mask])
    assert 0 < np.abs(result - wanted)[mask].mean() < tolerance
    np.testing.assert_array_equal(as_array(pipe.to(torch.float32))[~MASKS["large"]], as_array(PIPE)[~MASKS["large"]])


def test_to_a_device_gives_the_pipeline_back():
    pipe = new_pipe()
    assert pipe.to("cpu") is pipe and pipe.device == torch.device("cpu")
    np.testing.assert_array_equal(as_array(pipe), as_array(PIPE))


@pytest.mark.parametrize("offload", ["enable_model_cpu_offload", "enable_sequential_cpu_offload"])
def test_offloading_gives_the_same(offload):
    pipe = new_pipe()
    getattr(pipe, offload)(device="cpu")
    for _ in range(2):
        np.testing.assert_array_equal(as_array(pipe), as_array(PIPE))


@pytest.mark.parametrize(
    "arguments", [{"offload_type": "leaf_level"}, {"offload_type": "block_level", "num_blocks_per_group": 1}]
)
def test_group_offloading_gives_the_same(arguments):
    hooks = pytest.importorskip("diffusers.hooks")
    pipe, cpu = new_pipe(), torch.device("cpu")
    hooks.apply_group_offloading(pipe.completion_network, onload_device=cpu, offload_device=cpu, **arguments)
    for _ in range(2):
        np.testing.assert_array_equal(as_array(pipe), as_array(PIPE))


def test_group_offloading_to_a_disk_is_refused(tmp_path):
    """diffusers leaves empty tensors in memory, which would be filled with."""
    pipe, cpu = new_pipe(), torch.device("cpu")
    with pytest.raises(ValueError, match="^offload_to_disk_path: .* to the CPU instead"):
        pipe.enable_group_offload(cpu, offload_type="leaf_level", offload_to_disk_path=str(tmp_path))
    np.testing.assert_array_equal(as_array(pipe), as_array(PIPE))


class Graphs(list):
    """A backend of torch.compile that notes what it is given and computes it as it stands."""

    def __call__(self, graph, inputs):
        self.append(inputs)
        return graph.forward


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 5), reason="this torch cannot trace how windows are chosen"
)
@pytest.mark.parametrize("part", ["pipeline's", "model's", "by its method"])
def test_what_is_compiled_is_what_runs(part):
    """`pipe.component = torch.compile(pipe.component)`, the line of diffusers' guides, does what `.compile()` does."""
    pipe, graphs = new_pipe(), Graphs()
    as_array(pipe)  # nothing is compiled yet
    if part == "pipeline's":
        pipe.completion_network = torch.compile(pipe.completion_network, backend=graphs)
    elif part == "model's":
        pipe.completion_network.network = torch.compile(pipe.completion_network.network, backend=graphs)
    else:
        pipe.completion_network.compile(backend=graphs)
    np.testing.assert_allclose(as_array(pipe), as_array(PIPE), atol=1e-5)
    assert len(graphs) == 1
    for mask in (MASKS["small"], MASKS["line"]):
        np.testing.assert_allclose(as_array(pipe, mask), as_array(PIPE, mask), atol=1e-5)
    assert all(type(side) is int for inputs in graphs for x in inputs if x is not None for side in x.shape)


def test_a_compiled_component_is_saved_as_what_it_was(tmp_path):
    pipe = new_pipe()
    pipe.completion_network = torch.compile(pipe.completion_network, backend="eager")
    pipe.save_pretrained(tmp_path)
    np.testing.assert_array_equal(as_array(GLCICPipeline.from_pretrained(tmp_path)), as_array(PIPE))


def test_ways_of_compiling_that_change_nothing_name_the_one_that_does():
    graphs = Graphs()
    for change in (
        lambda model: setattr(model, "forward", torch.compile(model.forward, backend=graphs)),
        lambda model: model.network.compile(backend=graphs),
    ):
        pipe = new_pipe()
        change(pipe.completion_network)
        with pytest.warns(UserWarning, match=r"call its \.compile\(\)"):
            np.testing.assert_array_equal(as_array(pipe), as_array(PIPE))
    assert not graphs


@pytest.mark.parametrize("other", [torch.nn.Linear(3, 3), PIPE.completion_network.network, "glcic-scenes", None, PIPE])
def test_other_components_are_refused(other):
    pipe = new_pipe()
    message = f"completion_network must be a GLCICModel; got a {type(other).__name__}"
    with pytest.raises(TypeError, match=message):
        GLCICPipeline(other)
    with pytest.raises(TypeError, match=message):
        GLCICPipeline.from_pretrained(completion_network=other)
    with pytest.raises(TypeError, match=message):
        pipe.completion_network = other
    np.testing.assert_array_equal(as_array(pipe), as_array(PIPE))


def test_the_offload_sequence_names_the_component():
    assert GLCICPipeline.model_cpu_offload_seq == "completion_network"
    assert list(PIPE.components) == ["completion_network"]


@pytest.fixture
def saved(tmp_path):
    PIPE.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_saved_pipeline_loads_as_it_was(saved):
    files = sorted(
        str(path.relative_to(saved)) for path in saved.rglob("*") if path.suffix in (".json", ".safetensors")
    )
    assert files == ["completion_network/config.json", "completion_network/model.safetensors", "model_index.json"]
    for loaded in (
        GLCICPipeline.from_pretrained(saved),
        GLCICPipeline.from_pretrained(str(saved)),
        AutoPipelineForInpainting.from_pretrained(saved),
        DiffusionPipeline.from_pretrained(saved),
    ):
        assert type(loaded) is GLCICPipeline and loaded.dtype == torch.float32
        assert not loaded.completion_network.training
        np.testing.assert_array_equal(as_array(loaded), as_array(PIPE))


@pytest.mark.parametrize("argument", ["dtype", "torch_dtype"])
def test_a_pipeline_loads_in_the_type_that_is_asked_for(saved, argument):
    loaded = GLCICPipeline.from_pretrained(saved, **{argument: torch.float16})
    assert loaded.dtype == torch.float16 == loaded.completion_network.dtype
    np.testing.assert_array_equal(as_array(loaded), as_array(new_pipe().to(torch.float16)))


def test_variants_are_saved_and_loaded_beside_one_another(saved):
    new_pipe().to(torch.float16).save_pretrained(saved, variant="fp16")
    weights = sorted(path.name for path in saved.rglob("*.safetensors"))
    assert weights == ["model.fp16.safetensors", "model.safetensors"]
    half = GLCICPipeline.from_pretrained(saved, variant="fp16", dtype=torch.float16)
    assert half.dtype == torch.float16
    np.testing.assert_array_equal(as_array(half), as_array(new_pipe().to(torch.float16)))
    np.testing.assert_array_equal(as_array(GLCICPipeline.from_pretrained(saved)), as_array(PIPE))
    rounded = GLCICPipeline.from_pretrained(saved, variant="fp16").completion_network
    for ours, wanted in zip(rounded.parameters(), PIPE.completion_network.parameters()):
        assert torch.equal(ours, wanted.half().float())
    with pytest.raises(FileNotFoundError, match="model.bf16.safetensors"):
        GLCICPipeline.from_pretrained(saved, variant="bf16")


LOADING = [
    {"torch_dtype": "auto"},
    {"dtype": "float16"},
    {"dtype": {"completion_network": torch.float16}},
    {"dtype": torch.bfloat16, "torch_dtype": torch.bfloat16},
    {"device_map": "meta"},
    {"device_map": "cpu", "low_cpu_mem_usage": True},
    {"map_location": "cpu", "strict": True},
    {"use_safetensors": True, "proxies": None},
    {"variant": "fp16"},
]


@pytest.mark.parametrize("arguments", LOADING, ids=str)
def test_loading_arguments_mean_the_same_everywhere(tmp_path, arguments):
    """For pipelines, bare models, embedded ones, and for the model itself."""
    variant = arguments.get("variant")
    half = new_pipe().to(torch.float16)
    half.save_pretrained(tmp_path / "whole", variant=variant)
    half.completion_network.save_pretrained(tmp_path / "bare", variant=variant)
    places = [tmp_path / "whole", tmp_path / "bare"] + ([] if variant else ["glcic-scenes"])
    for place in places:
        model = GLCICModel.from_pretrained(place, **arguments)
        loaded = GLCICPipeline.from_pretrained(place, **arguments).completion_network
        assert (loaded.dtype, loaded.device.type) == (model.dtype, model.device.type)
        assert loaded.compute_dtype == model.compute_dtype
    assert loaded.device.type == arguments.get("device_map", "cpu")


TOLD = [
    ({}, torch.float32, False),
    ({"variant": "fp16"}, torch.float32, True),
    ({"variant": "fp16", "torch_dtype": torch.float16}, torch.float16, True),
    ({"torch_dtype": torch.float16}, torch.float16, False),
    ({"use_safetensors": True, "low_cpu_mem_usage": True}, torch.float32, False),
]


@pytest.mark.filterwarnings("ignore:`torch_dtype` is deprecated:FutureWarning")  # older releases know no other name
@pytest.mark.parametrize(("arguments", "dtype", "is_variant"), TOLD, ids=str)
def test_diffusers_own_class_tells_the_model_what_it_is_asked_for(saved, arguments, dtype, is_variant):
    other = GLCICPipeline(random_model(seed=1).to(torch.float16))
    other.save_pretrained(saved, variant="fp16")
    (saved / "completion_network" / "README.md").unlink()
    loaded = DiffusionPipeline.from_pretrained(saved, **arguments)
    assert type(loaded) is GLCICPipeline and loaded.dtype == dtype
    wanted = other if is_variant else PIPE
    for ours, theirs in zip(loaded.completion_network.parameters(), wanted.completion_network.parameters()):
        assert torch.equal(ours, theirs.to(dtype))


def test_diffusers_own_class_reads_a_variant_that_is_alone(tmp_path):
    """That is what it downloads of a repository when it is asked for one."""
    new_pipe().to(torch.float16).save_pretrained(tmp_path, variant="fp16")
    for arguments in ({}, {"variant": "fp16"}):
        loaded = DiffusionPipeline.from_pretrained(tmp_path, **arguments)
        assert type(loaded) is GLCICPipeline and loaded.dtype == torch.float32


def test_diffusers_own_class_puts_the_model_where_it_is_asked_to(saved, monkeypatch):
    pytest.importorskip("accelerate")
    if "cpu" not in pipeline_utils.SUPPORTED_DEVICE_MAP:
        pytest.skip("this diffusers knows no device by its name")
    monkeypatch.setattr(pipeline_utils, "SUPPORTED_DEVICE_MAP", ["meta"])  # accelerators are rare where tests run
    assert DiffusionPipeline.from_pretrained(saved, device_map="meta").completion_network.device.type == "meta"


@pytest.mark.parametrize("arguments", [{}, {"variant": "fp16"}, {"dtype": torch.float16}])
def test_a_folder_with_only_a_model_loads(tmp_path, arguments):
    PIPE.completion_network.save_pretrained(tmp_path, variant=arguments.get("variant"))
    loaded = GLCICPipeline.from_pretrained(tmp_path, **arguments)
    dtype = arguments.get("dtype", torch.float32)
    assert loaded.dtype == dtype
    np.testing.assert_array_equal(as_array(loaded), as_array(new_pipe().to(dtype)))


@pytest.mark.parametrize("bare", [False, True])
def test_a_repository_of_the_hub_loads_from_the_cache(tmp_path, bare):
    repository, commit = tmp_path / "models--someone--scenes", "0" * 40
    (PIPE.completion_network if bare else PIPE).save_pretrained(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    loaded = GLCICPipeline.from_pretrained("someone/scenes", cache_dir=tmp_path, local_files_only=True)
    assert type(loaded) is GLCICPipeline
    np.testing.assert_array_equal(as_array(loaded), as_array(PIPE))
    with pytest.raises(FileNotFoundError):
        GLCICPipeline.from_pretrained("someone/else", cache_dir=tmp_path, local_files_only=True)


def test_a_component_that_is_given_is_used(saved):
    model = random_model(seed=1)
    loaded = GLCICPipeline.from_pretrained(saved, completion_network=model)
    assert loaded.completion_network is model
    assert np.abs(as_array(loaded) - as_array(PIPE)).max() > 0.05


def test_a_folder_that_holds_no_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="config.json does not exist"):
        GLCICPipeline.from_pretrained(tmp_path)


def test_unknown_arguments_are_refused_before_anything_is_read(tmp_path):
    """Of an empty folder and of an embedded model, the weights of which loading would meet first."""
    for name in (tmp_path, None):
        with pytest.raises(TypeError, match="^safety_checker: not an argument for loading a bare or embedded model"):
            GLCICPipeline.from_pretrained(name, safety_checker=None, variant="none such")


def test_damaged_weights_are_refused(saved):
    weights = saved / "completion_network" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="download or copy it again"):
        GLCICPipeline.from_pretrained(saved)


OFFLINE = """
import socket

def refuse(*_, **__):
    raise AssertionError("the network was used")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
import numpy as np
from skimage import data
from glcic_hub import GLCICPipeline

picture = data.astronaut()
mask = np.zeros(picture.shape[:2], bool)
mask[200:248, 40:88] = True
mask[300:303, 100:400] = True
pipe = GLCICPipeline.from_pretrained()
result = np.asarray(pipe(picture, mask).images[0])
assert result.shape == picture.shape and result.dtype == np.uint8
assert (result[~mask] == picture[~mask]).all()
assert (result != picture).any(axis=2)[mask].mean() > 0.5
hidden = np.where(mask[..., None], 255 - picture, picture)
assert (np.asarray(pipe(hidden, mask).images[0]) == result).all()
print("completed", pipe.completion_network.sample_size)
"""


def test_the_embedded_default_completes_a_picture_offline(tmp_path):
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run([sys.executable, "-c", OFFLINE], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("completed ")


# Docstrings

MODULES = sorted(module.name for module in pkgutil.iter_modules(glcic_hub.__path__) if module.name != "__main__")


def documented_arguments(docstring: str) -> list[str] | None:
    section = re.search(r"^Args:\n((?: {4}.*\n|\n)+)", inspect.cleandoc(docstring) + "\n", re.MULTILINE)
    if section is None:
        return None
    entries = re.findall(r"^ {4}(\*{0,2}\w+(?:, \*{0,2}\w+)*):", section[1], re.MULTILINE)
    return [name for entry in entries for name in entry.split(", ")]


def arguments_of(function: object) -> list[str]:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    parameters = inspect.signature(function).parameters.values()
    return [stars.get(parameter.kind, "") + parameter.name for parameter in parameters if parameter.name != "self"]


def public_callables(module: object) -> dict[str, object]:
    found = {}
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__ or not callable(value):
            continue
        found[name] = value
        for method in vars(value) if inspect.isclass(value) else ():
            if callable(getattr(value, method)) and (method == "__call__" or not method.startswith("_")):
                found[f"{name}.{method}"] = getattr(value, method)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_the_documented_arguments_are_those_of_the_signature(name):
    for path, function in public_callables(importlib.import_module(f"glcic_hub.{name}")).items():
        documented = documented_arguments(function.__doc__ or "")
        if documented is not None:
            assert documented == arguments_of(function), path


def test_the_check_of_the_docstrings_finds_them():
    documented = {
        path
        for name in (
            "pipeline",
            "model",
            "network",
            "filling.completer",
            "filling.fill",
            "filling.holes",
            "filling.seam",
        )
        for path, function in public_callables(importlib.import_module(f"glcic_hub.{name}")).items()
        if documented_arguments(function.__doc__ or "")
    }
    assert documented >= {
        "GLCICPipeline",
        "GLCICPipeline.__call__",
        "GLCICPipeline.from_pretrained",
        "GLCICModel",
        "GLCICModel.forward",
        "GLCICModel.from_pretrained",
        "GLCICModel.save_pretrained",
        "Completer",
        "Completer.complete",
        "fill",
        "find_holes",
        "view_of",
        "correct_seam",
        "continue_harmonically",
        "complete_batch",
    }
    assert documented_arguments("Sum.\n\n    Args:\n        a, b: x: y\n            c: d\n        **e: f\n") == [
        "a",
        "b",
        "**e",
    ]
