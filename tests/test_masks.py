"""Masks of every kind become bool arrays, True = fill."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from PIL import Image, ImageFilter, ImageOps
from scipy import ndimage
from skimage import data

from glcic_hub import masks

HEIGHT, WIDTH = 5, 7
SIZE = (HEIGHT, WIDTH)
MASK = np.random.default_rng(0).random(SIZE) < 0.5
WHITE_ON_BLACK = Image.fromarray(MASK.astype(np.uint8) * 255)


def assert_reads_as(mask, wanted, size=SIZE):
    result = masks.read(mask, size)
    assert result.dtype == bool
    np.testing.assert_array_equal(result, wanted)


# One mask


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "La", "PA", "RGBa"]
)
def test_white_is_fill_in_every_mode(mode):
    image = WHITE_ON_BLACK.convert({"La": "LA", "PA": "RGBA", "RGBa": "RGBA", "HSV": "RGB"}.get(mode, mode)).convert(
        mode
    )
    before = image.tobytes()
    assert_reads_as(image, MASK)
    assert image.tobytes() == before


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B"])
def test_sixteen_bit_pictures_are_fill_from_half_of_their_range(mode):
    samples = np.where(MASK, 32768, 32767).astype({"I": "int32", "I;16": "uint16", "I;16B": ">u2"}[mode])
    assert_reads_as(Image.frombytes(mode, (WIDTH, HEIGHT), samples.tobytes()), MASK)


def test_float_pictures_are_fill_from_one_half():
    assert_reads_as(Image.fromarray(np.where(MASK, 0.5, 0.4999).astype(np.float32)), MASK)


@pytest.mark.filterwarnings("ignore:the mask looks like a photo")
def test_pictures_are_fill_from_luminance_128():
    levels = np.arange(256, dtype=np.uint8)[None]
    assert_reads_as(Image.fromarray(levels), levels >= 128, (1, 256))
    assert_reads_as(Image.fromarray(levels).convert("RGB"), levels >= 128, (1, 256))
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    assert_reads_as(colours, np.asarray(colours.convert("L")) >= 128, (40, 50))


def test_transparent_white_is_not_fill():
    image = Image.new("RGBA", (WIDTH, HEIGHT), "white")
    image.putalpha(WHITE_ON_BLACK)
    assert_reads_as(image, MASK)
    assert_reads_as(np.asarray(image), MASK)
    assert_reads_as(image.convert("LA"), MASK)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    WHITE_ON_BLACK.save(tmp_path / "mask.png", exif=exif)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "mask.png"))) > 0
    assert_reads_as(tmp_path / "mask.png", wanted, wanted.shape)
    assert_reads_as(str(tmp_path / "mask.png"), wanted, wanted.shape)
    assert_reads_as(Image.open(tmp_path / "mask.png"), wanted, wanted.shape)


@pytest.mark.parametrize(
    "levels",
    [
        MASK,
        MASK.astype(np.uint8),
        MASK.astype(np.int64),
        MASK.astype(np.uint16),
        np.where(MASK, 128, 127).astype(np.uint8),
        np.where(MASK, 128, 127).astype(np.int32),
        np.where(MASK, 32768, 32767).astype(np.uint16),
        np.where(MASK, 32768, 32767).astype(">u2"),
        np.where(MASK, 0.5, 0.499).astype(np.float16),
        np.where(MASK, 0.5, 0.49999).astype(np.float32),
        np.where(MASK, 0.5, np.nextafter(0.5, 0)),
    ],
    ids=lambda levels: f"{levels.dtype}-{levels.max()}",
)
def test_arrays_and_tensors_of_every_dtype_and_shape(levels):
    before, levels = levels, levels.copy()
    levels.setflags(write=False)
    for array in (levels, levels[..., None], levels[None], np.asfortranarray(levels)):
        assert_reads_as(array, MASK)
    assert_reads_as(levels[::-1, ::-1], MASK[::-1, ::-1])
    if levels.dtype != np.float16:  # Luminance of float16 colours is not exact at the threshold.
        assert_reads_as(np.stack([levels] * 3, -1), MASK)
    np.testing.assert_array_equal(levels, before)
    tensor = torch.from_numpy(before.astype(before.dtype.newbyteorder("=")))
    for shaped in (tensor, tensor[None], torch.stack([tensor] * 3), tensor.T.contiguous().T):
        assert_reads_as(shaped, MASK)


def test_bfloat16_and_differentiable_tensors_are_read():
    assert_reads_as(torch.from_numpy(MASK).to(torch.bfloat16), MASK)
    assert_reads_as(torch.from_numpy(MASK).float().requires_grad_(), MASK)


@pytest.mark.filterwarnings("ignore:the mask looks like a photo")
def test_an_opaque_colour_array_counts_by_luminance():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]], np.uint8)
    assert_reads_as(colours, [[False, True, False, True]], (1, 4))
    assert_reads_as(colours / 255, [[False, True, False, True]], (1, 4))


def test_a_shape_of_two_meanings_is_read_as_the_one_that_fits():
    assert_reads_as(np.ones((1, 1, 3)), [[True] * 3], (1, 3))
    assert_reads_as(np.ones((1, 3, 3)), [[True] * 3], (1, 3))
    assert_reads_as(np.ones((1, 3, 3)), np.ones((3, 3), bool), (3, 3))


@pytest.mark.filterwarnings("ignore:.* would be filled, the opaque parts")
@settings(max_examples=50, deadline=None, derandomize=True)
@given(mask=arrays_of.arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20))), data=st.data())
def test_a_mask_means_the_same_however_it_is_given(mask, data):
    ways = [
        lambda mask: mask,
        lambda mask: mask[None],
        lambda mask: mask[..., None].astype(np.float32),
        lambda mask: np.stack([mask] * 4, -1).astype(np.uint8),
        lambda mask: torch.from_numpy(mask)[None],
        lambda mask: Image.fromarray(mask),
        lambda mask: Image.fromarray(mask.astype(np.uint8) * 255),
        lambda mask: Image.fromarray(mask.astype(np.uint8)),
        lambda mask: Image.fromarray(mask.astype(np.uint16)),
    ]
    assert_reads_as(data.draw(st.sampled_from(ways))(mask), mask, mask.shape)


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        (np.zeros((3, 4)), ValueError, r"mask is 4x3 but its image is 7x5 \(width x height\): resize .*nearest"),
        (MASK.T, ValueError, "mask is 5x7 but its image is 7x5.*rotated"),
        (Image.new("L", (5, 7)), ValueError, "rotated"),
        (np.full(SIZE, np.nan), ValueError, "the mask has NaN"),
        (np.full(SIZE, -0.1), ValueError, "float values from -0.1"),
        (np.full(SIZE, 255.0), ValueError, "float values from 255 to 255"),
        (np.full(SIZE, -1), ValueError, "integer values from -1"),
        (np.full(SIZE, 256), ValueError, "integer values from 256"),
        (torch.full(SIZE, -1, dtype=torch.int8), ValueError, "integer values from -1"),
        (np.zeros(SIZE, complex), TypeError, "dtype complex128"),
        (np.zeros(SIZE, object), TypeError, "dtype object"),
        (np.zeros((HEIGHT, WIDTH, 2)), ValueError, r"given as an array must have shape .*got \(5, 7, 2\)"),
        (np.zeros(5), ValueError, r"got \(5,\)"),
        (torch.zeros(2, HEIGHT, WIDTH), ValueError, r"given as a tensor must have shape .*got \(2, 5, 7\)"),
        (torch.tensor(1.0), ValueError, r"got \(\)"),
        (np.zeros((0, 7)), ValueError, "no pixels"),
        (Image.new("L", (0, 7)), ValueError, "no pixels"),
        (None, TypeError, "got NoneType"),
        ([[0, 1]], TypeError, "got list"),
        ("missing.png", FileNotFoundError, "missing.png"),
    ],
)
def test_what_is_not_a_mask_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        masks.read(wrong, SIZE)


def test_a_damaged_file_is_refused_by_name(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:1500])
    with pytest.raises(OSError, match=r"cut\.png.*damaged"):
        masks.read(tmp_path / "cut.png", (64, 64))


# What people have


DISC = np.hypot(*np.mgrid[-30:34, -36:28]) < 14  # (64, 64)
COFFEE = data.coffee()[100:164, 200:264]


def painted(colour, ground=0, hole=DISC) -> np.ndarray:
    """The hole in one colour, uint8 (H, W[, C])."""
    return np.where(hole.reshape(*hole.shape, *[1] * np.ndim(colour)), np.uint8(colour), np.uint8(ground))


def with_palette(*colours: int) -> Image.Image:
    image = Image.fromarray(DISC.astype(np.uint8))
    image.putpalette(colours)
    return image


def layer(colours, alpha) -> Image.Image:
    return Image.fromarray(np.dstack([np.broadcast_to(np.uint8(colours), (64, 64, 3)), np.uint8(alpha)]))


def is_silent(mask) -> np.ndarray:
    """What it reads as; nothing is said."""
    result, doubt = masks.read_with_doubt(mask, (64, 64))
    assert doubt is None
    return result


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_pictures_of_0_and_1_count_as_arrays_do(dtype):
    samples = DISC.astype(dtype)
    assert np.array_equal(is_silent(Image.fromarray(samples)), DISC)
    assert masks.read(Image.fromarray(np.ones_like(samples)), (64, 64)).all()


@pytest.mark.parametrize("mode", ["P", "LA", "RGB", "RGBA"])
def test_pictures_of_0_and_1_in_other_modes(mode):
    assert np.array_equal(is_silent(Image.fromarray(DISC.astype(np.uint8)).convert(mode)), DISC)


PAINT = {
    "palette of grey 0 and 1": with_palette(0, 0, 0, 1, 1, 1),
    "palette of segmentations": with_palette(0, 0, 0, 128, 0, 0),
    "palette of white and black": with_palette(0, 0, 0, 255, 255, 255),
    "red": painted((255, 0, 0)),
    "blue on opaque black": painted((0, 0, 255, 255), (0, 0, 0, 255)),
    "white at 45 %": painted((255, 255, 255, 115)),
    "white at 45 % on black": painted(115),
    "red at 45 % on nothing": painted((255, 0, 0, 115)),
    "one class of a segmentation": painted(15),
    "float": painted(115) / 255,
}


@pytest.mark.parametrize("mask", PAINT.values(), ids=PAINT)
def test_paint_of_one_colour_is_understood(mask):
    assert np.array_equal(is_silent(mask), DISC)
    if isinstance(mask, np.ndarray) and mask.dtype == np.uint8:
        assert np.array_equal(is_silent(Image.fromarray(mask)), DISC)


def test_the_soft_rim_of_dark_paint_is_halved():
    soft = ndimage.gaussian_filter(DISC.astype(float), 0.7)
    red = soft[..., None] * (255, 0, 0)
    assert np.array_equal(is_silent(Image.fromarray(np.rint(red).astype(np.uint8))), soft >= 0.5)


@pytest.mark.parametrize("mode", ["L", "RGB", "LA"])
@pytest.mark.parametrize("sigma", [0.5, 1, 3, 6, 40])
def test_soft_masks_are_masks(mode, sigma):
    """The last one is one ramp over the whole mask."""
    ramp = np.tile(np.linspace(0, 1, 64), (64, 1))
    soft = ramp if sigma == 40 else ndimage.gaussian_filter(DISC.astype(float), sigma)
    levels = np.rint(soft * 255).astype(np.uint8)
    assert np.array_equal(is_silent(Image.fromarray(levels).convert(mode)), levels >= 128)
    assert np.array_equal(is_silent(levels / 255), levels >= 128)


def test_thin_antialiased_lines_are_masks():
    lines = np.zeros((256, 256), np.uint8)
    lines[np.arange(256), np.arange(256) // 3] = 255
    lines[100:110] = 255
    soft = Image.fromarray(lines).resize((64, 64), Image.Resampling.BOX).filter(ImageFilter.SMOOTH)
    assert is_silent(soft.point(lambda level: min(255, 2 * level))).any()


@pytest.mark.parametrize(
    "photo", [COFFEE, COFFEE[..., 1], COFFEE / 255, np.dstack([COFFEE, COFFEE[..., :1] * 0 + 255])]
)
def test_a_photo_given_as_mask_is_told(photo):
    with pytest.warns(
        UserWarning, match=r"the mask looks like a photo: \d\d % of its .*values range from \S+ to \S+ of 255"
    ):
        masks.read(photo, (64, 64))


def test_a_dark_photo_is_told():
    with pytest.warns(UserWarning, match="looks like a photo"):
        assert not masks.read(COFFEE // 3 + 20, (64, 64)).any()


@pytest.mark.parametrize(
    ("mask", "values"),
    [
        (np.full((64, 64), 100, np.uint8), "from 100 to 100 of 255"),
        (Image.fromarray(np.full((64, 64), 100, np.uint8)), "from 100 to 100 of 255"),
        (np.rint(ndimage.gaussian_filter(DISC * 100.0, 9)).astype(np.uint8), "from 0 to 70 of 255"),
        (np.full((64, 64), 0.25), "from 63.8 to 63.8 of 255"),
    ],
)
def test_a_mask_without_white_is_told_with_its_values(mask, values):
    with pytest.warns(
        UserWarning,
        match=f"no pixel of the mask is white, its values range {values}; paint what should be filled white",
    ):
        assert not masks.read(mask, (64, 64)).any()


def test_a_black_mask_is_one_without_holes():
    for black in (np.zeros((64, 64), np.uint8), Image.new("L", (64, 64)), Image.new("RGBA", (64, 64))):
        assert not is_silent(black).any()


@pytest.mark.parametrize("ground", [COFFEE, 0], ids=["photo", "black"])
def test_what_a_picture_has_cut_out_is_filled(ground):
    """As OpenAI's masks are: the photo, or plain black, transparent where it is to be filled."""
    cut_out = layer(ground, ~DISC * 255)
    assert np.array_equal(is_silent(cut_out), DISC)
    assert np.array_equal(is_silent(np.asarray(cut_out)), DISC)


