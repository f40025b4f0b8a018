"""How a model is loaded: the arguments of diffusers, transformers and huggingface_hub.

Each has the same meaning as there, or is refused by name.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from glcic_hub.device import choose_device

_Read = TypeVar("_Read")

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

PIPELINE_COMPONENT = "completion_network"
"""What a pipeline calls the model, and the folder in which it saves it."""

STRATEGIES = ("auto", "balanced", "balanced_low_0", "sequential")
"""Ways of accelerate to share a model out; one that is small goes to one device."""


def asked_for(
    dtype: object = None,
    torch_dtype: object = None,
    device_map: object = None,
    map_location: object = None,
    strict: bool | None = None,
    use_safetensors: bool | None = None,
    low_cpu_mem_usage: bool | None = None,
    proxies: dict | None = None,
) -> tuple[torch.dtype | str | None, torch.device | None]:
    """Read the arguments of `GLCICModel.from_pretrained` that are about how to load, not what.

    Returns:
        The type of the weights: one of `DTYPES`, "auto" for that of the file, None where nothing is said; and the
        device, or None.

    Raises:
        ValueError: an argument cannot be followed; the message names it.
    """
    if strict is not None and not strict:
        raise ValueError(f"strict={strict}: weights are always loaded strictly; leave the argument out")
    if use_safetensors is not None and not use_safetensors:
        raise ValueError(f"use_safetensors={use_safetensors} asks for pickle files; only safetensors are ever read")
    if proxies:
        raise ValueError(
            "proxies: set HTTPS_PROXY in the environment instead, which every version of huggingface_hub reads"
        )
    # low_cpu_mem_usage needs no answer: loading never holds the weights twice.
    wanted_dtype = _agreed(_read_dtype, dtype=dtype, torch_dtype=torch_dtype)
    return wanted_dtype, _agreed(_read_device, device_map=device_map, map_location=map_location)


def _agreed(read: Callable[[str, Any], _Read], **arguments: object) -> _Read | None:
    """What two names of one thing say."""
    said = {name: read(name, value) for name, value in arguments.items() if value is not None}
    if len(set(said.values())) > 1:
        raise ValueError(f"{' and '.join(said)} mean the same thing but differ here; give one of them")
    return next(iter(said.values()), None)


def _read_dtype(name: str, value: object) -> torch.dtype | str | None:
    if isinstance(value, dict):  # diffusers: for each component of a pipeline
        value = value.get(PIPELINE_COMPONENT, value.get("default"))
    if value is None or isinstance(value, str) and value == "auto":
        return value
    found = getattr(torch, value.removeprefix("torch."), None) if isinstance(value, str) else value
    if not isinstance(found, torch.dtype) or found not in DTYPES:
        names = ", ".join(map(str, DTYPES))
        raise ValueError(
            f'{name} must be one of {names}, the name of one, "auto", or a dict {{{PIPELINE_COMPONENT!r}: ...}}; '
            f"got {value!r}"
        )
    return found


def _read_device(name: str, value: Any) -> torch.device | None:
    if isinstance(value, dict):  # accelerate: "" is the whole
        if unknown := value.keys() - {"", PIPELINE_COMPONENT}:
            raise ValueError(f"{name} must name one device for the whole model; got {', '.join(map(repr, unknown))}")
        value = value.get(PIPELINE_COMPONENT, value.get(""))
    if value is None:
        return None
    if value in STRATEGIES:
        return choose_device()
    try:
        device = torch.device(value)
        return device if device.type == "meta" else choose_device(str(device))
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{name}={value!r} cannot be used: {str(error).splitlines()[0]}") from error
