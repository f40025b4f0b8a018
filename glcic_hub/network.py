"""The networks of the paper: the completion network, the two discriminators, and batch-norm folding.

Iizuka, Simo-Serra, Ishikawa: "Globally and Locally Consistent Image Completion", ACM Transactions on
Graphics 36(4), article 107 (SIGGRAPH 2017). Table 1 is the completion network, Table 2 the discriminators.

This file needs torch alone, so that any tool can carry it.
"""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Layer(NamedTuple):
    """One row of Table 1. `width` is the number of output channels as a multiple of `base_channels`."""

    kind: str  # "conv" (a dilated convolution is a conv whose dilation is above 1) or "deconv"
    width: float
    kernel: int
    stride: int
    dilation: int


COMPLETION_LAYERS = (
    Layer("conv", 1, 5, 1, 1),
    Layer("conv", 2, 3, 2, 1),
    Layer("conv", 2, 3, 1, 1),
    Layer("conv", 4, 3, 2, 1),
    Layer("conv", 4, 3, 1, 1),
    Layer("conv", 4, 3, 1, 1),
    Layer("conv", 4, 3, 1, 2),
    Layer("conv", 4, 3, 1, 4),
    Layer("conv", 4, 3, 1, 8),
    Layer("conv", 4, 3, 1, 16),
    Layer("conv", 4, 3, 1, 1),
    Layer("conv", 4, 3, 1, 1),
    Layer("deconv", 2, 4, 2, 1),
    Layer("conv", 2, 3, 1, 1),
    Layer("deconv", 1, 4, 2, 1),
    Layer("conv", 0.5, 3, 1, 1),
)
"""Layers 1 to 16 of Table 1, each followed by batch normalisation and ReLU. Layer 17, the output, has neither."""

SIZE_MULTIPLE = 4
"""Two stride-2 layers down and two up: height and width of the network's input are multiples of this."""


