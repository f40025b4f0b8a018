"""A model made ready for inference: it completes a part of a picture, at the scale at which it knows holes."""

import functools
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from glcic_hub.device import choose_device
from glcic_hub.filling.grids import reduced
from glcic_hub.filling.holes import Box, Frame, view_of
from glcic_hub.filling.seam import BLENDS
from glcic_hub.filling.windows import complete_holes, complete_window
from glcic_hub.model import GLCICModel
from glcic_hub.network import SIZE_MULTIPLE, fold_batchnorm

CONTEXT = 0.25
"""Surroundings shown on each side of a hole, at least, as a share of the model's `sample_size`."""


class Completer:
    """A model made ready for inference (batch normalisation folded) together with how it is used on whole pictures.

    Args:
        model: the completion model; it stays as it is.
        device: where to compute; the model's own without it.

    Attributes:
        network: the folded network, of the type `dtype`, on `device`.
        sample_size, max_hole_size, blend, texture: those of the model.
    """

    def __init__(self, model: GLCICModel, device: torch.device | str | None = None):
        self.device = torch.device(device) if device is not None else model.device
        self.dtype = model.compute_dtype or fastest_dtype(model.dtype, self.device)
        self.sample_size = model.sample_size
        self.max_hole_size = model.max_hole_size
        self.blend = model.blend
        self.texture = model.texture
        network = fold_batchnorm(getattr(model.network, "_orig_mod", model.network))  # before anything is rounded
        # torch takes the three together, which its types do not say
        self.network = network.to(self.device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean = model.mean.to(self.device, torch.float32)
        self._complete_window = _compiled_as(model, complete_window)

    def view_of(self, cell: Box, size: tuple[int, int], scale: float, padding: int | None) -> Box:
        """What the network is to see of a picture of (height, width) `size` in order to complete a cell of a hole.

        Args:
            cell: rows and columns that are to be completed.
            size: of the picture.
            scale: by which it is reduced for the network, at most 1.
            padding: pixels around the cell; without it as much as the network was trained with.
        """
        if padding is not None:
            return view_of(cell, size, padding, least=0)
        return view_of(cell, size, CONTEXT * self.sample_size / scale, least=self.sample_size / scale)

    @torch.inference_mode()
    def complete(self, frame: Frame, scale: float, blend: str | None) -> np.ndarray:
        """Run the network on a frame, reduced by `scale`.

        Args:
            frame: what the network is shown; its hole is completed, and what is neither hole nor known is unknown.
            scale: at most 1.
            blend: how the seam is treated at that scale, one of `seam.BLENDS`: enlarging mixes the rim with known
                pixels, hiding what is wrong there.

        Returns:
            float32 (h, w, 3), RGB in [0, 1], meant to be used under the hole.

        Raises:
            ValueError: the network's values are not finite.
        """
        image = torch.from_numpy(np.ascontiguousarray(frame.values)).to(self.device).permute(2, 0, 1)[None]
        known, wanted = (
            torch.from_numpy(where.astype(np.float32)).to(self.device)[None, None]
            for where in (frame.known, frame.hole)
        )
        if scale == 1:
            output = self._run(image, 1 - known, wanted)
        else:
            sides = frame.hole.shape
            size = [max(SIZE_MULTIPLE, round(side * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE) for side in sides]
            image, known = reduced(image, known, size)
            wanted = (1 - known) * _near(F.interpolate(wanted, size, mode="area") > 0)
            fill = self._run(image, 1 - known, wanted)
            output = _blended(torch.where(known > 0, image, fill), wanted, known, blend)
            output = F.interpolate(output, sides, mode="bicubic").clamp(0, 1)
        return output[0].permute(1, 2, 0).cpu().numpy()

    def _run(self, image: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        output = complete_holes(self.network, image, mask, self.mean, wanted, self._complete_window)
        if not output.isfinite().all():
            raise ValueError(
                f"the model's values are not finite: its weights are damaged, or too large for {self.dtype}"
            )
        return output


@functools.cache
def completer_of(name: str) -> Completer:
    """The model of that name, folder or Hub repository on the device that is chosen here, loaded once and kept."""
    return Completer(GLCICModel.from_pretrained(name), choose_device())


class ReadyCompleter:
    """The completer of a model that may change: it is made anew only after the model did."""

    SAMPLES = 64
    """Values of each tensor that are compared. What torch changes it counts; they show what was changed through
    `.data`, which it does not count."""

    def __init__(self):
        self._made: tuple[list, torch.Tensor, Completer] | None = None

    def of(self, model: GLCICModel, device: torch.device | str | None = None) -> Completer:
        """The completer of the model as it is now; arguments as in `Completer`."""
        tensors = [*model.parameters(), *model.buffers()]
        marks: list[object] = [(tensor.data_ptr(), tensor.dtype, tensor.shape, _version(tensor)) for tensor in tensors]
        marks += [model.compute_dtype, model.compile_arguments, *_compilers_of(model), device]
        marks += [model.sample_size, model.max_hole_size, model.blend, model.texture]
        samples = torch.cat([_sample(tensor.detach(), self.SAMPLES) for tensor in tensors])
        if self._made is None or self._made[0] != marks or not self._made[1].equal(samples):
            self._made = marks, samples, Completer(model, device)
        return self._made[2]


def _compilers_of(model: GLCICModel) -> list[Callable]:
    """What torch.compile(model) or torch.compile(model.network) compiles with, where people have assigned that."""
    parts = (model, model.network)
    return [part.dynamo_ctx for part in parts if hasattr(part, "dynamo_ctx")]  # type: ignore[misc]  # torch's, undeclared


def _compiled_as(model: GLCICModel, function: Callable) -> Callable:
    """The function compiled as the model is, or as it was.

    What runs is not the model itself but a window of its folded network: other ways to compile are warned of.
    """
    if model.compile_arguments is not None:
        return torch.compile(function, **model.compile_arguments)
    for compiler in _compilers_of(model):
        return _with_constant_sizes(compiler(function))
    for part in (model, model.network):
        if part._compiled_call_impl is not None or hasattr(part.forward, "_torchdynamo_orig_callable"):
            warnings.warn("the model is compiled in a way that filling cannot use: call its .compile()", stacklevel=2)
    return function


def _with_constant_sizes(compiled: Callable) -> Callable:
    """As `GLCICModel.compile` has them by `dynamic=False`, which is too late to say here."""

    @functools.wraps(compiled)
    def run(*arguments: object) -> object:
        with torch._dynamo.config.patch(automatic_dynamic_shapes=False):
            return compiled(*arguments)

    return run


def _version(tensor: torch.Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # tensors made in inference mode have no counter


def _sample(tensor: torch.Tensor, count: int) -> torch.Tensor:
    flat = tensor.flatten()
    return flat[:: max(1, len(flat) // count)].cpu().double()


def fastest_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """What to compute float32 weights in: a shorter type where the device has arithmetic for it."""
    if dtype != torch.float32:
        return dtype
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
            return torch.bfloat16
    return torch.float32


def _near(where: torch.Tensor) -> torch.Tensor:
    """Also what is so near that enlarging mixes it in: float, 1 or 0."""
    return F.max_pool2d(where.float(), kernel_size=7, stride=1, padding=3)


def _blended(values: torch.Tensor, hole: torch.Tensor, known: torch.Tensor, blend: str | None) -> torch.Tensor:
    frame = values[0].permute(1, 2, 0).cpu().numpy(), hole[0, 0].cpu().numpy() > 0, known[0, 0].cpu().numpy() > 0
    return torch.from_numpy(BLENDS[blend](*frame)).to(values).permute(2, 0, 1)[None]