def test_what_covers_most_and_is_transparent_elsewhere_is_told():
    with pytest.warns(UserWarning, match="8. % would be filled, the opaque parts .*invert it"):
        assert np.array_equal(masks.read(layer(255, ~DISC * 255), (64, 64)), ~DISC)
    with pytest.warns(UserWarning, match="8. % would be filled, the transparent parts"):
        assert np.array_equal(masks.read(layer(0, DISC * 255), (64, 64)), ~DISC)


def test_inverted_masks():
    assert np.array_equal(masks.read(DISC, (64, 64), invert=True), ~DISC)
    assert np.array_equal(masks.read(layer(COFFEE, DISC * 255), (64, 64), invert=True), DISC)
    with pytest.warns(UserWarning, match="8. % would be filled, the opaque parts"):
        assert np.array_equal(masks.read(layer(COFFEE, ~DISC * 255), (64, 64), invert=True), ~DISC)


# Several masks


THREE = np.stack([MASK, ~MASK, MASK[::-1]])


@pytest.mark.parametrize(
    "given_masks",
    [
        THREE,
        THREE[..., None],
        THREE[:, None],
        np.stack([THREE] * 3, -1).astype(np.uint8),
        torch.from_numpy(THREE),
        torch.from_numpy(THREE)[:, None],
        list(THREE),
        tuple(Image.fromarray(mask) for mask in THREE),
        [THREE[0], torch.from_numpy(THREE[1]), Image.fromarray(THREE[2])],
    ],
)
def test_a_mask_for_each_picture(given_masks):
    for result, wanted in zip(masks.read_all(given_masks, [SIZE] * 3), THREE, strict=True):
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "mask",
    [
        WHITE_ON_BLACK,
        MASK,
        MASK[None],
        MASK[..., None],
        np.stack([MASK] * 3, -1),
        torch.from_numpy(MASK),
        torch.from_numpy(MASK)[None],
    ],
)
def test_a_single_mask_serves_all_pictures(mask, count):
    results = masks.read_all(mask, [SIZE] * count)
    assert len(results) == count
    for result in results:
        np.testing.assert_array_equal(result, MASK)


