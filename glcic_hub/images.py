"""Any kind of image -> one canonical form (`Picture`), and back to its own kind.

The canonical form is what the network and the mask work on: 8-bit RGB, upright as viewers show it. Beside it a
`Picture` keeps what came in, so that completing it writes new samples under the mask and touches no other sample.
"""

import logging
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeGuard, overload

import numpy as np
import torch
from PIL import EpsImagePlugin, Image, UnidentifiedImageError

from glcic_hub import deep, metadata
from glcic_hub.inks import inks_like, to_rgb
from glcic_hub.opening import (
    FIRST_ALONE,
    MORE_FRAMES,
    CannotRead,
    has_more_frames,
    is_limit_of_texts,
    limits_told,
    open_image,
    warnings_off,
)

OUTPUT_TYPES = ("pil", "np", "pt")
CHANNEL_COUNTS = (1, 3, 4)
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")

# The mode in which single samples of a picture can be set without changing the colours of the others.
_WRITABLE_MODE = {mode: mode for mode in ("L", "LA", "RGB", "RGBA", "CMYK", "F", *SIXTEEN_BIT_MODES)}
_WRITABLE_MODE |= {"1": "L", "La": "LA", "P": "RGB", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB"}
_WRITABLE_MODE |= {"YCbCr": "RGB", "HSV": "RGB", "LAB": "RGB"}

INKS_AROUND = 64
"""Pixels around a hole of a CMYK image whose inks are looked at."""

_TO_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored.swapaxes(0, 1), 2),
    8: np.rot90,
}
_UNDOES = {orientation: orientation for orientation in _TO_UPRIGHT} | {6: 8, 8: 6}

# Python prints what a logger without any handler says; Pillow's says things about damaged files.
logging.getLogger("PIL").addHandler(logging.NullHandler())

ImageLike = Image.Image | np.ndarray | torch.Tensor | str | os.PathLike


