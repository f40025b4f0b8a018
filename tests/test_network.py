"""The networks against the paper's tables, written out here once more, and against plain functional code."""

import ast
import copy
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glcic_hub import network as network_module
from glcic_hub.network import CompletionNetwork, Discriminator, complete_batch, fold_batchnorm, network_input

NETWORK_FILE = Path(network_module.__file__)

# Networks and inputs are float64 here. Rounding is about 1e-16 there and grows to 1e-14 on the way through the layers,
# normalisations of a few nearly equal values among them, whatever the processor; another computation is off by more.
ROUNDING = {"rtol": 0, "atol": 1e-10}

# Table 1: type, channels in and out, kernel, stride (of a deconvolution: upwards), dilation; and the zero padding.
TABLE_1 = [
    ("conv", 4, 64, 5, 1, 1, 2),
    ("conv", 64, 128, 3, 2, 1, 1),
    ("conv", 128, 128, 3, 1, 1, 1),
    ("conv", 128, 256, 3, 2, 1, 1),
    ("conv", 256, 256, 3, 1, 1, 1),
    ("conv", 256, 256, 3, 1, 1, 1),
    ("conv", 256, 256, 3, 1, 2, 2),
    ("conv", 256, 256, 3, 1, 4, 4),
    ("conv", 256, 256, 3, 1, 8, 8),
    ("conv", 256, 256, 3, 1, 16, 16),
    ("conv", 256, 256, 3, 1, 1, 1),
    ("conv", 256, 256, 3, 1, 1, 1),
    ("deconv", 256, 128, 4, 2, 1, 1),
    ("conv", 128, 128, 3, 1, 1, 1),
    ("deconv", 128, 64, 4, 2, 1, 1),
    ("conv", 64, 32, 3, 1, 1, 1),
    ("conv", 32, 3, 3, 1, 1, 1),
]
# Table 2: 5x5 convolutions of stride 2; channels before and after each.
TABLE_2_LOCAL = [3, 64, 128, 256, 512, 512]
TABLE_2_GLOBAL = [3, 64, 128, 256, 512, 512, 512]


def without_memory(module_class, *args, **kwargs):
    with torch.device("meta"):
        return module_class(*args, **kwargs)


def parameters_of(module):
    return sum(parameter.numel() for parameter in module.parameters())


