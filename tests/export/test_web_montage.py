"""The page's montage of pieces beside Python's: costs, labels and colours; and what may come out of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data

from glcic_hub.filling import montage, pieces
from glcic_hub.filling.pieces import Photo, blended
from tests.export.conftest import box

SIZE = (44, 52)
HOLE = box(SIZE, slice(12, 31), slice(14, 37))
OTHER = box(SIZE, slice(25, 44), slice(44, 48))
DISPLACEMENTS = [(0, 15), (-13, 2), (20, -3), (7, 7), (0, -24), (-3, 30)]

PREPARED = """async ([size, image, known, hole, hints, displacements, moves, guess, sources, level]) => {
  const imported = (name) => import(new URL(`filling/${name}.js`, document.baseURI).href);
  const [montage, pieces, { grid }] = await Promise.all(["montage", "pieces", "grids"].map(imported));
  const photo = new pieces.Photo(grid(...size, 3, Float32Array.from(image)), Uint8Array.from(known));
  const where = Uint8Array.from(hole);
  const blocks = new montage.Blocks(photo, grid(...size, 2, Float32Array.from(hints)), where);
  const steps = Int32Array.from(displacements);
"""
BLOCKS = """  const own = Int32Array.from(level.moves);
  const labels = own.length / 2 / blocks.count;
  const kinds = [false, true].map((isBelow) => blocks.seams(isBelow, own, labels));
  const reuse = blocks.reuse(own, labels, blocks.row.map((row) => row % labels));
  const costs = [blocks.costs(steps), reuse, ...kinds.flatMap(Object.values)];
  return [blocks.row, blocks.column, blocks.owner, ...costs].map((some) => [...some]);
}"""
LABELS = """  const chosen = montage.labelsOf(level, Int32Array.from(sources), blocks);
  const solved = montage.labelled(blocks, chosen);
  return [chosen.displacements, chosen.costs, solved].map((some) => [...some]);
}"""
DEARER = """
  const { labels, costs } = level;
  const choice = { labels, displacements: Int32Array.from(level.displacements), costs: Float32Array.from(costs) };
  return [[...montage.labelled(blocks, choice)]];
}"""
BLENDED = """
  return [[...pieces.blended(photo, blocks.y, blocks.x, Int32Array.from(moves), Float32Array.from(guess), 1e-6)]];
}"""


@pytest.fixture(scope="module")
def called(browser, site):
    """A function that runs a script on the page: arrays and numbers by name, to arrays."""
    page = browser.new_page()
    page.goto(site)

    def run(script: str, image: np.ndarray, known: np.ndarray, **given) -> list[np.ndarray]:
        names = ("hole", "hints", "displacements", "moves", "guess", "sources", "level")
        given = {"hole": HOLE, "hints": hints(), "displacements": DISPLACEMENTS, "level": {}} | given
        lists = [np.ravel(given.get(name, [])).tolist() for name in names[:-1]]
        size = [known.shape[1], known.shape[0]]
        args = [size, image.ravel().tolist(), known.astype(int).ravel().tolist(), *lists, given["level"]]
        return [np.array(values) for values in page.evaluate(PREPARED + script, args)]

    yield run
    page.close()


def picture() -> np.ndarray:
    """float32 (H, W, 3)."""
    return (data.chelsea()[60:104, 120:172] / 255).astype(np.float32)


def hints() -> np.ndarray:
    """float32 (H, W, 2)."""
    noise = np.random.default_rng(0).random((*SIZE, 2), np.float32)
    return ndimage.gaussian_filter(noise, (2, 2, 0))


def python_photo(known: np.ndarray) -> Photo:
    return Photo(torch.from_numpy(picture()).permute(2, 0, 1), torch.from_numpy(known))


def python_blocks(hole: np.ndarray, known: np.ndarray) -> montage._Blocks:
    return montage._Blocks(python_photo(known), torch.from_numpy(hints()).permute(2, 0, 1), torch.from_numpy(hole))


PLACES = {
    "all else known": (HOLE, ~HOLE),
    "another hole": (HOLE, ~(HOLE | OTHER)),
    "round": (DISC := np.hypot(*(np.indices(SIZE) - [[[20]], [[25]]])) < 9.5, ~DISC),
    "at the border": (CORNER := box(SIZE, slice(20, 44), slice(30, 52)), ~CORNER),
}


@pytest.mark.parametrize(("hole", "known"), PLACES.values(), ids=PLACES)
def test_displacements_cost_the_same(called, hole, known):
    blocks, displacements = python_blocks(hole, known), torch.tensor(DISPLACEMENTS)
    moves = np.random.default_rng(2).integers(-25, 26, (len(blocks.row), 4, 2))
    row, column, owner, costs, reuse, *seams = called(
        BLOCKS, picture(), known, hole=hole, level={"moves": moves.ravel().tolist()}
    )
    for ours, theirs in ((row, blocks.row), (column, blocks.column), (owner, blocks.owner)):
        assert ours.tolist() == theirs.tolist()
    theirs = blocks.reuse(torch.from_numpy(moves), blocks.row % 4)
    np.testing.assert_allclose(reuse.reshape(theirs.shape), theirs, rtol=1e-4, atol=1e-6)
    theirs = blocks.costs(displacements)
    np.testing.assert_allclose(costs.reshape(theirs.shape), theirs, rtol=1e-4, atol=1e-6)
    wanted = [*blocks.seams(torch.from_numpy(moves), False), *blocks.seams(torch.from_numpy(moves), True)]
    assert len(seams) == len(wanted)
    for ours, theirs in zip(seams, wanted):
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=1e-3, atol=1e-6)


def test_blocks_are_alike_where_their_size_is_halfway(called):
    """126 / 28 = 4.5 pixels, which one language rounds to the even number and the other one up."""
    size = (130, 134)
    hole = box(size, slice(2, 128), slice(3, 129))
    zeros = np.zeros((*size, 3), np.float32)
    ((ours,),) = called("  return [[blocks.side]];\n}", zeros, ~hole, hole=hole, hints=zeros[..., :2])
    photo = Photo(torch.zeros(3, *size), torch.from_numpy(~hole))
    assert ours == montage._Blocks(photo, torch.zeros(1, *size), torch.from_numpy(hole)).side == 4


@pytest.mark.parametrize("count", [1, 5, 300])
def test_blocks_get_the_same_labels(called, count):
    """`count`: how many displacements patches choose among; those that would leave the photo are cut to others."""
    rng = np.random.default_rng(count)
    hole, known = PLACES["another hole"]
    corners = SIZE[0] - 8, SIZE[1] - 8
    at = np.argwhere(HOLE[4:-4, 4:-4])
    moved = at + rng.choice(rng.integers(-20, 21, (count, 2)), len(at))
    targets, sources = (np.ravel_multi_index(places.T, corners, mode="clip") for places in (at, moved))
    numbers = {"rows": corners[0], "columns": corners[1]}
    given = called(LABELS, picture(), known, sources=sources, level={**numbers, "targets": targets.tolist()})
    blocks = python_blocks(hole, known)
    level = SimpleNamespace(
        **numbers,
        targets=torch.from_numpy(targets),
        device="cpu",
        split=lambda patches: (patches.div(corners[1], rounding_mode="floor"), patches % corners[1]),
    )
    displacements, costs = montage._labels(level, torch.from_numpy(sources), blocks)
    assert (costs.shape[1] == montage.LABELS) == (count > 1)
    np.testing.assert_allclose(given[1].reshape(costs.shape), costs, rtol=1e-4, atol=1e-6)
    ours = torch.from_numpy(given[0]).view(displacements.shape), torch.from_numpy(given[1]).view(costs.shape).float()
    # costs that are nearly the same may differ in their order from processor to processor
    found = (ours[0][:, :, None] == displacements[:, None]).all(3).any(2)
    assert found.float().mean() > 0.98
    moves, totals = [], []
    for (some, own), labels in ((ours, torch.from_numpy(given[2])), ((displacements, costs), None)):
        seams = [blocks.seams(some, is_below) for is_below in (False, True)]
        labels = montage._labelled(blocks, some, own) if labels is None else labels
        moves.append(montage._taken(some, labels))
        total = own[torch.arange(len(labels)), labels].sum()
        for first, second, together in seams:
            total += together[torch.arange(len(first)), labels[first], labels[second]].sum()
        totals.append(float(total))
    assert totals[0] == pytest.approx(totals[1], rel=1e-3)
    assert (moves[0] == moves[1]).all(1).float().mean() > 0.9


def test_what_all_would_copy_becomes_dearer_alike(called):
    """A flat photo; each block would rather copy the same square than what lies 15 columns to the right of it."""
    hole, known = PLACES["all else known"]
    flat = np.zeros_like(picture())
    blocks = montage._Blocks(
        Photo(torch.zeros(3, *SIZE), torch.from_numpy(known)), torch.zeros(1, *SIZE), torch.from_numpy(hole)
    )
    same = torch.stack([2 - 12 - 4 * blocks.row, 2 - 14 - 4 * blocks.column], 1)
    moves = torch.stack([same, same + 3, torch.tensor([0, 15]).expand_as(same)], 1)
    number = torch.arange(len(same))
    costs = torch.stack([0.0 * number, 0.02 + 0.1 * number / len(same), 0.04 + 0.01 * (number % 2)], 1)
    chosen = {"labels": 3, "displacements": moves.flatten().tolist(), "costs": costs.flatten().tolist()}
    (ours,) = called(DEARER, flat, known, hole=hole, level=chosen)
    theirs = montage._labelled(blocks, moves, costs)
    assert len(theirs.unique()) == 3
    assert (torch.from_numpy(ours) == theirs).float().mean() > 0.9


@pytest.mark.parametrize(("hole", "known"), PLACES.values(), ids=PLACES)
def test_pieces_are_blended_as_in_python(called, monkeypatch, hole, known):
    """Some pixels are copied from where nothing is known; both are solved more precisely than they have to be."""
    monkeypatch.setattr(pieces, "PRECISION", 1e-6)
    y, x = hole.nonzero()
    moves = np.array(DISPLACEMENTS)[((y // 5) * 7 + x // 6) % len(DISPLACEMENTS)]
    guess = np.random.default_rng(1).random((len(y), 3), np.float32)
    (ours,) = called(BLENDED, picture(), known, hole=hole, moves=moves, guess=guess)
    theirs = blended(python_photo(known), *map(torch.from_numpy, (y, x, moves, guess)))
    np.testing.assert_allclose(ours.reshape(-1, 3), theirs, atol=1e-3)


def test_stripes_go_on(staged):
    size = (120, 136)
    y, x = np.mgrid[: size[0], : size[1]]
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * (x + 0.5 * y) / 8)
    photo = (255 * np.stack([wave, 0.8 * wave + 0.1, 1 - wave], axis=2)).round().astype(np.uint8)
    hole = box(size, slice(40, 80), slice(46, 90))
    share = np.exp(-ndimage.distance_transform_edt(hole) / 4)[..., None]
    soft = share * photo + (1 - share) * ndimage.gaussian_filter(photo, (6, 6, 0))
    completed = np.where(hole[..., None], soft, photo).astype(np.uint8)
    result = staged("finish", completed, hole).photo
    errors = [np.abs(one.astype(int) - photo)[hole].mean() for one in (result, completed)]
    assert errors[0] < 0.3 * errors[1]
    assert np.array_equal(result[~hole], photo[~hole])