@dataclass(frozen=True, eq=False)
class Picture:
    """One image: what the network sees, and the original. Made by `read`.

    rgb: uint8 (H, W, 3), upright, C-contiguous.
    image: the original as a PIL image: its own mode, stored orientation, info; colours may have 16 bits (`deep`).
    orientation: the EXIF orientation of `image`, 1 to 8.
    values: (H, W, 3) floats in [0, 1], upright, where the source holds more than 8 bits; None: rgb / 255.
    tensor_dtype: the dtype of the floating point tensor that came in, else None.
    hidden: bool (H, W), upright, where the image is fully transparent, so that its colours are unknown; None: nowhere.
    has_more_frames: the file has several frames, pages or layers, of which this is the first.
    """

    rgb: np.ndarray
    image: Image.Image
    orientation: int = 1
    values: np.ndarray | None = None
    tensor_dtype: torch.dtype | None = None
    hidden: np.ndarray | None = None
    has_more_frames: bool = False

    @property
    def samples(self) -> np.ndarray:
        """What `fill` is given: (H, W, 3), `values` as float32 where there are any, else `rgb`."""
        return self.rgb if self.values is None else self.values.astype(np.float32, copy=False)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the upright image."""
        return self.rgb.shape[:2]

    def resized(self, height: int, width: int, hidden: np.ndarray | None = None) -> "Picture":
        """The image at another size (LANCZOS): upright 8-bit RGB, or RGBA where it had an alpha channel.

        At its own size the image itself is returned, with all its data. Otherwise `dpi` and `icc_profile` of
        RGB images are kept.

        hidden: bool (H, W); colours there, and where nobody sees them, have no influence: the nearest other pixel's
        take their place.

        Raises:
            ValueError: a side is below 1.
        """
        if height < 1 or width < 1:
            raise ValueError(f"height and width must be at least 1, got height={height} and width={width}")
        if (height, width) == self.size:
            return self
        source = _writable(self.image)
        rgb = self.rgb
        unseen = [where for where in (hidden, self.hidden) if where is not None]
        hidden = np.logical_or.reduce(unseen, initial=False, axis=0) if unseen else None
        if hidden is not None and hidden.any() and not hidden.all():
            from scipy import ndimage  # here, because training gets along without scipy

            rows, columns = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
            rgb = rgb[rows, columns]
        image = Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS)
        if "A" in source.getbands():
            alpha = turned(np.asarray(source.getchannel("A")), self.orientation)
            # Apart from the colours: PIL would weight these by alpha, and the network would see black holes.
            image.putalpha(Image.fromarray(alpha).resize((width, height), Image.Resampling.LANCZOS))
        if source.mode in ("RGB", "RGBA"):
            image.info = {key: source.info[key] for key in ("dpi", "icc_profile") if key in source.info}
        return _from_image(image)

    @overload
    def completed(self, fill: np.ndarray, mask: np.ndarray, output_type: Literal["pil"] = "pil") -> Image.Image: ...
    @overload
    def completed(
        self, fill: np.ndarray, mask: np.ndarray, output_type: str
    ) -> Image.Image | np.ndarray | torch.Tensor: ...
    def completed(
        self, fill: np.ndarray, mask: np.ndarray, output_type: str = "pil"
    ) -> Image.Image | np.ndarray | torch.Tensor:
        """The image with `fill` where `mask` is True; every other sample is that of the original.

        fill: float32 (H, W, 3), RGB in [0, 1]. mask: bool (H, W), True = fill. Both upright, of the image's size.

        output_type "pil": the mode, size, stored orientation and info (EXIF, ICC profile, dpi) that came in; alpha is
        never changed. Modes in which a new colour cannot be written exactly change once a pixel is filled: 1 -> L,
        P -> RGB, PA -> RGBA, La -> LA, RGBa -> RGBA, RGBX, YCbCr, HSV and LAB -> RGB, and L or RGB with a transparent
        key colour -> LA or RGBA (a filled pixel could have the key colour by chance). Arrays and tensors become L,
        RGB or RGBA of 8 bits; (H, W) uint16 becomes I;16.
        "np": (H, W, 3) in [0, 1], upright, without alpha; the float dtype that came in, else float32.
        "pt": the same as a (3, H, W) tensor on the CPU.

        Raises:
            ValueError: `output_type` is another one, or fill or mask is not of the image's size.
        """
        if output_type not in OUTPUT_TYPES:
            raise ValueError(f'output_type is {output_type!r}; it must be one of "pil", "np" and "pt"')
        if mask.dtype != bool or mask.shape != self.size or fill.shape != self.rgb.shape:
            got = f"fill {fill.shape} and {mask.dtype} mask {mask.shape}"
            raise ValueError(f"fill must have shape {self.rgb.shape} and mask be bool {self.size}, got {got}")
        if output_type == "pil":
            return self._completed_image(fill, mask)
        values = self.rgb.astype(np.float32) / np.float32(255) if self.values is None else self.values
        values = paste(values, fill, mask)
        if output_type == "np":
            return values
        return torch.from_numpy(values.transpose(2, 0, 1).copy()).to(self.tensor_dtype)

    def _completed_image(self, fill: np.ndarray, mask: np.ndarray) -> Image.Image:
        if not mask.any():
            return self.image.copy()
        result = _writable(self.image).copy()
        fill, mask = (turned(array, _UNDOES[self.orientation]) for array in (fill, mask))
        whole_mask = mask
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        corners = left, top, right, bottom
        part = deep.crop(result, corners)  # the rest of a large photo need not be copied once more
        fill, mask = fill[top:bottom, left:right], mask[top:bottom, left:right]
        samples = deep.samples_of(part).copy()
        if part.mode in ("L", *SIXTEEN_BIT_MODES):
            samples[mask] = np.rint(_luma(fill[mask]) * (255 if part.mode == "L" else 65535))
        elif part.mode == "F":
            low, high = _range_of(np.asarray(self.image))
            samples[mask] = low + _luma(fill[mask]) * (high - low)
        elif part.mode == "LA":
            samples[mask, 0] = np.rint(_luma(fill[mask]) * 255)
        elif part.mode == "CMYK":
            samples[mask] = self._inks(_eight_bit(fill[mask]), whole_mask, (top, bottom, left, right))
        elif samples.dtype == np.uint16:
            samples[mask, :3] = np.rint(fill[mask].astype(np.float64) * 65535)
        else:
            samples[mask, :3] = _eight_bit(fill[mask])
        if deep.lower_bytes(part) is not None:
            deep.paste(result, deep.image_of(samples), corners)
        else:
            result.paste(Image.frombytes(part.mode, part.size, samples.tobytes()), corners)
        result.info = metadata.without_small_pictures(result.info, self.orientation)
        return result

    def _inks(self, colours: np.ndarray, mask: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
        """CMYK samples for filled pixels, like those around; `mask` and `box` in the stored orientation."""
        top, bottom, left, right = box
        near = (
            slice(max(0, top - INKS_AROUND), bottom + INKS_AROUND),
            slice(max(0, left - INKS_AROUND), right + INKS_AROUND),
        )
        known, rgb = ~mask[near], turned(self.rgb, _UNDOES[self.orientation])[near]
        samples = np.asarray(self.image)[near]
        return inks_like(colours, samples[known], rgb[known], self.image.info.get("icc_profile"))


def paste(picture: np.ndarray, fill: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A copy of an image with its holes filled; every other sample stays as it is.

    picture: (H, W, 3), uint8 or floats in [0, 1]. fill: float (H, W, 3), in [0, 1]. mask: bool (H, W), True = fill.
    """
    result = picture.copy()
    result[mask] = _eight_bit(fill[mask]) if picture.dtype == np.uint8 else fill[mask]
    return result


