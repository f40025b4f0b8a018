"""The settings of the page, in words for visitors: one for each of the `FillOptions`, made from its fields.

Only `attempt` is not among them: the page's button "Try again" counts it. An option without words of its own is shown
with its name and its help. Needs the standard library alone.
"""

from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

from glcic_hub.filling.options import NONE, FillOptions, choice_names

MODEL = "model"
"""The name of the setting that is none of the `FillOptions`."""

GROWN = 4
"""Pixels: people paint along an edge, and up to it."""

_WORDS: dict[str, tuple[str, str]] = {
    "padding_mask_crop": (
        "Surroundings",
        "How much of the photo around the paint is looked at. Automatic suits the size of what is painted over.",
    ),
    "working_size": (
        "Working size",
        "Larger areas are completed at this size and then enlarged. Small values give calmer, softer results, "
        "large values more detail, and take longer.",
    ),
    "grow": (
        "Widen the paint",
        "How far around the paint the photo is replaced as well, in pixels of the photo: "
        "soft edges and shadows go, too.",
    ),
    "blend": ("Edges", "How the new part meets the photo around it."),
    "texture": ("Texture", "Where the fine structure of the new part comes from."),
}
_CHOICES: dict[str, dict[str, str]] = {
    "blend": {
        "auto": "Automatic",
        "poisson": "Match the colours",
        "fading": "Match the edge, the inside less",
        NONE: "Leave as they are",
    },
    "texture": {"auto": "Automatic", "photo": "From this photo", NONE: "None: soft, and faster"},
    MODEL: {"glcic-scenes": "Any photo", "glcic-faces-64": "Faces"},
}


def settings(models: Sequence[str]) -> list[dict[str, Any]]:
    """What `host.json` says of the settings.

    Args:
        models: names of models to choose from, the default first; a single one is no setting.
    """
    options = [option for option in fields(FillOptions) if option.name != "attempt"]
    return [*map(_setting, options), *([_model_setting(models)] if len(models) > 1 else [])]


def _setting(option: Field) -> dict[str, Any]:
    label, help = _WORDS.get(option.name, (_capitalised(option.name.replace("_", " ")), _as_sentence(option)))
    about = {"name": option.name, "label": label, "help": help}
    if "choices" not in option.metadata:
        value = GROWN if option.name == "grow" else option.default
        return about | {"range": list(option.metadata["range"]), "value": value, "unit": "px"}
    words = _CHOICES.get(option.name, {})
    choices = [{"value": name, "label": words.get(name, _capitalised(name))} for name in choice_names(option)]
    return about | {"choices": choices, "value": choices[0]["value"]}


def _model_setting(models: Sequence[str]) -> dict[str, Any]:
    choices = [{"value": name, "label": _CHOICES[MODEL].get(name, name)} for name in models]
    help = "What the network has learnt from: photos of all kinds, or faces."
    return {"name": MODEL, "label": "Kind of photo", "help": help, "choices": choices, "value": models[0]}


def _as_sentence(option: Field) -> str:
    return f"{_capitalised(option.metadata['help'])}."


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
