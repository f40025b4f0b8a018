"""The official network, as Torch7 modules -> its tensors by the names of the flat layout.

The official files hold a table with `model`, a nn.Sequential of 50 modules (16 times convolution, batch normalisation,
ReLU; convolution, Sigmoid), and `mean`, the mean colour. Weights are laid out as PyTorch's. Fields: torch/nn, *.lua.
"""

from typing import Any

import numpy as np

from glcic_hub.convert.layouts import DEPTH, EPS, MAX_BASE_CHANNELS, LayoutError
from glcic_hub.convert.torch7 import Module
from glcic_hub.network import COMPLETION_LAYERS, Layer

OUTPUT = Layer("conv", 0, 3, 1, 1)
CONVOLUTIONS = {
    "conv": ("nn.SpatialConvolution", "nn.SpatialConvolutionMM", "nn.SpatialDilatedConvolution"),
    "deconv": ("nn.SpatialFullConvolution",),
}


def flatten(value: Any) -> tuple[dict[str, np.ndarray], list[float] | None]:
    """Take the network out of what `torch7.load` gave, and check that every layer is the paper's.

    Args:
        value: a table with `model` and `mean`, or the nn.Sequential alone.

    Returns:
        The tensors by the names of the flat layout (`0.weight`, ...), and the mean colour if there is one.

    Raises:
        LayoutError: a module is of another class or geometry than Table 1 says, or has no tensors.
    """
    top = value if isinstance(value, dict) else {"model": value}
    modules = _fields(top.get("model"), "the network", "nn.Sequential").get("modules")
    count = 3 * DEPTH + 2
    if not isinstance(modules, dict) or set(modules) != set(range(1, count + 1)):
        raise LayoutError(f"the nn.Sequential is not the {count} modules of a GLCIC completion network")
    state: dict[str, np.ndarray] = {}
    for i, layer in enumerate((*COMPLETION_LAYERS, OUTPUT)):
        place = 3 * i  # as the state dict of PyTorch counts; Lua counts from 1
        state |= _convolution(modules[place + 1], str(place), layer)
        if layer is not OUTPUT:
            state |= _batch_norm(modules[place + 2], str(place + 1))
            relu = _fields(modules[place + 3], f"module {place + 2}", "nn.ReLU")
            _check(relu, f"module {place + 2}", threshold=(0, 0), val=(0, 0))
    _fields(modules[count], f"module {count - 1}", "nn.Sigmoid")
    return state, _mean(top.get("mean"))


def _convolution(module: Any, name: str, layer: Layer) -> dict[str, np.ndarray]:
    fields = _fields(module, f"module {name}", *CONVOLUTIONS[layer.kind])
    padding = 1 if layer.kind == "deconv" else layer.dilation * (layer.kernel // 2)
    for axis in "WH":
        wanted = {f"k{axis}": (layer.kernel, None), f"d{axis}": (layer.stride, 1)}
        wanted[f"pad{axis}"] = (padding, fields.get("padding", 0))  # `padding` alone in the oldest files
        if module.class_name == "nn.SpatialFullConvolution":
            wanted[f"adj{axis}"] = (0, 0)
        if module.class_name == "nn.SpatialDilatedConvolution":
            wanted[f"dilation{axis}"] = (layer.dilation, 1)
        elif layer.dilation > 1:
            raise LayoutError(f"module {name} is a {module.class_name} without dilation; wanted {layer.dilation}")
        _check(fields, f"module {name}", **wanted)
    weight = _tensor(fields, "weight", name)
    if weight.ndim == 2 and layer.kind == "conv" and weight.shape[1] % layer.kernel**2 == 0:
        weight = _as_kernels(weight, layer.kernel)
    state = {f"{name}.weight": weight}
    if fields.get("bias") is not None:  # :noBias()
        state[f"{name}.bias"] = _tensor(fields, "bias", name)
    return state


def _as_kernels(weight: np.ndarray, kernel: int) -> np.ndarray:
    """(out, in * kernel * kernel), as older modules keep it, seen as (out, in, kernel, kernel); nothing is copied."""
    out_step, step = weight.strides
    shape = (weight.shape[0], weight.shape[1] // kernel**2, kernel, kernel)
    strides = (out_step, step * kernel**2, step * kernel, step)
    return np.lib.stride_tricks.as_strided(weight, shape, strides, writeable=False)


def _batch_norm(module: Any, name: str) -> dict[str, np.ndarray]:
    fields = _fields(module, f"module {name}", "nn.SpatialBatchNormalization")
    eps = fields.get("eps", EPS)
    if not isinstance(eps, float) or not 0 <= eps < 1:
        raise LayoutError(f"module {name} has an eps that is not a small number")
    mean = _vector(fields, "running_mean", name)
    if fields.get("running_var") is not None:
        var = _vector(fields, "running_var", name)
    else:  # version below 2: the inverse of the standard deviation, eps included
        with np.errstate(divide="ignore"):
            var = _vector(fields, "running_std", name) ** -2 - eps
    state = {f"{name}.running_mean": mean, f"{name}.running_var": var + (eps - EPS)}
    for suffix, neutral in (("weight", 1), ("bias", 0)):
        has_it = fields.get(suffix) is not None  # not where affine is false
        state[f"{name}.{suffix}"] = _vector(fields, suffix, name) if has_it else np.full(mean.shape, float(neutral))
    return state


def _mean(value: Any) -> list[float] | None:
    if isinstance(value, dict) and set(value) == {1, 2, 3}:
        value = np.array([value[1], value[2], value[3]], dtype=object)
    elif isinstance(value, np.ndarray) and value.size == 3:
        value = value.ravel()
    elif value is not None:
        raise LayoutError("the mean colour in the file is not three numbers")
    if value is None:
        return None
    values = value.tolist()
    if not all(isinstance(x, float) and 0 <= x <= 1 for x in values):
        raise LayoutError(f"the mean colour in the file is {values}; wanted three numbers from 0 to 1")
    return values


def _fields(module: Any, name: str, *classes: str) -> dict:
    if not isinstance(module, Module) or module.class_name not in classes:
        found = module.class_name if isinstance(module, Module) else "something else"
        raise LayoutError(f"{name} should be a {' or '.join(classes)}, but is {found}")
    return module.fields


def _check(fields: dict, name: str, **wanted: tuple[float, Any]) -> None:
    """Compare fields with (wanted value, value where the field is absent)."""
    for key, (value, default) in wanted.items():
        found = fields.get(key, default)
        if not isinstance(found, (int, float)) or found != value:
            raise LayoutError(f"{name} has {key} {found if isinstance(found, float) else '(none)'}; wanted {value}")


def _vector(fields: dict, key: str, name: str) -> np.ndarray:
    """A copy in double precision, of a size that is bounded (views may repeat elements)."""
    value = _tensor(fields, key, name)
    if value.ndim != 1 or value.size > 4 * MAX_BASE_CHANNELS:
        raise LayoutError(f"module {name} has a {key!r} of shape {value.shape}, which fits no GLCIC network")
    return value.astype(np.float64)


def _tensor(fields: dict, key: str, name: str) -> np.ndarray:
    value = fields.get(key)
    if not isinstance(value, np.ndarray):
        raise LayoutError(f"module {name} has no tensor {key!r}")
    return value
