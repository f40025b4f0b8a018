"""Part "compiled": what `pipe.completion_network.compile()` gains, for one photo and hole; compiling takes minutes."""

from functools import partial

import torch

from tests.benchmark import speed
from tests.benchmark.contestants import PIPELINE, Entry, Pipeline
from tests.benchmark.machine import has_bf16

CELL = (1024, 128)
"""Sides of photo and hole, pixels."""


def measure(rounds: int) -> list[dict]:
    """The rows of the record: the pipeline as it is and compiled, in the types that this machine has arithmetic for."""
    types = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if has_bf16() else {})
    rows = []
    for name, dtype in types.items():
        entries = {
            PIPELINE: Entry(partial(Pipeline, dtype)),
            f"compiled, {name}": Entry(partial(Pipeline, dtype, compiled=True)),
        }
        found, _ = speed.measure(entries, [CELL], rounds, references=(PIPELINE,))
        rows += [row | {"contestant": f"{PIPELINE}, {name}"} if row["contestant"] == PIPELINE else row for row in found]
    return rows