def read(image: ImageLike) -> Picture:
    """One image of any common kind; the argument is not modified, and no reference to it is kept.

    image: a PIL image (the current frame of an animated one), the path of a file, an array (H, W) or (H, W, 1|3|4) or
    a tensor (H, W) or (1|3|4, H, W). Arrays and tensors are uint8, uint16, bool, or float in [0, 1]. PIL images of
    modes I and I;16 have 16 bits: 65535 is white. Those of mode F have any range, which becomes [0, 1]; NaN is unknown.

    Raises:
        ValueError, TypeError: it is none of these.
        OSError: a file is missing, damaged or not an image.
    """
    if isinstance(image, (Image.Image, str, os.PathLike)):
        return _from_image(load_image(image))
    if isinstance(image, (np.ndarray, torch.Tensor)):
        return _from_array(image)
    raise TypeError(
        f"an image must be a PIL image, an array, a tensor or the path of a file, got {type(image).__name__}"
    )


def read_all(images: ImageLike | Sequence[ImageLike]) -> list[Picture]:
    """diffusers' `PipelineImageInput`: one image, a batch, or a list or tuple of images and batches.

    A batch is an array (B, H, W, C) or a tensor (B, C, H, W). A warning names a file with several frames.

    Raises:
        ValueError, TypeError, OSError: as of `read`, with the number of the image (from 0), or there is no image.
    """
    if is_batch(images) or isinstance(images, (list, tuple)):
        images = [one for item in images for one in (item if is_batch(item) else [item])]
        if len(images) == 0:
            raise ValueError("no image was given: the list or batch is empty")
        pictures = []
        for index, image in enumerate(images):
            with errors_naming(f"image {index}"):
                pictures.append(read(image))
    else:
        pictures = [read(images)]  # type: ignore[arg-type]  # it refuses every other sequence
    for index, picture in enumerate(pictures):
        if picture.has_more_frames:
            warnings.warn(f"image {index} {FIRST_ALONE}", stacklevel=3)
    return pictures


def is_batch(images: object) -> TypeGuard[np.ndarray | torch.Tensor]:
    """Whether this is an array or tensor of several images or masks."""
    return isinstance(images, (np.ndarray, torch.Tensor)) and images.ndim == 4