def test_a_coloured_tensor_is_one_mask_unless_there_are_three_pictures():
    colours = torch.from_numpy(np.stack([MASK] * 3))
    for count in (1, 2):
        for result in masks.read_all(colours, [SIZE] * count):
            np.testing.assert_array_equal(result, MASK)


def test_masks_of_narrow_pictures_are_told_apart_by_the_size():
    batch = np.random.default_rng(0).random((2, 2, 3)) < 0.5
    for result, wanted in zip(masks.read_all(batch, [(2, 3)] * 2), batch, strict=True):
        np.testing.assert_array_equal(result, wanted)
    (first, second) = masks.read_all(np.ones((2, 4, 3)), [(2, 4)] * 2)
    assert first.shape == second.shape == (2, 4)


def test_each_mask_belongs_to_the_size_of_its_picture():
    results = masks.read_all([np.ones((2, 3)), np.ones((4, 5))], [(2, 3), (4, 5)])
    assert [result.shape for result in results] == [(2, 3), (4, 5)]


@pytest.mark.parametrize("wrong", [THREE, torch.from_numpy(THREE)[:, None], list(THREE)])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_another_number_of_masks_than_pictures_is_refused(wrong, count):
    with pytest.raises(ValueError, match=f"got 3 masks for {count} images"):
        masks.read_all(wrong, [SIZE] * count)


