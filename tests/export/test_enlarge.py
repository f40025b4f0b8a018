"""The enlarging nodes compute what PyTorch's bicubic interpolation computes."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from glcic_hub.export.enlarge import add_enlarging
from glcic_hub.export.graph import Graph
from tests.export.conftest import runner


@pytest.fixture(scope="module")
def enlarge():
    op = Graph()
    image = ("float32", (1, 3, "height", "width"))
    inputs = {"picture": image, "size": ("int64", (2,)), "start": ("int64", (2,)), "end": ("int64", (2,))}
    result = add_enlarging(op, "picture", "size", "start", "end")
    part = ("float32", (1, 3, "rows", "columns"))
    return runner(op.model("enlarge", inputs, ("part", result), part, {}).SerializeToString())


@pytest.mark.parametrize("small", [(1, 1), (4, 8), (13, 20), (64, 47)], ids=str)
@pytest.mark.parametrize("factor", [1, 1.37, 8.3])
def test_it_is_pytorch_s(enlarge, small, factor):
    picture = np.random.default_rng(0).random((1, 3, *small), np.float32)
    size = np.array([int(side * factor) for side in small])
    wanted = F.interpolate(torch.from_numpy(picture), tuple(size.tolist()), mode="bicubic").numpy()
    for start, end in ((size * 0, size), (size // 3, size - size // 4), (size - 1, size)):
        found = enlarge(picture=picture, size=size, start=start, end=end)
        expected = wanted[:, :, start[0] : end[0], start[1] : end[1]]
        assert found.shape == expected.shape and np.abs(found - expected).max() < 1e-4


def test_the_same_size_is_the_same_picture(enlarge):
    picture = np.random.default_rng(0).random((1, 3, 301, 199), np.float32)
    size = np.array([301, 199])
    assert np.array_equal(enlarge(picture=picture, size=size, start=size * 0, end=size), picture)
