"""Masks of many kinds: filled as they are meant, or told."""

import pytest

from tests.hostile.kinds import attempt


@pytest.mark.parametrize("kind", ["mask meaning", "mask soft", "mask wrong"])
def test_masks_that_people_make(kind, model):
    for number in range(25):
        attempt(kind, number, model)
