"""Converters of foreign GLCIC checkpoints: `convert` makes a `GLCICModel` of one, `save_whole` writes its folder.

What a `GLCICModel` cannot represent exactly is refused with the reason. Importing this module imports no torch, so that
the command line can check names before it does.
"""

import io
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glcic_hub.atomic import unfinished_beside
from glcic_hub.convert import card

if TYPE_CHECKING:
    from glcic_hub.convert.layouts import Layout
    from glcic_hub.model import GLCICModel

KINDS = ("torch7", "otenim", "mmagic", "sequential")
MAX_FILE = 2**31  # bytes; the official files have 48 million, training checkpoints with optimisers up to a thousand


class Conversion(NamedTuple):
    """A converted model.

    Attributes:
        model: the model, in eval mode; its model card (`README.md`) says what the notes say.
        notes: sentences: what was converted, how exact it is, what was assumed, the licence.
    """

    model: "GLCICModel"
    notes: list[str]


class _Source(NamedTuple):
    kind: str
    title: str
    layout: "Layout"
    tensors: Mapping[str, Any]
    mean: Sequence[float] | None


def convert(
    source: str | Path,
    *,
    kind: str | None = None,
    mean: Sequence[float] | None = None,
    sample_size: int | None = None,
    max_hole_size: int | None = None,
    approximate: bool = False,
) -> Conversion:
    """Make a `GLCICModel` of a checkpoint that another GLCIC implementation has written. No code in it is executed.

    Args:
        source: the file. `.pth` files are read with `torch.load(weights_only=True)`, `.t7` files by our own reader.
        kind: one of `KINDS`, if the file must be of this kind; recognised from the content without it.
        mean: mean colour of the training images, RGB in [0, 1]; needed for "sequential", whose files do not say it,
            and for a `.t7` without it. An error where the file says it or the kind fixes it.
        sample_size: side in pixels of the training crops; without it 256, as the paper has for Places2.
        max_hole_size: longest side in pixels of the holes in training; without it half of `sample_size`, at most 128.
        approximate: convert also where the result is not exact, if its error has a known bound (MMagic).

    Returns:
        The model, float32, and what is to be known about it.

    Raises:
        ValueError: the file is damaged, of no known kind, incomplete, or computes what a `GLCICModel` cannot; or an
            argument does not fit. One sentence.
        OSError: the file cannot be read.
    """
    import torch

    from glcic_hub.convert import layouts
    from glcic_hub.model import GLCICModel

    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; wanted one of {', '.join(KINDS)}")
    data = _read(Path(source))
    found = _parse(data)
    if kind not in (None, found.kind):
        raise ValueError(f"the file is {found.title}, which is of kind {found.kind!r} and not {kind!r}")
    state = layouts.read_state(found.tensors, found.layout)
    exactness = card.EXACT
    if found.kind == "mmagic":
        if not approximate:
            raise ValueError(
                "the file is MMagic's, whose output is clamped instead of passing a sigmoid, so no GLCIC model "
                "computes the same: only an approximation is possible (--approximate), off by at most "
                f"{layouts.MMAGIC_ERROR} of 1"
            )
        layouts.absorb_mmagic(state)
        exactness = card.APPROXIMATE.format(error=layouts.MMAGIC_ERROR)
    if sample_size is None and max_hole_size is None:
        sizes, size_notes = (256, 128), [card.PAPERS_SIZES]
    else:
        sample_size = 256 if sample_size is None else sample_size
        max_hole_size = min(sample_size // 2, 128) if max_hole_size is None else max_hole_size
        sizes, size_notes = (sample_size, max_hole_size), []

    model = GLCICModel(len(state["blocks.0.0.weight"]), _choose_mean(mean, found), *sizes).eval()
    with torch.no_grad():
        model.network.load_state_dict(state)
    notes = [card.describe(Path(source), data, found.title), exactness]
    notes += [card.ASSUMED] if found.kind == "sequential" else []
    notes += size_notes + card.licence_notes(found.kind, data)
    card.write_into_card(model, notes, found.kind)
    return Conversion(model, notes)


def save_whole(model: "GLCICModel", folder: str | Path) -> None:
    """Write the model's folder (`GLCICModel.save_pretrained`) completely or not at all.

    Raises:
        FileExistsError: the folder exists and is not empty.
        OSError: it cannot be written.
    """
    target = Path(os.path.realpath(folder))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists and is not an empty folder")
    unfinished = unfinished_beside(target)
    try:
        model.save_pretrained(unfinished)
        if target.exists():
            target.rmdir()  # Windows does not rename onto it.
        unfinished.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _read(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a file")
    if status.st_size > MAX_FILE:
        raise ValueError(f"it has {status.st_size} bytes, more than any GLCIC checkpoint")
    return path.read_bytes()


def _parse(data: bytes) -> _Source:
    from glcic_hub.convert import layouts, torch7, torch7_network

    if data[:4] == b"PK\3\4" or data[:1] == b"\x80":  # a zip file or, before PyTorch 1.6, a pickle
        tensors = layouts.find_state_dict(_load_pytorch(data))
        layout = layouts.find_layout(tensors)
        return _Source(layout.kind, layout.title, layout, tensors, layout.mean)
    if data[:4] in (b"\3\0\0\0", b"\4\0\0\0"):  # a table or an object
        tensors, mean = torch7_network.flatten(torch7.load(data))
        return _Source("torch7", "a Torch7 file", layouts.FLAT, tensors, mean)
    if data[:2] in (b"3\n", b"4\n"):
        raise ValueError("it is a Torch7 file in ASCII format: save it in binary format (torch.save without 'ascii')")
    raise ValueError("it is neither a Torch7 nor a PyTorch file; download or copy it again")


def _load_pytorch(data: bytes) -> Any:
    import warnings
    import zipfile

    import torch

    try:
        if data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                # PyTorch stores without compression; what grows when it is unpacked is an attack.
                if sum(info.file_size for info in archive.infolist()) > len(data):
                    raise ValueError("it is larger when unpacked")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual pickles; they are read or refused
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch names no set of errors for files that are not its own
        raise ValueError(
            "it is not a complete PyTorch file of tensors only; a file with a whole module or other objects is code "
            "and is not loaded: save the network's state_dict() instead"
        ) from error


def _choose_mean(mean: Sequence[float] | None, found: _Source) -> tuple[float, ...]:
    if mean is None and found.mean is None:
        raise ValueError(
            "the file does not contain the mean colour of the training images: give it (--mean R G B, from 0 to 1; "
            f"the official Places2 model has {' '.join(f'{value:.4f}' for value in card.OFFICIAL_MEAN)})"
        )
    if mean is not None and found.mean is not None:
        given = " ".join(f"{value:.4f}" for value in found.mean)
        raise ValueError(f"the mean colour of this model is known, {given}: leave --mean out")
    return tuple(mean if found.mean is None else found.mean)
