"""Masks: everything that people use as one -> bool arrays, True (white) = fill; and random ones for training."""

import operator
import os
import warnings
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import torch
from PIL import Image, ImageDraw

from glcic_hub.images import (
    SIXTEEN_BIT_MODES,
    ImageLike,
    check_unit_range,
    errors_naming,
    exif_orientation,
    is_batch,
    load_image,
    opacity,
    to_array,
    turned,
)
from glcic_hub.images import read as read_picture

Size = tuple[int, int]  # (height, width)


def read(mask: ImageLike, size: Size, invert: bool = False) -> np.ndarray:
    """The mask as a bool array (H, W), True = fill; `size` is the (height, width) of the image it belongs to.

    mask: a PIL image of any mode or the path of a file (turned upright as its EXIF data says), an array (H, W),
    (H, W, 1|3|4) or (1, H, W), or a tensor (H, W), (1, H, W) or (3, H, W). Colours count by their luminance, on black
    where they are transparent. White is: bool True; float in [0, 1] >= 0.5; PIL luminance >= 128 of 255; integers of
    0 and 1 alone 1; other integers >= 128 of 0..255, uint16 and PIL's 16-bit modes >= 32768. Two other common
    kinds are understood: paint of one dark or thin colour on black (0 and 1, red, white at 45 % opacity), and a
    photo, or plain black, that is transparent where it is to be filled, as OpenAI's masks are. `invert`: fill the rest.

    A UserWarning reports a doubtful mask: no pixel is white, it looks like a photo, or it is transparent in parts and
    most of the image would be filled.

    ValueError or TypeError if values, shape or dtype are none of these or if the mask does not have the image's size;
    OSError if a file is missing, damaged or not an image.
    """
    result, doubt = read_with_doubt(mask, size, invert)
    if doubt:
        warnings.warn(doubt, stacklevel=2)
    return result


def read_with_doubt(mask: ImageLike, size: Size, invert: bool = False) -> tuple[np.ndarray, str | None]:
    """As `read`, and what it would warn about: one sentence, or None.

    Raises:
        ValueError, TypeError, OSError: as of `read`.
    """
    orientation = 1
    if isinstance(mask, (Image.Image, str, os.PathLike)):
        image = load_image(mask)
        levels, orientation = _levels_of_image(image), exif_orientation(image)
    elif isinstance(mask, (np.ndarray, torch.Tensor)):
        levels = _unit_levels(_channels_last(mask, size))
    else:
        raise TypeError(
            f"a mask must be a PIL image, an array, a tensor or the path of a file, got {type(mask).__name__}"
        )
    result, doubt = _understood(levels, invert)
    result = turned(result, orientation)
    if result.shape != tuple(size):
        raise ValueError(_size_message(result.shape, size))
    return result, doubt


def read_all(masks: ImageLike | Sequence[ImageLike], sizes: Sequence[Size]) -> list[np.ndarray]:
    """One bool array (H, W) for each of the images whose (height, width) are `sizes`.

    masks: a single mask for all images, a batch with one for each, an array (B, H, W[, 1]) or a tensor
    (B, [1, ]H, W), or a list or tuple with one for each, in which batches have four dimensions.

    Raises:
        ValueError, TypeError, OSError: as of `read`, with the number of the image (from 0), or there are not as many
            masks as images.
    """
    one_by_one: Sequence[ImageLike]
    if isinstance(masks, (list, tuple)):
        one_by_one = [one for item in masks for one in (item if is_batch(item) else [item])]
    elif _is_batch(masks, sizes):
        one_by_one = [*masks]
    else:
        one_by_one = [masks] * len(sizes)  # type: ignore[list-item]  # `read` refuses every other sequence
    if len(one_by_one) != len(sizes):
        count = f"{len(one_by_one)} masks for {len(sizes)} images"
        raise ValueError(f"got {count}; give one mask for each image, or a single mask for all")
    results = []
    for index, (mask, size) in enumerate(zip(one_by_one, sizes, strict=True)):
        with errors_naming(f"mask of image {index}"):
            results.append(read(mask, size))
    return results


