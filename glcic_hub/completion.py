"""From a picture and a mask to the fill: the part of the pipeline that needs no diffusers."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.nn import functional as F

from glcic_hub.blending import BLENDS
from glcic_hub.model import GLCICModel
from glcic_hub.network import SIZE_MULTIPLE, fold_batchnorm
from glcic_hub.receptive_field import complete_holes, complete_window
from glcic_hub.texture import add_detail, tile_margin, tile_size
from glcic_hub.texture import context as texture_context
from glcic_hub.windows import Box, Hole, cells, find_holes, inside, tiles, view_of

TEXTURES = (None, "photo")
"""Where a fill's fine detail may come from."""

CONTEXT = 0.25
"""Surroundings shown on each side of a hole, at least, as a share of the model's `sample_size`."""


SEAM_TILE = 16
"""The seam is corrected in tiles of this side, as a multiple of the hole's thickness at its thickest."""

SEAM_MARGIN = 4
"""Margin around these tiles, likewise: what one end of a strip asks for falls to exp(-pi) with each thickness."""

LEAST_SEAM_TILE = 1024
"""Smaller tiles would only take time."""


class Completer:
    """A model made ready for inference (batch normalisation folded) together with how it is used on whole pictures.

    Args:
        model: the completion model; it stays as it is.
        device: where to compute; the model's own without it.

    Attributes:
        network: the folded network, of the type `dtype`, on `device`.
    """

    def __init__(self, model: GLCICModel, device: torch.device | str | None = None):
        self.model = model
        self.device = torch.device(device) if device is not None else model.device
        self.dtype = model.compute_dtype or fastest_dtype(model.dtype, self.device)
        self.sample_size = model.sample_size
        self.max_hole_size = model.max_hole_size
        network = fold_batchnorm(model.network)  # before anything is rounded
        self.network = network.to(self.device, self.dtype, memory_format=torch.channels_last)
        self.mean = model.mean.to(self.device, torch.float32)
        self._complete_window = complete_window
        if model.compile_arguments is not None:
            self._complete_window = torch.compile(complete_window, **model.compile_arguments)

    def holes(self, mask: np.ndarray, working_size: int | None = None) -> Iterator[Hole]:
        """The holes of a mask and the scales at which the network is shown them; the arguments are those of a call."""
        return find_holes(mask, self.sample_size, self.max_hole_size if working_size is None else working_size)

    @torch.inference_mode()
    def __call__(
        self,
        rgb: np.ndarray,
        mask: np.ndarray,
        padding: int | None = None,
        working_size: int | None = None,
        blend: str | None = "poisson",
        texture: str | None = None,
    ) -> np.ndarray:
        """Fill the holes of one picture.

        Args:
            rgb: uint8 (H, W, 3). What lies under the mask has no influence on the result.
            mask: bool (H, W), True = fill.
            padding: pixels around each hole that the network is shown; chosen from the hole's size without it.
            working_size: a larger hole is shown to the network reduced to this size, in pixels (`windows.find_holes`
                defines the size). Without it, the model's `max_hole_size`.
            blend: how the fill is made to meet the known pixels, one of `blending.BLENDS`.
            texture: "photo" adds fine detail of the known pixels (`texture.add_detail`).

        Returns:
            float32 (H, W, 3), RGB in [0, 1], 0 outside the mask.

        Raises:
            ValueError: the mask covers the whole picture.
        """
        if mask.all():
            raise ValueError(
                "the mask covers the whole picture: nothing is left to complete it from; leave some of it black"
            )
        fill = np.zeros(rgb.shape, np.float32)
        for hole in self.holes(mask, working_size):
            for cell in cells(hole):
                own = hole.mask_in(cell)
                if own.any():  # of a long diagonal scratch most are empty
                    fill[cell][own] = self._complete_cell(rgb, mask, cell, hole, padding, blend)[own]
            _correct_seam(fill, rgb, mask, hole, blend)
            if texture == "photo":
                _add_texture(fill, rgb, mask, hole)
        return fill

    def _complete_cell(
        self, rgb: np.ndarray, mask: np.ndarray, cell: Box, hole: Hole, padding: int | None, blend: str | None
    ) -> np.ndarray:
        """Show the network a cell of the hole with its surroundings; return the cell completed."""
        if padding is None:
            scale = hole.scale
            view = view_of(cell, mask.shape, CONTEXT * self.sample_size / scale, self.sample_size / scale)
        else:
            view = view_of(cell, mask.shape, padding, 0)
        return self._complete_view(rgb[view], mask[view], hole.mask_in(view), hole.scale, blend)[inside(cell, view)]

    def _complete_view(
        self, rgb: np.ndarray, mask: np.ndarray, own: np.ndarray, scale: float, blend: str | None
    ) -> np.ndarray:
        """Run the network on a part of the picture, reduced by `scale`; return that part, at its own size.

        It is completed under `own`, which belongs to one hole; `mask` may have others, which nobody knows.
        """
        image = torch.tensor(rgb, device=self.device).permute(2, 0, 1)[None].float() / 255
        known, wanted = (torch.tensor(where, device=self.device)[None, None].float() for where in (~mask, own))
        if scale == 1:
            completed = self._run(image, 1 - known, wanted)
        else:
            size = [max(SIZE_MULTIPLE, round(side * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE) for side in mask.shape]
            image, known = reduced(image, known, size)
            wanted = (1 - known) * _near(F.interpolate(wanted, size, mode="area") > 0)
            # The seam is treated here too: enlarging mixes the rim with known pixels, hiding what is wrong there.
            fill = self._run(image, 1 - known, wanted)
            completed = known * image + (1 - known) * _blended(fill, image, wanted, known, blend)
            completed = F.interpolate(completed, mask.shape, mode="bicubic").clamp(0, 1)
        return completed[0].permute(1, 2, 0).cpu().numpy()

    def _run(self, image: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        completed = complete_holes(self.network, image, mask, self.mean, wanted, self._complete_window)
        if not completed.isfinite().all():
            raise ValueError(
                f"the model's values are not finite: its weights are damaged, or too large for {self.dtype}"
            )
        return completed


def _correct_seam(fill: np.ndarray, rgb: np.ndarray, mask: np.ndarray, hole: Hole, blend: str | None) -> None:
    near = view_of(hole.box, mask.shape, 1, least=0)

    def blended(view: Box) -> np.ndarray:
        # beyond the hole's box and its rim there is nothing to correct
        part = tuple(slice(max(v.start, n.start), min(v.stop, n.stop)) for v, n in zip(view, near))
        result = fill[view].copy()
        result[inside(part, view)] = BLENDS[blend](fill[part], _as_float(rgb[part]), hole.mask_in(part), ~mask[part])
        return result

    side, margin = max(LEAST_SEAM_TILE, math.ceil(SEAM_TILE * hole.thickness)), math.ceil(SEAM_MARGIN * hole.thickness)
    whole = max(part.stop - part.start for part in hole.box)
    if side >= whole or blend == "feather":  # whose reach is a share of the whole hole's
        side, margin = whole, 1
    _change_in_tiles(fill, hole, side, margin, blended)


def _add_texture(fill: np.ndarray, rgb: np.ndarray, mask: np.ndarray, hole: Hole) -> None:
    def detailed(view: Box) -> np.ndarray:
        around = view_of(view, mask.shape, texture_context(hole.scale), least=0)
        own = np.zeros(mask[around].shape, bool)
        own[inside(view, around)] = hole.mask_in(view)
        result = add_detail(fill[around], _as_float(rgb[around]), own, ~mask[around], hole.scale)
        return result[inside(view, around)]

    _change_in_tiles(fill, hole, tile_size(hole.scale), tile_margin(hole.scale), detailed)


def _change_in_tiles(
    fill: np.ndarray, hole: Hole, side: int, margin: int, changed: Callable[[Box], np.ndarray]
) -> None:
    """Change the fill of a hole, tile by tile, to what `changed` makes of each with a margin around it."""
    results = []
    for tile in tiles(hole.box, side):
        own = hole.mask_in(tile)
        if own.any():
            view = view_of(tile, fill.shape[:2], margin, least=0)
            results.append((tile, own, changed(view)[inside(tile, view)][own]))
    for tile, own, result in results:  # only now: every tile is to see what was there before
        fill[tile][own] = result


def _as_float(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float32) / 255


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


def reduced(image: torch.Tensor, known: torch.Tensor, size: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Make image and map of known pixels smaller; each new pixel is the mean of the known ones that it covers."""
    weight = F.interpolate(known, size, mode="bilinear", antialias=True)
    total = F.interpolate(image * known, size, mode="bilinear", antialias=True)
    return total / weight.clamp(min=1e-6), (weight >= 0.5).float()


def _near(where: torch.Tensor) -> torch.Tensor:
    """Also what is so near that enlarging mixes it in: float, 1 or 0."""
    return F.max_pool2d(where.float(), kernel_size=7, stride=1, padding=3)


def _blended(
    completed: torch.Tensor, image: torch.Tensor, hole: torch.Tensor, known: torch.Tensor, blend: str | None
) -> torch.Tensor:
    fill, picture = (x[0].permute(1, 2, 0).cpu().numpy() for x in (completed, image))
    is_hole, is_known = (x[0, 0].cpu().numpy() > 0 for x in (hole, known))
    return completed.new_tensor(BLENDS[blend](fill, picture, is_hole, is_known)).permute(2, 0, 1)[None]
