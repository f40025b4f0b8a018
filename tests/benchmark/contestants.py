"""Who takes part. Each contestant completes the same photo under the same mask, from memory to memory.

A contestant has `prepare(rgb, mask)`, which brings uint8 (H, W, 3) and bool (H, W), True = fill, into the form that its
users hold in their hands (a PIL picture, a tensor's layout) and is not measured, and is called with what that gives;
the call is measured. It returns the completed picture (`ExactWindow`: the fill).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from PIL import Image

from glcic_hub.filling.windows import Window, complete_window
from glcic_hub.images import paste
from glcic_hub.masks import bounding_box
from glcic_hub.model import GLCICModel
from glcic_hub.network import fold_batchnorm, padded_input
from tests.benchmark.machine import has_bf16
from tests.benchmark.peers import MiGan, migan_inputs, migan_is_missing
from train.evaluate import INPAINT_RADIUS

FULL_FRAME = "full frame"
PIPELINE = "pipeline"
PATCHES = "pipeline, patches"
TELEA = "Telea"
NAVIER_STOKES = "Navier-Stokes"
MIGAN = "MI-GAN"
REFERENCES = (FULL_FRAME, TELEA)
"""What the others are compared with."""


class FullFrame:
    """The network in plain PyTorch, as trained, on the whole photo."""

    def __init__(self):
        self._model = GLCICModel.from_pretrained()

    def prepare(self, rgb: np.ndarray, mask: np.ndarray) -> tuple:
        return rgb, mask

    @torch.inference_mode()
    def __call__(self, rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
        image = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
        mask_tensor = torch.from_numpy(mask)[None, None].float()
        return paste(rgb, self._model(image, mask_tensor)[0].permute(1, 2, 0).numpy(), mask)


class Pipeline:
    """`GLCICPipeline` as its users call it: PIL pictures in, a PIL picture out, the seam corrected.

    Without `dtype` it computes in what it takes for the fastest. `compiled` is with `torch.compile`. `texture` as in
    `FillOptions`: without it the fill is the network's own.
    """

    def __init__(self, dtype: torch.dtype | None = None, compiled: bool = False, texture: str | None = None):
        from glcic_hub import GLCICPipeline  # here, because diffusers would weigh on the memory of the others

        self._pipeline = GLCICPipeline.from_pretrained(dtype=dtype)
        self._texture = texture
        if compiled:
            self._pipeline.completion_network.compile()

    def prepare(self, rgb: np.ndarray, mask: np.ndarray) -> tuple:
        return Image.fromarray(rgb), Image.fromarray(mask)

    def __call__(self, image: Image.Image, mask: Image.Image) -> Image.Image:
        return self._pipeline(image, mask, texture=self._texture).images[0]


class ExactWindow:
    """The network alone, on what the hole's pixels depend on; in float32 the output is that of the full frame.

    The network's input for the whole photo is made in advance: the photo has no other part in the work.
    """

    def __init__(self, dtype: torch.dtype):
        model = GLCICModel.from_pretrained()
        self._mean = model.mean
        self._network = fold_batchnorm(model.network).to(dtype, memory_format=torch.channels_last)

    def prepare(self, rgb: np.ndarray, mask: np.ndarray) -> tuple:
        image = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
        mask_tensor = torch.from_numpy(mask)[None, None].float()
        top, left, height, width = bounding_box(mask)
        x = padded_input(image, mask_tensor, self._mean).to(self._network.output.weight.dtype)
        return x, (slice(top, top + height), slice(left, left + width))

    @torch.inference_mode()
    def __call__(self, x: torch.Tensor, window: Window) -> torch.Tensor:
        return complete_window(self._network, x, window)


class OpenCV:
    """`cv2.inpaint` on the whole photo; `flag` is cv2.INPAINT_TELEA or cv2.INPAINT_NS."""

    def __init__(self, flag: int):
        self._flag = flag

    def prepare(self, rgb: np.ndarray, mask: np.ndarray) -> tuple:
        return rgb, mask.astype(np.uint8)

    def __call__(self, rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return cv2.inpaint(rgb, mask, INPAINT_RADIUS, self._flag)


class MiGanContestant:
    """MI-GAN, all of it in one ONNX graph."""

    def __init__(self):
        self._complete = MiGan(torch.get_num_threads())

    prepare = staticmethod(migan_inputs)

    def __call__(self, image: np.ndarray, keep: np.ndarray) -> np.ndarray:
        return self._complete(image, keep)


@dataclass(frozen=True)
class Entry:
    """A line of the list: how to make the contestant, and why it cannot take part (a sentence), if so.

    `works_on_all` is True where the work is the whole photo: the same for every hole, and growing with the pixels.
    `bytes_per_pixel` is what it then needs for each of them.
    """

    make: Callable[[], object]
    missing: str | None = None
    works_on_all: bool = False
    bytes_per_pixel: int = 0


def entries() -> dict[str, Entry]:
    """All contestants by name, in the order in which they run."""
    no_bf16 = None if has_bf16() else "this processor has no bf16 in hardware"
    # measured at 1024 px: four times the 64 channels of 4 bytes of the layers at full resolution
    full_frame = Entry(FullFrame, works_on_all=True, bytes_per_pixel=1000)
    return {
        FULL_FRAME: full_frame,
        PIPELINE: Entry(Pipeline),
        PATCHES: Entry(partial(Pipeline, texture="photo")),
        "pipeline, fp32": Entry(
            partial(Pipeline, torch.float32), no_bf16 and f"{no_bf16}: it is the same as the pipeline"
        ),
        "exact window, fp32": Entry(partial(ExactWindow, torch.float32)),
        "exact window, bf16": Entry(partial(ExactWindow, torch.bfloat16), no_bf16),
        TELEA: Entry(partial(OpenCV, cv2.INPAINT_TELEA)),
        NAVIER_STOKES: Entry(partial(OpenCV, cv2.INPAINT_NS)),
        MIGAN: Entry(MiGanContestant, migan_is_missing()),
    }
