"""From picture and mask to the fill, against the same steps written out with plain numpy and the unfolded network."""

import copy
import shutil

import numpy as np
import pytest
import torch
from scipy import ndimage

import glcic_hub.filling.fill as fill_module
from glcic_hub.filling import holes, seam
from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill as fill_holes
from glcic_hub.filling.options import FillOptions
from glcic_hub.filling.seam import correct_seam
from glcic_hub.model import GLCICModel
from glcic_hub.network import network_input, padded_input
from tests.random_models import MAX_HOLE_SIZE, MEAN, SAMPLE_SIZE, random_model

MODEL = random_model()
MODEL.compute_dtype = torch.float32  # on every machine
EXACT = copy.deepcopy(MODEL).double()
EXACT.compute_dtype = torch.float64  # in which the plain computation below comes to the same

NOT_PLAIN = lambda frame, box: False  # noqa: E731 - where the network is to be asked, though the picture has one colour


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def hole_mask(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def spoilt(rgb: np.ndarray, where: np.ndarray, seed: int = 9) -> np.ndarray:
    return np.where(where[..., None], photo(*rgb.shape[:2], seed), rgb)


def filled(
    rgb: np.ndarray, mask: np.ndarray, padding: int | None = None, completer: Completer | None = None, **options
) -> np.ndarray:
    options = FillOptions(padding_mask_crop=padding, **options)
    return fill_holes(completer or Completer(MODEL), rgb, mask, options).values


class WatchedCompleter(Completer):
    """Notes every input of its network."""

    def __init__(self, model=MODEL):
        super().__init__(model)
        self.seen, self.wanted = [], []

    def _run(self, image: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        self.seen.append(padded_input(image, mask, self.mean))
        self.wanted.append(wanted[0, 0].numpy() > 0)
        return super()._run(image, mask, wanted)


def shapes_seen(rgb: np.ndarray, mask: np.ndarray, padding: int | None = None) -> list[tuple[int, int]]:
    completer = WatchedCompleter()
    filled(rgb, mask, padding, completer=completer)
    return [tuple(x.shape[2:]) for x in completer.seen]


def plain_fill(rgb: np.ndarray, mask: np.ndarray, view: tuple[slice, slice]) -> np.ndarray:
    """One hole at its own size: show the view, correct the seam."""
    picture = rgb.astype(np.float32) / 255
    height, width = mask[view].shape
    ends = ((0, -height % 4), (0, -width % 4))
    image = np.pad(picture[view], (*ends, (0, 0)), mode="edge").transpose(2, 0, 1)[None]
    hole = np.pad(mask[view], ends, mode="edge")[None, None].astype(np.float32)
    with torch.no_grad():
        x = network_input(torch.from_numpy(image.copy()), torch.from_numpy(hole), torch.tensor(MEAN))
        raw = EXACT.network(x.double())[0].permute(1, 2, 0).float().numpy()[:height, :width]
    whole = np.zeros_like(picture)
    whole[view] = raw
    return np.where(mask[..., None], correct_seam(np.where(mask[..., None], whole, picture), mask, ~mask), 0)


# What is computed

# Surroundings of 8 pixels (a quarter of 32) on each side, and at least 32 pixels in all, inside the picture.
AT_OWN_SIZE = {
    "inside": ((60, 70), (20, 30, 30, 42), (slice(9, 41), slice(20, 52))),
    "longer than the least view": ((60, 70), (28, 34, 20, 46), (slice(15, 47), slice(12, 54))),
    "in a corner": ((60, 70), (0, 5, 62, 70), (slice(0, 32), slice(38, 70))),
    "at the lower border": ((61, 75), (53, 61, 20, 28), (slice(29, 61), slice(8, 40))),
    "picture smaller than the view": ((23, 30), (6, 14, 9, 20), (slice(0, 23), slice(0, 30))),
    "one pixel": ((60, 70), (20, 21, 40, 41), (slice(4, 36), slice(24, 56))),
}


@pytest.mark.parametrize(("size", "box", "view"), AT_OWN_SIZE.values(), ids=AT_OWN_SIZE.keys())
def test_a_small_hole_is_filled_as_the_plain_computation_does(size, box, view):
    rgb, mask = photo(*size), hole_mask(size, box)
    fill = filled(rgb, mask, completer=Completer(EXACT))
    assert fill.dtype == np.float32
    np.testing.assert_allclose(fill, plain_fill(rgb, mask, view), atol=2e-6)
    # and the result says something: it depends on the surroundings, and differs within the hole
    assert np.abs(fill - filled(spoilt(rgb, ~mask), mask))[mask].mean() > 0.03
    assert mask.sum() == 1 or fill[mask].std() > 0.03


MASKS = {
    "small": hole_mask((70, 90), (20, 30, 30, 42)),
    "two near one another": hole_mask((70, 90), (20, 30, 20, 30), (20, 32, 33, 50)),
    "two apart": hole_mask((70, 90), (5, 15, 5, 15), (40, 52, 60, 70)),
    "large": hole_mask((70, 90), (10, 60, 15, 70)),
    "large at the border": hole_mask((70, 90), (0, 50, 40, 90)),
    "large and small": hole_mask((70, 90), (0, 40, 0, 50), (60, 66, 80, 88)),
    "all but a corner": ~hole_mask((70, 90), (68, 70, 87, 90)),
    "noise": np.random.default_rng(3).random((70, 90)) < 0.5,
    "noise, nearly all": np.random.default_rng(3).random((70, 90)) < 0.97,
    "scratch": hole_mask((70, 90), (30, 32, 3, 88)),
    "large circle": np.add.outer((np.arange(70) - 35) ** 2, (np.arange(90) - 40) ** 2) < 33**2,
}
each_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
REDUCED = ("large", "large at the border", "large and small", "large circle")


@each_mask
@pytest.mark.parametrize("padding", [None, 0, 5])
def test_the_fill_is_between_0_and_1_in_the_hole_and_0_outside(mask, padding):
    rgb = photo(*mask.shape)
    before = rgb.copy(), mask.copy()
    fill = filled(rgb, mask, padding)
    assert fill.shape == rgb.shape and fill.dtype == np.float32
    assert np.isfinite(fill).all() and fill.min() >= 0 and fill.max() <= 1
    assert (fill[~mask] == 0).all()
    assert (fill[mask] > 0).mean() > 0.5
    np.testing.assert_array_equal(rgb, before[0])
    np.testing.assert_array_equal(mask, before[1])


@each_mask
@pytest.mark.parametrize("padding", [None, 5])
def test_what_lies_under_the_mask_has_no_influence(mask, padding):
    rgb = photo(*mask.shape)
    fill = filled(rgb, mask, padding)
    for other in (photo(*mask.shape, seed=5), np.zeros_like(rgb), np.full_like(rgb, 255)):
        np.testing.assert_array_equal(filled(np.where(mask[..., None], other, rgb), mask, padding), fill)
    changed = filled(spoilt(rgb, ~mask), mask, padding)  # unlike what lies around it
    assert np.abs(changed - fill)[mask].max() > 0.02


@pytest.mark.parametrize("name", REDUCED)
def test_the_network_sees_large_holes_reduced_and_their_surroundings_undarkened(monkeypatch, name):
    monkeypatch.setattr(fill_module, "fill_plain", NOT_PLAIN)
    mask = MASKS[name]
    colour = np.array([200, 100, 50], np.uint8)
    rgb = np.where(mask[..., None], photo(*mask.shape), colour)
    completer = WatchedCompleter()
    filled(rgb, mask, completer=completer)
    seen = completer.seen
    assert min(x.shape[2] / mask.shape[0] for x in seen) < 0.7
    for x in seen:
        known = x[0, 3] == 0
        assert ((x[0, 3] == 0) | (x[0, 3] == 1)).all() and 0 < known.float().mean() < 1
        picture = x[0, :3] + torch.tensor(MEAN)[:, None, None]
        torch.testing.assert_close(picture[:, known].T, torch.tensor(colour / 255.0).float().expand(known.sum(), 3))
        assert (x[0, :3, ~known] == 0).all()


@pytest.mark.parametrize(
    ("box", "shape", "side"),
    [
        # a size of 63, to be 16, with a quarter of 32 reduced pixels on each side: 16 + 2 * 8 = 32
        ((60, 123, 60, 123), (32, 32), 16),
        # 47 thick, because two sides are the picture's border, and sqrt(47 * 24) in size: 24 * 16 / 33.6 = 11.4
        ((0, 24, 0, 24), (32, 32), 11.4),
        # sqrt(63 * sqrt(63 * 190)) = 83 in size; 190 * 16 / 83 + 2 * 8 = 53, but the picture ends: 250 * 16 / 83 = 48
        ((60, 123, 30, 220), (32, 48), None),
    ],
)
def test_the_reduced_view_has_the_hole_at_the_size_of_the_training_holes(box, shape, side):
    completer = WatchedCompleter()
    filled(photo(250, 250), hole_mask((250, 250), box), completer=completer)
    seen = completer.seen
    assert [tuple(x.shape[2:]) for x in seen] == [shape]
    if side:
        assert seen[0][0, 3].sum() == pytest.approx(side**2, rel=0.15)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_stays_as_it_is(training):
    model = copy.deepcopy(MODEL).train(training).requires_grad_(True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rgb, mask = photo(40, 40), hole_mask((40, 40), (10, 20, 10, 20))
    np.testing.assert_array_equal(filled(rgb, mask, completer=Completer(model)), filled(rgb, mask))
    assert all(module.training is training for module in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_completer_gives_the_same_whatever_it_completed_before():
    completer = Completer(MODEL)
    mask = MASKS["large and small"]
    first = filled(photo(70, 90), mask, completer=completer)
    filled(photo(50, 30, seed=1), hole_mask((50, 30), (3, 9, 3, 9)), completer=completer)
    np.testing.assert_array_equal(filled(photo(70, 90), mask, completer=completer), first)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 2e-5), (torch.float16, 0.005), (torch.bfloat16, 0.04)], ids=str
)
@pytest.mark.parametrize("name", ["small", "large"])
def test_other_types_give_nearly_the_same(dtype, tolerance, name):
    model, mask = copy.deepcopy(MODEL).to(dtype), MASKS[name]
    model.compute_dtype = None
    completer = Completer(model, "cpu")
    fill = filled(photo(*mask.shape), mask, completer=completer)
    assert fill.dtype == np.float32
    assert {parameter.dtype for parameter in completer.network.parameters()} == {dtype}
    error = np.abs(fill - filled(photo(*mask.shape), mask))[mask]
    assert 0 < error.mean() < tolerance


def test_float32_weights_are_run_in_a_shorter_type_only_where_none_is_asked_for(monkeypatch):
    model = copy.deepcopy(MODEL)
    types = {}
    for wanted in (None, torch.float32):
        for capabilities in ({}, {"avx512_bf16": True}, {"amx_bf16": True}):
            model.compute_dtype = wanted
            monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)  # noqa: B023
            types[(wanted, *capabilities)] = Completer(model).network.output.weight.dtype
    bf16, fp32 = torch.bfloat16, torch.float32
    assert types == {
        (None,): fp32,
        (None, "avx512_bf16"): bf16,
        (None, "amx_bf16"): bf16,
        (fp32,): fp32,
        (fp32, "avx512_bf16"): fp32,
        (fp32, "amx_bf16"): fp32,
    }
    assert model.dtype == fp32


