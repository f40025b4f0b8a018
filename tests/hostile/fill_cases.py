"""Pictures, masks and hidden pixels of every kind through `fill`."""

import functools
from random import Random

import numpy as np

from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import FillOptions
from tests.hostile.commands import deadline
from tests.random_models import random_model

LONGEST = 48


@functools.cache
def completer() -> Completer:
    """With a small model that was not trained."""
    return Completer(random_model(), "cpu")


def fill_case(rng: Random) -> str:
    """One picture: its holes get finite colours that what is not seen has no influence on, or the mask is refused."""
    random = np.random.default_rng(rng.getrandbits(32))
    size = rng.choice(((1, 1), (1, 2), (2, 1), (1, LONGEST), (LONGEST, 1), (2, 2), (3, LONGEST), (17, 23), (48, 40)))
    picture = picture_of(rng, random, size)
    mask, hidden = where_of(rng, random, size), where_of(rng, random, size) if rng.random() < 0.5 else None
    options = FillOptions(
        grow=rng.choice((0, 0, 0, 1, 3, 256)),
        texture=rng.choice((None, None, "photo")),
        blend=rng.choice(("poisson", "fading", None)),
        padding_mask_crop=rng.choice((None, None, 0, 3)),
        working_size=rng.choice((None, None, 1, 7)),
    )
    before = picture.copy(), mask.copy()
    try:
        with deadline(), np.errstate(all="raise", under="ignore"):
            values, filled = fill(completer(), picture, mask, options, hidden=hidden)
    except ValueError as error:
        assert "nothing is left to complete it from" in str(error), repr(error)
        assert options.grow or (mask if hidden is None else mask | hidden).all()
        return "refused"
    np.testing.assert_array_equal(picture, before[0])
    np.testing.assert_array_equal(mask, before[1])
    assert filled[mask].all() and (options.grow or not filled[~mask].any())
    assert values.dtype == np.float32 and values.shape == picture.shape and np.isfinite(values).all()
    assert values.min() >= 0 and values.max() <= 1 and not values[~filled].any()
    unseen = filled if hidden is None else filled | hidden
    if picture.dtype == np.float32 and filled.any() and hidden is None:  # the hole's surroundings are seen
        known = picture[~filled]
        whole = np.concatenate([values[filled], known])
        assert np.ptp(known) > 1e-3 or np.ptp(whole) <= 2e-6 + 2 * np.ptp(known)
    other = np.where(unseen[..., None], picture_of(rng, random, size).astype(picture.dtype), picture)
    again = fill(completer(), other, mask, options, hidden=hidden)
    np.testing.assert_array_equal(again.values, values)
    return "filled"


def picture_of(rng: Random, random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3), uint8 or float32, from noise to one constant, in any part of the range."""
    shape = *size, 3
    kind = rng.choice(("levels", "noise", "narrow", "constant", "ends", "deep", "tiny", "grey"))
    if kind == "levels":
        return random.integers(0, 256, shape, np.uint8)
    if kind == "grey":
        return np.repeat(random.integers(0, rng.choice((2, 256)), (*size, 1), np.uint8), 3, axis=2)
    if kind == "constant":
        return np.full(shape, rng.choice((0, 1, 0.3, 1 - 2**-24, 1e-40)), np.float32)
    if kind == "ends":
        return random.integers(0, 2, shape).astype(np.float32)
    if kind == "deep":  # I;16 of 0 to 3
        return random.integers(0, 4, shape).astype(np.float32) / np.float32(65535)
    if kind == "tiny":
        return (random.random(shape) * rng.choice((1e-38, 1e-42, 1e-7, 1e-5))).astype(np.float32)
    low = random.random()
    width = rng.choice((1e-6, 1e-4, 0.01, 0.2)) if kind == "narrow" else 1
    return np.clip(low + (1 - low) * width * random.random(shape), 0, 1).astype(np.float32)


def where_of(rng: Random, random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """bool (H, W): nothing, a box, noise, all, or all but a pixel."""
    kind = rng.choice(("nothing", "box", "box", "noise", "specks", "all", "all but one", "line"))
    if kind in ("noise", "specks"):
        return random.random(size) < (0.02 if kind == "specks" else random.random())
    where = np.full(size, kind.startswith("all"))
    row, column = rng.randrange(size[0]), rng.randrange(size[1])
    if kind == "all but one":
        where[row, column] = False
    elif kind == "box":
        where[row : row + rng.randrange(1, 30), column : column + rng.randrange(1, 30)] = True
    elif kind == "line":
        where[row] = True
    return where
