"""What the tools that hand over tensors have in common."""

import torch

from glcic_hub.completion import Completer


def completed(completer: Completer, image: torch.Tensor, fill: torch.Tensor, **options) -> torch.Tensor:
    """Complete one picture that is a tensor.

    Args:
        completer: the model, made ready.
        image: float (H, W, 3), RGB in [0, 1]; the network sees it in 8 bits. What lies under `fill` has no influence.
        fill: bool (H, W), True = fill.
        **options: those of `Completer.__call__`.

    Returns:
        A new tensor of the shape, type and device of `image`, with the same samples outside `fill`.

    Raises:
        ValueError: `fill` covers the whole picture.
    """
    rgb = (image.float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    filled = torch.from_numpy(completer(rgb, fill.cpu().numpy(), **options)).to(image)
    return torch.where(fill[..., None], filled, image)
