"""Part "seam": how visible the edge of a filled hole is, for several ways of treating it.

The definition is `seam_visibility`. Those called "network" start from one and the same fill: that of the network in
plain PyTorch on the whole picture. Pictures of `skimage.data`, brought to 256 px; each has square holes of a side
that the network knows from its training, so that it sees them as they are.
"""

import cv2
import numpy as np
import torch
from PIL import Image
from skimage import data

from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import FillOptions
from glcic_hub.filling.seam import NEIGHBOURS, correct_seam
from glcic_hub.images import paste
from glcic_hub.masks import bounding_box
from glcic_hub.model import GLCICModel
from tests.benchmark.peers import MiGan, migan_inputs, migan_is_missing
from tests.benchmark.progress import ProgressBar
from train.evaluate import INPAINT_RADIUS, centre_crop

PICTURE_SIZE = 256
HOLE_SIDES = (20, 27)  # pixels, least and largest; the pipeline shows them without reducing
HOLE_MARGIN = 20
CLONE_WIDENED = 4
"""Pixels by which the mask is widened for OpenCV's clone: of 0 to 8, with 4 its seam is least visible (chosen on twelve
holes of these pictures, in its favour)."""
SEED = 7


def seam_visibility(picture: np.ndarray, mask: np.ndarray) -> float:
    """How much more the colour jumps across the hole's edge than it does just outside of it.

    For every pixel p of the hole and every known pixel q above, below, left or right of it, let r be the pixel behind q
    on the same line. Where r is known, too, the jump across the edge is |p - q| and that outside is |q - r|, as means
    over the channels. The figure is the mean of the former minus the mean of the latter.

    Args:
        picture: (H, W, 3), the completed picture, in any unit.
        mask: bool (H, W), True where it was filled.

    Returns:
        In the unit of the picture. 0: the edge is like its surroundings; above 0: it can be seen as a line; below 0:
        it is smoother than its surroundings.

    Raises:
        ValueError: nowhere do two known pixels lie behind the edge.
    """
    values = picture.astype(np.float64)
    padded = np.pad(mask.astype(np.int8), 2, constant_values=-1)  # 1 hole, 0 known, -1 outside of the picture
    rows, columns = np.nonzero(mask)
    across, outside = [], []
    for dy, dx in NEIGHBOURS:
        near = padded[rows + 2 + dy, columns + 2 + dx] == 0
        far = padded[rows + 2 + 2 * dy, columns + 2 + 2 * dx] == 0
        y, x = rows[near & far], columns[near & far]
        p, q, r = (values[y + step * dy, x + step * dx] for step in range(3))
        across.append(np.abs(p - q).mean(axis=1))
        outside.append(np.abs(q - r).mean(axis=1))
    across, outside = np.concatenate(across), np.concatenate(outside)
    if not len(across):
        raise ValueError("the hole has no edge with two known pixels behind it: take a smaller hole")
    return float(across.mean() - outside.mean())


def scenes(pictures: tuple[str, ...], count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(picture uint8 (256, 256, 3), mask bool (256, 256)): `count` holes for each picture, the same at every call."""
    found = []
    for number, name in enumerate(pictures):
        picture = centre_crop(Image.fromarray(getattr(data, name)()).convert("RGB"), PICTURE_SIZE)
        rng = np.random.default_rng([SEED, number])
        for _ in range(count):
            side = int(rng.integers(HOLE_SIDES[0], HOLE_SIDES[1] + 1))
            y, x = rng.integers(HOLE_MARGIN, PICTURE_SIZE - HOLE_MARGIN - side + 1, size=2)
            mask = np.zeros(picture.shape[:2], bool)
            mask[y : y + side, x : x + side] = True
            found.append((picture, mask))
    return found


def measure(pictures: tuple[str, ...], count: int) -> dict:
    """The record: mean visibility in levels of 255 for each way, and what it was measured on."""
    model = GLCICModel.from_pretrained()
    completer = Completer(model)
    migan = None if migan_is_missing() else MiGan(torch.get_num_threads())
    found = {}
    all_scenes = scenes(pictures, count)
    with ProgressBar("seam", len(all_scenes)) as progress:
        for picture, mask in all_scenes:
            for way, result in _ways(model, completer, migan, picture, mask).items():
                found.setdefault(way, []).append(seam_visibility(result, mask))
            progress.done(1)
    return {
        "pictures": list(pictures),
        "holes_per_picture": count,
        "hole_sides": list(HOLE_SIDES),
        "visibility": {way: round(float(np.mean(values)), 3) for way, values in found.items()},
    }


def _ways(
    model: GLCICModel, completer: Completer, migan: MiGan | None, picture: np.ndarray, mask: np.ndarray
) -> dict[str, np.ndarray]:
    """The picture completed in every way, uint8 (H, W, 3) each."""
    raw = _network_fill(model, picture, mask)
    values = np.where(mask[..., None], raw, picture.astype(np.float32) / 255)
    corrected = correct_seam(values, mask, ~mask)
    whole = np.rint(raw * 255).astype(np.uint8)
    composite = paste(picture, raw, mask)
    ways = {
        "the photo itself": picture,
        "network, pasted": composite,
        "network, seam corrected": paste(picture, corrected, mask),
        "network, seamlessClone": _cloned(whole, composite, mask, 0),
        "network, seamlessClone widened": _cloned(whole, composite, mask, CLONE_WIDENED),
        "pipeline": paste(picture, *fill(completer, picture, mask, FillOptions(texture=None))),
        "Telea": cv2.inpaint(picture, mask.astype(np.uint8), INPAINT_RADIUS, cv2.INPAINT_TELEA),
        "Navier-Stokes": cv2.inpaint(picture, mask.astype(np.uint8), INPAINT_RADIUS, cv2.INPAINT_NS),
    }
    if migan is not None:
        completed = migan(*migan_inputs(picture, mask))[0].transpose(1, 2, 0)
        ways["MI-GAN, pasted"] = np.where(mask[..., None], completed, picture)
    return ways


@torch.inference_mode()
def _network_fill(model: GLCICModel, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    image = torch.tensor(picture).permute(2, 0, 1)[None].float() / 255
    mask_tensor = torch.from_numpy(mask)[None, None].float()
    return np.ascontiguousarray(model(image, mask_tensor)[0].permute(1, 2, 0).numpy())


def _cloned(whole: np.ndarray, composite: np.ndarray, mask: np.ndarray, growth: int) -> np.ndarray:
    """The network's output for the whole picture cloned into the composite by OpenCV; only the hole is taken from it.

    OpenCV reads the colours that the clone has to meet about 3 px inside of the mask's edge. With the mask of the hole
    (`growth` 0) these are filled pixels, and next to nothing changes; to meet known ones the mask must be wider.
    """
    widened = cv2.dilate(mask.astype(np.uint8) * 255, np.ones((2 * growth + 1, 2 * growth + 1), np.uint8))
    top, left, height, width = bounding_box(widened > 0)
    # OpenCV lays the middle of the mask's bounding box on this point
    cloned = cv2.seamlessClone(whole, composite, widened, (left + width // 2, top + height // 2), cv2.NORMAL_CLONE)
    return np.where(mask[..., None], cloned, composite)
