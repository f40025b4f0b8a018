"""Learning from one photo: what it learns from, what stays as it is, and what it costs."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from glcic_hub import adaptation
from glcic_hub.adaptation import TooLittleKnown, adapted
from glcic_hub.completion import Completer
from glcic_hub.network import fold_batchnorm, network_input
from tests.random_models import MEAN, SAMPLE_SIZE, random_model

MODEL = random_model()
MODEL.compute_dtype = torch.float32
HEIGHT, WIDTH = 70, 90


def photo(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def box(rows: slice, columns: slice, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    return mask


MASKS = {
    "small": box(slice(20, 30), slice(30, 42)),
    "large": box(slice(15, 55), slice(20, 65)),
    "at the border": box(slice(0, 30), slice(50, WIDTH)),
    "two": box(slice(5, 15), slice(5, 15)) | box(slice(40, 52), slice(60, 70)),
    "line": box(slice(30, 32), slice(0, WIDTH)),
    "noise": np.random.default_rng(3).random((HEIGHT, WIDTH)) < 0.3,
}
each_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())


def learned(mask: np.ndarray, rgb: np.ndarray | None = None, steps: int = 2, model=MODEL, **options) -> list:
    """The tensors of the network that has learned."""
    own = adapted(Completer(model), photo() if rgb is None else rgb, mask, steps, **options)
    return list(own.network.parameters())


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) > 0 and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(one, other))


class Watched:
    """Notes every batch that is learned from: crops, what is known of them, and their new holes."""

    def __init__(self, monkeypatch):
        self.batches = []
        real = adaptation._batch

        def batch(*arguments):
            self.batches.append(real(*arguments))
            return self.batches[-1]

        monkeypatch.setattr(adaptation, "_batch", batch)


# What it learns


def test_it_comes_to_know_the_photo(monkeypatch):
    """A red one, which a random network knows nothing of; the seam is left as it is, which would bring the colour."""
    monkeypatch.setattr(adaptation, "LEARNING_RATE", 0.01)  # there is far to go from random weights
    rgb, mask = (photo() // 4 + np.array([190, 20, 40])).astype(np.uint8), MASKS["small"]

    def error(steps: int) -> float:
        return np.abs(adapted(Completer(MODEL), rgb, mask, steps)(rgb, mask, blend=None)[mask] - rgb[mask] / 255).mean()

    assert error(40) < 0.5 * error(0)


def test_each_step_is_adam_on_the_absolute_error_in_the_known_part_of_new_holes(monkeypatch):
    """Written out with torch's Adam; that folding changes nothing is tested elsewhere."""
    watched = Watched(monkeypatch)
    completer, steps = Completer(MODEL), 7
    own = adapted(completer, photo(), MASKS["large"], steps).network
    assert len(watched.batches) == steps

    network = fold_batchnorm(MODEL.network)
    late = ("output", *(f"blocks.{number}." for number in range(10, 16)))  # Table 1 from the last dilated layer on
    learners = [parameter for name, parameter in network.named_parameters() if name.startswith(late)]
    assert len(learners) == 2 * 7
    optimizer = torch.optim.Adam([parameter.requires_grad_(True) for parameter in learners])
    overlaps = 0
    for number, (image, known, hole) in enumerate(watched.batches):
        overlaps += (hole * (1 - known)).any().item()
        shown_as_hole = ((hole == 1) | (known == 0)).float()
        completed = network(network_input(image, shown_as_hole, torch.tensor(MEAN)))
        where = ((hole == 1) & (known == 1)).expand_as(image)
        optimizer.zero_grad()
        F.l1_loss(completed[where], image[where]).backward()
        optimizer.param_groups[0]["lr"] = adaptation._rate(number, steps)
        optimizer.step()
    assert overlaps, "a new hole overlaps the photo's own"
    for one, other, start in zip(own.parameters(), network.parameters(), completer.network.parameters()):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
        assert torch.equal(one, start) != any(other is learner for learner in learners)


@pytest.mark.parametrize("sample_size", [1, 30, 33])
def test_a_model_learns_whatever_the_size_of_its_crops_was(sample_size):
    model = random_model(sample_size=sample_size)
    assert not equal(learned(MASKS["small"], model=model), learned(MASKS["small"], model=model, steps=0))


def test_the_rate_rises_and_falls_to_nothing():
    rates = [adaptation._rate(number, 40) for number in range(40)]
    top = int(np.argmax(rates))
    assert 0 < rates[0] < 0.5 * rates[top] and 0 < top < 10
    assert rates[top] <= adaptation.LEARNING_RATE
    assert all(np.diff(rates[top:]) < 0) and rates[-1] < 0.01 * rates[top]


