"""Which pieces of a photo a hole is made of."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from glcic_hub.filling import montage
from glcic_hub.filling.montage import (
    BLOCK,
    FLAT,
    HINTS_WEIGHT,
    LOST,
    RIM,
    RIM_WEIGHT,
    SEAM_WEIGHT,
    UNSEEN,
    _Blocks,
    assembled,
)
from glcic_hub.filling.patches import Level
from glcic_hub.filling.pieces import Photo

SIZE = (60, 72)
HOLE = np.zeros(SIZE, bool)
HOLE[20:38, 26:46] = True
HOLE[38:43, 30:34] = True


def noise(channels: int = 3, seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).random((channels, *SIZE), np.float32)
    return ndimage.gaussian_filter(image, (0, 1, 1))


def level_of(image: np.ndarray, known: np.ndarray, hints: np.ndarray | None = None) -> Level:
    hints = np.zeros((1, *SIZE), np.float32) if hints is None else hints
    depth = ndimage.distance_transform_edt(~known).astype(np.float32)
    parts = (torch.from_numpy(part) for part in (image[None], known, HOLE, depth, hints[None]))
    return Level(*parts, 3, torch.Generator().manual_seed(0))


def filled(image: np.ndarray, known: np.ndarray, moves: list[tuple[int, int]], hints=None) -> np.ndarray:
    """The picture, grey in its hole, when patches have chosen displacements by turns."""
    level = level_of(np.where(HOLE, np.float32(0.5), image), known, hints)
    chosen = torch.tensor(moves)[torch.arange(len(level.targets)) % len(moves)]
    sources = level.targets + chosen[:, 0] * level.columns + chosen[:, 1]
    return assembled(level, torch.from_numpy(HOLE), sources)[0].numpy()


def blocks_of(image: np.ndarray, known: np.ndarray, hints: np.ndarray) -> _Blocks:
    photo = Photo(torch.from_numpy(image), torch.from_numpy(known))
    return _Blocks(photo, torch.from_numpy(hints), torch.from_numpy(HOLE))


def test_the_piece_that_goes_on_is_found_among_others():
    """The photo repeats every 24 columns; one of four displacements knows."""
    image = np.tile(noise()[:, :, :24], (1, 1, 3))
    result = filled(image, ~HOLE, [(-13, 4), (0, 24), (7, -25), (-18, -11)])
    np.testing.assert_allclose(result[:, HOLE], image[:, HOLE], atol=1e-4)


def test_pieces_meet_where_the_photo_agrees():
    """One displacement is right on the left, another one on the right; the photo is plain between them."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    left, right = (np.tile(part[:, :20], (1, 3, 1)) for part in (noise(seed=1), noise(seed=2)[:, 2:]))
    image = np.where(x < 33, left, np.where(x > 39, np.roll(right, 7, axis=1), 0.5)).astype(np.float32)
    result = filled(image, ~HOLE, [(20, 0), (-20, 0), (22, 0)])
    assert np.abs(result - image)[:, HOLE].mean() < 0.02


def test_hints_decide_where_the_rim_cannot():
    """Two textures, one to be copied from above and one from below; hints say that the hole is like the lower one."""
    image, hints = noise(), np.zeros((1, *SIZE), np.float32)
    hints[:, 18:] = 1
    for like, move in ((1.0, (22, 0)), (0.0, (-23, 0))):
        hints[:, HOLE] = like
        result = filled(image, ~HOLE, [(22, 0), (-23, 0)], hints)
        inner = ndimage.binary_erosion(HOLE, iterations=7)
        copied = np.roll(image, (-move[0], -move[1]), (1, 2))
        assert np.corrcoef(result[:, inner].ravel(), copied[:, inner].ravel())[0, 1] > 0.9


def test_only_the_hole_changes_and_it_stays_where_nothing_can_be_copied():
    image = noise()
    known = np.zeros(SIZE, bool)
    known[:20, 26:46] = True  # nothing lies 20 rows above the lower part of the hole
    known &= ~HOLE
    result = filled(image, known, [(-18, 0)])
    np.testing.assert_array_equal(result[:, ~HOLE], image[:, ~HOLE])
    lost = HOLE & (np.arange(SIZE[0])[:, None] >= 38)
    np.testing.assert_allclose(result[:, lost], 0.5, atol=0.25)
    assert np.corrcoef(result[:, 20:36, 28:44].ravel(), image[:, 2:18, 28:44].ravel())[0, 1] > 0.9


