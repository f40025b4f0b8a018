"""What other implementations compute and write, independent of our network: plain functions of torch.

A network is a list of 17 dicts of tensors: weight, bias (or None), and, but for the last, gamma, beta, mean, var.
"""

import functools

import torch
from torch.nn import functional as F

from tests.convert.torch7_writer import Object, Storage, Tensor, tensor
from tests.random_models import random_model

# (kernel, stride, dilation) of Table 1; None: the transposed convolution of kernel 4, stride 2
GEOMETRY = [(5, 1, 1), (3, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 1), (3, 1, 1), (3, 1, 2), (3, 1, 4), (3, 1, 8)]
GEOMETRY += [(3, 1, 16), (3, 1, 1), (3, 1, 1), None, (3, 1, 1), None, (3, 1, 1), (3, 1, 1)]
MEAN = (0.4560, 0.4472, 0.4155)

MMAGIC = [f"generator.encoder.enc{i}" for i in range(1, 7)]
MMAGIC += [f"generator.dilation_neck.dilation_convs.{i}" for i in range(4)]
MMAGIC += [f"generator.decoder.dec{i}" for i in range(1, 8)]
LIRUILONG = [f"conv{group}_{i}" for group, count in ((1, 3), (2, 3), (3, 4), (4, 2)) for i in range(1, count + 1)]
LIRUILONG += ["decoder1_1", "decoder1_2", "decoder2_1", "decoder2_2", "decoder2_3"]
BLOG = [f"conv{i}" for i in range(1, 7)] + [f"dilated_conv{i}" for i in range(1, 5)] + ["conv7", "conv8"]
BLOG += ["deconv1", "conv9", "deconv2", "conv10", "conv11"]
OTENIM = [f"{'deconv' if i in (13, 15) else 'conv'}{i}" for i in range(1, 18)]

NAMES = {
    "flat": ([str(3 * i) for i in range(17)], [str(3 * i + 1) for i in range(16)]),
    "nested": ([f"{i}.0" for i in range(16)] + ["16"], [f"{i}.1" for i in range(16)]),
    "liruilong": ([f"{name}.conv" for name in LIRUILONG], [f"{name}.bn" for name in LIRUILONG]),
    "otenim": (OTENIM, [f"bn{i}" for i in range(1, 17)]),
    "mmagic": ([f"{name}.conv" for name in MMAGIC], [f"{name}.bn" for name in MMAGIC]),
    "blog": ([f"completion.C_{name}" for name in BLOG], [f"completion.C_bn{i}" for i in range(1, 17)]),
    "late flat": ([str(3 * i) for i in range(17)], [str(3 * i + 2) for i in range(16)]),
    "late nested": ([f"{i}.0" for i in range(16)] + ["16"], [f"{i}.2" for i in range(16)]),
}
"""Names of the convolutions and of the normalisations."""


@functools.cache
def _random_state() -> dict[str, torch.Tensor]:
    return random_model(1).network.state_dict()


def network(bias: bool = True, in_channels: int = 4) -> list[dict]:
    """A network with base 4 whose every layer matters."""
    state = {key: value.clone() for key, value in _random_state().items()}
    layers = []
    for i in range(17):
        conv, norm = (f"blocks.{i}.0", f"blocks.{i}.1") if i < 16 else ("output", None)
        layer = {"weight": state[f"{conv}.weight"], "bias": state[f"{conv}.bias"] if bias or i == 16 else None}
        if norm:
            names = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}
            layer |= {ours: state[f"{norm}.{theirs}"] for ours, theirs in names.items()}
        layers.append(layer)
    layers[0]["weight"] = layers[0]["weight"][:, :in_channels]
    layers[3]["gamma"] = -layers[3]["gamma"]  # as training may have it
    return layers