def randomise(module, seed=0):
    """Give the batch normalisations statistics as after training, all different; float64, in eval mode."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))

    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                uniform(part.running_mean, -0.5, 0.5)
                uniform(part.running_var, 0.5, 2)
                uniform(part.weight, 0.5, 1.5)
                uniform(part.bias, -0.5, 0.5)
            elif isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                fan_in = part.weight[:, 0].numel() if isinstance(part, nn.ConvTranspose2d) else part.weight[0].numel()
                uniform(part.weight, -2 / fan_in**0.5, 2 / fan_in**0.5)
                uniform(part.bias, -0.5, 0.5)
    return module.double().eval()


@pytest.fixture
def small():
    return randomise(CompletionNetwork(base_channels=4))


def random_input(*shape, seed=1):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def plain_batchnorm(x, state, prefix, training):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    else:
        mean, var = state[prefix + "running_mean"], state[prefix + "running_var"]
    scale = state[prefix + "weight"] / torch.sqrt(var + 1e-5)
    return (x - mean.view(1, -1, 1, 1)) * scale.view(1, -1, 1, 1) + state[prefix + "bias"].view(1, -1, 1, 1)


def plain_completion(state, x, training):
    for index, (kind, _, _, _, stride, dilation, padding) in enumerate(TABLE_1[:-1]):
        weight, bias = state[f"blocks.{index}.0.weight"], state[f"blocks.{index}.0.bias"]
        if kind == "deconv":
            x = F.conv_transpose2d(x, weight, bias, stride, padding)
        else:
            x = F.conv2d(x, weight, bias, stride, padding, dilation)
        x = plain_batchnorm(x, state, f"blocks.{index}.1.", training).clamp(min=0)
    return 1 / (1 + torch.exp(-F.conv2d(x, state["output.weight"], state["output.bias"], padding=1)))


# The completion network


def test_completion_network_is_table_1():
    network = without_memory(CompletionNetwork)
    assert len(network.blocks) == 16
    for row, block in zip(TABLE_1, network.blocks):
        conv, norm, activation = block
        assert isinstance(norm, nn.BatchNorm2d) and isinstance(activation, nn.ReLU)
        assert norm.num_features == row[2] and norm.affine and norm.track_running_stats and norm.eps == 1e-5
        assert row_of(conv) == row
    assert row_of(network.output) == TABLE_1[-1]
    assert parameters_of(network) == 6_072_131
    assert len(network.state_dict()) == 34 + 16 * 5 == 114


def row_of(conv):
    kind = {nn.Conv2d: "conv", nn.ConvTranspose2d: "deconv"}[type(conv)]
    settings = (conv.kernel_size, conv.stride, conv.dilation, conv.padding)
    assert all(vertical == horizontal for vertical, horizontal in settings)
    assert conv.bias is not None and conv.groups == 1 and conv.padding_mode == "zeros"
    assert set(getattr(conv, "output_padding", (0, 0))) == {0}
    return (kind, conv.in_channels, conv.out_channels, *(pair[0] for pair in settings))


@pytest.mark.parametrize("base_channels", [2, 4, 6, 32, 96])
def test_base_channels_scales_every_layer(base_channels):
    network = without_memory(CompletionNetwork, base_channels)
    assert network.base_channels == base_channels
    rows = [row_of(block[0]) for block in network.blocks] + [row_of(network.output)]

    def scaled(channels, fixed):
        return channels if channels == fixed else channels * base_channels // 64

    wanted = [
        (kind, scaled(into, 4), scaled(out, 3), kernel, stride, dilation, padding)
        for kind, into, out, kernel, stride, dilation, padding in TABLE_1
    ]
    assert rows == wanted
    assert [block[1].num_features for block in network.blocks] == [row[2] for row in wanted[:-1]]


@pytest.mark.parametrize("base_channels", [1, 3, 65, 0, -2])
def test_base_channels_must_be_even(base_channels):
    with pytest.raises(ValueError, match=f"even number from 2 up; got {base_channels}"):
        CompletionNetwork(base_channels)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(4, 4), (24, 40)])
def test_forward_is_the_papers_computation(small, training, size):
    small.train(training)
    x = random_input(3, 4, *size) * 2 - 1
    before = copy.deepcopy(small.state_dict())
    wanted = plain_completion(before, x, training)
    result = small(x)
    assert result.shape == (3, 3, *size)
    assert result.std() > 0.01  # not a comparison of constants
    torch.testing.assert_close(result, wanted, **ROUNDING)
    moved = {key for key, value in small.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == ({key for key in before if "running" in key or "num_batches" in key} if training else set())


def test_output_is_in_0_1_even_when_it_saturates(small):
    with torch.no_grad():
        small.output.weight.mul_(1e4)
        result = small(random_input(1, 4, 16, 16) * 100)
    assert result.min() == 0 and result.max() == 1
    assert result.isfinite().all()


@pytest.mark.parametrize(
    "shape", [(1, 4, 6, 8), (1, 4, 8, 7), (1, 4, 1, 1), (1, 3, 8, 8), (1, 5, 8, 8), (4, 8, 8), (1, 1, 4, 8, 8)]
)
def test_other_shapes_are_refused(small, shape):
    with pytest.raises(ValueError, match=rf"multiples of 4; got {re.escape(str(shape))}"):
        small(torch.zeros(shape))


@pytest.mark.parametrize(("phase_y", "phase_x"), [(0, 1), (1, 2), (2, 3), (3, 0)])
def test_receptive_field(phase_y, phase_x):
    """In an all-positive network the gradient of one output is positive exactly on the pixels that it sees."""
    reach = {0: (151, 147), 1: (152, 150), 2: (153, 149), 3: (150, 148)}
    network = CompletionNetwork(base_channels=2).double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim == 4:
                stride_2 = 4 if name.startswith(("blocks.12.", "blocks.14.")) else 1
                parameter.fill_(stride_2 * parameter.shape[0 if stride_2 == 1 else 1] / parameter.numel())
    outputs = []
    network.output.register_forward_hook(lambda module, args, output: outputs.append(output))
    x = torch.ones(1, 4, 320, 320, dtype=torch.float64, requires_grad=True)
    network(x)
    row, column = 160 + phase_y, 160 + phase_x
    outputs[0][0, :, row, column].sum().backward()
    seen = (x.grad[0] > 0).numpy()
    wanted = np.zeros((320, 320), bool)
    up, down = reach[phase_y]
    left, right = reach[phase_x]
    wanted[row - up : row + down + 1, column - left : column + right + 1] = True
    for channel in seen:
        np.testing.assert_array_equal(channel, wanted)


def test_network_file_needs_torch_alone():
    """The file, carried elsewhere: what it imports, anywhere in it, is torch and the standard library, and it works."""
    imported = set()
    for node in ast.walk(ast.parse(NETWORK_FILE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module.split(".")[0])
    assert "torch" in imported and imported - {"torch"} <= set(sys.stdlib_module_names)

    code = """
        import importlib.util, sys
        import torch
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                # sympy: torch needs it, and releases before 2.5 import it late
                if name.split(".")[0] not in sys.stdlib_module_names | {"torch", "sympy", "mpmath"}:
                    raise ImportError("refused: " + name)
        sys.meta_path.insert(0, Refuse())
        spec = importlib.util.spec_from_file_location("carried", sys.argv[1])
        carried = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(carried)
        network = carried.fold_batchnorm(carried.CompletionNetwork(4))
        image, mask = torch.rand(1, 3, 5, 7), torch.ones(1, 1, 5, 7)
        assert carried.complete_batch(network, image, mask, torch.zeros(3)).shape == image.shape
        for name in ("glcic_hub", "huggingface_hub", "diffusers", "safetensors", "PIL"):
            assert name not in sys.modules, name
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(NETWORK_FILE)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