def load_image(image: Image.Image | str | os.PathLike | bytes) -> Image.Image:
    """A PIL image with its samples in memory; of a file (its path or its bytes) with all that is known about it in
    `info` (`metadata.gathered`), and colours of 16 bits (`deep`).

    Raises:
        ValueError: it is too large, a pipe or device, or needs another package.
        OSError: it cannot be read.
    """
    path = image if isinstance(image, (str, os.PathLike)) else None
    name = getattr(image, "filename", "") if path is None else os.fspath(path)
    picture = f"the image {name!r}" if name else "the image"
    if path is not None and _is_pipe_or_device(path):
        raise ValueError(f"{picture} is a pipe or a device; save it as a file first")
    try:
        with warnings_off(), limits_told():
            if isinstance(image, Image.Image):
                loaded = image
                _load(loaded)
            else:
                with open_image(image) as loaded:
                    is_deep = deep.has_deep_colours(loaded)
                    _load(loaded)
                    loaded.info = metadata.gathered(loaded)
                if is_deep and "transparency" not in loaded.info:  # one colour, which is of 8 bits here
                    with open_image(image) as again:
                        deep.swap_byte_order(again)
                        _load(again)
                        loaded.info[deep.LOWER_BYTES] = Image.fromarray(np.asarray(again))
    except CannotRead as error:
        raise ValueError(f"{picture} {error}") from error
    except (FileNotFoundError, IsADirectoryError, PermissionError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise OSError(f"{picture} cannot be read: it is empty, damaged or not an image") from error
    except Exception as error:  # The decoders raise SyntaxError, EOFError, struct.error and more.
        raise OSError(f"{picture} cannot be read: it is damaged, closed or not an image: {error}") from error
    if 0 in loaded.size:
        raise ValueError(f"{picture} has no pixels, its size is {loaded.width}x{loaded.height} (width x height)")
    return loaded


def _is_pipe_or_device(path: str | os.PathLike) -> bool:
    """A pipe may never say anything, and a device never end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # opening it says why
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _load(image: Image.Image) -> None:
    if (
        isinstance(image, EpsImagePlugin.EpsImageFile) and image.tile
    ):  # Pillow would have Ghostscript run it, for as long as it likes
        raise CannotRead("is a PostScript program and not an image; save it as PNG first")
    try:
        image.load()
    except ValueError as error:
        if not is_limit_of_texts(error):
            raise
        image.load()  # the samples are there; what is too large is a text behind them


def exif_orientation(image: Image.Image) -> int:
    """1 to 8 as EXIF has it, of a loaded image (loading a TIFF file turns it); 1 where viewers find none they know."""
    try:
        with warnings_off():
            orientation = image.getexif().get(metadata.ORIENTATION_TAG)
        return orientation if orientation in _TO_UPRIGHT else 1
    except Exception:  # noqa: BLE001 - damaged EXIF data raise many kinds, and are no reason to refuse a picture.
        return 1


def opacity(image: Image.Image) -> np.ndarray | None:
    """Alpha as uint8 (H, W), 255 = opaque, in the stored orientation; None if the image has no transparency."""
    if not image.has_transparency_data:
        return None
    if image.mode in SIXTEEN_BIT_MODES:  # PIL ignores the transparent key value of these when it converts
        return np.where(np.asarray(image) == image.info["transparency"], np.uint8(0), np.uint8(255))
    return np.asarray(image.convert("LA" if image.mode == "La" else "RGBA").getchannel("A"))


def without_transparency(image: Image.Image) -> Image.Image:
    """`image` opaque, every colour as it is; grey stays grey, and colours keep their 16 bits."""
    if not image.has_transparency_data:
        return image
    if image.mode in ("1", "L", "RGB") or image.mode.startswith("I"):  # One key colour (or grey) is transparent.
        image = image.copy()
    elif image.mode == "LA":
        image = image.convert("L")
    else:
        image, lower = image.convert("RGBA").convert("RGB"), deep.lower_bytes(image)
        if lower is not None:
            image.info[deep.LOWER_BYTES] = lower.convert("RGB")
    image.info.pop("transparency", None)
    return image


def turned(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Samples (H, W[, C]) stored with an EXIF orientation (1 to 8) -> upright, as a view."""
    return _TO_UPRIGHT[orientation](stored)


def to_array(array: np.ndarray | torch.Tensor, what: str) -> np.ndarray:
    """The same samples and axes as an array in native byte order; bfloat16 becomes float32, which holds it exactly.

    Raises:
        TypeError: NumPy cannot hold such tensors (sparse, quantized, float8, without data, ...); `what` names them.
    """
    if isinstance(array, torch.Tensor):
        try:
            return (array.float() if array.dtype == torch.bfloat16 else array).numpy(force=True)
        except (TypeError, NotImplementedError) as error:
            kind = f"{array.dtype}, {array.layout}, on {array.device.type}"
            raise TypeError(
                f"{what} is a tensor ({kind}) that NumPy cannot hold; convert it to a dense float tensor"
            ) from error
    return np.asarray(array, dtype=array.dtype.newbyteorder("="))


def check_unit_range(values: np.ndarray, what: str) -> None:
    """Check that all of `values` (floats) are finite and in [0, 1].

    Raises:
        ValueError: they are not; `what` names them in the message.
    """
    if not np.isfinite(values).all():
        raise ValueError(f"{what} has NaN or infinite values; replace them with numbers in [0, 1]")
    low, high = values.min(), values.max()
    if low < 0 or high > 1:
        raise ValueError(
            f"{what} has float values from {low:.6g} to {high:.6g}, which must be in [0, 1]: "
            "convert from [-1, 1] with x / 2 + 0.5, from [0, 255] with x / 255"
        )


@contextmanager
def errors_naming(what: str) -> Iterator[None]:
    """Puts `what` in front of the message of an OSError, TypeError or ValueError raised inside; an `errno` is kept.

    Raises:
        OSError, TypeError, ValueError: one was raised inside.
    """
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        named = _plain_kind(error)(f"{what}: {error}")
        if isinstance(error, OSError) and isinstance(named, OSError):
            named.errno = error.errno
        raise named from error


def _plain_kind(error: OSError | TypeError | ValueError) -> type[Exception]:
    """The nearest kind of error that takes a message alone: one of Python's own, but not for a wrong character."""
    kinds = (kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
    return next(kind for kind in kinds if UnicodeError not in kind.__bases__)


def _from_image(image: Image.Image) -> Picture:
    if image.mode not in _WRITABLE_MODE:
        raise ValueError(f"images of mode {image.mode} are not supported; convert it to L or RGB")
    orientation = exif_orientation(image)
    kept = image.copy()
    kept.info = metadata.gathered(image)
    # Somebody who went to a later frame means that one.
    has_more = kept.info.pop(MORE_FRAMES, False) or (not image.tell() and has_more_frames(image))
    if exif_orientation(kept) != orientation:  # EXIF data edited in memory is not copied.
        kept.info["exif"] = image.getexif().tobytes()
    source = _writable(kept)
    alpha = opacity(kept)
    hidden = None if alpha is None else _where_any(turned(alpha == 0, orientation))
    if source.mode == "F":
        return _from_floats(kept, orientation, has_more)
    if source.mode not in SIXTEEN_BIT_MODES:
        colours = source.convert("RGB") if source.mode not in ("CMYK", "RGB") else source
        if source.mode == "CMYK":
            colours = to_rgb(source)
        rgb = np.ascontiguousarray(turned(np.asarray(colours), orientation))
        values = None
        if deep.lower_bytes(source) is not None:
            wide = turned(deep.samples_of(source)[..., :3], orientation)
            values = np.divide(wide, np.float32(65535), dtype=np.float32, order="C")
        return Picture(rgb, kept, orientation, values, hidden=hidden, has_more_frames=has_more)
    grey = np.asarray(source)
    if grey.min() < 0 or grey.max() > 65535:
        raise ValueError(
            f"an image of mode {image.mode} must have values from 0 to 65535, got {grey.min()} to {grey.max()}; "
            "scale it to 16 bits or convert it to L or RGB"
        )
    wide = turned(np.stack([grey] * 3, axis=-1), orientation)
    rgb = np.rint(wide / 257).astype(np.uint8)
    values = wide.astype(np.float32) / np.float32(65535)
    rgb = np.ascontiguousarray(rgb)
    return Picture(rgb, kept, orientation, values, hidden=hidden, has_more_frames=has_more)


def _from_floats(image: Image.Image, orientation: int, has_more: bool) -> Picture:
    """An image of mode F, such as a depth map: its own range of finite values becomes [0, 1]; others are unknown."""
    floats = turned(np.asarray(image), orientation)
    known = np.isfinite(floats)
    if not known.any():
        raise ValueError("the image has only NaN or infinite values")
    low, high = _range_of(floats)
    values = np.where(known, (np.where(known, floats, low) - low) / ((high - low) or 1), 0)
    values = np.repeat(values[..., None], 3, axis=2).astype(np.float32)
    return Picture(_eight_bit(values), image, orientation, values, hidden=_where_any(~known), has_more_frames=has_more)


def _range_of(floats: np.ndarray) -> tuple[float, float]:
    finite = floats[np.isfinite(floats)]
    return float(finite.min()), float(finite.max())


def _from_array(array: np.ndarray | torch.Tensor) -> Picture:
    samples = _channels_last(array)
    tensor_dtype = array.dtype if isinstance(array, torch.Tensor) and array.dtype.is_floating_point else None
    values = None
    if samples.dtype == bool:
        eight_bit = samples.astype(np.uint8) * 255
    elif samples.dtype == np.uint8:
        eight_bit = samples
    elif samples.dtype == np.uint16:
        eight_bit = np.rint(samples / 257).astype(np.uint8)
        values = samples.astype(np.float32) / np.float32(65535)
    elif samples.dtype in (np.float16, np.float32, np.float64):
        check_unit_range(samples, "the image")
        eight_bit = _eight_bit(samples)
        values = samples
    else:
        raise TypeError(
            f"the image has dtype {array.dtype}; it must be uint8, uint16, bool, or a float in [0, 1]: convert it"
        )
    stored = samples if samples.dtype == np.uint16 and samples.shape[2] == 1 else eight_bit
    image = Image.fromarray(np.ascontiguousarray(stored[..., 0] if stored.shape[2] == 1 else stored))
    values = None if values is None else _three_channels(values)
    hidden = _where_any(samples[..., 3] == 0) if samples.shape[2] == 4 else None
    return Picture(_three_channels(eight_bit), image, 1, values, tensor_dtype, hidden)


def _channels_last(array: np.ndarray | torch.Tensor) -> np.ndarray:
    """(H, W, 1|3|4) of an array (H, W[, C]) or a tensor ([C, ]H, W)."""
    is_tensor = isinstance(array, torch.Tensor)
    shape = tuple(array.shape)
    kind, layout, axis = ("tensor", "(1|3|4, H, W)", 0) if is_tensor else ("array", "(H, W, 1|3|4)", -1)
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[axis] not in CHANNEL_COUNTS):
        advice = "; pass a batch on its own, not in a list" if len(shape) == 4 else ""
        if len(shape) == 3 and shape[-1 - axis] in CHANNEL_COUNTS:
            advice = f"; move its channels with {'.permute(2, 0, 1)' if is_tensor else '.transpose(1, 2, 0)'}"
        raise ValueError(f"an image given as a {kind} must have shape (H, W) or {layout}, got {shape}{advice}")
    if 0 in shape:
        raise ValueError(f"the image has no pixels, its shape is {shape}")
    samples = to_array(array, "the image")
    if samples.ndim == 2:
        return samples[..., None]
    return samples.transpose(1, 2, 0) if is_tensor else samples


def _three_channels(samples: np.ndarray) -> np.ndarray:
    """A fresh C-contiguous (H, W, 3) of (H, W, 1|3|4): grey repeated, alpha dropped."""
    return np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples[..., :3].copy(order="C")


def _writable(image: Image.Image) -> Image.Image:
    """`image` in the mode in which its samples can be set one by one; itself where that is its own mode."""
    mode = _WRITABLE_MODE[image.mode]
    if mode in ("L", "RGB") and image.has_transparency_data:
        mode += "A"
    return image if mode == image.mode else image.convert(mode)


def _where_any(where: np.ndarray) -> np.ndarray | None:
    return np.ascontiguousarray(where) if where.any() else None


def _eight_bit(values: np.ndarray) -> np.ndarray:
    return np.rint(values.astype(np.float32, copy=False) * 255).astype(np.uint8)


def _luma(rgb: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma of (..., 3); in float64, because float32 is too coarse for the last of 16 bits."""
    return rgb.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
