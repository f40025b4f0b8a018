"""How holes are filled: each option once, with its default, its range and one sentence of help.

Whatever offers the options - the pipeline's keywords, flags of the command line, inputs of a node, controls of a page,
parameters of an endpoint - is made from the fields of `FillOptions`. Needs the standard library alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from numbers import Integral
from typing import Any

NONE = "none"
"""How None is written where values are text."""

WIDTH = 108
INDENT = " " * 4


def _choice(*choices: str | None, help: str):
    """One of some names; the first is the default."""
    return field(default=choices[0], metadata={"choices": choices, "help": help})


def _pixels(least: int, most: int, *, help: str, default: int | None = None):
    """A number of pixels; where the default is None that is a value, too: chosen for each hole."""
    return field(default=default, metadata={"range": (least, most), "unit": "pixels", "help": help})


def _number(least: int, most: int, *, help: str, default: int):
    """A number of nothing in particular."""
    return field(default=default, metadata={"range": (least, most), "help": help})


def _check(option: Field, value: object) -> None:
    if "choices" in option.metadata:
        choices = option.metadata["choices"]
        if not (value is None or isinstance(value, str)) or value not in choices:
            raise ValueError(f"{option.name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
        return
    least, most = option.metadata["range"]
    is_chosen = value is None and option.default is None
    if not is_chosen and not (isinstance(value, Integral) and least <= value <= most):
        of_what = f" of {option.metadata['unit']}" if "unit" in option.metadata else ""
        raise ValueError(f"{option.name} must be a whole number{of_what} from {least} to {most}; got {value!r}")


@dataclass(frozen=True, kw_only=True)
class FillOptions:
    """How holes are filled. The fields' `metadata` has "help", and "choices" or the "range" of a number.

    Raises:
        ValueError: a value is not one of the choices, or out of its range.
    """

    padding_mask_crop: int | None = _pixels(
        0,
        10_000,
        help="pixels of surroundings that the network sees around each hole; by default they are chosen from the size "
        "of the hole and the size that the model was trained at",
    )
    working_size: int | None = _pixels(
        1,
        10_000,
        help="holes larger than this many pixels (between their thickness and their side) are reduced to this size for "
        "the network: small values give smoother, more coherent fills; large values keep holes at their own size and "
        "are slower; by default the model's max_hole_size",
    )
    grow: int = _pixels(
        0,
        256,
        default=0,
        help="pixels by which every hole is widened first, so that the soft edge or shadow of the masked object is "
        "removed as well",
    )
    blend: str | None = _choice(
        "auto",
        "poisson",
        "fading",
        None,
        help="how the fill is blended into the known pixels: poisson shifts all of it smoothly, fading shifts its "
        "inside only as far as the known pixels around agree, none leaves it as it is; auto is the model's choice: "
        "poisson for scenes, fading for faces",
    )
    texture: str | None = _choice(
        "auto",
        "photo",
        None,
        help="photo builds the fill from patches of the photo, guided by the network; none keeps the network's own "
        "fill, which is soft in large holes but several times as fast; auto is the model's choice: photo for scenes, "
        "none for faces",
    )
    attempt: int = _number(
        0,
        9999,
        default=0,
        help="which of many possible fills from patches of the photo: 0 is the best guess, other numbers give others",
    )

    def __post_init__(self):
        for option in fields(self):
            _check(option, getattr(self, option.name))


DEFAULTS = FillOptions()


def from_texts(texts: Mapping[str, str]) -> FillOptions:
    """Options from text, as a command line has them: "none" is None, numbers are decimal.

    Raises:
        ValueError: a name is not that of an option, or a text is not a valid value for it.
    """
    known = {option.name: option for option in fields(FillOptions)}
    if unknown := texts.keys() - known.keys():
        raise ValueError(f"{', '.join(sorted(unknown))}: no such option; the options are {', '.join(known)}")
    values: dict[str, Any] = {name: from_text(known[name], text) for name, text in texts.items()}
    return FillOptions(**values)


def from_text(option: Field, text: str) -> str | int | None:
    """The value that a text means for one of `fields(FillOptions)`; ValueError if it is none."""
    value: str | int | None
    if text == NONE:
        value = None
    elif "range" in option.metadata and text.isdecimal() and len(text) < 10:  # Python reads no numbers of thousands
        value = int(text)
    else:
        value = text
    _check(option, value)
    return value


def choice_names(option: Field) -> list[str]:
    """The choices of an option as text, its default first."""
    return [choice or NONE for choice in option.metadata["choices"]]


def takes_fill_options(function: Callable) -> Callable:
    """Document a function's `**options`: its signature and docstring get the fields of `FillOptions` instead.

    In the docstring they take the place of the line "**options: those of `FillOptions`.".
    """
    import inspect  # here, because the command line starts with this module
    import textwrap

    signature = inspect.signature(function)
    named = [one for one in signature.parameters.values() if one.kind != one.VAR_KEYWORD]
    options = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type)
        for option in fields(FillOptions)
    ]
    shown = signature.replace(parameters=[*named, *options])
    function.__signature__ = shown  # type: ignore[attr-defined]  # what `inspect` looks for is declared nowhere
    wrapped = textwrap.TextWrapper(WIDTH, initial_indent=INDENT, subsequent_indent=INDENT + "    ")
    lines = [wrapped.fill(f"{option.name}: {option.metadata['help']}.") for option in fields(FillOptions)]
    docstring = inspect.cleandoc(function.__doc__ or "")  # as Python keeps it from 3.13 on
    function.__doc__ = docstring.replace(f"{INDENT}**options: those of `FillOptions`.", "\n".join(lines))
    return function