@pytest.mark.parametrize(("working_size", "side"), [(None, 16), (20, 20), (63, 63), (1000, 63)])
def test_working_size_sets_the_size_at_which_a_large_hole_is_shown(working_size, side):
    completer = WatchedCompleter()
    filled(photo(250, 250), hole_mask((250, 250), (60, 123, 60, 123)), working_size=working_size, completer=completer)
    assert [x[0, 3].sum().item() for x in completer.seen] == [pytest.approx(side**2, rel=0.1)]


def test_at_full_scale_and_with_all_surroundings_it_is_the_network_on_the_whole_picture():
    """The paper's way, at the cost of the hole alone."""
    rgb, mask = photo(150, 170), hole_mask((150, 170), (60, 100, 30, 80), (110, 150, 140, 170))
    fill = filled(rgb, mask, padding=1000, working_size=1000, completer=Completer(EXACT))
    np.testing.assert_allclose(fill, plain_fill(rgb, mask, (slice(0, 150), slice(0, 170))), atol=2e-6)


@pytest.mark.parametrize("name", ["small", "large", "large at the border", "scratch"])
def test_blends_differ_at_the_rim(name):
    rgb, mask = photo(*MASKS[name].shape), MASKS[name]
    completer = Completer(MODEL)
    raw, shifted, faded = (filled(rgb, mask, completer=completer, blend=way) for way in (None, "poisson", "fading"))
    np.testing.assert_array_equal(filled(rgb, mask, completer=completer), shifted)
    inner = ndimage.distance_transform_cdt(np.pad(mask, 1))[1:-1, 1:-1]
    rim = inner == 1
    assert np.abs(raw - shifted)[rim].mean() > 0.05 and np.abs(raw - faded)[rim].mean() > 0.05
    if inner.max() > 3:
        assert np.abs(shifted - faded)[inner > 3].mean() > 0.01


