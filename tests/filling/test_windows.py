"""Windows of the output: equal to the full frame's, at the cost that is stated."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from glcic_hub.filling import windows as windows_module
from glcic_hub.filling.windows import (
    WINDOW_OVERHEAD,
    choose_windows,
    complete_holes,
    complete_window,
    flops,
    layer_ranges,
)
from glcic_hub.model import GLCICModel
from glcic_hub.network import CompletionNetwork, complete_batch, fold_batchnorm
from tests.random_models import random_model

MODEL = random_model()
NETWORK = fold_batchnorm(MODEL.network).double()  # so that nothing but the geometry can make a difference


def frame(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((1, 4, height, width), generator=torch.Generator().manual_seed(seed)) - 0.5


def plain_network() -> CompletionNetwork:
    torch.manual_seed(0)
    return CompletionNetwork(16).eval()


NETWORKS = {"random": plain_network, "embedded": lambda: GLCICModel.from_pretrained().network}
PREPARED = {"folded": fold_batchnorm, "as trained": lambda network: network}


@st.composite
def frames_and_windows(draw) -> tuple[int, int, tuple[slice, slice]]:
    size = [4 * draw(st.integers(1, 60)) for _ in range(2)]
    window = []
    for side in size:
        start = draw(st.integers(0, side - 1))
        window.append(slice(start, draw(st.integers(start + 1, side))))
    return *size, tuple(window)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(frames_and_windows())
def test_a_window_equals_the_full_frame_there(case):
    height, width, window = case
    x = frame(height, width).double()
    with torch.no_grad():
        result, wanted = complete_window(NETWORK, x, window), NETWORK(x)[(..., *window)].float()
    assert result.shape == wanted.shape
    torch.testing.assert_close(result, wanted, atol=1e-6, rtol=0)


@pytest.fixture(scope="module", params=itertools.product(NETWORKS, PREPARED), ids="-".join)
def large_frame(request) -> tuple[CompletionNetwork, torch.Tensor, torch.Tensor]:
    """A network, its input, and its whole output."""
    network, prepare = request.param
    network, x = PREPARED[prepare](NETWORKS[network]()), frame(400, 400)
    with torch.no_grad():
        return network, x, network(x)


@pytest.mark.parametrize(
    "window",
    [
        (slice(0, 400), slice(0, 400)),
        (slice(200, 201), slice(200, 201)),
        (slice(140, 268), slice(140, 268)),
        (slice(0, 1), slice(399, 400)),
        (slice(333, 400), slice(0, 90)),
    ],
    ids=["all", "one pixel", "middle", "corner", "lower left"],
)
def test_large_frames_in_float32(large_frame, window):
    network, x, whole = large_frame
    with torch.no_grad():
        result = complete_window(network, x, window)
    torch.testing.assert_close(result, whole[(..., *window)], atol=1e-5, rtol=0)


class Other(nn.Module):
    """A network of another geometry, to show that it is read off the modules."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        layers = [
            nn.Conv2d(4, 5, (3, 5), stride=(2, 1), padding=(0, 3), dilation=(3, 1)),
            nn.Conv2d(5, 3, 2, stride=3, padding=1),
            nn.ConvTranspose2d(3, 6, 5, stride=(3, 2), padding=2, dilation=(2, 1)),
        ]
        self.blocks = nn.ModuleList(nn.Sequential(layer, nn.Tanh()) for layer in layers)
        self.output = nn.Conv2d(6, 3, (1, 4), padding=(1, 0))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return torch.sigmoid(self.output(x))


def test_kernel_stride_padding_and_dilation_are_read_off_the_modules():
    network, x = Other(), frame(60, 52)
    with torch.no_grad():
        whole = network(x)
        height, width = whole.shape[2:]
        for top, bottom in ((0, height), (0, 1), (height - 1, height), (7, 12)):
            for left, right in ((0, width), (0, 1), (width - 1, width), (9, 13)):
                window = slice(top, bottom), slice(left, right)
                torch.testing.assert_close(complete_window(network, x, window), whole[(..., *window)])


def test_the_input_of_one_pixel_is_what_it_depends_on():
    """The ranges are exact: outside nothing matters, and at each of their ends something does."""
    # positive weights, and no sigmoid to saturate: every path from input to output adds up
    network = CompletionNetwork(2).eval()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, 4, 400, 400, requires_grad=True)
    taken = []
    network.output.register_forward_hook(lambda _, __, output: taken.append(output))
    network(x)
    taken[0][0, 0, 201, 198].backward()
    rows, columns = np.nonzero(x.grad[0, 0].numpy())
    inputs = layer_ranges(network, (400, 400), (slice(201, 202), slice(198, 199)))[0].inputs
    assert inputs == ((rows.min(), rows.max() + 1), (columns.min(), columns.max() + 1))
    assert 250 < len(inputs[0]) < 350  # "about 300 px"