@each_mask
def test_new_holes_are_about_as_large_as_the_photo_s_own_is_shown(monkeypatch, mask):
    watched = Watched(monkeypatch)
    learned(mask, steps=20)
    largest = max(place.shape.sum() for place in adaptation._places(Completer(MODEL), photo(), mask, None))
    is_rectangle = []
    for image, known, hole in watched.batches:
        assert image.shape[0] == adaptation.BATCH and max(image.shape[2:]) <= SAMPLE_SIZE
        assert ((hole == 0) | (hole == 1)).all() and ((known == 0) | (known == 1)).all()
        for one, where in zip(hole[:, 0], known[:, 0]):
            rows, columns = one.any(dim=1).sum(), one.any(dim=0).sum()
            assert 1 <= one.sum() <= 1.31**2 * largest + 2
            assert (where * one).any() or one.sum() < rows * columns  # a rectangle reaches into what is known
            is_rectangle.append((one.sum() == rows * columns).item())
    assert all(is_rectangle) if mask is not MASKS["noise"] else 0.3 < np.mean(is_rectangle) < 0.7


@pytest.mark.parametrize("working_size", [None, 25])
def test_the_coarsest_scale_is_that_of_the_completion(working_size):
    completer, mask = Completer(MODEL), MASKS["large"]
    (hole,) = completer.holes(mask, working_size)
    (place,) = adaptation._places(completer, photo(), mask, working_size)
    assert hole.scale < 0.7
    np.testing.assert_allclose(place.shape.shape, np.array(hole.mask.shape) * hole.scale, atol=0.5)
    heights = [view.known.shape[2] for view in place.views]
    np.testing.assert_allclose(heights[0], HEIGHT * hole.scale, atol=0.5)
    assert heights == sorted(set(heights)) and heights[-1] <= HEIGHT


