"""All kinds of hostile cases. Each is tried with a source of randomness, in an empty folder, and says how it ended."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.hostile.array_cases import array_case
from tests.hostile.checkpoint_cases import model_case, pth_case, t7_case
from tests.hostile.mask_cases import meaning_case, soft_case, wrong_case
from tests.hostile.picture_cases import mask_case, picture_case, valid_files

PICTURES = (*valid_files(), "metadata")

Case = Callable[[Random, Path, Path], str]


def _kinds() -> dict[str, Case]:
    kinds = {}
    for name in PICTURES:
        kinds[f"photo {name}"] = lambda rng, folder, model, name=name: picture_case(rng, folder, model, name)
        kinds[f"mask {name}"] = lambda rng, folder, model, name=name: mask_case(rng, folder, model, name)
    kinds |= {"mask meaning": meaning_case, "mask soft": soft_case, "mask wrong": wrong_case}
    kinds["array"] = lambda rng, folder, model: array_case(rng, is_tensor=False)
    kinds["tensor"] = lambda rng, folder, model: array_case(rng, is_tensor=True)
    kinds["model folder"] = lambda rng, folder, model: model_case(rng, folder)
    kinds["pth"] = lambda rng, folder, model: pth_case(rng, folder)
    kinds["t7"] = lambda rng, folder, model: t7_case(rng, folder)
    return kinds


KINDS = _kinds()


def attempt(kind: str, number: int | str, model: Path, seed: int = 0) -> str:
    """One case; the three arguments decide it completely. Raises an AssertionError or what should not be raised."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "out").mkdir()
        return KINDS[kind](randomness(kind, number, seed), Path(folder), model)


def randomness(kind: str, number: int | str, seed: int = 0) -> Random:
    """What decides a case: its damaged file is the first thing that is drawn."""
    return Random(f"{seed}:{kind}:{number}")
