"""Pieces beside each other, blended."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from glcic_hub.filling import pieces
from glcic_hub.filling.pieces import DOUBT, KEPT, Photo, blended

SIZE = (24, 30)
HOLE = (slice(8, 18), slice(9, 21))


def mask_of(*where: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    for part in where:
        mask[part] = True
    return mask


def noise(seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).random((3, *SIZE), np.float32)
    return ndimage.gaussian_filter(image, (0, 1, 1)).astype(np.float32)


def fill_of(image, hole, known, displacements, labels, guess) -> np.ndarray:
    """The hole's colours, (n, 3); labels are given as a map."""
    y, x = hole.nonzero()
    moves = torch.tensor(displacements)[torch.from_numpy(labels[y, x])]
    photo = Photo(torch.from_numpy(image), torch.from_numpy(known))
    return blended(photo, torch.from_numpy(y), torch.from_numpy(x), moves, torch.from_numpy(guess)).numpy()


def copied(image: np.ndarray, known: np.ndarray, displacement: tuple[int, int], y: int, x: int):
    """The colour that comes to a place; None where nothing is known."""
    y, x = y + displacement[0], x + displacement[1]
    inside = 0 <= y < image.shape[1] and 0 <= x < image.shape[2]
    return image[:, y, x].astype(np.float64) if inside and known[y, x] else None


def solved(image, hole, known, displacements, labels, guess):
    """The blended hole by a dense system, pair by pair of neighbours."""
    number = {place: at for at, place in enumerate(zip(*hole.nonzero()))}
    start = np.empty((len(number), 3))
    for (y, x), at in number.items():
        own = copied(image, known, displacements[labels[y, x]], y, x)
        start[at] = guess[at] if own is None else own
    system, right = KEPT * np.eye(len(number)), KEPT * start
    for (y, x), at in number.items():
        for down, across in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            beside = (y + down, x + across)
            in_photo = 0 <= beside[0] < SIZE[0] and 0 <= beside[1] < SIZE[1]
            if not in_photo or (beside not in number and not known[beside]):
                continue
            gradients = []
            for label in [labels[y, x]] + ([labels[beside]] if beside in number else []):
                here, there = (copied(image, known, displacements[label], *place) for place in ((y, x), beside))
                if here is not None and there is not None:
                    gradients.append(here - there)
            if not gradients:
                continue
            doubt = gradients[0] - gradients[-1]
            if beside not in number:
                doubt = image[:, beside[0], beside[1]] - copied(image, known, displacements[labels[y, x]], *beside)
            weight = 1 / (1 + np.mean(doubt**2) / DOUBT**2)
            system[at, at] += weight
            right[at] += weight * np.mean(gradients, axis=0)
            if beside in number:
                system[at, number[beside]] -= weight
            else:
                right[at] += weight * image[:, beside[0], beside[1]]
    return np.linalg.solve(system, right)


HALVES = np.tile(np.arange(SIZE[1]) >= 15, (SIZE[0], 1)).astype(np.int64)
ELSEWHERE = mask_of((slice(0, 24), slice(24, 27)))
CASES = {
    "two pieces": (mask_of(HOLE), [(0, -9), (-6, 6)], HALVES, ~mask_of(HOLE)),
    "from under the hole": (mask_of(HOLE), [(0, -9), (4, 2)], HALVES, ~mask_of(HOLE)),
    "beyond the border": (mask_of(HOLE), [(-20, 0), (9, 30)], HALVES, ~mask_of(HOLE)),
    "beside what is not known": (mask_of(HOLE), [(0, -9), (0, 8)], HALVES, ~(mask_of(HOLE) | ELSEWHERE)),
    "in a corner": (mask_of((slice(0, 9), slice(20, 30))), [(10, 0), (2, -13)], 1 - HALVES, None),
    "two parts": (mask_of((slice(3, 8), slice(3, 9)), (slice(12, 20), slice(12, 22))), [(0, -3), (3, 7)], HALVES, None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_blending_solves_for_the_gradients_of_what_was_copied(case):
    hole, displacements, labels, known = case
    known = ~hole if known is None else known
    image = noise()
    guess = np.random.default_rng(1).random((np.count_nonzero(hole), 3), np.float32)
    wanted = solved(image, hole, known, displacements, labels, guess)
    np.testing.assert_allclose(fill_of(image, hole, known, displacements, labels, guess), wanted, atol=1e-3)


@pytest.mark.parametrize(("difference", "is_spread"), [(0.05, True), (0.5, False)])
def test_a_shade_is_spread_and_an_edge_is_not(difference, is_spread):
    """On its left side alone the hole meets what is a little brighter than what is copied, or of another colour."""
    hole = mask_of((slice(8, 14), slice(9, 15)))
    image = np.full((3, *SIZE), 0.2, np.float32)
    image[:, :, :9] += np.float32(difference)
    guess = np.zeros((np.count_nonzero(hole), 3), np.float32)
    filled = fill_of(image, hole, ~hole, [(0, 8)], 0 * HALVES, guess).reshape(6, 6, 3)
    beside = (filled[2:4, 0] - 0.2).mean() / difference
    assert beside > 0.3 if is_spread else beside < 0.1


def test_long_work_reports_how_far_it_is_and_can_be_ended(monkeypatch):
    hole, displacements, labels, known = CASES["two pieces"]
    y, x = map(torch.from_numpy, hole.nonzero())
    moves = torch.tensor(displacements)[torch.from_numpy(labels[hole])]
    given = Photo(torch.from_numpy(noise()), torch.from_numpy(known)), y, x, moves, torch.zeros(len(y), 3)
    shares = []
    short = blended(*given, shares.append)
    assert not shares, "a small hole is blended at once"
    monkeypatch.setattr(pieces, "UNREPORTED", 3 * len(y))
    torch.testing.assert_close(blended(*given, shares.append), short, rtol=0, atol=0)
    assert len(shares) >= 4 and shares == sorted(shares) and shares[0] < 0.6 and 0.6 < shares[-1] < 1

    class Stop(Exception):
        pass

    def stop(share: float) -> None:
        raise Stop

    with pytest.raises(Stop):
        blended(*given, stop)


def test_what_is_copied_as_it_goes_on_needs_no_blending():
    """A pattern with a period, copied from a period away, is exact."""
    hole = mask_of(HOLE)
    image = np.tile(noise()[:, :12, :15], (1, 2, 2)).astype(np.float32)
    filled = fill_of(image, hole, ~hole, [(0, -15), (12, 0), (-12, 15)], HALVES, image[:, hole].T.copy())
    np.testing.assert_allclose(filled, image[:, hole].T, atol=1e-6)


def test_what_is_not_known_has_no_number_and_no_looks():
    hole = mask_of(HOLE)
    image = noise()
    photos = [Photo(torch.from_numpy(one), torch.from_numpy(~hole)) for one in (image, np.where(hole, 9, image))]
    torch.testing.assert_close(photos[0].looks, photos[1].looks.float(), rtol=0, atol=0)
    y, x = torch.tensor([-1, -50, 24, 10, 10, 0]), torch.tensor([0, 3, 3, 30, 10, 0])
    assert photos[0].at(y, x).tolist() == [photos[0].none] * 5 + [0]
    assert not photos[0].looks[-1].any()
