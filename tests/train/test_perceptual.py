"""The perceptual loss on real photos: what it says of true and blurred fills, where it looks, what it teaches."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data as photos

from train.efficientnet import feature_maps, load_efficientnet
from train.feature_distance import BLOCKS as MEASURED_BLOCKS
from train.feature_distance import feature_distance
from train.losses import composite
from train.perceptual import BLOCKS, load_judge, perceptual_loss


@pytest.fixture(scope="module")
def judge() -> torch.nn.Module:
    return load_judge(torch.device("cpu"))


def tensors(*pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures).astype(np.float32) / 255).permute(0, 3, 1, 2)


PHOTOS = [photos.astronaut()[60:124, 170:234], photos.chelsea()[100:164, 160:224]]
IMAGES = tensors(*PHOTOS)
MASKS = torch.zeros(2, 1, 64, 64)
MASKS[0, :, 16:48, 16:40] = 1
MASKS[1, :, 5:30, 20:60] = 1


def blurred(sigma: float) -> torch.Tensor:
    return composite(IMAGES, tensors(*(ndimage.gaussian_filter(photo, (sigma, sigma, 0)) for photo in PHOTOS)), MASKS)


def test_the_truth_costs_nothing_and_a_stronger_blur_more(judge):
    losses = [perceptual_loss(judge, fake, IMAGES, MASKS).item() for fake in (IMAGES, blurred(1), blurred(4))]
    assert losses[0] == pytest.approx(0, abs=1e-6)
    assert 0.01 < losses[1] < losses[2] < 2


def test_it_is_what_the_feature_distance_defines_on_enlarged_pictures(judge):
    """`feature_distance` measures picture by picture, and is tested against a sum written out cell by cell."""
    fake, sides = blurred(2)[:1], (128, 128)
    large = [torch.nn.functional.interpolate(x, sides, mode="bilinear") for x in (fake, IMAGES[:1])]
    maps = [feature_maps(judge, x, BLOCKS) for x in large]
    mask = MASKS[0, 0].bool().numpy().repeat(2, axis=0).repeat(2, axis=1)
    expected = feature_distance(*maps, mask)
    assert perceptual_loss(judge, fake, IMAGES[:1], MASKS[:1]).item() == pytest.approx(expected, rel=1e-4)


def test_maps_are_halves_quarters_eighths_and_sixteenths(judge):
    sizes = [level.shape[-1] for level in feature_maps(judge, torch.rand(1, 3, 128, 128), BLOCKS)]
    assert sizes == [64, 32, 16, 8]


def test_judge_and_measure_are_different_networks(judge):
    measure = load_efficientnet(0)
    assert len(judge._blocks) > len(measure._blocks) > MEASURED_BLOCKS[-1]


def test_following_its_gradient_sharpens_a_blur_and_leaves_the_judge_alone(judge):
    before = [value.clone() for value in judge.state_dict().values()]
    fill = blurred(3).requires_grad_()
    optimizer = torch.optim.Adam([fill], lr=0.01)
    losses = []
    for _ in range(8):
        loss = perceptual_loss(judge, composite(IMAGES, fill, MASKS), IMAGES, MASKS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert fill.grad[MASKS.expand(-1, 3, -1, -1) == 0].abs().max() == 0
    assert all(torch.equal(old, new) for old, new in zip(before, judge.state_dict().values()))


def test_the_mean_of_two_processes_losses_is_the_loss_of_all_their_pictures(judge):
    fake, hole_pixels = blurred(2), MASKS.sum() / 2
    mine = [perceptual_loss(judge, *(x[n : n + 1] for x in (fake, IMAGES, MASKS)), hole_pixels) for n in (0, 1)]
    assert MASKS[0].sum() != MASKS[1].sum()
    torch.testing.assert_close(sum(mine) / 2, perceptual_loss(judge, fake, IMAGES, MASKS))
