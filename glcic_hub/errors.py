"""The two ways in which a command fails, and how its sentences name paths and reasons."""

from pathlib import Path


class WrongUse(Exception):
    """Something that the user passed is wrong; the message is one sentence that says what to do."""


class FailedWork(Exception):
    """The work could not be done although it was asked for correctly; the message is one sentence."""


def sentence_of(error: Exception) -> str:
    """What went wrong with one image, where the others go on."""
    if isinstance(error, (WrongUse, FailedWork)):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory; try fewer processes or a smaller image"
    return f"unexpected {type(error).__name__}: {reason(error)}"


def quoted(path: Path | str) -> str:
    """As Python writes it: one line, whatever is in the name."""
    return repr(str(path))


def readable(text: str) -> str:
    """A text with "?" for bytes that are no characters, which names of files may have and UTF-8 cannot hold."""
    return text.encode(errors="replace").decode()


def reason(error: Exception) -> str:
    """What an error says, in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__
