"""Where to compute: one choice for the command line, the Space, the endpoint and the integrations."""

import torch

KINDS = ("cuda", "xpu", "mps")
"""Kinds of accelerators, in the order in which they are taken."""


def choose_device(name: str | None = None, number: int = 0) -> torch.device:
    """The device to compute on.

    Args:
        name: as torch writes it: "cpu", "cuda", "cuda:1", "mps", "xpu". Without it an accelerator if there is one,
            else the CPU.
        number: which of several devices of one kind is taken when `name` does not say; counted round.

    Raises:
        ValueError: torch knows no such device, or this machine has none.
    """
    try:
        device = torch.device(name or next(filter(_count, KINDS), "cpu"))
    except RuntimeError as error:
        raise ValueError(f"there is no device {name!r}; {_available()}") from error
    if device.type == "cpu":
        return device
    count = _count(device.type)
    if (device.index or 0) >= count:
        raise ValueError(f"this machine has no device {name!r}; {_available()}")
    return torch.device(device.type, number % count if device.index is None else device.index)


def accelerator_count() -> int:
    """How many devices `choose_device` shares out when it is not told a name; 0 where it is the CPU."""
    return next(filter(None, map(_count, KINDS)), 0)


def _count(kind: str) -> int:
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    module = getattr(torch, kind, None)
    return module.device_count() if module is not None and module.is_available() else 0


def _available() -> str:
    names = [f"{kind}:{number}" for kind in KINDS for number in range(_count(kind))]
    return f"there is {', '.join(['cpu', *names])}"