@pytest.mark.parametrize(
    ("picture", "mask", "message"),
    [
        (np.zeros((9, 8, 3)), np.eye(9, 8, dtype=bool), r"image must be uint8 or float32 .*; got float64"),
        (np.zeros((9, 8), np.uint8), np.eye(9, 8, dtype=bool), r"image must be uint8 or .* got uint8 \(9, 8\)"),
        (photo(9, 8), np.eye(9, 8, dtype=np.uint8), r"mask must be bool \(9, 8\); got uint8 \(9, 8\)"),
        (photo(9, 8), np.eye(8, 9, dtype=bool), r"mask must be bool \(9, 8\); got bool \(8, 9\)"),
    ],
)
def test_other_types_and_shapes_are_refused(picture, mask, message):
    with pytest.raises(ValueError, match=message):
        fill_holes(Completer(MODEL), picture, mask)


def test_a_mask_over_the_whole_picture_is_refused():
    with pytest.raises(ValueError, match="covers the whole image.*leave some of it black"):
        filled(photo(9, 9), np.ones((9, 9), bool))


def test_without_a_hole_nothing_is_computed():
    mask = np.zeros((9, 11), bool)
    assert shapes_seen(photo(9, 11), mask) == []
    assert (filled(photo(9, 11), mask) == np.zeros((9, 11, 3))).all()


