"""What somebody asks for, from the paint to the completed photo: in turn, with progress."""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from PIL import Image

from glcic_hub.errors import FailedWork, WrongUse
from glcic_hub.filling.fill import Filled
from glcic_hub.filling.options import FillOptions
from glcic_hub.images import Picture
from glcic_hub.ui.photos import Completed
from glcic_hub.ui.turns import Turns


class Fill(Protocol):
    """Fills the holes of a picture with the model of a name; the rest is as of `workflow.fill_holes`."""

    def __call__(
        self,
        model: str,
        picture: Picture,
        mask: np.ndarray,
        options: FillOptions,
        progress: Callable[[float], object],
    ) -> Filled: ...


def complete(
    turns: Turns,
    fill: Fill,
    model: str,
    read: Callable[[], tuple[Picture, np.ndarray]],
    options: FillOptions,
    on_waiting: Callable[[int], object] = lambda before: None,
    on_progress: Callable[[float], object] = lambda share: None,
) -> Completed:
    """Fill what is painted as soon as it is one's turn.

    Args:
        turns: whose turn it is.
        fill: how it is done.
        model: with which model.
        read: gives the photo and its mask, bool (height, width), True = fill. It is called when it is one's turn: those
            who wait hold no decoded photo.
        options: how holes are filled.
        on_waiting: called with the number of people before, as `Turns.turn` does.
        on_progress: called with the share of the work that is done, from 0 to 1. What either raises ends the work.

    Raises:
        ValueError: with a sentence for the visitor.
    """
    with turns.turn(on_waiting):
        on_progress(0)
        started = time.perf_counter()
        picture, mask = read()
        if not mask.any():
            raise ValueError("Nothing is painted yet: paint over what should go, or upload a mask with white in it.")
        try:
            filled = fill(model, picture, mask, options, on_progress)
        except (WrongUse, FailedWork) as error:
            said = str(error)
            raise ValueError(f"{said[:1].upper()}{said[1:]}.") from error
        image = picture.completed(*filled)
    assert isinstance(image, Image.Image)  # completed() gives other types when it is asked for them
    return Completed(image, filled.mask, time.perf_counter() - started)
