"""Fine detail from the photo itself: from the right places, in the right amount, and nothing from under the hole."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from glcic_hub.filling import texture
from glcic_hub.filling.texture import AMOUNT, BLOCK, add_detail
from tests import fills
from tests.random_models import random_model

SCALE = 0.25
SIZE = (160, 200)
HOLE = np.zeros(SIZE, bool)
HOLE[50:110, 60:140] = True


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def grainy(strength: float, colour: float = 0.5, seed: int = 0) -> np.ndarray:
    return np.clip(colour + strength * noise(*SIZE, 3, seed=seed), 0, 1)


def filled(picture: np.ndarray, hole: np.ndarray = HOLE, fill: np.ndarray | float = 0.5) -> np.ndarray:
    return add_detail(np.full_like(picture, fill) if np.isscalar(fill) else fill, picture, hole, ~hole, SCALE)


def test_a_smooth_photo_gives_no_detail():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    picture = np.stack([x / 400 + 0.2, y / 400 + 0.3, (x + y) / 800], axis=2).astype(np.float32)
    result = filled(picture, fill=picture)
    np.testing.assert_allclose(result, picture, atol=0.003)


@pytest.mark.parametrize("strength", [0.02, 0.08])
def test_a_grainy_photo_gives_its_share_of_grain(strength):
    inner = ndimage.binary_erosion(HOLE, iterations=12)
    result = filled(grainy(strength))
    assert AMOUNT * strength * 0.6 < result[inner].std() < AMOUNT * strength * 1.05  # peaks are limited
    assert abs(result[inner].mean() - 0.5) < 0.1 * strength
    # it is grain and not a repeated patch of another kind: neighbouring pixels are as unlike as in the photo
    assert np.abs(np.diff(result[60:100, 70:130], axis=1)).mean() > AMOUNT * strength * 0.6


def test_detail_comes_from_where_the_colours_are_alike():
    """Dark and grainy on the left, bright and smooth on the right: each part of the fill gets what its colour has."""
    picture = grainy(0.06, colour=0.3)
    picture[:, 100:] = 0.7
    fill = np.full_like(picture, 0.3)
    fill[:80] = 0.7  # above bright, below dark: unlike the sides
    result = filled(picture, fill=fill)
    above, below = (slice(52, 64), slice(95, 130)), (slice(94, 108), slice(70, 105))
    assert result[below].std() > 5 * result[above].std()


def map_of_colours() -> tuple[torch.Tensor, torch.Tensor]:
    """A small reduced photo (1, 3, 17, 19), and the corners of all its blocks."""
    guide = torch.rand(1, 3, 17, 19, generator=torch.Generator().manual_seed(0))
    return guide, torch.cartesian_prod(torch.arange(12), torch.arange(14))


def cost(guide: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> float:
    """The definition, for two blocks."""

    def means(corner: torch.Tensor) -> np.ndarray:
        y, x = corner.tolist()
        block = guide[0, :, y : y + BLOCK, x : x + BLOCK].double().numpy()
        return block.reshape(3, 3, BLOCK // 3, 3, BLOCK // 3).mean(axis=(2, 4))

    blocks_apart = ((one - other).double().norm() / BLOCK).item()
    return ((means(one) - means(other)) ** 2).mean() + (texture.NEARNESS * blocks_apart) ** 2


def test_costs_are_those_of_the_definition():
    guide, corners = map_of_colours()
    targets, sources = corners[::13], corners[5::7]
    wanted = [[cost(guide, target, source) for source in sources] for target in targets]
    np.testing.assert_allclose(texture._costs(guide, targets, sources), wanted, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_the_shifts_are_those_that_make_the_blocks_most_alike(monkeypatch, count):
    monkeypatch.setattr(texture, "SHIFTS", count)
    monkeypatch.setattr(texture, "UNLIKE", 0.4)
    guide, corners = map_of_colours()
    usable = torch.ones(12, 14, dtype=bool)
    usable[4:8, 5:9] = False
    targets = torch.cartesian_prod(torch.arange(4, 8), torch.arange(5, 9))
    found = texture._shifts(guide, targets, usable)

    def by_target(shift: torch.Tensor) -> list[float]:
        places = targets + shift
        inside = [bool(0 <= y < 12 and 0 <= x < 14 and usable[y, x]) for y, x in places.tolist()]
        return [
            min(cost(guide, target, place), 0.4**2) if possible else 0.4**2
            for target, place, possible in zip(targets, places, inside)
        ]

    tried = torch.cartesian_prod(torch.arange(-11, 12), torch.arange(-13, 14))
    costs = np.array([by_target(shift) for shift in tried])
    least, wanted = np.full(len(targets), 0.4**2), torch.zeros_like(targets)
    for _ in range(count):
        best = np.minimum(costs, least).sum(axis=1).argmin()
        wanted[torch.from_numpy(costs[best] < least)] = tried[best]
        least = np.minimum(least, costs[best])
    covered = torch.from_numpy(least < 0.4**2)
    assert covered.sum() >= 8
    assert torch.equal(found[covered], wanted[covered])
    landed = targets + found
    assert usable[landed[:, 0], landed[:, 1]].all()  # also where no shift fits


def test_an_even_surface_is_filled_from_few_places():
    usable = torch.ones(60, 60, dtype=bool)
    usable[20:35, 20:35] = False
    targets = torch.cartesian_prod(torch.arange(20, 35, 3), torch.arange(20, 35, 3))
    shifts = texture._shifts(torch.full((1, 3, 65, 65), 0.5), targets, usable)
    assert len(torch.unique(shifts, dim=0)) <= texture.SHIFTS < len(targets)


def test_blocks_of_one_shift_are_a_piece_of_the_photo():
    detail = noise(80, 100, 3)
    targets = torch.cartesian_prod(torch.arange(0, 15, 3), torch.arange(0, 20, 3))
    shifts = torch.tensor([[2, -3]]).expand(len(targets), 2)
    moved = texture._shifted(detail, targets, shifts, [20, 25])
    np.testing.assert_allclose(moved[12:50, 16:60], detail[20:58, 4:48], atol=1e-5)  # by 4 pixels each


def test_where_pieces_overlap_the_detail_keeps_its_strength():
    detail = noise(400, 400, 3)
    targets = torch.cartesian_prod(torch.arange(15, 75, 3), torch.arange(15, 75, 3))
    shifts = torch.randint(-14, 15, targets.shape, generator=torch.Generator().manual_seed(0))
    moved = texture._shifted(detail, targets, shifts, [100, 100])[80:280, 80:280]
    assert moved.std() == pytest.approx(1, abs=0.05)


def test_nothing_but_known_pixels_and_the_fill_is_looked_at():
    other_hole = np.zeros(SIZE, bool)
    other_hole[20:50, 60:180] = True
    known = ~HOLE & ~other_hole
    slope = np.linspace(-0.1, 0.1, SIZE[1], dtype=np.float32)[:, None]
    picture, fill = grainy(0.05) + slope, grainy(0.01, seed=1) + slope
    result = add_detail(fill, picture, HOLE, known, SCALE)
    spoilt_fill = np.where(HOLE[..., None], fill, 0.9)
    for other in (0.6, noise(*SIZE, 3, seed=2) % 1):
        spoilt = np.where(known[..., None], picture, other).astype(np.float32)
        np.testing.assert_array_equal(add_detail(spoilt_fill, spoilt, HOLE, known, SCALE)[HOLE], result[HOLE])
    np.testing.assert_array_equal(result[~HOLE], fill[~HOLE])
    assert np.abs(result - fill)[HOLE].mean() > 0.005


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.2, 0.04])
@pytest.mark.parametrize("name", ["corner", "scratch", "pixel", "noise", "nearly all", "tiny picture"])
def test_every_shape_is_served_and_stays_in_range(name, scale):
    size = (7, 9) if name == "tiny picture" else (90, 110)
    hole = np.zeros(size, bool)
    match name:
        case "corner" | "tiny picture":
            hole[:5, :6] = True
        case "scratch":
            hole[40:42, 3:105] = True
        case "pixel":
            hole[50, 60] = True
        case "noise":
            hole = noise(*size) > 0
        case "nearly all":
            hole[:80] = True
    picture = np.clip(0.5 + 0.4 * noise(*size, 3), 0, 1)
    fill = np.clip(0.5 + 0.5 * noise(*size, 3, seed=3), 0, 1)
    before = picture.copy(), fill.copy()
    result = add_detail(fill, picture, hole, ~hole, scale)
    assert result.dtype == np.float32 and np.isfinite(result).all()
    assert result.min() >= 0 and result.max() <= 1
    np.testing.assert_array_equal(result[~hole], fill[~hole])
    np.testing.assert_array_equal((picture, fill), before)


def test_where_no_whole_block_is_known_the_fill_stays():
    hole = noise(*SIZE) > -1
    fill = grainy(0.1)
    assert add_detail(fill, grainy(0.1, seed=2), hole, ~hole, SCALE) is fill


# As a part of the completion


MODEL = random_model()
MODEL.compute_dtype = torch.float32


def test_the_completion_with_texture_is_the_plain_one_and_detail_of_its_surroundings():
    rgb = (grainy(0.1) * 255).astype(np.uint8)
    plain, detailed = (fills.filled(MODEL, rgb, HOLE, texture=name) for name in (None, "photo"))
    assert (detailed[~HOLE] == 0).all()
    assert 0.01 < np.abs(detailed - plain)[HOLE].mean() < 0.1
    spoilt = np.where(HOLE[..., None], 255 - rgb, rgb)
    np.testing.assert_array_equal(fills.filled(MODEL, spoilt, HOLE, texture="photo"), detailed)


def test_what_is_far_away_costs_nothing(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        "glcic_hub.filling.texture.add_detail", lambda fill, *rest: sizes.append(fill.shape) or add_detail(fill, *rest)
    )
    for side in (300, 900):
        mask = np.zeros((side, side), bool)
        mask[140:160, 140:160] = True
        fills.filled(MODEL, np.zeros((side, side, 3), np.uint8), mask, texture="photo")
    assert sizes[0] == sizes[1] and max(sizes[0]) < 200


def test_a_long_hole_is_worked_on_in_parts_that_meet(monkeypatch):
    """A diagonal scratch: its box is nearly the photo, its parts are small, and their borders cannot be seen."""
    rgb = (np.clip(0.5 + 0.1 * noise(500, 500, 3), 0, 1) * 255).astype(np.uint8)
    mask = ndimage.binary_dilation(np.eye(500, dtype=bool), iterations=3)
    mask[:20], mask[-20:] = False, False
    sizes = []
    monkeypatch.setattr(
        "glcic_hub.filling.texture.add_detail", lambda fill, *rest: sizes.append(fill.shape) or add_detail(fill, *rest)
    )
    detailed = fills.filled(MODEL, rgb, mask, texture="photo")
    plain = fills.filled(MODEL, rgb, mask)
    side = round(texture.LARGEST_TILE / texture.FINEST_SCALE)
    largest = side + 2 * texture.reach(1)
    rows, columns = (range(places.min(), places.max() + 1, side) for places in np.nonzero(mask))
    tiles = [(top, left) for top in rows for left in columns]
    met = sum(mask[top : top + side, left : left + side].any() for top, left in tiles)
    assert len(sizes) == met < len(tiles)  # the others have nothing of the scratch in them
    assert max(map(max, sizes)) <= largest < 400
    strength = np.array(
        [np.abs(detailed - plain)[start : start + 20][mask[start : start + 20]].mean() for start in range(20, 480, 20)]
    )
    assert strength.min() > 0.5 * np.median(strength)
    assert (detailed[~mask] == 0).all()
