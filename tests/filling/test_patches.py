"""Patches at one scale: pieces that hang together, and votes."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from glcic_hub.filling import patches
from glcic_hub.filling.patches import PATCH, Level


def level_of(size: tuple[int, int] = (48, 60), stride: int = 3) -> Level:
    """Noise with a hole in it."""
    noise = np.random.default_rng(0).random((3, *size), np.float32)
    known = torch.ones(size, dtype=torch.bool)
    known[16:32, 20:40] = False
    depth = torch.from_numpy(ndimage.distance_transform_edt(~known.numpy()).astype(np.float32))
    hints = torch.zeros(1, 1, *size)
    image = torch.from_numpy(ndimage.gaussian_filter(noise, (0, 1, 1)))[None]
    return Level(image, known, ~known, depth, hints, stride, torch.Generator().manual_seed(0))


def improved(level: Level) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What is wanted, and what two rounds choose, from choices by chance."""
    wanted = level.described_targets(level.image)
    sources = level.drawn(len(level.targets))
    for distances in ((4, 2, 1), (1,)):
        sources, costs = level.improved(wanted, sources, distances)
    return wanted, sources, costs


def neighbours_in_the_same_piece(level: Level, sources: torch.Tensor) -> int:
    chosen = {
        divmod(int(target), level.columns): (divmod(int(source), level.columns))
        for target, source in zip(level.targets, sources)
    }
    count = 0
    for (row, column), (y, x) in chosen.items():
        for beside in ((row, column + level.stride), (row + level.stride, column)):
            if beside in chosen:
                count += (chosen[beside][0] - beside[0], chosen[beside][1] - beside[1]) == (y - row, x - column)
    return count


def test_coherence_joins_pieces_at_the_cost_of_likeness(monkeypatch):
    found = []
    for coherence in (0.0, 0.5, 5.0):
        monkeypatch.setattr(patches, "COHERENCE", coherence)
        level = level_of()
        _, sources, costs = improved(level)
        found.append((neighbours_in_the_same_piece(level, sources), costs.mean()))
    joined, costs = zip(*found)
    assert joined[0] < joined[1] < joined[2]
    assert costs[0] < costs[2]


@pytest.mark.parametrize("coherence", [0.0, 0.5])
def test_choices_are_known_patches_with_their_own_costs(monkeypatch, coherence):
    monkeypatch.setattr(patches, "COHERENCE", coherence)
    level = level_of()
    wanted, sources, costs = improved(level)
    assert level.usable[sources].all()
    torch.testing.assert_close(costs, (wanted - level.features[sources]).square().sum(1))


@pytest.mark.parametrize("height", [47, 48, 49])
def test_neighbours_are_of_the_other_colour(height):
    """Also at the picture's border, where the last corner need not be a multiple of the stride."""
    level = level_of((height, 60))
    rows, columns = level.split(level.targets)
    colours = (rows // level.stride + columns // level.stride) % 2
    assert (level.beside >= 0).any(1).all()
    for numbers in level.beside:
        has_one = numbers >= 0
        assert (colours[numbers[has_one].long()] != colours[has_one]).all()


def test_the_cheaper_patch_wins_however_dear_all_are(monkeypatch):
    monkeypatch.setattr(patches, "TOLERANCE", 1e-4)
    level = level_of(stride=1)
    sources = level.sources[:1].expand(len(level.targets)).clone()
    costs = torch.full((len(sources),), 1e6)
    cheap = len(sources) // 2
    sources[cheap], costs[cheap] = level.sources[-1], 1.0
    filled = level.voted(sources, costs)
    assert filled.isfinite().all()
    (top, left), (from_top, from_left) = (level.split(one) for one in (level.targets[cheap], level.sources[-1]))
    placed = filled[..., top : top + PATCH, left : left + PATCH]
    copied = level.image[..., from_top : from_top + PATCH, from_left : from_left + PATCH]
    where = ~level.known[top : top + PATCH, left : left + PATCH]
    torch.testing.assert_close(placed[..., where], copied[..., where], atol=0.01, rtol=0)