def test_costs_of_blocks():
    """One by one: what the hints at a block's middle, the pixels of it that are lost, and the rim say."""
    image, hints = noise(), noise(2, seed=3)
    known = ~HOLE
    known[:, :6] = False
    moves = [(0, -21), (3, 24), (-24, 2), (-2, 1), (30, 60)]
    blocks = blocks_of(image, known, hints)
    costs = blocks.costs(torch.tensor(moves)).numpy()
    assert blocks.side == BLOCK and (blocks.top, blocks.left) == (20, 26)
    _, nearest = ndimage.distance_transform_edt(~HOLE, return_indices=True)
    distances = ndimage.distance_transform_edt(~HOLE)
    for at, (row, column) in enumerate(zip(blocks.row.tolist(), blocks.column.tolist())):
        middle = 20 + 4 * row + 1, 26 + 4 * column + 1
        for number, (down, across) in enumerate(moves):
            there = np.clip(middle[0] + down, 0, 59), np.clip(middle[1] + across, 0, 71)
            wanted = HINTS_WEIGHT * np.square(hints[:, there[0], there[1]] - hints[:, middle[0], middle[1]]).sum()
            for y, x in np.ndindex(SIZE):
                inside = 0 <= y + down < 60 and 0 <= x + across < 72 and known[y + down, x + across]
                if HOLE[y, x] and ((y - 20) // 4, (x - 26) // 4) == (row, column):
                    wanted += (not inside) * LOST / int((blocks.owner == at).sum())
                elif known[y, x] and distances[y, x] <= RIM:
                    beside = nearest[:, y, x]
                    if ((beside[0] - 20) // 4, (beside[1] - 26) // 4) == (row, column):
                        wrong = np.square(image[:, y + down, x + across] - image[:, y, x]).mean() if inside else UNSEEN
                        wanted += RIM_WEIGHT * wrong / (RIM * 4)
            assert costs[number, at] == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_what_round_holes_lose_is_counted_in_rectangles():
    """A flat photo: hardly anything else costs. At the lower right corner, beyond which nothing is known."""
    hole = np.hypot(*(np.indices(SIZE) - [[[48]], [[58]]])) < 17
    photo = Photo(torch.zeros(3, *SIZE), torch.from_numpy(~hole))
    blocks = _Blocks(photo, torch.zeros(1, *SIZE), torch.from_numpy(hole))
    moves = [(0, -20), *((dy, dx) for dy in (-11, -5, 2, 6) for dx in (-9, -3, 4)), (5, 40), (-70, 0)]
    costs = blocks.costs(torch.tensor(moves)).numpy()
    unknown = np.pad(hole, 80, constant_values=True)
    y, x, owner = blocks.y.numpy(), blocks.x.numpy(), blocks.owner.numpy()
    partial = 0
    for number, block in np.ndindex(costs.shape):
        rows, columns = y[owner == block] + 80 + moves[number][0], x[owner == block] + 80 + moves[number][1]
        rectangle = unknown[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert costs[number, block] / LOST == pytest.approx(rectangle.mean(), abs=1e-3)
        partial += 0 < rectangle.mean() < 1 and len(rows) < rectangle.size
    assert partial > 10


@pytest.mark.parametrize("is_below", [True, False])
def test_costs_of_seams(is_below):
    """Colours and gradients of two pixels on each side, against how strong the gradients are."""
    image, known = noise(), ~HOLE
    blocks = blocks_of(image, known, np.zeros((1, *SIZE), np.float32))
    moves = np.random.default_rng(5).integers(-15, 16, (len(blocks.row), 3, 2))
    first, second, costs = blocks.seams(torch.tensor(moves), is_below)
    masked = image * known
    down, across = np.zeros_like(image), np.zeros_like(image)
    down[:, :-1] = np.diff(masked, axis=1) * (known[1:] & known[:-1])
    across[:, :, :-1] = np.diff(masked, axis=2) * (known[:, 1:] & known[:, :-1])
    looks = np.concatenate([masked, down, across])
    assert len(first) == sum(blocks.below >= 0 if is_below else blocks.right >= 0) > 10
    for at in range(len(first)):
        assert blocks.row[second[at]] - blocks.row[first[at]] == is_below
        assert blocks.column[second[at]] - blocks.column[first[at]] == (not is_below)
        top, left = 20 + 4 * int(blocks.row[second[at]]), 26 + 4 * int(blocks.column[second[at]])
        rows = slice(top - 2, top + 2) if is_below else slice(top, top + 4)
        columns = slice(left, left + 4) if is_below else slice(left - 2, left + 2)
        mine, theirs = (
            [np.roll(looks, (-dy, -dx), (1, 2))[:, rows, columns] for dy, dx in moves[block]]
            for block in (first[at], second[at])
        )
        for a, b in np.ndindex(3, 3):
            strength = (np.square(mine[a][3:]).sum() + np.square(theirs[b][3:]).sum()) / 2 / 48
            wanted = np.square(mine[a] - theirs[b]).sum() / 48 / (strength + FLAT)
            assert costs[at, a, b] == pytest.approx(SEAM_WEIGHT * wanted, rel=1e-3, abs=1e-6)


def test_what_others_copy_is_counted():
    """For each block and displacement: how often its pixels are copied, in the mean, by other blocks."""
    blocks = blocks_of(noise(), ~HOLE, np.zeros((1, *SIZE), np.float32))
    rng = np.random.default_rng(7)
    corners = np.stack([20 + 4 * blocks.row, 26 + 4 * blocks.column], 1)
    moves = rng.integers(0, 14, (len(corners), 3, 2)) - corners[:, None]  # all to the upper left corner
    labels = rng.integers(0, 3, len(moves))
    reuse = blocks.reuse(torch.from_numpy(moves), torch.from_numpy(labels)).numpy()
    y, x, owner = blocks.y.numpy(), blocks.x.numpy(), blocks.owner.numpy()
    taken = moves[owner, labels[owner]]
    copied = set()
    for block, label in np.ndindex(reuse.shape):
        down, across = moves[block, label]
        wanted = [
            np.count_nonzero((owner != block) & (y + taken[:, 0] == row + down) & (x + taken[:, 1] == column + across))
            if 0 <= row + down < 60 and 0 <= column + across < 72 and not HOLE[row + down, column + across]
            else 0
            for row, column in zip(y[owner == block], x[owner == block])
        ]
        assert reuse[block, label] == pytest.approx(np.mean(wanted), abs=1e-6)
        copied.add(round(np.mean(wanted), 2))
    assert len(copied) > 3


def test_what_all_would_copy_becomes_dearer(monkeypatch):
    """A flat photo; each block would rather copy the same square than what lies 24 columns to the right of it."""
    blocks = blocks_of(np.zeros((3, *SIZE), np.float32), ~HOLE, np.zeros((1, *SIZE), np.float32))
    same = torch.stack([2 - 20 - 4 * blocks.row, 2 - 26 - 4 * blocks.column], 1)
    moves = torch.stack([same, torch.tensor([0, 24]).expand_as(same)], 1)
    costs = torch.tensor([0, 0.001]).repeat(len(same), 1)
    labels = montage._labelled(blocks, moves, costs)
    assert (labels == 1).sum() > len(labels) / 2
    monkeypatch.setattr(montage, "REVISIONS", 0)
    assert not montage._labelled(blocks, moves, costs).any()


def test_blocks_grow_with_the_hole(monkeypatch):
    monkeypatch.setattr(montage, "BLOCKS", 2)
    blocks = blocks_of(noise(), ~HOLE, np.zeros((1, *SIZE), np.float32))
    assert blocks.side == int(HOLE.sum() ** 0.5 / 2 + 0.5)
    assert len(blocks.row) <= 8
    image = np.tile(noise()[:, :, :24], (1, 1, 3))
    result = filled(image, ~HOLE, [(-13, 4), (0, 24), (7, -25)])
    np.testing.assert_allclose(result[:, HOLE], image[:, HOLE], atol=1e-4)


def test_each_block_takes_what_costs_it_least(monkeypatch):
    """Nearly all patches chose from above, which the lower blocks cannot use: it leads into the hole."""
    monkeypatch.setattr(montage, "LABELS", 2)
    image = noise()
    level = level_of(image, ~HOLE)
    moves = torch.tensor([(-18, 0), (-18, 6), (-18, 12), (-17, -5), (-16, 9), (-28, 1)])
    votes = torch.arange(len(level.targets)) % 5
    votes[0] = 5
    sources = level.targets + moves[votes, 0] * level.columns + moves[votes, 1]
    blocks = blocks_of(image, ~HOLE, noise(2, seed=3))
    found, costs = montage._labels(level, sources, blocks)
    assert found.shape == (len(blocks.row), 2, 2)
    every = blocks.costs(moves).T
    for block in range(len(blocks.row)):
        least = every[block].argsort()[:2]
        assert {tuple(one) for one in found[block].tolist()} == {tuple(one) for one in moves[least].tolist()}
        torch.testing.assert_close(costs[block], every[block, least])
    assert (-28, 1) in {tuple(one) for one in found[blocks.row == blocks.row.max()].flatten(0, 1).tolist()}


def test_nothing_is_copied_from_where_nothing_is_known():
    """Hints and the rim are for a displacement that leads out of what is known; the hole is made with the other one."""
    image, hints = np.tile(noise()[:, :, :24], (1, 1, 3)), np.zeros((1, *SIZE), np.float32)
    hints[:, :, 50:] = hints[:, HOLE] = 1
    known = ~HOLE
    known[18:45, 52:68] = False
    result = filled(image, known, [(0, 24), (20, 0), (-20, 0)], hints)
    assert np.abs(result - 0.5)[:, HOLE].min(0).max() > 0
    copies = [np.roll(image, (-down, 0), (1, 2))[:, HOLE] for down in (20, -20)]
    off = np.minimum(*[np.abs(result[:, HOLE] - copy).mean(0) for copy in copies])
    assert np.median(off) < 0.05 < np.median(np.abs(result - image)[:, HOLE])


def test_thin_nets_have_few_blocks():
    hole = np.zeros((900, 900), bool)
    hole[::30, 10:890] = True
    photo = Photo(torch.zeros(3, 900, 900), torch.from_numpy(~hole))
    blocks = _Blocks(photo, torch.zeros(1, 90, 90), torch.from_numpy(hole))
    assert len(blocks.row) <= 1.1 * montage.LARGEST_GRID
    assert blocks.side == round((871 * 880 / montage.LARGEST_GRID) ** 0.5)


def test_progress_is_reported():
    level, shares = level_of(noise(), ~HOLE), []
    sources = level.targets - 18 * level.columns
    assembled(level, torch.from_numpy(HOLE), sources, shares.append)
    assert shares == sorted(set(shares)) and len(shares) >= 3 and shares[0] > 0 and shares[-1] < 1