# What goes in


def checkered_mask(height, width, seed=2):
    mask = (random_input(1, 1, height, width, seed=seed) < 0.5).double()
    mask[0, 0, 0, 0], mask[0, 0, -1, -1] = 0, 1
    return mask


def test_network_input():
    image, mask, mean = random_input(2, 3, 5, 7), checkered_mask(5, 7).repeat(2, 1, 1, 1), torch.tensor([0.2, 0.5, 0.9])
    result = network_input(image, mask, mean)
    assert result.shape == (2, 4, 5, 7)
    for item in range(2):
        for row in range(5):
            for column in range(7):
                hole = mask[item, 0, row, column].item() == 1
                colour = [0.0] * 3 if hole else (image[item, :, row, column] - mean).tolist()
                assert result[item, :, row, column].tolist() == [*colour, float(hole)]


@pytest.mark.parametrize("junk", [0.0, 1.0, -7.0, 1e30, float("inf"), float("nan")])
def test_what_is_under_the_mask_has_no_influence(small, junk):
    image, mask, mean = random_input(1, 3, 6, 9), checkered_mask(6, 9), torch.tensor([0.2, 0.5, 0.9])
    spoilt = torch.where(mask == 1, torch.tensor(junk), image)
    assert not torch.equal(spoilt, image)
    torch.testing.assert_close(network_input(spoilt, mask, mean), network_input(image, mask, mean), rtol=0, atol=0)
    with torch.no_grad():
        wanted, result = complete_batch(small, image, mask, mean), complete_batch(small, spoilt, mask, mean)
    torch.testing.assert_close(result, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (3, 4), (4, 4), (5, 7), (6, 10), (8, 12), (13, 8)])
