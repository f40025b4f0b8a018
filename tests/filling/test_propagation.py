"""Labels that cost little together, against trying all of them."""

from itertools import product

import numpy as np
import pytest
import torch

from glcic_hub.filling import propagation
from glcic_hub.filling.propagation import Pairs, cheapest


def grid(rows: int, columns: int, labels: int, seed: int) -> tuple[torch.Tensor, list[Pairs], torch.Tensor]:
    """Costs by chance."""
    rng = np.random.default_rng(seed)
    number = np.arange(rows * columns).reshape(rows, columns)
    kinds = []
    for first, second in ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:])):
        costs = rng.random((first.size, labels, labels), np.float32)
        kinds.append(Pairs(torch.from_numpy(first.ravel()), torch.from_numpy(second.ravel()), torch.from_numpy(costs)))
    is_white = torch.from_numpy(number // columns + number % columns) % 2 == 0
    return torch.from_numpy(rng.random((rows * columns, labels), np.float32)), kinds, is_white.flatten()


def total(labels: torch.Tensor, costs: torch.Tensor, kinds: list[Pairs]) -> torch.Tensor:
    """Of labellings, (..., nodes)."""
    own = costs[torch.arange(len(costs)), labels].sum(-1)
    for first, second, together in kinds:
        own = own + together[torch.arange(len(first)), labels[..., first], labels[..., second]].sum(-1)
    return own


def least_of_all(costs: torch.Tensor, kinds: list[Pairs]) -> float:
    nodes, labels = costs.shape
    return float(total(torch.tensor(list(product(range(labels), repeat=nodes))), costs, kinds).min())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("rows", "columns", "labels"), [(1, 7, 4), (6, 1, 4)])
def test_in_a_chain_nothing_is_cheaper(monkeypatch, rows, columns, labels, seed):
    """Once messages have gone all the way."""
    monkeypatch.setattr(propagation, "SWEEPS", 40)
    problem = grid(rows, columns, labels, seed)
    found = total(cheapest(*problem), *problem[:2])
    assert float(found) == pytest.approx(least_of_all(*problem[:2]), rel=1e-5)


def test_in_grids_hardly_anything_is_cheaper():
    found = []
    for seed in range(8):
        problem = grid(3, 3, 3, seed)
        both = torch.stack([cheapest(*problem), problem[0].argmin(1)])
        found.append(total(both, *problem[:2]) / least_of_all(*problem[:2]))
    ours, each_alone = torch.stack(found).mean(0)
    assert 1 - 1e-6 <= ours < 1.03 < 1.2 < each_alone


def test_no_node_is_better_off_on_its_own():
    costs, kinds, is_white = grid(12, 9, 5, 0)
    labels = cheapest(costs, kinds, is_white)
    least = total(labels, costs, kinds)
    others = labels.repeat(len(labels), 5, 1)
    for label in range(5):
        others[:, label].fill_diagonal_(label)
    assert total(others, costs, kinds).min() > least - 1e-3


def test_without_pairs_each_node_takes_its_cheapest():
    costs, (across, _), is_white = grid(1, 5, 3, 0)
    none = Pairs(across.first[:0], across.second[:0], across.costs[:0])
    assert torch.equal(cheapest(costs, [none, none], is_white), costs.argmin(1))
