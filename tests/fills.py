"""Filling holes in one call, for tests that compare with it."""

import numpy as np

from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import FillOptions
from glcic_hub.model import GLCICModel


def filled(model: GLCICModel | Completer, rgb: np.ndarray, mask: np.ndarray, **options) -> np.ndarray:
    """`fill` with options as keywords: float32 (H, W, 3) of uint8 (H, W, 3) and bool (H, W)."""
    completer = model if isinstance(model, Completer) else Completer(model, "cpu")
    return fill(completer, rgb, mask, FillOptions(**options)).values