# What it costs


@pytest.mark.parametrize("size", [(60, 70), (400, 600)])
def test_the_cost_follows_the_hole_and_not_the_picture(size):
    mask = hole_mask(size, (20, 30, 30, 42))
    assert shapes_seen(photo(*size), mask) == [(32, 32)]
    mask |= hole_mask(size, (48, 56, 56, 64))
    assert shapes_seen(photo(*size), mask) == [(32, 32)] * 2


def test_a_long_scratch_stays_at_its_size():
    assert shapes_seen(photo(100, 400), hole_mask((100, 400), (50, 52, 20, 380))) == [(32, 376)]


@pytest.mark.parametrize(("padding", "shape"), [(0, (8, 12)), (3, (16, 20)), (10, (28, 32)), (500, (60, 72))])
def test_padding_sets_the_surroundings(padding, shape):
    rgb, mask = photo(60, 70), hole_mask((60, 70), (20, 28, 30, 42))
    assert shapes_seen(rgb, mask, padding) == [shape]


@pytest.mark.parametrize(("padding", "margin"), [(None, None), (4, 4), (0, 0)])
def test_pixels_that_are_not_shown_have_no_influence(padding, margin):
    rgb, mask = photo(90, 110), hole_mask((90, 110), (40, 48, 50, 62))
    shown = hole_mask(
        (90, 110), (28, 60, 40, 72) if margin is None else (40 - margin, 48 + margin, 50 - margin, 62 + margin)
    )
    shown |= hole_mask((90, 110), (39, 49, 49, 63))  # the seam is always looked at
    fill = filled(rgb, mask, padding)
    np.testing.assert_array_equal(filled(spoilt(rgb, ~shown), mask, padding), fill)
    assert np.abs(filled(spoilt(rgb, ~mask), mask, padding) - fill).max() > 0.05


# Several holes and cells


def test_holes_that_lie_apart_are_filled_each_by_itself():
    rgb = photo(70, 90)
    one, other = hole_mask((70, 90), (5, 15, 5, 15)), hole_mask((70, 90), (55, 65, 65, 85))
    both = filled(rgb, one | other)
    np.testing.assert_array_equal(both, filled(rgb, one) + filled(rgb, other))
    np.testing.assert_array_equal(filled(spoilt(rgb, other), one | other), both)


def test_a_hole_is_not_filled_from_what_lies_under_another_one_beside_it():
    rgb = photo(70, 90)
    one, other = hole_mask((70, 90), (20, 30, 20, 30)), hole_mask((70, 90), (20, 30, 38, 48))
    assert len(list(holes.find_holes(one | other, SAMPLE_SIZE, MAX_HOLE_SIZE))) == 2
    both = filled(rgb, one | other)
    np.testing.assert_array_equal(filled(spoilt(rgb, other), one | other), both)
    alone = filled(rgb, one)
    assert np.abs(alone - both)[one].max() > 0.01  # it sees that the other one is a hole


