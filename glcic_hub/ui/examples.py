"""The photos of `glcic demo` as examples on the page, with what the page makes of them."""

import functools
import threading
from collections.abc import Callable

import numpy as np
from PIL import Image

from glcic_hub.demo import PHOTOS, photo_path, stroke_mask
from glcic_hub.filling.options import FillOptions
from glcic_hub.formats import encoded
from glcic_hub.images import Picture, read
from glcic_hub.ui.photos import Completed, Photo, Photos, Version
from glcic_hub.ui.words import GROWN

THUMBNAIL_SIDE = 320

Read = Callable[[], tuple[Picture, np.ndarray]]
"""Gives a picture and its mask, bool (height, width)."""


class Examples:
    """The examples; each is completed once, when it is asked for.

    Args:
        photos: where they are opened.
        complete: completes them.
    """

    def __init__(self, photos: Photos, complete: Callable[[Read, FillOptions], Completed]):
        self._photos, self._complete = photos, complete
        self._done: dict[str, Completed] = {}
        self._locks = {name: threading.Lock() for name in PHOTOS}

    def prepare(self) -> None:
        """Complete them all now, in the background."""

        def complete() -> None:
            for name in PHOTOS:
                if threading.main_thread().is_alive():  # or the program ends
                    self._completed(name)

        # Not a daemon: Python aborts if it ends while a thread is inside torch.
        threading.Thread(target=complete).start()

    def open(self, name: str) -> tuple[Photo, Version]:
        """A new photo for a visitor, with its first version."""
        completed = self._completed(name)
        photo = self._photos.add_copy(photo_path(name), f"{name}.jpg")
        return photo, self._photos.add_version(photo, None, completed)

    def _completed(self, name: str) -> Completed:
        with self._locks[name]:
            if name not in self._done:
                options = FillOptions(grow=GROWN)
                self._done[name] = self._complete(lambda: _photo_and_strokes(name), options)
            return self._done[name]


@functools.cache
def thumbnail(name: str) -> bytes:
    """A small WebP of an example."""
    with Image.open(photo_path(name)) as photo:
        small = photo.convert("RGB")
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return encoded(small, "WEBP", 85)


@functools.cache
def mask(name: str) -> bytes:
    """What is painted in an example: a PNG of the photo's size, white = fill."""
    return encoded(_strokes(name), "PNG")


def _photo_and_strokes(name: str) -> tuple[Picture, np.ndarray]:
    return read(photo_path(name)), np.asarray(_strokes(name)) > 0


def _strokes(name: str) -> Image.Image:
    with Image.open(photo_path(name)) as photo:
        return stroke_mask(photo.size, PHOTOS[name])
