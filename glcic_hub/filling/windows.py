"""The completion network on holes alone: the same output as on the whole input, for a part of the work.

An output pixel depends on a range of input pixels only (about 150 px to each side at the paper's architecture), and the
layers near the output see little more than the pixel itself. `layer_ranges` works from a window of wanted outputs
backwards through the layers to the range that each layer has to compute; `complete_window` runs every layer on its
range, with the network's own zero padding where the range meets the input's border and none elsewhere. Kernel, stride,
padding and dilation are read off the modules.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional as F

from glcic_hub.network import CompletionNetwork, padded_input

Window = tuple[slice, slice]
"""Rows and columns, with start and stop."""

WINDOW_OVERHEAD = 2e8
"""What starting one more window costs beside its arithmetic, in FLOPs (about a millisecond on two CPU cores)."""


class Span(NamedTuple):
    """A range of positions along one axis of a feature map."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class LayerRanges(NamedTuple):
    """What one layer has to compute.

    Attributes:
        outputs: rows and columns of the layer's own feature map that are wanted.
        inputs: rows and columns of the feature map before it that this takes, inside that map.
    """

    outputs: tuple[Span, Span]
    inputs: tuple[Span, Span]


def layer_ranges(network: CompletionNetwork, size: tuple[int, int], window: Window) -> list[LayerRanges]:
    """Work backwards from a window of wanted output pixels to the ranges of each layer, first layer first.

    Args:
        network: the network, as trained or folded.
        size: (height, width) of the input, multiples of 4.
        window: the wanted output pixels; not empty, inside the input.
    """
    layers = _convolutions(network)
    sizes = [size]
    for layer in layers:
        sizes.append(tuple(_output_length(layer, axis, length) for axis, length in enumerate(sizes[-1])))
    ranges = []
    wanted = tuple(Span(side.start, side.stop) for side in window)
    for layer, layer_size in zip(reversed(layers), reversed(sizes[:-1])):
        inputs = tuple(_needed(layer, axis, wanted[axis], layer_size[axis]) for axis in (0, 1))
        ranges.append(LayerRanges(wanted, inputs))
        wanted = inputs
    return ranges[::-1]


def flops(network: CompletionNetwork, size: tuple[int, int], window: Window) -> int:
    """Floating-point operations (two for each multiply-add) of the convolutions for one window of one picture."""
    total = 0
    for layer, of_layer in zip(_convolutions(network), layer_ranges(network, size, window)):
        # each output of a convolution, and each input of a transposed one, meets the whole kernel
        positions = of_layer.inputs if isinstance(layer, nn.ConvTranspose2d) else of_layer.outputs
        total += 2 * layer.weight.numel() * len(positions[0]) * len(positions[1])
    return total


def complete_window(network: CompletionNetwork, x: torch.Tensor, window: Window) -> torch.Tensor:
    """Compute `network(x)[..., rows, columns]` without computing the rest.

    Args:
        network: in eval mode, as trained or folded.
        x: (B, 4, H, W), as `CompletionNetwork.forward` takes it.
        window: rows and columns of the wanted output.

    Returns:
        (B, 3, rows, columns), RGB in [0, 1], float32 whatever the network computes in: the sigmoid is taken there, so
        that a short mantissa leaves no steps in smooth areas.
    """
    ranges = layer_ranges(network, x.shape[-2:], window)
    rows, columns = ranges[0].inputs
    x = x[..., rows.start : rows.stop, columns.start : columns.stop]
    for (layer, after), of_layer in zip(_layers(network), ranges):
        x = after(_run(layer, x, of_layer))
    return torch.sigmoid(x.float())


def complete_holes(
    network: CompletionNetwork,
    image: torch.Tensor,
    mask: torch.Tensor,
    mean: torch.Tensor,
    wanted: torch.Tensor | None = None,
    complete: Callable[[CompletionNetwork, torch.Tensor, Window], torch.Tensor] = complete_window,
) -> torch.Tensor:
    """Complete a picture of any size as `network.complete_batch` does, computing the hole alone.

    Args:
        network: in eval mode, as trained or folded.
        image: (1, 3, H, W), RGB in [0, 1], any H and W; values under the mask are not looked at.
        mask: (1, 1, H, W), 1 = fill, 0 = known, in the dtype of `image`.
        mean: (3,), the mean colour of the training pictures, in [0, 1].
            All three of one type, which need not be the network's.
        wanted: (1, 1, H, W), not 0 where the completion is needed; under the whole mask without it.
        complete: computes a window; `complete_window`, or that compiled.

    Returns:
        (1, 3, H, W), of the type of `image`, RGB in [0, 1] where wanted; what is elsewhere has no meaning.
    """
    wanted = mask if wanted is None else wanted
    x = padded_input(image, mask, mean).to(network.output.weight.dtype)
    result = torch.zeros_like(image)
    for window in choose_windows(network, x.shape[-2:], wanted[0, 0].cpu().numpy() > 0):
        result[(..., *window)] = complete(network, x, window)
    return result