class ConstantCompleter(Completer):
    """Its network has one answer to everything."""

    def __init__(self, value: float):
        super().__init__(MODEL)
        self.value, self.runs = value, 0

    def _run(self, image: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return torch.full_like(image, self.value)


@pytest.mark.parametrize("name", ["large", "large circle", "scratch", "noise"])
@pytest.mark.parametrize("largest_cell", [5, 8])
def test_cells_together_fill_every_masked_pixel(monkeypatch, name, largest_cell):
    mask = MASKS[name]
    monkeypatch.setattr(fill_module, "LARGEST_CELL", largest_cell)
    monkeypatch.setattr(fill_module, "fill_plain", NOT_PLAIN)
    completer = ConstantCompleter(0.8)
    fill = filled(np.full((*mask.shape, 3), 204, np.uint8), mask, completer=completer)
    assert completer.runs >= 4
    np.testing.assert_allclose(fill[mask], 0.8, atol=1e-5)  # pixels that no cell filled would spoil it


@each_mask
def test_what_the_network_is_off_by_all_around_is_removed(monkeypatch, mask):
    """A constant colour difference is what the seam's correction is for, at every scale."""
    monkeypatch.setattr(fill_module, "fill_plain", NOT_PLAIN)
    fill = filled(np.full((*mask.shape, 3), 204, np.uint8), mask, completer=ConstantCompleter(0.5))
    np.testing.assert_allclose(fill[mask], 0.8, atol=1e-5)


def test_each_cell_is_shown_its_own_surroundings(monkeypatch):
    monkeypatch.setattr(fill_module, "LARGEST_CELL", 8)
    rgb, mask = photo(70, 90), hole_mask((70, 90), (30, 42, 30, 46))
    assert shapes_seen(rgb, mask) == [(32, 32)] * 4
    fill = filled(rgb, mask)
    np.testing.assert_array_equal(filled(spoilt(rgb, mask), mask), fill)


@pytest.mark.parametrize("working_size", [None, 4])
def test_a_hole_is_computed_once_even_where_the_views_of_others_show_it(working_size):
    """All four lie in every view; reduced, each is wanted with a rim of at most three pixels around it."""
    corners = [(20, 20), (20, 120), (120, 20), (120, 120)]
    mask = hole_mask((160, 160), *((top, top + 8, left, left + 8) for top, left in corners))
    completer = WatchedCompleter()
    filled(photo(160, 160), mask, padding=500, working_size=working_size, completer=completer)
    assert len(completer.wanted) == 4
    for wanted in completer.wanted:
        rows, columns = np.nonzero(wanted)
        side = 8 if working_size is None else 4
        assert (wanted.shape == (160, 160)) == (working_size is None)
        assert side**2 <= wanted.sum() <= (side + 6) ** 2
        assert max(np.ptp(rows), np.ptp(columns)) < side + 6


def test_of_a_long_scratch_only_the_parts_that_it_crosses_are_computed(monkeypatch):
    """A square of 25 cells, of which a diagonal line crosses 5."""
    monkeypatch.setattr(fill_module, "LARGEST_CELL", 20)
    mask = np.eye(100, dtype=bool)
    completer = WatchedCompleter()
    filled(photo(100, 100), mask, completer=completer)
    assert len(completer.seen) == 5


def seams_of(rgb: np.ndarray, mask: np.ndarray, least_tile: int) -> tuple[np.ndarray, list]:
    """The fill, and the shapes of the parts in which the seam was treated."""
    shapes = []

    def watched(values: np.ndarray, *others: np.ndarray) -> np.ndarray:
        shapes.append(values.shape[:2])
        return correct_seam(values, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seam, "LEAST_TILE", least_tile)
        patch.setitem(seam.BLENDS, "poisson", watched)
        return filled(rgb, mask), shapes


@pytest.mark.parametrize("width", [1, 4])
def test_the_seam_of_a_long_scratch_is_corrected_in_tiles_as_in_one_piece(width):
    rgb, mask = photo(250, 300), np.zeros((250, 300), bool)
    for offset in range(width):
        mask[np.arange(200) + 20, np.arange(200) + 40 + offset] = True
    fill, shapes = seams_of(rgb, mask, 50)
    as_one, (shape,) = seams_of(rgb, mask, 1000)
    assert max(shape) >= 200 and len(shapes) >= 4
    thickness = 2 * ndimage.distance_transform_edt(mask).max() - 1
    assert max(map(max, shapes)) <= max(50, 16 * thickness) + 2 * 4 * thickness + 2
    np.testing.assert_allclose(fill, as_one, atol=1e-4)
    assert abs(filled(rgb, mask, blend=None) - as_one).max() > 0.1
    np.testing.assert_array_equal(seams_of(spoilt(rgb, mask), mask, 50)[0], fill)


def test_tiles_of_a_seam_do_not_reach_beyond_the_holes_rim():
    rgb, mask = photo(70, 300), hole_mask((70, 300), (30, 33, 3, 290))
    fill, shapes = seams_of(rgb, mask, 50)
    assert len(shapes) >= 4 and {height for height, _ in shapes} == {5}
    np.testing.assert_allclose(fill, seams_of(rgb, mask, 1000)[0], atol=1e-4)


def test_the_seam_of_a_thick_hole_is_treated_in_one_piece():
    rgb, mask = photo(70, 90), hole_mask((70, 90), (20, 32, 20, 34))
    assert seams_of(rgb, mask, 1)[1] == [(14, 16)]


# Pixels that are not seen

HIDDEN = {
    "beside the hole": hole_mask((70, 90), (0, 70, 42, 90)),
    "a frame": ~hole_mask((70, 90), (4, 66, 24, 76)),
    "all but two pixels": ~hole_mask((70, 90), (60, 61, 3, 5)),
    "specks": np.random.default_rng(8).random((70, 90)) < 0.2,
}
each_hidden = pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN.keys())


