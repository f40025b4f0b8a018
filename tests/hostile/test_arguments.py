"""Arguments of the pipeline that are of a wrong type or size are named."""

import numpy as np
import pytest

from tests.hostile.array_cases import pipeline

PHOTO, MASK = np.zeros((8, 9, 3), np.uint8), np.eye(8, 9, dtype=bool)
ODD = ["5", -1, 0.5, float("nan"), float("inf"), [], {}, (3,), b"photo", slice(3)]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("name", ["padding_mask_crop", "working_size", "blend", "texture", "output_type"])
def test_arguments_are_named(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        pipeline()(PHOTO, MASK, **{name: value})


@pytest.mark.parametrize("value", [*ODD, 0, None], ids=repr)
def test_sizes_are_named(value):
    for size in ({"height": value, "width": 8}, {"height": 8, "width": value}):
        with pytest.raises((ValueError, TypeError), match="height and width"):
            pipeline()(PHOTO, MASK, **size)
