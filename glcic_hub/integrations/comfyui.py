"""A ComfyUI node that completes images under masks.

ComfyUI finds it by a file `custom_nodes/glcic.py` with this line:

    from glcic_hub.integrations.comfyui import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
"""

from dataclasses import Field, fields
from typing import Any

import torch

from glcic_hub.filling.completer import completer_of
from glcic_hub.filling.options import NONE, FillOptions, choice_names
from glcic_hub.integrations.tensors import complete_tensor
from glcic_hub.model import DEFAULT_NAME, embedded_models

AUTOMATIC = -1
"""How the inputs write a number of pixels that is not given."""


class GLCICInpaint:
    """The node, in the form that ComfyUI asks of classes."""

    DESCRIPTION = "Fills the masked part of images on the CPU or GPU; every other pixel stays exactly as it is."
    CATEGORY = "image/inpaint"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "complete"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        """The node's inputs, as ComfyUI wants them described."""
        return {
            "required": {
                "image": ("IMAGE",),
                "mask": ("MASK", {"tooltip": "1 = fill; one for each image, or one for all"}),
                "model": (embedded_models(), {"default": DEFAULT_NAME}),
                **{option.name: _input(option) for option in fields(FillOptions)},
            }
        }

    def complete(self, image: torch.Tensor, mask: torch.Tensor, model: str, **options) -> tuple[torch.Tensor]:
        """Complete a batch.

        Args:
            image: float (B, H, W, C), RGB in [0, 1]; channels after the third are not touched. The fourth
                is alpha: what is transparent has no influence.
            mask: float (B, H, W) or (H, W), from 0.5 on = fill. One of image and mask may be a single one for all.
            model: the name of an embedded model.
            **options: the fields of `FillOptions`, in the form of `INPUT_TYPES`.

        Returns:
            The images (B, H, W, C), new tensors of the type of `image`, in a tuple.

        Raises:
            ValueError: the mask covers a whole image, or the sizes or numbers of images and masks do not agree.
        """
        masks = mask.reshape(-1, *mask.shape[-2:]).to(image.device) >= 0.5
        if masks.shape[1:] != image.shape[1:3]:
            sizes = [f"{width}x{height}" for height, width in (masks.shape[1:], image.shape[1:3])]
            raise ValueError(
                f"the mask is {sizes[0]} and the image {sizes[1]} (width x height): connect a mask of the image's size "
                "(Load Image gives one of 64x64 when nothing is masked)"
            )
        if len(masks) != len(image) and 1 not in (len(masks), len(image)):
            raise ValueError(
                f"got {len(masks)} masks for {len(image)} images; give one for each image, or a single one for all"
            )
        values: dict[str, Any] = {
            name: None if value in (NONE, AUTOMATIC) else value for name, value in options.items()
        }
        how = FillOptions(**values)
        completer = completer_of(model)
        count, channels = max(len(masks), len(image)), image.shape[-1]
        pairs = zip(image.expand(count, -1, -1, -1), masks.expand(count, -1, -1))
        completed = [
            complete_tensor(completer, picture[..., :3], own, how, alpha=picture[..., 3] if channels > 3 else None)
            for picture, own in pairs
        ]
        return (torch.cat([torch.stack(completed), image[..., 3:].expand(count, -1, -1, -1)], dim=-1),)


def _input(option: Field) -> tuple:
    """One of the `FillOptions` as ComfyUI wants an input described."""
    tooltip = option.metadata["help"]
    if "choices" in option.metadata:
        names = choice_names(option)
        return names, {"default": names[0], "tooltip": tooltip}
    least, most = option.metadata["range"]
    if option.default is not None:
        return "INT", {"default": option.default, "min": least, "max": most, "tooltip": tooltip}
    return "INT", {"default": AUTOMATIC, "min": AUTOMATIC, "max": most, "tooltip": f"{tooltip}; {AUTOMATIC} = without"}


NODE_CLASS_MAPPINGS = {"GLCICInpaint": GLCICInpaint}
NODE_DISPLAY_NAME_MAPPINGS = {"GLCICInpaint": "Inpaint (GLCIC)"}
