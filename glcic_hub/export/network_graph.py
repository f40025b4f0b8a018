"""The completion network as ONNX nodes: `network.complete_batch`, with batch normalisation folded."""

import numpy as np
import torch
from torch import nn

from glcic_hub.export.graph import Graph, sides
from glcic_hub.network import SIZE_MULTIPLE, CompletionNetwork, fold_batchnorm


def add_completion(
    op: Graph, network: CompletionNetwork, mean: torch.Tensor, image: str, mask: str, precision: str
) -> str:
    """Append what `complete_batch` does.

    Args:
        op: the graph.
        network: as trained; its batch normalisations are folded here.
        mean: (3,), in [0, 1].
        image: name of a float32 (B, 3, H, W), RGB in [0, 1], any size.
        mask: name of a float32 (B, 1, H, W), 1 = fill, 0 = known.
        precision: of the weights, one of `PRECISIONS`.

    Returns:
        The name of the result, float32 (B, 3, H, W), RGB in [0, 1].
    """
    size = sides(op, image)
    # The border is repeated up to the next multiple of 4. Mod has the sign of its divisor, as in Python.
    pads = op.Concat([0] * 6, op.Mod(op.Neg(size), SIZE_MULTIPLE), axis=0)
    image, mask = (op.Pad(value, pads, mode="edge") for value in (image, mask))
    minus_mean = op.Sub(image, mean.float().cpu().numpy().reshape(1, 3, 1, 1))
    blanked = op.Where(op.cast(mask, "bool"), 0.0, minus_mean)
    x = op.Concat(blanked, mask, axis=1)
    half = precision == "fp16"
    if half:
        x = op.cast(x, "float16")
    folded = fold_batchnorm(network).float().cpu()
    for index, block in enumerate(folded.blocks):
        x = op.Relu(_convolution(op, block[0], x, f"blocks.{index}", precision))
    x = _convolution(op, folded.output, x, "output", precision)
    if half:
        x = op.cast(x, "float32")
    return op.Slice(op.Sigmoid(x), [0, 0], size, [2, 3])


def _convolution(op: Graph, layer: nn.Conv2d | nn.ConvTranspose2d, x: str, name: str, precision: str) -> str:
    transposed = isinstance(layer, nn.ConvTranspose2d)
    weight = _weight(op, layer.weight.numpy(), f"{name}.weight", 1 if transposed else 0, precision)
    bias = layer.bias.numpy().astype(np.float16 if precision == "fp16" else np.float32)
    add = op.ConvTranspose if transposed else op.Conv
    return add(
        x,
        weight,
        op.constant(bias, f"{name}.bias"),
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        dilations=layer.dilation,
        pads=2 * layer.padding,
    )


def _weight(op: Graph, weight: np.ndarray, name: str, channel_axis: int, precision: str) -> str:
    if precision == "fp16":
        return op.constant(weight.astype(np.float16), name)
    if precision == "fp32":
        return op.constant(weight, name)
    others = tuple(axis for axis in range(weight.ndim) if axis != channel_axis)
    scale = np.abs(weight).max(axis=others, keepdims=True) / 127
    quantized = np.rint(weight / np.maximum(scale, 1e-12)).astype(np.int8)
    stored = op.constant(quantized, name)
    return op.DequantizeLinear(stored, op.constant(scale.reshape(-1), f"{name}.scale"), axis=channel_axis)