def forward(layers: list[dict], x: torch.Tensor, late: bool = False, eps: float = 1e-5) -> torch.Tensor:
    """The network up to its last convolution, in double precision; `late`: the normalisation after the ReLU."""
    x = x.double()
    for layer, geometry in zip(layers, GEOMETRY):
        layer = {name: None if value is None else value.double() for name, value in layer.items()}
        if geometry is None:
            x = F.conv_transpose2d(x, layer["weight"], layer["bias"], stride=2, padding=1)
        else:
            kernel, stride, dilation = geometry
            x = F.conv2d(x, layer["weight"], layer["bias"], stride, dilation * (kernel // 2), dilation)
        if "gamma" in layer:
            x = F.relu(x) if late else x
            x = F.batch_norm(x, layer["mean"], layer["var"], layer["gamma"], layer["beta"], eps=eps)
            x = x if late else F.relu(x)
    return x


def official(layers: list[dict], image: torch.Tensor, mask: torch.Tensor, **options: object) -> torch.Tensor:
    """As inpaint.lua of the authors: mean subtracted, hole 0, mask as fourth channel, sigmoid."""
    known = (image - torch.tensor(MEAN).view(1, 3, 1, 1)) * (1 - mask)
    return torch.sigmoid(forward(layers, torch.cat([known, mask], 1), **options))


def mmagic(layers: list[dict], image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """As MMagic: BGR of 0 to 255 to [-1, 1], hole 0, output clamped; back to RGB in [0, 1]."""
    bgr = (255 * image.double().flip(1) - 127.5) / 127.5
    output = forward(layers, torch.cat([bgr * (1 - mask), mask.double()], 1)).clamp(-1, 1)
    return ((output + 1) * 127.5 / 255).flip(1)


def state_dict(layers: list[dict], names: str) -> dict[str, torch.Tensor]:
    """The state dict under the names that an implementation gives."""
    convolutions, norms = NAMES[names]
    state = {}
    for i, layer in enumerate(layers):
        state[f"{convolutions[i]}.weight"] = layer["weight"]
        if layer["bias"] is not None:
            state[f"{convolutions[i]}.bias"] = layer["bias"]
        if "gamma" in layer:
            state[f"{norms[i]}.weight"], state[f"{norms[i]}.bias"] = layer["gamma"], layer["beta"]
            state[f"{norms[i]}.running_mean"], state[f"{norms[i]}.running_var"] = layer["mean"], layer["var"]
            state[f"{norms[i]}.num_batches_tracked"] = torch.tensor(7)
    return state


def torch7(
    layers: list[dict],
    kind: str = "Float",
    flat_weights: bool = False,
    shared: bool = False,
    gradients: bool = True,
    mean: object = "table",
    eps: float = 1e-5,
    old_norms: bool = False,
) -> dict:
    """The table of an official file, for `torch7_writer.write`.

    Args:
        kind: the type of the tensors.
        flat_weights: convolutions keep (out, in * k * k), as older ones do.
        shared: all parameters are views of one storage, as after `getParameters()`.
        gradients: with gradWeight, gradBias and buffers, which a file may hold or not.
        mean: "table", "tensor" or None.
        old_norms: running_std (the inverse of the standard deviation, eps included) instead of running_var.
    """
    storage, used = Storage([], kind), 0

    def made(values: torch.Tensor) -> Tensor:
        nonlocal used
        array = values.double().numpy()
        if not shared:
            return tensor(array, kind)
        storage.values.extend(array.ravel().tolist())
        used += array.size
        strides = tuple(stride // 8 for stride in torch.empty_like(values).double().contiguous().numpy().strides)
        return Tensor(storage, array.shape, strides, used - array.size, kind)

    def module(name: str, **fields: object) -> Object:
        empty = {"output": Tensor(None, (), (), 0, kind), "gradInput": Tensor(None, (), (), 0, kind)}
        numbers = {key: float(x) if type(x) is int else x for key, x in fields.items()}
        return Object(f"nn.{name}", {"_type": f"torch.{kind}Tensor", "train": False, **empty, **numbers})

    modules = []
    for i, (layer, geometry) in enumerate(zip(layers, GEOMETRY)):
        weight, bias = layer["weight"], layer["bias"]
        kernel, stride, dilation = geometry or (4, 2, 1)
        padding = dilation * (kernel // 2) if geometry else 1
        fields = {"kW": kernel, "kH": kernel, "dW": stride, "dH": stride, "padW": padding, "padH": padding}
        fields |= {"nInputPlane": weight.shape[geometry is not None], "nOutputPlane": weight.shape[geometry is None]}
        if flat_weights and geometry:
            weight = weight.flatten(1)
        fields |= {"weight": made(weight), "bias": None if bias is None else made(bias)}
        if gradients:
            fields |= {"gradWeight": made(weight * 0 + 9), "finput": tensor(torch.ones(3).numpy())}
        name = "SpatialConvolution"
        if geometry is None:
            name, fields = "SpatialFullConvolution", fields | {"adjW": 0, "adjH": 0}
        elif dilation > 1 or i in (4, 5, 10, 11):
            name, fields = "SpatialDilatedConvolution", fields | {"dilationW": dilation, "dilationH": dilation}
        modules.append(module(name, **fields))
        if "gamma" in layer:
            fields = {"eps": eps, "momentum": 0.1, "affine": True, "running_mean": made(layer["mean"])}
            fields |= {"weight": made(layer["gamma"]), "bias": made(layer["beta"])}
            std = 1 / torch.sqrt(layer["var"].double() + eps)
            fields |= {"running_std": made(std)} if old_norms else {"running_var": made(layer["var"])}
            modules += [module("SpatialBatchNormalization", **fields)]
            modules += [module("ReLU", threshold=0, val=0, inplace=True)]
    sequence = Object("nn.Sequential", {"modules": [*modules, module("Sigmoid")], "train": False})
    means = {"table": list(MEAN), "tensor": tensor(torch.tensor(MEAN).numpy())}
    return {"model": sequence, "mean": means.get(mean)}