def test_an_empty_list_of_masks_is_refused():
    with pytest.raises(ValueError, match="got 0 masks for 1 images"):
        masks.read_all([], [SIZE])


def test_the_picture_of_a_wrong_mask_is_named():
    with pytest.raises(ValueError, match="^mask of image 1: the mask is 3x2"):
        masks.read_all([MASK, np.zeros((2, 3))], [SIZE] * 2)
    with pytest.raises(TypeError, match="^mask of image 0: .*NoneType"):
        masks.read_all([None], [SIZE])


# Transparency


def transparent_picture(mode: str) -> Image.Image:
    """MASK is transparent, and so is nothing else."""
    opaque = Image.fromarray(np.where(MASK, 0, 255).astype(np.uint8))
    if mode in ("LA", "RGBA", "La", "RGBa", "PA"):
        image = Image.new(mode.upper(), (WIDTH, HEIGHT))
        image.putalpha(opaque)
        return image.convert(mode)
    image = opaque.point(lambda level: level // 255).convert("P") if mode == "P" else opaque.convert(mode)
    image.info["transparency"] = (0, 0, 0) if mode == "RGB" else 0
    return image


@pytest.mark.parametrize("mode", ["LA", "RGBA", "La", "RGBa", "PA", "P", "L", "RGB", "I;16", "1"])
def test_transparent_pixels_become_the_mask(mode):
    result = masks.from_transparency(transparent_picture(mode))
    assert result.dtype == bool
    np.testing.assert_array_equal(result, MASK)


def with_key_value(path: Path, level: int) -> None:
    """Say in a grey PNG file of 16 bits that samples of this level are transparent."""
    header, rest, chunk = path.read_bytes()[:33], path.read_bytes()[33:], b"tRNS" + level.to_bytes(2, "big")
    path.write_bytes(header + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + rest)


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_transparency_mask_is_upright(tmp_path, mode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = transparent_picture(mode)
    key = picture.info.pop("transparency") if mode == "I;16" else None
    picture.save(tmp_path / "picture.png", exif=exif, **picture.info)
    if key is not None:  # older releases of Pillow read such a key value, but do not write it
        with_key_value(tmp_path / "picture.png", key)
    mask = Image.fromarray(MASK)
    mask.info["exif"] = exif.tobytes()
    result = masks.from_transparency(Image.open(tmp_path / "picture.png"))
    np.testing.assert_array_equal(result, np.asarray(ImageOps.exif_transpose(mask)))


def test_a_pixel_that_is_only_a_little_transparent_is_in_the_mask():
    image = Image.new("RGBA", (2, 1), (9, 9, 9, 255))
    image.putpixel((1, 0), (9, 9, 9, 254))
    np.testing.assert_array_equal(masks.from_transparency(image), [[False, True]])


def test_several_transparent_palette_colours_are_in_the_mask():
    image = Image.fromarray(np.arange(4, dtype=np.uint8)[None]).convert("P")
    image.info["transparency"] = b"\x00\xff\x80\xff"
    np.testing.assert_array_equal(masks.from_transparency(image), [[True, False, True, False]])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "I;16"])
