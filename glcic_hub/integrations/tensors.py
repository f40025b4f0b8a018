"""What the tools that hand over tensors have in common."""

import torch

from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import DEFAULTS, FillOptions


def complete_tensor(
    completer: Completer,
    image: torch.Tensor,
    mask: torch.Tensor,
    options: FillOptions = DEFAULTS,
    alpha: torch.Tensor | None = None,
) -> torch.Tensor:
    """Complete one image that is a tensor.

    Args:
        completer: the model, made ready.
        image: float (H, W, 3), RGB in [0, 1], in any precision. What lies under the mask has no influence.
        mask: bool (H, W), True = fill.
        options: how holes are filled.
        alpha: float (H, W); what is nowhere seen (0) has no influence either.

    Returns:
        A new tensor of the shape, type and device of `image`, with the same samples outside the mask (as it has grown).

    Raises:
        ValueError: the mask covers the whole image.
    """
    picture = image.float().clamp(0, 1).cpu().numpy()
    hidden = None if alpha is None else (alpha <= 0).cpu().numpy()
    values, filled = map(torch.from_numpy, fill(completer, picture, mask.cpu().numpy(), options, hidden=hidden))
    return torch.where(filled[..., None].to(image.device), values.to(image), image)
