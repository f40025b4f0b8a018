"""What the Space completes, and with what; needs no server.

Every function raises ValueError with a sentence for the visitor when something cannot be used.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from gradio import Error

from glcic_hub.errors import FailedWork, WrongUse
from glcic_hub.filling.completer import completer_of
from glcic_hub.filling.fill import Filled
from glcic_hub.filling.options import DEFAULTS, FillOptions
from glcic_hub.formats import encoded
from glcic_hub.images import Picture
from glcic_hub.model import DEFAULT_NAME, embedded_models
from glcic_hub.ui.completing import complete
from glcic_hub.ui.photos import KEPT_SECONDS, Photos
from glcic_hub.ui.reading import MEGAPIXEL, open_photo, read_mask
from glcic_hub.ui.routes import Host
from glcic_hub.ui.turns import Turns
from glcic_hub.workflow import fill_holes

LARGEST_PHOTO = 40 * MEGAPIXEL
MOST_FILES = 20

try:  # ZeroGPU lends a graphics card to the decorated function
    from spaces import GPU as borrow_gpu
except ImportError:

    def borrow_gpu(function):
        """Without ZeroGPU a function runs where it is."""
        return function


def models() -> list[str]:
    """What a visitor can choose from; GLCIC_MODEL (a folder or Hub repository) takes the place of the default."""
    own = os.environ.get("GLCIC_MODEL")
    return [own] if own else sorted(embedded_models(), key=lambda name: name != DEFAULT_NAME)


@borrow_gpu
def _filled(
    model: str,
    picture: Picture,
    mask: np.ndarray,
    options: FillOptions,
    progress: Callable[[float], object] | None = None,
) -> Filled | WrongUse | FailedWork:
    """Errors are returned, because of those that are raised ZeroGPU passes on the kind alone."""
    try:
        return fill_holes(completer_of(model), picture, mask, options, progress)
    except (WrongUse, FailedWork) as error:
        return error


def fill(
    model: str, picture: Picture, mask: np.ndarray, options: FillOptions, progress: Callable[[float], object]
) -> Filled:
    """A `ui.completing.Fill`. On ZeroGPU it works in another process, which does not tell how far it is.

    Raises:
        WrongUse, FailedWork: as in `workflow.fill_holes`; no graphics card could be borrowed.
    """
    is_lent = hasattr(_filled, "zerogpu")
    try:
        outcome = _filled(model, picture, mask, options, *([] if is_lent else [progress]))
    except Error as error:  # no card is free, or the visitor has used up his time
        raise FailedWork(str(error.message).rstrip(".")) from error
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def make_host() -> Host:
    """The page's host, whose turns are also those of programs."""
    return Host(
        Photos(LARGEST_PHOTO),
        Turns(),
        fill,
        models(),
        about=[("Use it from a program", "api.html")],
        introduction="Photos are sent to this server, and deleted an hour after they were last used.",
    )


def complete_files(
    turns: Turns,
    photos: list[str],
    mask_files: list[str],
    folder: Path,
    model: str | None = None,
    options: FillOptions = DEFAULTS,
) -> list[str]:
    """Complete several files into PNG files of a folder; one mask for all photos or one for each, in order.

    For each photo its turn is waited for, so that others get theirs in between.

    Raises:
        ValueError: there are too many photos, or another number of masks, or one of the files cannot be used.
    """
    if len(photos) > MOST_FILES:
        raise ValueError(
            f"Got {len(photos)} photos: up to {MOST_FILES} are allowed in one call, so that others get their turn."
        )
    if len(mask_files) not in (1, len(photos)):
        raise ValueError(f"Got {len(mask_files)} masks for {len(photos)} photos: give one for all or one for each.")
    model = model or models()[0]
    if model not in models():
        raise ValueError(f"There is no model {model}; there is {', '.join(models())}.")
    results = []
    for index, path in enumerate(photos):
        mask_path = mask_files[index % len(mask_files)]

        def read(path: str = path, mask_path: str = mask_path) -> tuple[Picture, np.ndarray]:
            picture = open_photo(path, LARGEST_PHOTO).picture
            return picture, read_mask(mask_path, picture.size, LARGEST_PHOTO)[0]

        try:
            completed = complete(turns, fill, model, read, options)
        except ValueError as error:
            place = f"Photo {index + 1} of {len(photos)}: " if len(photos) > 1 else ""
            raise ValueError(f"{place}{error}") from error
        results.append(save_png(completed.image, folder / f"{index:03d}-{Path(path).stem}.png"))
    return results


def save_png(image, path: Path) -> str:
    """Write an image with its EXIF data and colour profile; the path."""
    path.write_bytes(encoded(image, "PNG"))
    return str(path)


def new_folder(parent: Path) -> Path:
    """A new folder for result files."""
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))


def remove_in_time(folder: Path, seconds: float = KEPT_SECONDS) -> None:
    """From now on, files in the folder are removed so long after they were written, in the background."""

    def remove() -> None:
        while True:
            for path in folder.rglob("*"):
                try:
                    if path.is_file() and path.stat().st_mtime < time.time() - seconds:
                        path.unlink()
                except OSError:  # it is gone already
                    continue
            time.sleep(min(60, seconds / 4))

    threading.Thread(target=remove, daemon=True).start()