def test_pictures_without_transparency_have_no_mask(mode):
    assert masks.from_transparency(Image.new(mode, (3, 3))) is None


# Drawn masks


def test_boxes_and_polygons_are_drawn_in_the_picture_as_it_is_seen():
    turned = Image.new("RGB", (6, 4))
    turned.getexif()[0x0112] = 6
    for picture in (Image.new("L", (4, 6)), np.zeros((6, 4)), torch.zeros(3, 6, 4), turned):
        drawn = masks.draw_mask(picture, boxes=[(1, 2, 2, 1), (-5, 5, 6, 9)], polygons=[[(3, 0), (3, 1), (2, 0)]])
        wanted = [[0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 0], [0] * 4, [0] * 4, [1, 0, 0, 0]]
        assert drawn.dtype == bool
        np.testing.assert_array_equal(drawn, wanted)
    assert not masks.draw_mask(np.zeros((6, 4))).any()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"boxes": [(1, 2, 3)]}, r"a box is \(left, top, width, height\).*got \(1, 2, 3\)"),
        ({"boxes": [(1, 2, 3, -1)]}, "sides of 1 pixel or more"),
        ({"boxes": [(4, 0, 1, 1)]}, r"the box \(4, 0, 1, 1\) lies outside the image, which is 4x6"),
        ({"boxes": [(-3, -3, 3, 3)]}, "lies outside"),
        ({"polygons": [[(0, 0), (1, 1)]]}, "three or more points"),
        ({"polygons": [[(0, 0), (1, 1), (float("nan"), 2)]]}, "three or more points"),
        ({"polygons": [[(9, 9), (12, 9), (9, 12)]]}, "the polygon .* lies outside the image"),
    ],
)
def test_shapes_that_are_none_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        masks.draw_mask(np.zeros((6, 4)), **shapes)