def test_complete_batch_takes_every_size(small, size):
    """Equal to the network's answer to the picture whose last row and column are repeated up to a multiple of 4."""
    height, width = size
    image = random_input(2, 3, height, width)
    mask = torch.cat([checkered_mask(height, width), checkered_mask(height, width, seed=3)])
    mean = torch.tensor([0.2, 0.5, 0.9])
    rows = np.minimum(np.arange(-(-height // 4) * 4), height - 1)
    columns = np.minimum(np.arange(-(-width // 4) * 4), width - 1)
    x = network_input(image, mask, mean)[:, :, rows][:, :, :, columns]
    assert (x.shape[2:] == size) == (height % 4 == width % 4 == 0)
    with torch.no_grad():
        result = complete_batch(small, image, mask, mean)
        wanted = small(x)[:, :, :height, :width]
    assert result.shape == image.shape
    torch.testing.assert_close(result, wanted, **ROUNDING)


# Folding


@pytest.mark.parametrize("training", [False, True])
def test_folded_network_computes_the_same(small, training):
    x = random_input(2, 4, 16, 24) * 2 - 1
    with torch.no_grad():
        wanted = small(x)
        maps = [x]
        for block in small.blocks:
            maps.append(block(maps[-1]))
    small.train(training)
    before = copy.deepcopy(small.state_dict())

    folded = fold_batchnorm(small)
    assert not folded.training
    assert not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert wanted.std() > 0.01
    torch.testing.assert_close(folded(x), wanted, **ROUNDING)
    for block, before_it, after_it in zip(folded.blocks, maps, maps[1:]):  # the deconvolutions among them
        torch.testing.assert_close(block(before_it), after_it, **ROUNDING)

    # the network that came in is as it was, shares nothing with the copy, and learns
    assert small.training == training
    assert all(torch.equal(value, before[key]) for key, value in small.state_dict().items())
    assert all(parameter.requires_grad for parameter in small.parameters())
    small.train()
    optimiser = torch.optim.SGD(small.parameters(), lr=0.1)
    small(x).square().mean().backward()
    optimiser.step()
    still_equal = [key for key, parameter in small.named_parameters() if torch.equal(parameter, before[key])]
    # a bias before a batch normalisation has no gradient but rounding
    assert all(re.fullmatch(r"blocks\.\d+\.0\.bias", key) for key in still_equal)
    torch.testing.assert_close(folded(x), wanted, **ROUNDING)


# The discriminators


def channels_of(branch):
    """The branch's channels, after checking that each of its parts is a 5x5 convolution of stride 2 -> BN -> ReLU."""
    parts = list(branch.convolutions)
    convs, norms, activations = parts[0::3], parts[1::3], parts[2::3]
    assert len(convs) == len(norms) == len(activations)
    for conv, norm, activation in zip(convs, norms, activations):
        assert row_of(conv)[3:] == (5, 2, 1, 2)
        assert isinstance(norm, nn.BatchNorm2d) and norm.affine and norm.num_features == conv.out_channels
        assert isinstance(activation, nn.ReLU)
    for conv, following in zip(convs, convs[1:]):
        assert following.in_channels == conv.out_channels
    return [convs[0].in_channels, *(conv.out_channels for conv in convs)]


def test_discriminator_is_table_2():
    discriminator = without_memory(Discriminator)
    assert channels_of(discriminator.global_branch) == TABLE_2_GLOBAL
    assert channels_of(discriminator.local_branch) == TABLE_2_LOCAL
    for branch, count in ((discriminator.global_branch, 25_808_384), (discriminator.local_branch, 19_253_248)):
        assert (branch.linear.in_features, branch.linear.out_features) == (4 * 4 * 512, 1024)
        assert parameters_of(branch) == count
    assert (discriminator.output.in_features, discriminator.output.out_features) == (2048, 1)
    assert parameters_of(discriminator) == 45_063_681
    assert discriminator(*(torch.zeros(1, 3, n, n, device="meta") for n in (256, 128))).shape == (1, 1)


@pytest.mark.parametrize(
    ("sizes", "convolutions", "maps", "count"),
    [
        ((256, 128), (6, 5), (4, 4), 45_063_681),
        ((160, 96), (5, 5), (5, 3), 39_557_121),
        ((128, 64), (5, 4), (4, 4), 31_953_409),
        ((64, 32), (4, 3), (4, 4), 17_925_633),
    ],
)
def test_discriminators_of_other_sizes(sizes, convolutions, maps, count):
    discriminator = without_memory(Discriminator, *sizes)
    assert parameters_of(discriminator) == count
    branches = (discriminator.global_branch, discriminator.local_branch)
    for branch, size, number, side in zip(branches, sizes, convolutions, maps):
        assert channels_of(branch) == TABLE_2_GLOBAL[: number + 1]
        assert branch.convolutions(torch.zeros(1, 3, size, size, device="meta")).shape[2:] == (side, side)


@pytest.mark.parametrize("size", [8, 11, 12, 23, 24, 33, 45, 46, 90, 100, 200, 333, 512])
def test_map_is_as_near_to_4x4_as_halving_gets(size):
    branch = without_memory(Discriminator, size, 8, base_channels=2).global_branch
    steps = (len(channels_of(branch)) - 1) + np.arange(-1, 2)
    distances = np.abs(np.log2(size / 2.0**steps / 4))
    assert distances.argmin() == 1
    assert branch(torch.zeros(1, 3, size, size, device="meta")).shape == (1, 32)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("sizes", [(32, 16), (40, 24), (37, 22)])
def test_discriminator_forward_is_the_papers_computation(training, sizes):
    discriminator = randomise(Discriminator(*sizes, base_channels=4)).train(training)
    state = copy.deepcopy(discriminator.state_dict())
    inputs = [random_input(4, 3, size, size, seed=size) for size in sizes]
    features = []
    for name, x in zip(("global", "local"), inputs):
        for index in range(0, 100, 3):
            prefix = f"{name}_branch.convolutions."
            if f"{prefix}{index}.weight" not in state:
                break
            x = F.conv2d(x, state[f"{prefix}{index}.weight"], state[f"{prefix}{index}.bias"], stride=2, padding=2)
            x = plain_batchnorm(x, state, f"{prefix}{index + 1}.", training).clamp(min=0)
        assert index >= 6
        weight, bias = state[f"{name}_branch.linear.weight"], state[f"{name}_branch.linear.bias"]
        features.append((x.reshape(4, -1) @ weight.T + bias).clamp(min=0))
    wanted = torch.cat(features, dim=1) @ state["output.weight"].T + state["output.bias"]
    result = discriminator(*inputs)
    assert result.shape == (4, 1) and wanted.std() > 0.001
    torch.testing.assert_close(result, wanted, **ROUNDING)


def test_global_branch_comes_first():
    discriminator = randomise(Discriminator(16, 8, base_channels=4))
    images, patches = ([random_input(1, 3, size, size, seed=seed) for seed in (1, 2)] for size in (16, 8))
    half = discriminator.output.weight.shape[1] // 2
    for silenced, image_matters, patch_matters in ((slice(half), False, True), (slice(half, None), True, False)):
        changed = copy.deepcopy(discriminator)
        with torch.no_grad():
            changed.output.weight[:, silenced] = 0
            first = changed(images[0], patches[0])
            assert torch.equal(changed(images[1], patches[0]), first) != image_matters
            assert torch.equal(changed(images[0], patches[1]), first) != patch_matters


@pytest.mark.parametrize(
    ("image", "patch", "message"),
    [
        ((1, 3, 16, 20), (1, 3, 8, 8), r"takes \(B, 3, 16, 16\); got \(1, 3, 16, 20\)"),
        ((1, 3, 16, 16), (1, 3, 16, 16), r"takes \(B, 3, 8, 8\); got \(1, 3, 16, 16\)"),
        ((1, 4, 16, 16), (1, 3, 8, 8), r"takes \(B, 3, 16, 16\); got \(1, 4, 16, 16\)"),
        ((3, 16, 16), (1, 3, 8, 8), r"takes \(B, 3, 16, 16\); got \(3, 16, 16\)"),
    ],
)
def test_discriminator_names_a_wrong_size(image, patch, message):
    with pytest.raises(ValueError, match=message):
        Discriminator(16, 8, base_channels=2)(torch.zeros(image), torch.zeros(patch))


@pytest.mark.parametrize("sizes", [(7, 8), (16, 7), (16, 0), (-16, 8)])
def test_discriminator_refuses_tiny_pictures(sizes):
    with pytest.raises(ValueError, match=f"at least 8 pixels; got {min(sizes)}"):
        Discriminator(*sizes, base_channels=2)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("branches", "half"), [("global", slice(64)), ("local", slice(64, None))])
def test_one_branch_alone_is_that_part_of_the_whole(branches, half, training):
    whole = randomise(Discriminator(16, 8, base_channels=4)).train(training)
    alone = Discriminator(16, 8, base_channels=4, branches=branches).double().train(training)
    state = {name: value for name, value in whole.state_dict().items() if name in alone.state_dict()}
    alone.load_state_dict(state | {"output.weight": whole.output.weight[:, half]})
    images, patches = (random_input(2, 3, size, size, seed=size) for size in (16, 8))
    with torch.no_grad():
        whole.output.weight[:] = torch.zeros_like(whole.output.weight).index_copy(
            1, torch.arange(128)[half], whole.output.weight[:, half]
        )
        torch.testing.assert_close(alone(images, patches), whole(images, patches), **ROUNDING)


def test_unknown_branches_are_refused():
    with pytest.raises(ValueError, match="both, global, local; got 'none'"):
        Discriminator(16, 8, branches="none")
