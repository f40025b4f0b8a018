"""A ComfyUI node that completes pictures under masks.

ComfyUI finds it by a file `custom_nodes/glcic.py` with this line:

    from glcic_hub.integrations.comfyui import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
"""

import functools

import torch

from glcic_hub.blending import BLENDS
from glcic_hub.completion import TEXTURES, Completer
from glcic_hub.integrations.tensors import completed
from glcic_hub.model import DEFAULT_NAME, GLCICModel, embedded_models

NONE = "none"
"""How the menus show None."""


class GLCICInpaint:
    """The node, in the form that ComfyUI asks of classes."""

    DESCRIPTION = "Fills the masked part of pictures on the CPU or GPU; every other pixel stays exactly as it is."
    CATEGORY = "image/inpaint"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "complete"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        """The node's inputs, as ComfyUI wants them described."""
        return {
            "required": {
                "image": ("IMAGE",),
                "mask": ("MASK", {"tooltip": "1 = fill; one for each picture, or one for all"}),
                "model": (embedded_models(), {"default": DEFAULT_NAME}),
                "working_size": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 4096,
                        "tooltip": "larger holes are shown to the network reduced to this size (pixels); 0 = automatic",
                    },
                ),
                "blend": (
                    [blend or NONE for blend in BLENDS],
                    {"default": "poisson", "tooltip": "how the fill is made to meet the known pixels"},
                ),
                "texture": (
                    [texture or NONE for texture in TEXTURES],
                    {"default": NONE, "tooltip": "photo: fine detail from the known parts of the photo; suits nature"},
                ),
            }
        }

    def complete(
        self, image: torch.Tensor, mask: torch.Tensor, model: str, working_size: int, blend: str, texture: str
    ) -> tuple[torch.Tensor]:
        """Complete a batch.

        Args:
            image: float (B, H, W, C), RGB in [0, 1]; channels after the third (alpha) are not touched.
            mask: float (B, H, W) or (H, W), from 0.5 on = fill. One of image and mask may be a single one for all.
            model, working_size, blend, texture: as `INPUT_TYPES` lists them.

        Returns:
            The pictures (B, H, W, C), new tensors of the type of `image`, in a tuple.

        Raises:
            ValueError: the mask covers a whole picture, or the sizes or numbers of pictures and masks do not agree.
        """
        fill = mask.reshape(-1, *mask.shape[-2:]).to(image.device) >= 0.5
        if fill.shape[1:] != image.shape[1:3]:
            sizes = [f"{width}x{height}" for height, width in (fill.shape[1:], image.shape[1:3])]
            raise ValueError(
                f"the mask is {sizes[0]} and the image {sizes[1]} (width x height): connect a mask of the image's size "
                "(Load Image gives one of 64x64 when nothing is masked)"
            )
        if len(fill) != len(image) and 1 not in (len(fill), len(image)):
            raise ValueError(
                f"got {len(fill)} masks for {len(image)} images; give one for each image, or a single one for all"
            )
        options = {
            "working_size": working_size or None,
            "blend": None if blend == NONE else blend,
            "texture": None if texture == NONE else texture,
        }
        completer = _completer(model)
        count = max(len(fill), len(image))
        pairs = zip(image.expand(count, -1, -1, -1), fill.expand(count, -1, -1))
        colours = torch.stack([completed(completer, picture[..., :3], own, **options) for picture, own in pairs])
        return (torch.cat([colours, image[..., 3:].expand(count, -1, -1, -1)], dim=-1),)


@functools.cache
def _completer(name: str) -> Completer:
    """An embedded model, loaded once and kept."""
    return Completer(GLCICModel.from_pretrained(name), "cuda" if torch.cuda.is_available() else "cpu")


NODE_CLASS_MAPPINGS = {"GLCICInpaint": GLCICInpaint}
NODE_DISPLAY_NAME_MAPPINGS = {"GLCICInpaint": "Inpaint (GLCIC)"}