@pytest.mark.parametrize(
    "window", [(slice(0, 256), slice(0, 256)), (slice(64, 192), slice(64, 192)), (slice(3, 4), slice(250, 256))]
)
def test_the_stated_cost_is_what_is_computed(window):
    network, x = fold_batchnorm(CompletionNetwork(8)), frame(256, 256)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        complete_window(network, x, window)
    assert flops(network, (256, 256), window) == counter.get_total_flops()


def test_costs_at_the_papers_size():
    network = CompletionNetwork()
    everything, hole = (slice(0, 1024),) * 2, (slice(448, 576),) * 2
    assert flops(network, (1024, 1024), everything) == pytest.approx(1042e9, rel=1e-3)
    assert flops(network, (1024, 1024), hole) == pytest.approx(88e9, rel=1e-2)
    assert flops(network, (4096, 4096), hole) == pytest.approx(flops(network, (1024, 1024), hole), rel=0.02)


MASKS = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 110), st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=5
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(MASKS, st.integers(1, 91), st.integers(1, 111))
def test_several_holes_of_any_size_are_completed_as_on_the_full_frame(boxes, height, width):
    mask = torch.zeros(1, 1, height, width)
    for top, left, rows, columns in boxes:
        mask[..., top : top + rows, left : left + columns] = 1
    image, mean = frame(height, width)[:, :3].double() + 0.5, MODEL.mean.double()
    with torch.no_grad():
        result = complete_holes(NETWORK, image, mask.double(), mean)
        wanted = complete_batch(NETWORK, image, mask.double(), mean)
    torch.testing.assert_close(result * mask, wanted * mask, atol=1e-6, rtol=0)


def area(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    wanted = np.zeros((1000, 1000), bool)
    for top, bottom, left, right in boxes:
        wanted[top:bottom, left:right] = True
    return wanted


def bounds(windows: list[tuple[slice, slice]]) -> list[tuple[int, int, int, int]]:
    return sorted((r.start, r.stop, c.start, c.stop) for r, c in windows)


def test_windows_are_joined_where_that_is_cheaper(monkeypatch):
    monkeypatch.setattr(windows_module, "WINDOW_OVERHEAD", 0)
    network = CompletionNetwork()
    near, far, beside = (100, 140, 100, 140), (900, 940, 900, 940), (100, 140, 160, 200)
    assert bounds(choose_windows(network, (1000, 1000), area(near, far))) == [near, far]
    assert bounds(choose_windows(network, (1000, 1000), area(near, beside))) == [(100, 140, 100, 200)]
    assert bounds(choose_windows(network, (1000, 1000), area(near, far, beside))) == [(100, 140, 100, 200), far]
    assert choose_windows(network, (1000, 1000), area()) == []


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 960), st.integers(0, 960)), min_size=1, max_size=6))
@example([(0, 38), (167, 183), (267, 0)])  # no two of them are cheaper together, all three are
def test_windows_cover_everything_and_cost_no_more_than_one_around_all(corners):
    network = CompletionNetwork(8)
    wanted = area(*((y, y + 40, x, x + 40) for y, x in corners))
    windows = choose_windows(network, (1000, 1000), wanted)
    covered = area(*bounds(windows))
    assert (covered >= wanted).all()
    rows, columns = np.nonzero(wanted)
    around_all = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    cost = sum(flops(network, (1000, 1000), window) + WINDOW_OVERHEAD for window in windows)
    assert cost <= flops(network, (1000, 1000), around_all) + WINDOW_OVERHEAD + 1e-6 * cost


def test_a_short_type_leaves_no_steps_in_the_output():
    """bfloat16 has 8 bits: a sigmoid taken in it would be constant over several grey levels."""
    network = CompletionNetwork(2).eval()
    nn.init.zeros_(network.output.weight)
    values = []
    for bias in torch.linspace(2.0, 2.2, 9):
        nn.init.constant_(network.output.bias, bias)
        short = fold_batchnorm(network).to(torch.bfloat16)
        with torch.no_grad():
            result = complete_window(short, frame(8, 8).bfloat16(), (slice(0, 4), slice(0, 4)))
        assert result.dtype == torch.float32
        values.append(result[0, 0, 0, 0].item())
        assert values[-1] == pytest.approx(torch.sigmoid(bias).item(), abs=0.5 / 255)
    assert len(set(values)) > 5
