"""Holes, losses and patches: the formulas of the paper's section 3 and 4 on batches of tensors."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from glcic_hub.masks import bounding_box, random_boxes, random_strokes
from train.silhouettes import random_silhouette

STROKE_WIDTH_SHARES, STROKE_COUNTS = (1 / 20, 1 / 5), (1, 4)  # widths in units of --resolution


def random_holes(
    args: argparse.Namespace, count: int, seed: list[int], every: tuple[int, int] = (0, 1)
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw M_c or M_d of Algorithm 1: rectangles; in `--free_form_share` of the pictures brush strokes instead, in
    `--silhouette_share` silhouettes that touch all sides of such a rectangle.

    Args:
        args: the settings.
        count: pictures of the step, those of all processes.
        seed: decides the holes.
        every: (first, stride): the holes first, first + stride, ... are returned, the same ones whatever the others
            are. A process takes its own of the step's holes with (its number, number of processes).

    Returns:
        The masks, float32 (B, 1, resolution, resolution), 1 in the holes; and the holes' bounding boxes,
        int64 (B, 4) as top, left, height, width.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    size, sides = (args.resolution, args.resolution), (args.min_hole_size, args.max_hole_size)
    masks, boxes = random_boxes(count, size, sides, args.hole_margin, generator)
    widths = tuple(max(1, round(args.resolution * share)) for share in STROKE_WIDTH_SHARES)
    first, stride = every
    kinds = rng.random(count)
    for index in np.flatnonzero(kinds < args.free_form_share + args.silhouette_share):
        shape_seed = int(rng.integers(2**63))
        if index % stride != first:
            continue
        if kinds[index] < args.free_form_share:
            strokes = random_strokes(size, widths, STROKE_COUNTS, shape_seed)
            masks[index, 0] = torch.from_numpy(strokes)
            boxes[index] = torch.tensor(bounding_box(strokes))
        else:
            top, left, height, width = boxes[index].tolist()
            silhouette = random_silhouette(height, width, shape_seed)
            masks[index, 0, top : top + height, left : left + width] = torch.from_numpy(silhouette)
    return masks[first::stride].float(), boxes[first::stride]


def completion_loss(
    completed: torch.Tensor,
    image: torch.Tensor,
    mask: torch.Tensor,
    hole_pixels: torch.Tensor | None = None,
    loss_type: str = "l2",
) -> torch.Tensor:
    """Equation 2: squared error inside the holes, as a mean over their samples (the paper states no norm).

    Args:
        completed, image: (B, 3, H, W).
        mask: (B, 1, H, W), 1 in the holes.
        hole_pixels: divide by so many pixels instead of those of `mask`: with several processes the mean of theirs, so
            that the mean of their losses is the loss of all pictures together.
        loss_type: "l2", or "l1" for the absolute error instead of the paper's squared one.
    """
    hole_pixels = mask.sum() if hole_pixels is None else hole_pixels
    difference = completed - image
    error = difference.square() if loss_type == "l2" else difference.abs()
    return (error * mask).sum() / (hole_pixels * image.shape[1])


def composite(image: torch.Tensor, completed: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Known pixels from the image, hole pixels from the network: what the discriminators see."""
    return image * (1 - mask) + completed * mask


def local_patches(images: torch.Tensor, boxes: torch.Tensor, size: int) -> torch.Tensor:
    """Cut a (size, size) patch around the centre of each picture's hole, moved inside the picture where it sticks out.

    Args:
        images: (B, C, H, W).
        boxes: (B, 4), each hole's top, left, height, width.
        size: side of the patches, at most H and W.

    Returns:
        (B, C, size, size), differentiable with respect to `images`.
    """
    corners = boxes[:, :2] + boxes[:, 2:] // 2 - size // 2
    offsets = torch.arange(size, device=boxes.device)
    # Plain numbers as bounds: a tensor made here would have to reach the device first, and the step to wait for it.
    rows, columns = (corners[:, axis, None].clamp(0, images.shape[2 + axis] - size) + offsets for axis in (0, 1))
    batch = torch.arange(len(images), device=boxes.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def real_or_fake_loss(logits: torch.Tensor, real: bool) -> torch.Tensor:
    """Binary cross-entropy of the discriminator's logits against one label for all."""
    return F.binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, float(real), dtype=torch.float32))


def gradient_penalty(
    discriminator: nn.Module, image: torch.Tensor, boxes: torch.Tensor, local_size: int
) -> torch.Tensor:
    """R1: the squared norm of the discriminator's gradient at true pictures, a mean over them.

    Not in the paper. It keeps a discriminator that sees few pictures from learning them by heart (Mescheder, Geiger and
    Nowozin, "Which Training Methods for GANs do actually Converge?", ICML 2018, equation 9, there times gamma / 2).

    Args:
        discriminator: (pictures, patches) -> (B, 1) logits.
        image: (B, 3, H, W), true pictures.
        boxes: (B, 4), where their patches are cut; see `local_patches`, through which the gradient goes as well.
        local_size: side of the patches.
    """
    image = image.detach().requires_grad_(True)
    logits = discriminator(image, local_patches(image, boxes, local_size))
    (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3)).mean()
