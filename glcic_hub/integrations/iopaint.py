"""The embedded models in IOPaint, beside its own erase models.

    python -m glcic_hub.integrations.iopaint start --model=glcic-scenes

is IOPaint's own command line, which then knows them, and the flags of `glcic inpaint` that say how holes are filled
(`--texture none`). Other programs call `register()` before they make a ModelManager.
Of what IOPaint pins, old releases of diffusers among them, nothing is used but huggingface_hub.
"""

import argparse
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

from glcic_hub.cli.options import add_fill_options, fill_options_of
from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import DEFAULTS, FillOptions
from glcic_hub.images import paste
from glcic_hub.model import GLCICModel, embedded_models


class GLCIC(InpaintModel):
    """What the models have in common; `register` makes a class of each, with the model's `name` and its `options`."""

    is_erase_model = True  # listed with the models that take no prompt

    @staticmethod
    def is_downloaded() -> bool:
        """Always: the models come with the package."""
        return True

    def init_model(self, device, **kwargs) -> None:
        """Load the weights; the other arguments are for diffusion models."""
        self.completer = Completer(GLCICModel.from_pretrained(self.name), device)

    def __call__(self, image: np.ndarray, mask: np.ndarray, config) -> np.ndarray:
        """Complete one image, at its own size: of the request, nothing but image and mask is used.

        IOPaint's strategies for large images (cropping, resizing) are left out, because the completer shows the
        network the surroundings of each hole alone.

        Args:
            image: uint8 (H, W, 3), RGB.
            mask: uint8 (H, W) or (H, W, 1), above 127 = fill.
            config: IOPaint's InpaintRequest.

        Returns:
            uint8 (H, W, 3), BGR as IOPaint wants it; the known pixels are those of `image`, which stays as it is.
        """
        bool_mask = mask.reshape(mask.shape[:2]) > 127
        return paste(image, *fill(self.completer, image, bool_mask, self.options))[..., ::-1]


def register(options: FillOptions = DEFAULTS) -> list[str]:
    """Make IOPaint know the embedded models; returns their names. Calling it again changes the options alone.

    Args:
        options: how they fill holes.
    """
    names = embedded_models()
    for name in names:
        models[name] = type(name, (GLCIC,), {"name": name, "options": options})
        if name not in AVAILABLE_MODELS:
            AVAILABLE_MODELS.append(name)  # what the help of the command line lists
    return names


if __name__ == "__main__":
    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_fill_options(ours)
    args, sys.argv[1:] = ours.parse_known_args()  # what is left is IOPaint's
    register(fill_options_of(args))
    entry_point()