@each_hidden
@pytest.mark.parametrize(("name", "texture"), [("small", None), ("large", None), ("noise", None), ("small", "photo")])
def test_what_is_hidden_has_no_influence(hidden, name, texture):
    rgb, mask = photo(70, 90), MASKS[name]

    def fill_of(picture: np.ndarray, hidden: np.ndarray | None = hidden) -> np.ndarray:
        values, filled_mask = fill_holes(Completer(MODEL), picture, mask, FillOptions(texture=texture), hidden=hidden)
        np.testing.assert_array_equal(filled_mask, mask)
        return values

    values = fill_of(rgb)
    assert np.isfinite(values).all() and (values[~mask] == 0).all() and values[mask].any()
    other = spoilt(rgb, hidden)
    np.testing.assert_array_equal(fill_of(other), values)
    np.testing.assert_array_equal(fill_of(other / np.float32(255)), values)
    assert (hidden <= mask).all() or np.abs(fill_of(other, hidden=None) - values)[mask].max() > 0.02


def test_with_nothing_seen_and_something_to_fill_there_is_an_error_and_without_a_hole_none():
    rgb, mask = photo(9, 9), hole_mask((9, 9), (2, 5, 2, 5))
    with pytest.raises(ValueError, match="covers all that can be seen .*nothing is left to complete it from"):
        fill_holes(Completer(MODEL), rgb, mask, hidden=~mask)
    values, filled_mask = fill_holes(Completer(MODEL), rgb, np.zeros_like(mask), hidden=np.ones_like(mask))
    assert not values.any() and not filled_mask.any()


# Pictures of more than 8 bits


@each_mask
def test_floats_of_8_bit_levels_are_filled_as_8_bits(mask):
    rgb = photo(*mask.shape)
    floats = (rgb / np.float32(255)).astype(np.float32)
    np.testing.assert_array_equal(filled(floats, mask), filled(rgb, mask))


@pytest.mark.parametrize(
    ("name", "texture"), [("small", "photo"), ("large", "photo"), ("large at the border", None), ("scratch", None)]
)
@pytest.mark.parametrize(("low", "high"), [(0.015, 0.017), (0.9, 1), (0.3, 0.3001)])
def test_fills_of_a_small_range_stay_in_it(name, texture, low, high):
    mask = MASKS[name]
    share = np.clip(np.mgrid[:70, :90].sum(0) / 160 + np.random.default_rng(0).normal(0, 0.01, mask.shape), 0, 1)
    picture = np.repeat((low + (high - low) * share)[..., None], 3, axis=2).astype(np.float32)
    values = filled(np.where(mask[..., None], 0, picture), mask, texture=texture)
    error = np.abs(values - picture)[mask] / (high - low)
    assert error.max() < 1 and error.mean() < 0.3
    for axis in (0, 1):  # and no step at the rim
        whole = np.where(mask[..., None], values, picture)
        steps = np.abs(np.diff(whole, axis=axis)).mean(2) / (high - low)
        across = np.diff(mask, axis=axis)
        assert not across.any() or steps[across].mean() < 0.1


# Holes that grow