def test_strips_give_the_means_of_the_known_pixels():
    rgb, mask = photo(23, 31), MASKS["noise"][:23, :31]
    for block in (1, 2, 5):
        image, share = adaptation._means(rgb, mask, block)
        for y in range(0, 23, block):
            for x in range(0, 31, block):
                part, known = rgb[y : y + block, x : x + block], ~mask[y : y + block, x : x + block]
                assert share[0, 0, y // block, x // block] == pytest.approx(known.mean())
                if known.any():
                    wanted = part[known].mean(axis=0) / 255
                    np.testing.assert_allclose(image[0, :, y // block, x // block], wanted, atol=1e-6)


# What it must not do


@each_mask
def test_what_lies_under_the_mask_has_no_influence(mask):
    before = learned(mask)
    for other in (photo(seed=5), np.zeros_like(photo()), np.full_like(photo(), 255)):
        assert equal(before, learned(mask, np.where(mask[..., None], other, photo())))
    assert not equal(before, learned(mask, np.where(mask[..., None], photo(), photo(seed=5))))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("training", [False, True])
def test_model_and_completer_stay_as_they_are(dtype, training):
    model = copy.deepcopy(MODEL).to(dtype).train(training).requires_grad_(True)
    model.compute_dtype = None
    completer = Completer(model)
    before = [tensor.clone() for tensor in (*model.state_dict().values(), *completer.network.parameters())]
    own = adapted(completer, photo(), MASKS["small"], 2)
    assert equal(before, [*model.state_dict().values(), *completer.network.parameters()])
    assert all(module.training is training for module in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    pairs = list(zip(own.network.parameters(), completer.network.parameters()))
    assert all(a.dtype == b.dtype and a.shape == b.shape for a, b in pairs)
    assert not all(torch.equal(a, b) for a, b in pairs)
    assert not any(parameter.requires_grad for parameter in own.network.parameters())
    assert np.isfinite(own(photo(), MASKS["small"])).all()


def test_the_photo_stays_as_it_is():
    rgb, mask = photo(), MASKS["large"].copy()
    learned(mask, rgb)
    assert np.array_equal(rgb, photo()) and np.array_equal(mask, MASKS["large"])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_learns_whatever_the_caller_s_mode_of_gradients(mode):
    wanted = learned(MASKS["small"])
    with mode():
        assert equal(learned(MASKS["small"]), wanted)


# Chance


def test_the_draws_follow_from_the_generator_alone():
    states = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    plain = learned(MASKS["large"])
    assert equal(plain, learned(MASKS["large"]))
    first, again, other = (learned(MASKS["large"], generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert equal(first, again) and not equal(first, other) and not equal(first, plain)
    assert torch.equal(torch.random.get_rng_state(), states[0]) and np.random.get_state()[1].tolist() == states[1]


def test_a_generator_goes_on_from_photo_to_photo():
    generator = torch.Generator().manual_seed(1)
    assert not equal(*(learned(MASKS["large"], generator=generator) for _ in range(2)))


# Where there is little or nothing to learn


@pytest.mark.parametrize(
    ("mask", "steps"), [(MASKS["small"], 0), (np.zeros((HEIGHT, WIDTH), bool), 5), (np.ones((HEIGHT, WIDTH), bool), 5)]
)
def test_without_steps_a_hole_or_surroundings_the_completer_is_the_same(mask, steps):
    completer = Completer(MODEL)
    assert adapted(completer, photo(), mask, steps) is completer


@pytest.mark.parametrize(
    ("size", "known"),
    [
        ((70, 90), box(slice(0, 3), slice(0, 90))),
        ((12, 14), box(slice(0, 12), slice(0, 12), (12, 14))),
        ((1, 2), box(slice(0, 1), slice(0, 1), (1, 2))),
    ],
)
def test_too_little_known_is_an_error_of_its_own(size, known):
    with pytest.raises(TooLittleKnown, match="too little of the photo is known around the mask.*as it is"):
        adapted(Completer(MODEL), photo(*size), ~known, 2)


@pytest.mark.parametrize("size", [(70, 90), (23, 23), (17, 300), (300, 9)])
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_photos_of_any_size(size, share):
    rgb, mask = photo(*size), np.random.default_rng(1).random(size) < share / 4
    mask[size[0] // 3 : size[0] // 3 + max(1, round(size[0] * share)), : size[1] // 3] = True
    own = adapted(Completer(MODEL), rgb, mask, 2)
    assert not equal(list(own.network.parameters()), list(Completer(MODEL).network.parameters()))
    assert np.isfinite(own(rgb, mask)).all()


# What it costs


def test_the_photo_s_size_does_not_matter():
    """The same surroundings in a much larger photo: the same views, hence the same memory and time."""
    rgb, mask = photo(240, 240), np.pad(MASKS["large"], ((80, 90), (70, 80)))
    ((few,), (same,)) = (
        adaptation._places(Completer(MODEL), np.pad(rgb, (*grown, (0, 0))), np.pad(mask, grown), None)
        for grown in (((0, 0), (0, 0)), ((500, 500), (700, 700)))
    )
    assert np.array_equal(few.shape, same.shape)
    assert len(few.views) > 3 and few.views[0].known.shape[2] < 0.5 * few.views[-1].known.shape[2] < 0.5 * len(rgb)
    for one, other in zip(few.views, same.views, strict=True):
        assert torch.equal(one.image, other.image) and torch.equal(one.known, other.known)


def test_a_hole_of_any_size_is_learned_from_at_a_bounded_number_of_pixels(monkeypatch):
    """Floats are made of a bounded number of pixels, too: the others are added up as integers, strip by strip."""
    sides, floats, real = [], [], adaptation._means
    monkeypatch.setattr(adaptation, "_means", lambda *args: floats.append(real(*args)[0].shape[2]) or real(*args))
    for side in (400, 1600):
        mask = box(slice(side // 4, side // 2), slice(side // 4, side // 2), (side, side))
        (place,) = adaptation._places(Completer(MODEL), photo(side, side), mask, None)
        sides.append([view.known.shape[2] for view in place.views])
    assert max(abs(a - b) for a, b in zip(*sides)) <= 2
    assert max(floats) < 4.1 * sides[0][-1] and floats[-1] < 1000


def test_many_and_long_holes_are_learned_from_in_a_bounded_number_of_places():
    mask = np.zeros((600, 600), bool)
    mask[::40, ::40] = True
    mask[np.arange(600), np.arange(600)] = True
    places = adaptation._places(Completer(MODEL), photo(600, 600), mask, None)
    assert len(places) == adaptation.MOST_PLACES
    assert max(max(view.known.shape[2:]) for place in places for view in place.views) <= 4 * 3 * SAMPLE_SIZE + 4


def test_the_steps_can_be_watched():
    seen = []
    learned(MASKS["small"], steps=3, progress=lambda steps: seen.extend(steps) or seen)
    assert seen == [0, 1, 2]
