"""Holes, losses and patches against plain loops and NumPy."""

import numpy as np
import pytest
import torch

from glcic_hub.network import Discriminator
from tests.train.runs import settings
from train.losses import completion_loss, composite, gradient_penalty, local_patches, random_holes, real_or_fake_loss


def random_batch(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def random_masks(count: int, size: int) -> torch.Tensor:
    """Masks whose holes differ in size."""
    masks = torch.zeros(count, 1, size, size)
    for index in range(count):
        masks[index, :, index : 2 * index + 2, 1 : 3 + index] = 1
    return masks


def test_completion_loss_is_the_mean_squared_error_of_all_hole_samples():
    completed, image, masks = random_batch(3, 3, 8, 8), random_batch(3, 3, 8, 8, seed=1), random_masks(3, 8)
    total, count = 0.0, 0
    for b, c, y, x in np.ndindex(3, 3, 8, 8):
        if masks[b, 0, y, x]:
            total += (completed[b, c, y, x].item() - image[b, c, y, x].item()) ** 2
            count += 1
    assert completion_loss(completed, image, masks).item() == pytest.approx(total / count, rel=1e-5)


def test_completion_loss_can_be_the_mean_absolute_error():
    completed, image, masks = random_batch(3, 3, 8, 8), random_batch(3, 3, 8, 8, seed=1), random_masks(3, 8)
    where = masks.bool().expand(-1, 3, -1, -1).numpy()
    expected = np.abs(completed.numpy()[where] - image.numpy()[where]).mean()
    assert completion_loss(completed, image, masks, loss_type="l1").item() == pytest.approx(expected, rel=1e-5)


def test_composite_takes_the_hole_from_the_network_and_the_rest_from_the_picture():
    image, completed, masks = random_batch(2, 3, 8, 8), random_batch(2, 3, 8, 8, seed=1), random_masks(2, 8)
    result = composite(image, completed, masks)
    hole = masks.bool().expand(-1, 3, -1, -1)
    assert torch.equal(result[hole], completed[hole])
    assert torch.equal(result[~hole], image[~hole])


PATCH_BOXES = {  # top, left, height, width of the hole in a 12 x 16 picture -> top, left of the 6 px patch
    "middle": ((4, 7, 3, 2), (2, 5)),
    "as large as the patch": ((3, 8, 6, 6), (3, 8)),
    "top left": ((0, 0, 4, 4), (0, 0)),
    "bottom right": ((8, 12, 4, 4), (6, 10)),
    "left": ((5, 1, 2, 2), (3, 0)),
    "bottom": ((11, 8, 1, 1), (6, 5)),
}


def test_local_patches_are_centred_on_the_holes_and_stay_inside():
    images = random_batch(len(PATCH_BOXES), 3, 12, 16)
    boxes = torch.tensor([box for box, _ in PATCH_BOXES.values()])
    patches = local_patches(images, boxes, 6)
    for index, (_, (top, left)) in enumerate(PATCH_BOXES.values()):
        assert torch.equal(patches[index], images[index, :, top : top + 6, left : left + 6])


def test_gradients_flow_back_through_local_patches():
    images = random_batch(len(PATCH_BOXES), 3, 12, 16).requires_grad_()
    weights = random_batch(len(PATCH_BOXES), 3, 6, 6, seed=1)
    (local_patches(images, torch.tensor([box for box, _ in PATCH_BOXES.values()]), 6) * weights).sum().backward()
    expected = torch.zeros_like(images)
    for index, (_, (top, left)) in enumerate(PATCH_BOXES.values()):
        expected[index, :, top : top + 6, left : left + 6] = weights[index]
    assert torch.equal(images.grad, expected)


def test_real_or_fake_loss_is_the_binary_cross_entropy():
    logits = torch.tensor([[-3.0], [0.0], [0.7], [4.0]])
    probability = 1 / (1 + np.exp(-logits.numpy()))
    assert real_or_fake_loss(logits, real=True).item() == pytest.approx(-np.log(probability).mean(), rel=1e-5)
    assert real_or_fake_loss(logits, real=False).item() == pytest.approx(-np.log(1 - probability).mean(), rel=1e-5)
    assert torch.isfinite(real_or_fake_loss(torch.tensor([[-200.0]]), real=True))


def test_gradient_penalty_is_the_squared_slope_of_the_discriminator():
    images, boxes = random_batch(2, 3, 8, 8), torch.tensor([[0, 0, 2, 2], [3, 2, 4, 4]])
    weights, patch_weights = random_batch(3, 8, 8, seed=1), random_batch(3, 4, 4, seed=2)

    def squares(image: torch.Tensor, patch: torch.Tensor) -> torch.Tensor:
        return (image**2 * weights).sum((1, 2, 3)) + (patch * patch_weights).sum((1, 2, 3))

    slopes = 2 * images * weights
    slopes[0, :, 0:4, 0:4] += patch_weights  # the first patch is moved inside the picture
    slopes[1, :, 3:7, 2:6] += patch_weights
    expected = (slopes**2).sum() / 2
    assert gradient_penalty(squares, images, boxes, 4).item() == pytest.approx(expected.item())
    assert not images.requires_grad


def test_gradient_penalty_flattens_the_discriminator():
    discriminator = Discriminator(16, 8, base_channels=4)
    images, boxes = random_batch(4, 3, 16, 16), torch.tensor([[4, 4, 4, 4]] * 4)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-2)
    penalties = []
    for _ in range(20):
        penalty = gradient_penalty(discriminator, images, boxes, 8)
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
        penalties.append(penalty.item())
    assert penalties[-1] < penalties[0] / 2


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_holes_are_rectangles_or_strokes_within_their_boxes(share):
    args = settings("--preset", "modern", "--free_form_share", str(share))
    masks, boxes = random_holes(args, 200, [1, 2])
    again, _ = random_holes(args, 200, [1, 2])
    other, _ = random_holes(args, 200, [1, 3])
    assert torch.equal(masks, again) and not torch.equal(masks, other)
    assert masks.shape == (200, 1, 64, 64) and set(masks.unique().tolist()) == {0.0, 1.0}
    full_boxes = 0
    for mask, (top, left, height, width) in zip(masks[:, 0], boxes.tolist()):
        inside = mask[top : top + height, left : left + width]
        assert inside.sum() == mask.sum() > 0
        full_boxes += bool(inside.all())
    assert full_boxes / 200 == pytest.approx(1 - share, abs=0.1)


