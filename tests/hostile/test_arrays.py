"""Arrays and tensors of any dtype, shape, memory layout and value: completed exactly, or refused by name."""

import signal
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glcic_hub import images, masks
from tests.hostile.array_cases import array_case, with_value

if not hasattr(signal, "SIGALRM"):
    pytest.skip("cases that hang are ended by a signal that Windows lacks", allow_module_level=True)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False), st.booleans())
def test_known_values_come_back_bit_for_bit_or_the_argument_is_named(rng, is_tensor):
    array_case(rng, is_tensor)


ODD_TENSORS = {
    "sparse": torch.zeros(4, 4).to_sparse(),
    "without data": torch.zeros(4, 4, device="meta"),
    "float8": torch.zeros(4, 4).to(torch.float8_e4m3fn),
    "another library's": torch.zeros(4, 4).to_mkldnn(),
}


@pytest.mark.parametrize("tensor", ODD_TENSORS.values(), ids=ODD_TENSORS)
def test_tensors_without_plain_numbers_are_named(tensor):
    with pytest.raises(TypeError, match=rf"^the image is a tensor \({tensor.dtype}, {tensor.layout}, on "):
        images.read(tensor)
    with pytest.raises(TypeError, match=rf"^the mask is a tensor \({tensor.dtype}, {tensor.layout}, on "):
        masks.read(tensor, (4, 4))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1e-6, 1 + 1e-6])
def test_one_wrong_number_anywhere_is_found(value):
    for seed in range(20):
        wrong = with_value(Random(seed), np.zeros((5, 7, 3)), (value,))
        with pytest.raises(ValueError, match="^the image has"):
            images.read(wrong)
        with pytest.raises(ValueError, match="^the mask has"):
            masks.read(wrong, (5, 7))