# Random boxes


def test_boxes_fill_their_masks_within_the_margin():
    drawn, boxes = masks.random_boxes(200, (30, 40), (5, 9), 3, torch.Generator().manual_seed(0))
    assert (drawn.shape, drawn.dtype) == ((200, 1, 30, 40), torch.bool)
    assert (boxes.shape, boxes.dtype) == ((200, 4), torch.int64)
    for mask, (top, left, height, width) in zip(drawn, boxes.tolist(), strict=True):
        wanted = torch.zeros(30, 40, dtype=torch.bool)
        wanted[top : top + height, left : left + width] = True
        assert torch.equal(mask[0], wanted)
        assert 5 <= height <= 9 and 5 <= width <= 9
        assert 3 <= top <= 30 - 3 - height and 3 <= left <= 40 - 3 - width


def test_sides_and_corners_are_independent_and_uniform():
    _, boxes = masks.random_boxes(20000, (12, 14), (3, 5), 1, torch.Generator().manual_seed(0))
    top, left, height, width = boxes.numpy().T
    for sides in (height, width):
        np.testing.assert_allclose(np.bincount(sides, minlength=6)[3:] / 20000, 1 / 3, atol=0.02)
    assert abs(np.corrcoef(height, width)[0, 1]) < 0.03
    assert abs(np.corrcoef(top, left)[0, 1]) < 0.03
    for starts, sides, length in ((top, height, 12), (left, width, 14)):
        for side in (3, 4, 5):
            counts = np.bincount(starts[sides == side])
            assert counts[0] == 0 and len(counts) == length - 1 - side + 1
            np.testing.assert_allclose(counts[1:] / counts.sum(), 1 / (length - side - 1), atol=0.02)


def test_boxes_that_just_fit_have_one_place():
    drawn, boxes = masks.random_boxes(3, (8, 8), (6, 6), 1, torch.Generator().manual_seed(0))
    assert boxes.tolist() == [[1, 1, 6, 6]] * 3
    assert drawn.sum().item() == 3 * 36


def test_the_generator_decides():
    draws = [masks.random_boxes(8, (64, 64), (8, 20), 2, torch.Generator().manual_seed(seed))[1] for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    "size, side_range, margin, message",
    [
        ((8, 20), (2, 7), 1, r"7 pixels with a margin of 1 does not fit into 20x8 \(width x height\)"),
        ((20, 8), (9, 9), 0, "does not fit into 8x20"),
        ((20, 20), (0, 5), 0, "low <= high"),
        ((20, 20), (6, 5), 0, "low <= high"),
        ((20, 20), (5, 6), -1, "not negative"),
    ],
)
def test_boxes_that_cannot_be_are_refused(size, side_range, margin, message):
    with pytest.raises(ValueError, match=message):
        masks.random_boxes(2, size, side_range, margin, torch.Generator())


# Free-form holes


def strokes(seed, size=(64, 80), widths=(5, 9), counts=(1, 1)) -> np.ndarray:
    return masks.random_strokes(size, widths, counts, seed)


def test_strokes_are_as_thick_as_asked_for():
    thickness = []
    for seed in range(20):
        padded = np.pad(strokes(seed, widths=(7, 7)), 1)
        thickness.append(2 * ndimage.distance_transform_edt(padded).max())
    assert min(thickness) > 5  # a lone stroke, cut off at most at the border
    assert sum(value < 12 for value in thickness) > 10  # only crossings and sharp corners are thicker


def test_more_strokes_cover_more():
    one, many = (np.mean([strokes(seed, counts=(count, count)).mean() for seed in range(20)]) for count in (1, 5))
    assert 0 < one < many < 1


def test_the_seed_decides_the_strokes():
    assert np.array_equal(strokes([1, 2]), strokes([1, 2]))
    assert not np.array_equal(strokes([1, 2]), strokes([1, 3]))
    assert strokes(0).shape == (64, 80)


@pytest.mark.parametrize("seed", range(5))
def test_the_bounding_box_is_tight(seed):
    mask = strokes(seed)
    top, left, height, width = masks.bounding_box(mask)
    inside = mask[top : top + height, left : left + width]
    assert inside.sum() == mask.sum()
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
