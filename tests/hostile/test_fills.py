"""Holes, pictures and hidden pixels of any shape and range: filled with colours, or refused in a sentence."""

import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.fill_cases import fill_case

if not hasattr(signal, "SIGALRM"):
    pytest.skip("cases that hang are ended by a signal that Windows lacks", allow_module_level=True)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_holes_get_colours_that_depend_on_what_is_seen_alone(rng):
    fill_case(rng)
