"""Results beside the photo on the visitor's own machine."""

import itertools
from pathlib import Path

from glcic_hub.atomic import write_whole
from glcic_hub.errors import readable, reason


def save(data: bytes, folder: Path, name: str) -> Path:
    """Write a file whole or not at all; where the name is taken a number follows it.

    Returns:
        The path of the file.

    Raises:
        ValueError: it cannot be written; the message is a sentence for the visitor.
    """
    try:
        path = _reserved(folder, name)
        try:
            write_whole(path, data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ValueError(f"The result cannot be saved in {readable(str(folder))}: {reason(error)}.") from error
    return path


def _reserved(folder: Path, name: str) -> Path:
    """A new empty file: nobody else gets its name."""
    plain = Path(name)
    for number in itertools.count(1):
        path = folder / (name if number == 1 else f"{plain.stem}-{number}{plain.suffix}")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise AssertionError