def choose_windows(network: CompletionNetwork, size: tuple[int, int], wanted: np.ndarray) -> list[Window]:
    """Cover pixels with windows: one around each connected piece, joined where one around two or all is cheaper.

    Args:
        network: the network that the costs are reckoned for.
        size: (height, width) of the input.
        wanted: bool, the pixels to cover, from the input's upper left corner on.
    """

    @functools.cache
    def cost(window: tuple[int, int, int, int]) -> float:
        top, bottom, left, right = window
        return flops(network, size, (slice(top, bottom), slice(left, right))) + WINDOW_OVERHEAD

    labels, _ = ndimage.label(wanted, structure=np.ones((3, 3)))
    windows = [(r.start, r.stop, c.start, c.stop) for r, c in ndimage.find_objects(labels)]
    joined = True
    while joined:
        windows, joined = _join_once(windows, cost)
    if windows:
        tops, bottoms, lefts, rights = zip(*windows)
        around_all = min(tops), max(bottoms), min(lefts), max(rights)
        if sum(map(cost, windows)) > cost(around_all):
            windows = [around_all]
    return [(slice(top, bottom), slice(left, right)) for top, bottom, left, right in windows]


def _join_once(windows: Iterable[tuple], cost) -> tuple[list[tuple], bool]:
    """Go through the windows once, joining each with the first of those kept that this makes cheaper."""
    kept, joined = [], False
    for window in windows:
        for index, other in enumerate(kept):
            union = tuple(pick(pair) for pick, pair in zip((min, max, min, max), zip(window, other)))
            if cost(union) <= cost(window) + cost(other):
                kept[index], joined = union, True
                break
        else:
            kept.append(window)
    return kept, joined


def _convolutions(network: CompletionNetwork) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [*(conv for conv, *_ in network.blocks), network.output]


def _layers(network: CompletionNetwork) -> Iterator[tuple[nn.Conv2d | nn.ConvTranspose2d, nn.Module]]:
    """The convolutions in order, each with what follows it (normalisation, activation) and looks at single pixels."""
    for conv, *after in network.blocks:
        yield conv, nn.Sequential(*after)
    yield network.output, nn.Identity()


def _output_length(layer: nn.Conv2d | nn.ConvTranspose2d, axis: int, length: int) -> int:
    stride, padding, reach = _geometry(layer, axis)
    if isinstance(layer, nn.ConvTranspose2d):
        return (length - 1) * stride - 2 * padding + reach + 1
    return (length + 2 * padding - reach - 1) // stride + 1


def _needed(layer: nn.Conv2d | nn.ConvTranspose2d, axis: int, wanted: Span, length: int) -> Span:
    """The inputs, of `length` there are, that some wanted outputs depend on."""
    stride, padding, reach = _geometry(layer, axis)
    if isinstance(layer, nn.ConvTranspose2d):  # input i reaches outputs i * stride - padding + (0 to reach)
        start = -((reach - padding - wanted.start) // stride)  # rounded up
        stop = (wanted.stop - 1 + padding) // stride + 1
    else:  # output o is reached by inputs o * stride - padding + (0 to reach)
        start = wanted.start * stride - padding
        stop = (wanted.stop - 1) * stride - padding + reach + 1
    return Span(max(start, 0), min(stop, length))


def _run(layer: nn.Conv2d | nn.ConvTranspose2d, x: torch.Tensor, ranges: LayerRanges) -> torch.Tensor:
    """Run a layer on its range of inputs, which `x` holds, for its range of outputs."""
    if isinstance(layer, nn.ConvTranspose2d):
        full = F.conv_transpose2d(x, layer.weight, layer.bias, layer.stride, dilation=layer.dilation)
        parts = []
        for axis, (outputs, inputs) in enumerate(zip(ranges.outputs, ranges.inputs)):
            stride, padding, _ = _geometry(layer, axis)
            first = outputs.start + padding - inputs.start * stride
            parts.append(slice(first, first + len(outputs)))
        return full[(..., *parts)]
    missing = []  # zeros beyond the input's border: left, right, top, bottom, as F.pad takes them
    for axis in (1, 0):
        stride, padding, reach = _geometry(layer, axis)
        outputs, inputs = ranges.outputs[axis], ranges.inputs[axis]
        first = outputs.start * stride - padding
        last = (outputs.stop - 1) * stride - padding + reach
        missing += [inputs.start - first, last + 1 - inputs.stop]
    left, right, top, bottom = missing
    padding = min(top, bottom), min(left, right)
    beyond = [left - padding[1], right - padding[1], top - padding[0], bottom - padding[0]]
    if any(beyond):  # the convolution pads alike on both sides only, but need not multiply with what it pads
        x = F.pad(x, beyond)
    return F.conv2d(x, layer.weight, layer.bias, layer.stride, padding, layer.dilation)


def _geometry(layer: nn.Conv2d | nn.ConvTranspose2d, axis: int) -> tuple[int, int, int]:
    """Stride, padding, and the distance from the first to the last position under the dilated kernel."""
    return layer.stride[axis], layer.padding[axis], layer.dilation[axis] * (layer.kernel_size[axis] - 1)