class CompletionNetwork(nn.Module):
    """The completion network of Table 1: 17 convolutions, 6,072,131 parameters at `base_channels=64`.

    Args:
        base_channels: channels of the first layer (the paper: 64); scales every layer. Even.

    Raises:
        ValueError: `base_channels` is odd or below 2.
    """

    def __init__(self, base_channels: int = 64):
        super().__init__()
        if base_channels < 2 or base_channels % 2:
            raise ValueError(f"base_channels must be an even number from 2 up; got {base_channels}")
        self.base_channels = base_channels
        blocks, channels = [], 4
        for layer in COMPLETION_LAYERS:
            out_channels = int(layer.width * base_channels)
            blocks.append(_conv_bn_relu(layer, channels, out_channels))
            channels = out_channels
        self.blocks = nn.ModuleList(blocks)
        self.output = nn.Conv2d(channels, 3, kernel_size=3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Complete a batch.

        Args:
            x: (B, 4, H, W), H and W multiples of 4. Channels 0 to 2: RGB in [0, 1] minus the training mean,
                zero inside the hole. Channel 3: the mask, 1 inside the hole and 0 elsewhere. `network_input` makes it.

        Returns:
            (B, 3, H, W): RGB in [0, 1], everywhere; only the hole's pixels are meant to be used.

        Raises:
            ValueError: when the shape does not fit.
        """
        if x.ndim != 4 or x.shape[1] != 4 or x.shape[2] % SIZE_MULTIPLE or x.shape[3] % SIZE_MULTIPLE:
            raise ValueError(
                f"the completion network takes (B, 4, H, W) with H and W multiples of {SIZE_MULTIPLE}; "
                f"got {tuple(x.shape)}: pad the image and crop the result"
            )
        for block in self.blocks:
            x = block(x)
        return torch.sigmoid(self.output(x))


def _conv_bn_relu(layer: Layer, in_channels: int, out_channels: int) -> nn.Sequential:
    conv: nn.Module
    if layer.kind == "deconv":
        conv = nn.ConvTranspose2d(in_channels, out_channels, layer.kernel, layer.stride, padding=1)
    else:
        padding = layer.dilation * (layer.kernel // 2)
        conv = nn.Conv2d(in_channels, out_channels, layer.kernel, layer.stride, padding, layer.dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def network_input(image: torch.Tensor, mask: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Build the completion network's input: what lies under the mask does not enter it.

    Args:
        image: (B, 3, H, W), RGB in [0, 1].
        mask: (B, 1, H, W), 1 inside the hole and 0 elsewhere, in the dtype of `image`.
        mean: (3,), the mean colour of the training images, in [0, 1].

    Returns:
        (B, 4, H, W): the image minus the mean with the hole set to 0 (that is, to the mean colour), and the mask.
    """
    known = (image - mean.view(1, 3, 1, 1)).masked_fill(mask.bool(), 0)  # not a product: what is there may be NaN
    return torch.cat([known, mask], dim=1)


def padded_input(image: torch.Tensor, mask: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Build the network's input for images of any size: the border is repeated up to the next multiple of 4.

    The arguments are those of `network_input`; the output is to be cropped to the images' size.
    """
    height, width = image.shape[-2:]
    padding = (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE)
    image, mask = (F.pad(x, padding, mode="replicate") for x in (image, mask))
    return network_input(image, mask, mean)


def complete_batch(
    network: CompletionNetwork, image: torch.Tensor, mask: torch.Tensor, mean: torch.Tensor
) -> torch.Tensor:
    """Complete a batch of images of one size, which may be any.

    Args:
        network: the completion network, as trained or folded.
        image: (B, 3, H, W), RGB in [0, 1], any H and W; values under the mask are not looked at.
        mask: (B, 1, H, W), 1 = fill, 0 = known, in the dtype of `image`.
        mean: (3,), the mean colour of the training images, in [0, 1].

    Returns:
        (B, 3, H, W): RGB in [0, 1]; meant to be used under the mask only.
    """
    height, width = image.shape[-2:]
    return network(padded_input(image, mask, mean))[..., :height, :width]


def fold_batchnorm(network: CompletionNetwork) -> CompletionNetwork:
    """Return a copy for inference whose batch normalisations are folded into the convolutions before them.

    The copy computes the same in eval mode (up to rounding); the network that came in keeps its batch
    normalisations, so that it can be trained further and saved.
    """
    with torch.device("meta"):
        folded = CompletionNetwork(network.base_channels).eval()
    # The values alone: what offloading hangs on modules is neither to be copied nor to be called.
    folded.load_state_dict({key: value.detach().clone() for key, value in network.state_dict().items()}, assign=True)
    folded.requires_grad_(False)
    for block in folded.blocks:
        conv, norm, _ = block
        block[0] = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d))
        block[1] = nn.Identity()
    return folded


DISCRIMINATOR_BRANCHES = ("both", "global", "local")
"""Table 2 has both; the paper's ablations leave one of them out."""


class Discriminator(nn.Module):
    """The context discriminators of Table 2: a global and a local branch with one shared output layer.

    45,063,681 parameters at the paper's 256 px images and 128 px patches. Each branch halves its input by 5x5
    convolutions of stride 2 until the map is as near to 4x4 as halving gets (256: 6 convolutions, 128: 5), so that
    other sizes (160/96 for faces, 64/32) are the same class. Batch normalisation follows every convolution; the fully
    connected layers have none. Table 2 does not name the activation after the 1024-wide layers: ReLU here.

    Args:
        image_size: side of the square images, in pixels.
        local_size: side of the square patch around the hole, in pixels.
        base_channels: channels of the first layer (the paper: 64); scales every layer.
        branches: one of `DISCRIMINATOR_BRANCHES`. With one branch the output layer sees that branch alone, and
            `forward` does not look at the other one's input.

    Raises:
        ValueError: there are no such branches, or a size is too small for them.
    """

    def __init__(self, image_size: int = 256, local_size: int = 128, base_channels: int = 64, branches: str = "both"):
        super().__init__()
        if branches not in DISCRIMINATOR_BRANCHES:
            raise ValueError(f"branches must be one of {', '.join(DISCRIMINATOR_BRANCHES)}; got {branches!r}")
        self.global_branch = DiscriminatorBranch(image_size, base_channels) if branches != "local" else None
        self.local_branch = DiscriminatorBranch(local_size, base_channels) if branches != "global" else None
        features = [branch.features for branch in (self.global_branch, self.local_branch) if branch]
        self.output = nn.Linear(sum(features), 1)

    def forward(self, image: torch.Tensor, patch: torch.Tensor) -> torch.Tensor:
        """Judge images together with their patches.

        Args:
            image: (B, 3, image_size, image_size), RGB in [0, 1].
            patch: (B, 3, local_size, local_size), RGB in [0, 1].

        Returns:
            (B, 1): logits; above 0 means "real". The paper's sigmoid belongs to the loss.
        """
        pairs = ((self.global_branch, image), (self.local_branch, patch))
        return self.output(torch.cat([branch(x) for branch, x in pairs if branch], dim=1))


class DiscriminatorBranch(nn.Module):
    """One column of Table 2: (B, 3, size, size) -> (B, `features`), 1,024 features at `base_channels=64`.

    Raises:
        ValueError: the size is too small.
    """

    def __init__(self, size: int, base_channels: int = 64):
        super().__init__()
        if size < 8:
            raise ValueError(f"a discriminator needs images of at least 8 pixels; got {size}")
        self.size = size
        self.features = 16 * base_channels
        layers, channels, map_size = [], 3, size
        for index in range(round(math.log2(size / 4))):
            out_channels = base_channels * min(2**index, 8)
            layers += [
                nn.Conv2d(channels, out_channels, kernel_size=5, stride=2, padding=2),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            ]
            channels, map_size = out_channels, (map_size + 1) // 2
        self.convolutions = nn.Sequential(*layers)
        self.linear = nn.Linear(channels * map_size * map_size, self.features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, size, size) in [0, 1] to (B, features).

        Raises:
            ValueError: the images have another size.
        """
        if x.shape[1:] != (3, self.size, self.size):
            raise ValueError(f"this branch takes (B, 3, {self.size}, {self.size}); got {tuple(x.shape)}")
        return torch.relu(self.linear(self.convolutions(x).flatten(1)))
