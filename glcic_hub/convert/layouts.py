"""Names and orders: foreign checkpoints of the completion network -> the state dict of `CompletionNetwork`.

Every layout is a list of names for the 17 convolutions and 16 batch normalisations of Table 1. A layout is recognised
by its names, and must then fit completely: a tensor that is missing, left over or of another shape is an error.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from glcic_hub.network import COMPLETION_LAYERS, CompletionNetwork

DEPTH = len(COMPLETION_LAYERS)
MAX_BASE_CHANNELS = 256  # the paper: 64; bounds what a file can make us allocate
EPS = 1e-5  # of the batch normalisations of `CompletionNetwork`

MMAGIC_SLOPE = 5.6476
"""The slope k for which sigmoid(k * (v - 1/2)) is nearest to v clamped to [0, 1]: see `absorb_mmagic`."""
MMAGIC_ERROR = 0.0561
"""The largest difference of the two, over all v."""


class LayoutError(ValueError):
    """The checkpoint is of no known layout, is not complete, or computes what `CompletionNetwork` cannot."""


class Layout(NamedTuple):
    """How a source names the layers.

    Attributes:
        kind: the source, as `convert` calls it.
        title: the source, for people.
        convolutions: prefixes of the names of layers 1 to 17.
        norms: prefixes of the names of the batch normalisations of layers 1 to 16; empty for the blog post's network.
        scope: prefix of all names that belong to the completion network; other names are other networks.
        norm_comes_last: Conv -> ReLU -> BatchNorm instead of the paper's Conv -> BatchNorm -> ReLU.
        mean: the colour, RGB in [0, 1], that is 0 for the network, where the source says it.
    """

    kind: str
    title: str
    convolutions: list[str]
    norms: list[str]
    scope: str = ""
    norm_comes_last: bool = False
    mean: tuple[float, float, float] | None = None


def _layouts() -> Iterator[Layout]:
    flat = [str(3 * i) for i in range(DEPTH + 1)]
    nested = [f"{i}.0" for i in range(DEPTH)] + [str(DEPTH)]
    for place in (1, 2):  # the batch normalisation's; the ReLU has no tensors
        late = place == 2
        norms = [str(3 * i + place) for i in range(DEPTH)]
        yield Layout("sequential", "a flat nn.Sequential (0, 1, ..., 48)", flat, norms, norm_comes_last=late)
        norms = [f"{i}.{place}" for i in range(DEPTH)]
        yield Layout("sequential", "a nested nn.Sequential (0.0, 0.1, ..., 16)", nested, norms, norm_comes_last=late)

    # liruilong940607/glcic.pytorch, train.py
    groups = {"conv1": 3, "conv2": 3, "conv3": 4, "conv4": 2, "decoder1": 2, "decoder2": 3}
    names = [f"{group}_{i + 1}" for group, count in groups.items() for i in range(count)]
    title = "liruilong940607/glcic.pytorch (conv1_1.conv, ..., decoder2_3.conv)"
    yield Layout("sequential", title, [f"{name}.conv" for name in names], [f"{name}.bn" for name in names[:-1]])

    # mike820808's and ChihchengHsieh's notebook; the names of its normalisations do not matter, it cannot be converted
    names = [f"conv{i}" for i in range(1, 7)] + [f"dilated_conv{i}" for i in range(1, 5)]
    names += ["conv7", "conv8", "deconv1", "conv9", "deconv2", "conv10", "conv11"]
    for scope in ("completion.", ""):
        yield Layout("sequential", "the blog post's network", [f"{scope}C_{name}" for name in names], [], scope)

    # otenim/GLCIC-PyTorch, models.py
    names = [("de" if layer.kind == "deconv" else "") + f"conv{i}" for i, layer in enumerate(COMPLETION_LAYERS, 1)]
    norms = [f"bn{i + 1}" for i in range(DEPTH)]
    yield Layout("otenim", "otenim/GLCIC-PyTorch", [*names, f"conv{DEPTH + 1}"], norms, norm_comes_last=True)

    # open-mmlab/mmagic, mmagic/models/editors/global_local/gl_{encoder,dilation,decoder}.py
    names = [f"generator.encoder.enc{i}" for i in range(1, 7)]
    names += [f"generator.dilation_neck.dilation_convs.{i}" for i in range(4)]
    names += [f"generator.decoder.dec{i}" for i in range(1, 8)]
    convolutions, norms = [f"{name}.conv" for name in names], [f"{name}.bn" for name in names[:-1]]
    yield Layout("mmagic", "MMagic (global_local)", convolutions, norms, "generator.", mean=(0.5, 0.5, 0.5))


LAYOUTS = tuple(_layouts())
FLAT = LAYOUTS[0]


def find_state_dict(value: Any) -> dict[str, torch.Tensor]:
    """The tensors by name, out of what `torch.load` gave: bare, or inside a training checkpoint.

    Raises:
        LayoutError: there are none.
    """
    for _ in range(3):
        if not isinstance(value, Mapping):
            break
        tensors = {name: x for name, x in value.items() if isinstance(x, torch.Tensor) and isinstance(name, str)}
        if tensors:
            if all(name.startswith("module.") for name in tensors):  # nn.DataParallel
                tensors = {name.removeprefix("module."): x for name, x in tensors.items()}
            return tensors
        value = next((value[name] for name in ("state_dict", "model", "network", "net") if name in value), None)
    raise LayoutError("the file does not contain a state dict (tensors by name)")


def find_layout(state: Mapping[str, Any]) -> Layout:
    """The layout whose weights are all there.

    Raises:
        LayoutError: there is none; it names what the file holds instead.
    """
    required = [(layout, [f"{name}.weight" for name in layout.convolutions + layout.norms]) for layout in LAYOUTS]
    for layout, names in required:
        if all(name in state for name in names):
            return layout
    if any(name.startswith(("model_ld.", "disc.", "local_conv")) for name in state):
        raise LayoutError("the file contains a discriminator, but not a completion network")
    layout, names = max(required, key=lambda item: sum(name in state for name in item[1]) / len(item[1]))
    missing = [name for name in names if name not in state]
    if len(missing) > len(names) // 2:
        known = dict.fromkeys(layout.title for layout in LAYOUTS)
        raise LayoutError(f"the names of the tensors match none of the known layouts: {'; '.join(known)}")
    raise LayoutError(f"this looks like {layout.title}, but {len(missing)} tensors are missing, first {missing[0]}")


def read_state(source: Mapping[str, Any], layout: Layout) -> dict[str, torch.Tensor]:
    """Rename and check all tensors of a layout.

    Args:
        source: tensors (torch or NumPy) by the layout's names.
        layout: the one that `find_layout` found.

    Returns:
        The state dict of a `CompletionNetwork`, complete, float32. A convolution without bias has bias 0.

    Raises:
        LayoutError: a tensor is missing, left over, of another shape or type, or holds no finite numbers; or the
            network computes what `CompletionNetwork` cannot.
    """
    if not layout.norms:
        raise LayoutError(
            f"this is {layout.title}, which does not see the mask and fills the hole with the mean colour of each "
            "image, where a GLCIC model has one colour for all images"
        )
    source = {name: value for name, value in source.items() if name.startswith(layout.scope)}
    first = source[f"{layout.convolutions[0]}.weight"]
    base = first.shape[0] if len(first.shape) == 4 else 0
    if not 2 <= base <= MAX_BASE_CHANNELS or base % 2:
        raise LayoutError(
            f"{layout.convolutions[0]}.weight is {tuple(first.shape)}, which is not that of a first convolution"
        )
    if first.shape[1] != 4:
        raise LayoutError(
            f"this is {layout.title} with {first.shape[1]} input channels instead of 4: it does not see the mask, and "
            "expects other values in the hole than a GLCIC model puts there"
        )
    prefixes = {f"blocks.{i}.0": name for i, name in enumerate(layout.convolutions[:-1])}
    prefixes |= {f"blocks.{i}.1": name for i, name in enumerate(layout.norms)}
    prefixes["output"] = layout.convolutions[-1]
    has_no_bias = not any(f"{name}.bias" in source for name in layout.convolutions[:-1])

    with torch.device("meta"):
        network = CompletionNetwork(base)
    state, problems = {}, []
    for key, wanted in network.state_dict().items():
        prefix, _, suffix = key.rpartition(".")
        name = f"{prefixes[prefix]}.{suffix}"
        value = source.pop(name, None)
        if suffix == "num_batches_tracked":  # not used: the momentum is a number
            state[key] = torch.tensor(0)
        elif value is not None and tuple(value.shape) != tuple(wanted.shape):
            problems.append(f"{name} is {tuple(value.shape)}, wanted {tuple(wanted.shape)}")
        elif value is not None:
            state[key] = _float32(value, name)
        elif suffix == "bias" and prefixes[prefix] in layout.convolutions and has_no_bias:
            state[key] = torch.zeros(wanted.shape)
        else:
            problems.append(f"{name} is missing")
    problems += [f"{name} is left over" for name in source]
    if problems:
        raise LayoutError(f"this looks like {layout.title}, but {len(problems)} tensors do not fit: {problems[0]}")
    for i in range(DEPTH):
        if not (state[f"blocks.{i}.1.running_var"] + EPS > 0).all():
            raise LayoutError(f"{layout.norms[i]}.running_var is negative, which a variance cannot be")
    if layout.norm_comes_last:
        _refuse_late_norm(state, layout)
    return state


def absorb_mmagic(state: dict[str, torch.Tensor]) -> None:
    """Turn MMagic's network, which works on BGR in [-1, 1], into one that works on RGB in [0, 1] with mean 0.5.

    The input is exact: (v - 127.5) / 127.5 is 2 * (v / 255 - 0.5), so that the first convolution's colour weights are
    doubled and their order reversed; hole and padding are 0 on both sides.

    The output is not: MMagic clamps to [-1, 1], this network has a sigmoid. With the output mapped to v in [0, 1],
    sigmoid(k * (v - 1/2)) takes the place of the clamped v; the k of `MMAGIC_SLOPE` has the least largest error.
    """
    first = state["blocks.0.0.weight"]
    state["blocks.0.0.weight"] = torch.cat([2 * first[:, :3].flip(1), first[:, 3:]], dim=1)
    for key in ("output.weight", "output.bias"):
        state[key] = state[key].flip(0) * (MMAGIC_SLOPE / 2)


def _refuse_late_norm(state: dict[str, torch.Tensor], layout: Layout) -> None:
    shift = max(_shift(state, i).abs().max().item() for i in range(DEPTH))
    raise LayoutError(
        f"this is {layout.title} with Conv -> ReLU -> BatchNorm where the paper has Conv -> BatchNorm -> ReLU: the "
        f"shift that its normalisations add after the ReLU (up to {shift:.3g}) cannot be expressed as a bias, "
        "because of zero padding and transposed convolutions, so no GLCIC model computes the same"
    )


def _shift(state: dict[str, torch.Tensor], i: int) -> torch.Tensor:
    weight, bias, mean, var = (
        state[f"blocks.{i}.1.{name}"] for name in ("weight", "bias", "running_mean", "running_var")
    )
    return bias - weight * mean / torch.sqrt(var + EPS)


def _float32(value: torch.Tensor | np.ndarray, name: str) -> torch.Tensor:
    """A copy; the shape was checked before, so that its size is bounded."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            value = torch.from_numpy(np.array(value, np.float64 if value.itemsize == 8 else np.float32))
        else:
            raise LayoutError(f"{name} has {value.dtype} numbers; floating point is wanted")
    if not value.is_floating_point() or value.layout != torch.strided or value.device.type != "cpu":
        raise LayoutError(f"{name} is a {value.dtype} tensor of a kind that cannot be weights")
    value = value.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if not torch.isfinite(value).all():
        raise LayoutError(f"{name} has values that are not finite: the checkpoint is damaged or diverged")
    return value
