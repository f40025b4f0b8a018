"""Images in printing inks (CMYK): their colours as RGB, and new colours in inks like those around."""

import io

import numpy as np
from PIL import Image, ImageCms

MOST_KNOWN = 2**15
"""Known pixels that are looked at, evenly spread."""


def to_rgb(image: Image.Image) -> Image.Image:
    """A CMYK image in sRGB, as its ICC profile says; without a usable one as Pillow converts it."""
    transforms = _transforms(image.info.get("icc_profile"))
    return transforms[0].apply(image) if transforms else image.convert("RGB")


def inks_like(
    colours: np.ndarray, known_inks: np.ndarray, known_colours: np.ndarray, profile: bytes | None
) -> np.ndarray:
    """Inks for new colours.

    How much of a dark colour is black ink was somebody's choice, which no colour tells. So each new one gets the inks
    of the known pixel of the nearest colour, and what lies between the two colours.

    Args:
        colours: uint8 (n, 3), sRGB.
        known_inks, known_colours: uint8 (N, 4) and (N, 3), of the pixels around.
        profile: the ICC profile of the image.

    Returns:
        uint8 (n, 4).
    """
    from scipy.spatial import cKDTree

    if not len(known_inks):
        known_inks, known_colours = np.zeros((1, 4), np.uint8), np.full((1, 3), 255, np.uint8)  # paper
    step = -(-len(known_inks) // MOST_KNOWN)
    known_inks, known_colours = known_inks[::step], known_colours[::step]
    nearest = cKDTree(known_colours).query(colours)[1]
    inks, near_colours = known_inks[nearest].astype(np.float64), known_colours[nearest]
    transforms = _transforms(profile)
    if transforms:
        new, near = (_of_rows(transforms[1], rows) for rows in (colours, near_colours))
        return np.clip(inks + new - near, 0, 255).astype(np.uint8)
    black = np.minimum(inks[:, 3], 255 - colours.max(1))  # a light colour has no room for more
    new, near = _with_black(colours, black), _with_black(near_colours, inks[:, 3])
    has_its_black = (black == inks[:, 3])[:, None]
    return np.rint(np.clip(np.where(has_its_black, inks + new - near, new), 0, 255)).astype(np.uint8)


def _with_black(colours: np.ndarray, black: np.ndarray) -> np.ndarray:
    """Inks of these colours with so much black, as Pillow converts: colour = (255 - ink)(255 - black) / 255."""
    light = colours * (255 / np.maximum(255 - black, 1))[:, None]
    return np.column_stack([255 - light, black])


def _transforms(profile: bytes | None) -> tuple[ImageCms.ImageCmsTransform, ImageCms.ImageCmsTransform] | None:
    """From inks to sRGB and back; None without a profile that can be used."""
    if not profile:
        return None
    try:
        inks, screen = ImageCms.getOpenProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        there = ImageCms.buildTransform(inks, screen, "CMYK", "RGB")
        return there, ImageCms.buildTransform(screen, inks, "RGB", "CMYK")
    except (ImageCms.PyCMSError, OSError, ImportError):  # damaged, of other colours, or Pillow without LittleCMS
        return None


def _of_rows(transform: ImageCms.ImageCmsTransform, colours: np.ndarray) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(colours[None]))
    return np.asarray(transform.apply(image))[0].astype(np.float64)
