"""The images of a batch, in an order that depends on their names alone."""

import os
from collections.abc import Iterable
from pathlib import Path

from glcic_hub.errors import WrongUse, quoted, reason
from glcic_hub.formats import READABLE
from glcic_hub.picture_files import Found, PictureFile, list_pictures


def find_pictures(sources: Iterable[Path]) -> Found:
    """Images, and all images in folders and tar files (`list_pictures`), sorted by name.

    Results get the names of the images: one whose name leads out of its tar file is a problem.

    Raises:
        WrongUse: a source is neither an image, a folder nor a tar file, or cannot be read.
    """
    all_found = Found()
    for source in sources:
        try:
            found = Found([PictureFile(source, source.name)]) if is_picture(source) else list_pictures(source)
        except ValueError as error:
            raise WrongUse(str(error)) from error
        except OSError as error:
            raise WrongUse(f"cannot read {quoted(source)}: {reason(error)}") from error
        for picture in found.pictures:
            if picture.name.startswith(("/", "../")):
                all_found.problems.append((picture.label, "its name leads out of the tar file: rename it"))
            else:
                all_found.pictures.append(picture)
        all_found.problems += found.problems
        all_found.ignored += found.ignored
    all_found.pictures.sort(key=lambda picture: (picture.name, str(picture.path), picture.offset))
    return all_found


def is_picture(source: Path) -> bool:
    """Whether it is a file with the suffix of an image."""
    return source.suffix.lower() in READABLE and os.path.isfile(source)
