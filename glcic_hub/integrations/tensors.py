"""What the tools that hand over tensors have in common."""

import torch

from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import DEFAULTS, FillOptions


def complete_tensor(
    completer: Completer, image: torch.Tensor, mask: torch.Tensor, options: FillOptions = DEFAULTS
) -> torch.Tensor:
    """Complete one picture that is a tensor.

    Args:
        completer: the model, made ready.
        image: float (H, W, 3), RGB in [0, 1]; the network sees it in 8 bits. What lies under the mask has no influence.
        mask: bool (H, W), True = fill.
        options: how holes are filled.

    Returns:
        A new tensor of the shape, type and device of `image`, with the same samples outside the mask.

    Raises:
        ValueError: the mask covers the whole picture.
    """
    rgb = (image.float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    filled = torch.from_numpy(fill(completer, rgb, mask.cpu().numpy(), options)).to(image)
    return torch.where(mask[..., None], filled, image)
