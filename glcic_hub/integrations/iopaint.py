"""The embedded models in IOPaint, beside its own erase models.

    python -m glcic_hub.integrations.iopaint start --model=glcic-scenes

is IOPaint's own command line, which then knows them. Other programs call `register()` before they make a ModelManager.
Of what IOPaint pins, old releases of diffusers among them, nothing is used but huggingface_hub.
"""

import sys

import numpy as np

try:
    from iopaint import entry_point
    from iopaint.const import AVAILABLE_MODELS
    from iopaint.model import models
    from iopaint.model.base import InpaintModel
except ModuleNotFoundError as error:
    message = f"IOPaint cannot be imported ({error}): run this where it is installed (pip install iopaint)"
    if __name__ == "__main__":
        sys.exit(message)
    raise ModuleNotFoundError(message, name=error.name) from error

from glcic_hub.completion import Completer
from glcic_hub.model import GLCICModel, embedded_models


class GLCIC(InpaintModel):
    """What the models have in common; `register` makes a class of each, whose `name` is the model's."""

    is_erase_model = True  # listed with the models that take no prompt

    @staticmethod
    def is_downloaded() -> bool:
        """Always: the models come with the package."""
        return True

    def init_model(self, device, **kwargs) -> None:
        """Load the weights; the other arguments are for diffusion models."""
        self.completer = Completer(GLCICModel.from_pretrained(self.name), device)

    def __call__(self, image: np.ndarray, mask: np.ndarray, config) -> np.ndarray:
        """Complete one picture, at its own size: of the request, nothing but picture and mask is used.

        IOPaint's strategies for large pictures (cropping, resizing) are left out, because the completer shows the
        network the surroundings of each hole alone.

        Args:
            image: uint8 (H, W, 3), RGB.
            mask: uint8 (H, W) or (H, W, 1), above 127 = fill.
            config: IOPaint's InpaintRequest.

        Returns:
            uint8 (H, W, 3), BGR as IOPaint wants it; the known pixels are those of `image`, which stays as it is.
        """
        fill = mask.reshape(mask.shape[:2]) > 127
        completed = image.copy()
        completed[fill] = np.rint(self.completer(image, fill)[fill] * 255)
        return completed[..., ::-1]


def register() -> list[str]:
    """Make IOPaint know the embedded models; returns their names. Calling it again changes nothing."""
    names = embedded_models()
    for name in names:
        if name not in models:
            models[name] = type(name, (GLCIC,), {"name": name})
            AVAILABLE_MODELS.append(name)  # what the help of the command line lists
    return names


if __name__ == "__main__":
    register()
    entry_point()