def draw_mask(
    image: ImageLike,
    boxes: Sequence[Sequence[int]] = (),
    polygons: Sequence[Sequence[Sequence[float]]] = (),
) -> np.ndarray:
    """A mask for an image: bool (H, W), True = fill in all of these shapes.

    Coordinates are pixels of the upright image, from its top left corner; parts beyond its borders are cut off.

    image: what `images.read` takes.
    boxes: (left, top, width, height) each.
    polygons: the points (x, y) of each, three or more; pixels on the border are filled, too.

    ValueError or TypeError if a shape is none or lies outside the image, and the errors of `images.read`.
    """
    return drawn(read_picture(image).size, boxes, polygons)


def drawn(
    size: Size, boxes: Sequence[Sequence[int]] = (), polygons: Sequence[Sequence[Sequence[float]]] = ()
) -> np.ndarray:
    """`draw_mask` for an image of this (height, width).

    Raises:
        ValueError: as of `draw_mask`.
    """
    mask = np.zeros(size, bool)
    for box in boxes:
        if len(box) != 4 or min(box[2:]) < 1:
            raise ValueError(f"a box is (left, top, width, height), with sides of 1 pixel or more; got {tuple(box)}")
        left, top, width, height = map(operator.index, box)
        part = mask[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
        if part.size == 0:
            raise ValueError(_outside("box", box, size))
        part[:] = True
    for polygon in polygons:
        points = np.array(polygon, np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
            raise ValueError(f"a polygon is three or more points (x, y); got {polygon}")
        canvas = Image.new("1", (size[1], size[0]))
        ImageDraw.Draw(canvas).polygon([tuple(point) for point in points], fill=1)
        inside = np.asarray(canvas)
        if not inside.any():
            raise ValueError(_outside("polygon", polygon, size))
        mask |= inside
    return mask


def resized(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A bool mask (H, W) at another size (nearest neighbour)."""
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def from_transparency(image: Image.Image) -> np.ndarray | None:
    """bool (H, W), upright: True where the image is not fully opaque. None if it has no transparency."""
    image = load_image(image)
    alpha = opacity(image)
    return None if alpha is None else np.ascontiguousarray(turned(alpha < 255, exif_orientation(image)))


def random_boxes(
    count: int, size: Size, side_range: tuple[int, int], margin: int, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """One random rectangle for each of `count` images of (height, width) `size` (M_c and M_d of the paper).

    Heights and widths (pixels) are drawn separately and uniformly from low..high = `side_range`, both included, and
    then the corner uniformly from those that leave `margin` pixels to every border. `generator` is on the CPU.

    Returns the masks, bool (count, 1, H, W), True inside the rectangle, and the rectangles, int64 (count, 4) as
    (top, left, height, width).

    Raises:
        ValueError: the largest rectangle does not fit.
    """
    low, high = side_range
    if not 1 <= low <= high or margin < 0:
        raise ValueError(f"side_range {side_range} must be 1 <= low <= high, and margin {margin} not negative")
    if high + 2 * margin > min(size):
        space = f"{size[1]}x{size[0]} (width x height)"
        raise ValueError(f"a rectangle of {high} pixels with a margin of {margin} does not fit into {space}")
    sides = torch.randint(low, high + 1, (count, 2), generator=generator)
    corner_counts = torch.tensor(size) - 2 * margin - sides + 1
    # float64, whose product with a count stays below the count.
    draws = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    corners = margin + (draws * corner_counts).long()
    rows = _between(size[0], corners[:, 0], sides[:, 0])
    columns = _between(size[1], corners[:, 1], sides[:, 1])
    masks = rows[:, None, :, None] & columns[:, None, None, :]
    return masks, torch.cat([corners, sides], dim=1)


def random_strokes(
    size: Size, width_range: tuple[int, int], count_range: tuple[int, int], seed: int | Sequence[int]
) -> np.ndarray:
    """A free-form mask, bool (H, W): strokes as of a brush, True = fill.

    Args:
        size: (height, width) of the mask.
        width_range: least and largest width of a stroke, pixels.
        count_range: least and largest number of strokes.
        seed: what `numpy.random.default_rng` takes.

    A stroke has 2 to 8 straight pieces, each up to a quarter of the longer side, and turns by up to a right angle.
    """
    rng = np.random.default_rng(seed)
    canvas = Image.new("L", (size[1], size[0]))
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(count_range[0], count_range[1] + 1)):
        width = int(rng.integers(width_range[0], width_range[1] + 1))
        point = rng.uniform((0, 0), (size[1], size[0]))
        angle = rng.uniform(0, 2 * np.pi)
        points = [point]
        for _ in range(rng.integers(2, 9)):
            angle += rng.uniform(-np.pi / 2, np.pi / 2)
            step = rng.uniform(width, max(size) / 4) * np.array([np.cos(angle), np.sin(angle)])
            point = np.clip(point + step, 0, (size[1] - 1, size[0] - 1))
            points.append(point)
        pen.line([tuple(point) for point in points], fill=255, width=width, joint="curve")
        for x, y in points:  # round ends and corners
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return np.asarray(canvas) == 255


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the True pixels of a bool mask (H, W) that has some."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


def _between(length: int, starts: torch.Tensor, extents: torch.Tensor) -> torch.Tensor:
    """bool (count, length): True from each start on, for its extent."""
    positions = torch.arange(length)
    return (positions >= starts[:, None]) & (positions < (starts + extents)[:, None])


def _is_batch(masks: object, sizes: Sequence[Size]) -> TypeGuard[np.ndarray | torch.Tensor]:
    """Whether an array or tensor holds one mask for each image, and not a single one with channels."""
    if not isinstance(masks, (np.ndarray, torch.Tensor)) or masks.ndim < 3:
        return False
    if masks.ndim > 3:
        return True
    shape = tuple(masks.shape)
    if isinstance(masks, torch.Tensor):
        # (1, H, W) serves all pictures; (3, H, W) is three masks for three pictures, and a coloured one otherwise.
        return shape[0] == len(sizes) > 1 or shape[0] not in (1, 3)
    if shape[2] in (1, 3, 4):
        return 1 < shape[0] == len(sizes) and shape[:2] != tuple(sizes[0])
    return shape[0] > 1


def _channels_last(mask: np.ndarray | torch.Tensor, size: Size) -> np.ndarray:
    """(H, W) or (H, W, 3|4) of every shape that a mask may have."""
    shape = tuple(mask.shape)
    if 0 in shape:
        raise ValueError(f"the mask has no pixels, its shape is {shape}")
    levels = to_array(mask, "the mask")
    if levels.ndim == 2:
        return levels
    if isinstance(mask, torch.Tensor):
        if levels.ndim == 3 and shape[0] in (1, 3):
            return levels[0] if shape[0] == 1 else levels.transpose(1, 2, 0)
        raise ValueError(f"a mask given as a tensor must have shape (H, W), (1, H, W) or (3, H, W), got {shape}")
    if levels.ndim == 3 and shape[0] == 1 and (shape[1:] == tuple(size) or shape[2] not in (1, 3, 4)):
        return levels[0]
    if levels.ndim == 3 and shape[2] in (1, 3, 4):
        return levels[..., 0] if shape[2] == 1 else levels
    raise ValueError(f"a mask given as an array must have shape (H, W), (1, H, W) or (H, W, 1|3|4), got {shape}")


def _levels_of_image(image: Image.Image) -> np.ndarray:
    """(H, W) or (H, W, 4): uint8 of 0 to 255 where that saves a copy of a large one, else floats of 0 to 1."""
    if image.mode in ("1", "L") and not image.has_transparency_data:  # what most masks are
        levels = np.asarray(image.convert("L"))
        return levels if levels.max() > 1 else levels / np.float32(1)
    if image.mode == "F":
        return _unit_levels(np.asarray(image))
    if image.mode in SIXTEEN_BIT_MODES:
        levels = np.asarray(image)
        return levels / np.float32(65535 if levels.max() > 1 else 1)
    if image.mode in ("La", "LAB"):  # PIL converts these to RGBA by a detour only.
        image = image.convert("LA" if image.mode == "La" else "RGB")
    return np.asarray(image.convert("RGBA")) / np.float32(255)


def _unit_levels(levels: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] of bool, integer or float levels."""
    if levels.dtype == bool:
        return levels.astype(np.float32)
    if np.issubdtype(levels.dtype, np.floating):
        check_unit_range(levels, "the mask")
        return levels.astype(np.float32) if levels.dtype == np.float16 else levels
    if not np.issubdtype(levels.dtype, np.integer):
        raise TypeError(f"the mask has dtype {levels.dtype}; it must be bool, integer or float")
    low, high = levels.min(), levels.max()
    white = 1 if high <= 1 else 65535 if levels.dtype == np.uint16 else 255
    if low < 0 or high > white:
        raise ValueError(f"the mask has integer values from {low} to {high}; they must be 0 and 1, or 0 to 255")
    return levels / np.float32(white)


def _understood(levels: np.ndarray, invert: bool) -> tuple[np.ndarray, str | None]:
    """What levels (H, W[, 3|4]) mean, uint8 or floats of 0 to 1; and the doubt of `read_with_doubt`."""
    luminance = _luminance(levels)
    alpha = levels[..., 3] if levels.shape[2:] == (4,) else None
    shown = luminance if alpha is None else luminance * alpha  # on black
    white = 255 if shown.dtype == np.uint8 else 1
    result = shown >= (128 if white == 255 else 0.5)
    low, high = shown.min(), shown.max()
    values = f"from {255 / white * low:.3g} to {255 / white * high:.3g} of 255"
    grey_share = _grey_share_of_photo(luminance, white, alpha)
    transparent = None if alpha is None else alpha < alpha.max() / 2
    has_transparent = transparent is not None and transparent.any()
    is_cut_out = has_transparent and (grey_share > 0 or high == 0)
    doubt = None
    if is_cut_out:
        result = transparent
    elif grey_share:
        doubt = (
            f"the mask looks like a photo: {percent(grey_share)} of its pixels are neither black nor white, its values "
            f"range {values}; pass the image first and its mask second, in black and white"
        )
    elif high > 0 and not result.any():
        if low == 0 and 2 * (shown > 0.9 * high).sum() >= np.count_nonzero(shown):
            result = shown >= high / 2  # paint of one colour, with soft rims
        else:
            doubt = f"no pixel of the mask is white, its values range {values}; paint what should be filled white"
    if invert:
        result = ~result
    if has_transparent and not doubt and (share := result.mean()) > 0.5:
        parts = "transparent" if is_cut_out != invert else "opaque"
        doubt = f"{percent(share)} would be filled, the {parts} parts of the mask; to fill the others, invert it"
    return result, doubt


def percent(share: float) -> str:
    """A share from 0 to 1 for messages."""
    return f"{100 * share:.0f} %"


def _grey_share_of_photo(luminance: np.ndarray, white: int, alpha: np.ndarray | None) -> float:
    """How many pixels of a photo are neither black nor white, of those that are not transparent; 0 of all masks.

    The rims of masks, feathered over any distance, are smooth, or else few: in 320 photos at least 51 % of the pixels
    are grey, and 7 % where it is not smooth; of 360 soft masks those that are as grey have up to 2 % of such places.
    """
    rows = slice(None, None, -(-len(luminance) // 256))  # enough of a large one
    sample = luminance[rows].astype(np.float32) / white
    seen = np.ones_like(sample, bool) if alpha is None else alpha[rows] > 0
    grey = (sample > 0.1) & (sample < 0.9) & seen
    bend = np.abs(sample[:, 1:-1] - (sample[:, :-2] + sample[:, 2:]) / 2)
    coarse = (bend > 2 / 255) & grey[:, 1:-1] & seen[:, :-2] & seen[:, 2:]
    is_photo = 2 * grey.sum() > seen.sum() and 20 * coarse.sum() > seen.sum()
    return grey.sum() / seen.sum() if is_photo else 0


def _luminance(levels: np.ndarray) -> np.ndarray:
    """(H, W) of (H, W) or (H, W, 3|4) floats: ITU-R 601 luma."""
    if levels.ndim == 2:
        return levels
    red, green, blue = (levels[..., channel] for channel in range(3))
    return green + 0.299 * (red - green) + 0.114 * (blue - green)  # Exact for grey, where the threshold matters.


def _outside(shape: str, places: Sequence, size: Size) -> str:
    return f"the {shape} {tuple(places)} lies outside the image, which is {size[1]}x{size[0]} (width x height)"


def _size_message(mask_size: Size, size: Size) -> str:
    message = (
        f"the mask is {mask_size[1]}x{mask_size[0]} but its image is {size[1]}x{size[0]} (width x height): "
        "resize the mask (nearest neighbour) or pass the one that belongs to the image"
    )
    if mask_size == tuple(size)[::-1]:
        message += "; the sides are swapped, so one of the two may be rotated (EXIF orientation)"
    return message