@pytest.mark.parametrize("grow", [1, 2, 5])
@pytest.mark.parametrize("name", ["small", "two near one another", "large at the border", "scratch"])
def test_grow_fills_what_is_so_near_to_the_hole_as_well(grow, name):
    rgb, mask = photo(70, 90), MASKS[name]
    wider = np.zeros_like(mask)
    for row, column in np.argwhere(mask):
        rows, columns = np.ogrid[-row : 70 - row, -column : 90 - column]
        wider |= rows**2 + columns**2 <= grow**2
    result = fill_holes(Completer(MODEL), rgb, mask, FillOptions(grow=grow))
    np.testing.assert_array_equal(result.mask, wider)
    np.testing.assert_array_equal(result.values, filled(rgb, wider))
    assert not np.array_equal(mask, wider)


def test_a_hole_that_has_grown_over_the_whole_picture_is_refused():
    with pytest.raises(ValueError, match="covers the whole image.*or let it grow less"):
        filled(photo(9, 9), hole_mask((9, 9), (3, 6, 3, 6)), grow=9)
    assert not fill_holes(Completer(MODEL), photo(9, 9), np.zeros((9, 9), bool), FillOptions(grow=9)).mask.any()


# Dust


def smooth_photo(height: int, width: int) -> np.ndarray:
    """Colours that change slowly, with a little noise."""
    noise = np.random.default_rng(0).normal(0, 1, (height, width, 3))
    slow = ndimage.gaussian_filter(noise, (12, 12, 0))
    return np.rint(np.clip(128 + 900 * slow + 2 * noise, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize("texture", [None, "photo"])
def test_dust_is_filled_nearly_as_its_specks_are_one_by_one(monkeypatch, texture):
    """By a trained network: to one without training it matters more how much it is shown."""
    rgb, mask = smooth_photo(100, 110), np.zeros((100, 110), bool)
    for number, (row, column) in enumerate(np.ndindex(4, 4)):
        side = (3, 4, 6, 8)[(number + row) % 4]
        mask[3 + 26 * row :, 5 + 26 * column :][:side, :side] = True
    model = GLCICModel.from_pretrained("glcic-faces-64")
    model.compute_dtype = torch.float32
    completer = WatchedCompleter(model)
    together = filled(rgb, mask, completer=completer, texture=texture)
    assert not completer.seen
    monkeypatch.setattr(fill_module, "joined", lambda found, sample_size: list(found))
    one_by_one = filled(rgb, mask, completer=completer, texture=texture)
    assert len(completer.seen) == 16
    difference = 255 * np.abs(together - one_by_one)[mask]
    error = 255 * np.abs(one_by_one - rgb / 255)[mask]
    assert 0 < difference.mean() < error.mean() and difference.max() < 16


def test_dust_has_the_seam_of_what_is_around_it_whatever_blend_says():
    """There is nothing else to fill it with."""
    rgb, mask = smooth_photo(100, 110), np.zeros((100, 110), bool)
    for row, column in np.ndindex(4, 4):
        mask[5 + 20 * row :, 5 + 20 * column :][:3, :3] = True
    values = filled(rgb, mask, blend=None)
    np.testing.assert_array_equal(values, filled(rgb, mask))
    assert 255 * np.abs(values - rgb / 255)[mask].mean() < 4


@pytest.mark.parametrize("blend", ["poisson", "fading", None])
def test_dust_with_nothing_seen_beside_it_gets_the_colour_of_what_is_seen(blend):
    mask, hidden = np.zeros((2, 100, 110), bool)
    for row, column in np.ndindex(4, 4):
        mask[5 + 20 * row :, 5 + 20 * column :][:3, :3] = True
    hidden[:90, :90] = True
    rgb = np.where((mask | hidden)[..., None], 0, 100 + photo(100, 110) // 8).astype(np.uint8)
    values = fill_holes(Completer(MODEL), rgb, mask, FillOptions(blend=blend), hidden=hidden).values
    np.testing.assert_allclose(values[mask], np.tile(rgb[~(mask | hidden)].mean(0) / 255, (mask.sum(), 1)), atol=5e-3)


# Patches of the photo

PHOTO_MASKS = {
    **{name: MASKS[name] for name in ("small", "two near one another", "two apart", "large", "large at the border")},
    **{name: MASKS[name] for name in ("all but a corner", "noise", "scratch", "large circle")},
    "specks": np.random.default_rng(4).random((70, 90)) < 0.02,
}
WIDE = (150, 160)
WIDE_MASK = hole_mask(WIDE, (50, 90, 60, 104))
"""A large hole with enough around it at the scale at which the network sees it."""

each_photo_mask = pytest.mark.parametrize("mask", PHOTO_MASKS.values(), ids=PHOTO_MASKS.keys())


@each_photo_mask
def test_with_patches_nothing_from_under_the_mask_has_influence_either(mask):
    rgb = photo(*mask.shape)
    result = filled(rgb, mask, texture="photo")
    assert result.dtype == np.float32 and np.isfinite(result).all()
    assert result.min() >= 0 and result.max() <= 1 and (result[~mask] == 0).all()
    for other in (photo(*mask.shape, seed=5), np.zeros_like(rgb)):
        np.testing.assert_array_equal(filled(np.where(mask[..., None], other, rgb), mask, texture="photo"), result)


def test_patches_change_thick_holes_and_leave_thin_ones_alone():
    rgb, mask = photo(*WIDE), WIDE_MASK
    alone, from_photo = (filled(rgb, mask, texture=texture) for texture in (None, "photo"))
    assert np.abs(alone - from_photo)[mask].mean() > 0.02
    thin = hole_mask(WIDE, (30, 31, 3, 158))
    np.testing.assert_array_equal(filled(rgb, thin, texture="photo"), filled(rgb, thin, texture=None))


def test_with_too_little_around_the_network_has_the_word():
    rgb, mask = photo(70, 90), MASKS["all but a corner"]
    np.testing.assert_array_equal(filled(rgb, mask, texture="photo"), filled(rgb, mask, texture=None))


def test_without_a_word_it_is_as_the_model_says():
    rgb, mask = photo(*WIDE), WIDE_MASK
    ways = [{"blend": "poisson", "texture": "photo"}, {"blend": "fading", "texture": None}, {"blend": None}]
    for way in ways:
        model = random_model(**way)
        model.compute_dtype = torch.float32
        by_model = filled(rgb, mask, completer=Completer(model))
        np.testing.assert_array_equal(by_model, filled(rgb, mask, **way))


def test_a_hole_is_not_made_of_patches_of_another_hole():
    rgb = photo(70, 90)
    one, other = hole_mask((70, 90), (20, 34, 20, 34)), hole_mask((70, 90), (20, 34, 46, 60))
    both = filled(rgb, one | other, texture="photo")
    np.testing.assert_array_equal(filled(spoilt(rgb, other), one | other, texture="photo"), both)


def test_generators_decide_the_search():
    rgb, mask = photo(*WIDE), WIDE_MASK

    def result(seed: int | None) -> bytes:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        options = FillOptions(texture="photo")
        return fill_holes(Completer(MODEL), rgb, mask, options, generator).values.tobytes()

    assert result(None) == result(None) and result(1) == result(1)
    assert len({result(None), result(1), result(2)}) == 3


def test_progress_is_the_share_of_the_masked_pixels():
    rgb, shares = photo(70, 90), []
    mask = hole_mask((70, 90), (5, 25, 5, 15), (50, 60, 60, 70))
    fill_holes(Completer(MODEL), rgb, mask, FillOptions(texture="photo"), progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    assert any(share == pytest.approx(200 / 300) for share in shares), "the first of two holes"
    assert 0 < shares[0] < 0.2 * 200 / 300, "what the network does is seen, too"

    class Stop(Exception):
        pass

    def stop(share: float) -> None:
        raise Stop

    with pytest.raises(Stop):
        fill_holes(Completer(MODEL), rgb, mask, FillOptions(texture="photo"), progress=stop)


# Compiled


def test_the_network_of_a_compiled_model_is_compiled_once_for_alike_holes():
    torch.compiler.reset()  # torch compiles a function only so often, those of other tests included
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    model = random_model()
    model.compute_dtype = torch.float32
    model.compile(backend=backend, fullgraph=True)
    completer = Completer(model)
    for left in (16, 20, 24):
        rgb, mask = photo(40, 48, seed=left), hole_mask((40, 48), (10, 20, left, left + 9))
        np.testing.assert_array_equal(filled(rgb, mask, completer=completer), filled(rgb, mask))
    assert len(graphs) == 1


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("c++") or shutil.which("g++")), reason="torch.compile on CPUs needs a C++ compiler"
)
def test_a_compiled_model_fills_alike():
    rgb, mask = photo(40, 48), hole_mask((40, 48), (10, 20, 16, 25))
    model = random_model()
    model.compute_dtype = torch.float32
    model.compile()
    np.testing.assert_allclose(filled(rgb, mask, completer=Completer(model)), filled(rgb, mask), atol=1e-5)