def test_silhouettes_lie_in_rectangles_of_the_size_that_is_asked_for():
    args = settings("--preset", "modern", "--free_form_share", "0.25", "--silhouette_share", "0.5")
    masks, boxes = random_holes(args, 200, [1, 2])
    plain, plain_boxes = random_holes(settings("--preset", "modern", "--free_form_share", "0.25"), 200, [1, 2])
    shares = []
    for mask, box, rectangle, other in zip(masks[:, 0], boxes.tolist(), plain[:, 0], plain_boxes.tolist(), strict=True):
        top, left, height, width = box
        inside = mask[top : top + height, left : left + width]
        assert inside.sum() == mask.sum() and all(side.any() for side in (inside[0], inside[-1], *inside.T[[0, -1]]))
        if other == box and rectangle.sum() == height * width:  # no strokes
            shares.append(inside.mean().item())
    assert len(shares) / 200 == pytest.approx(0.75, abs=0.1)
    assert np.mean(np.array(shares) < 1) == pytest.approx(2 / 3, abs=0.1) and min(shares) > 0.25


def test_loss_of_parts_is_the_loss_of_the_whole():
    completed, image, masks = random_batch(4, 3, 8, 8), random_batch(4, 3, 8, 8, seed=1), random_masks(4, 8)
    parts = [slice(0, 4, 2), slice(1, 4, 2)]
    pixels = masks.sum() / 2
    of_parts = [completion_loss(completed[part], image[part], masks[part], pixels) for part in parts]
    assert torch.stack(of_parts).mean().item() == pytest.approx(completion_loss(completed, image, masks).item())


@pytest.mark.parametrize(("strokes", "silhouettes"), [(0, 0), (0.5, 0), (1, 0), (0.3, 0.4)])
def test_processes_draw_together_what_one_draws(strokes, silhouettes):
    args = settings("--preset", "modern", "--free_form_share", str(strokes), "--silhouette_share", str(silhouettes))
    masks, boxes = random_holes(args, 12, [1, 2])
    for process in range(3):
        mine, my_boxes = random_holes(args, 12, [1, 2], (process, 3))
        assert torch.equal(mine, masks[process::3]) and torch.equal(my_boxes, boxes[process::3])
