"""FillOptions: defaults, ranges and errors; as text; and what takes them as keywords."""

import dataclasses
import inspect

import numpy as np
import pytest

from glcic_hub import model
from glcic_hub.filling.options import (
    DEFAULTS,
    FillOptions,
    choice_names,
    from_text,
    from_texts,
    takes_fill_options,
)
from glcic_hub.filling.seam import BLENDS

OPTION = {option.name: option for option in dataclasses.fields(FillOptions)}


def test_without_a_word_the_model_says_how_the_seam_is_treated_and_where_texture_comes_from():
    assert FillOptions() == DEFAULTS
    assert {name: getattr(DEFAULTS, name) for name in OPTION if getattr(DEFAULTS, name) is not None} == {
        "grow": 0,
        "blend": "auto",
        "texture": "auto",
        "attempt": 0,
    }


@pytest.mark.parametrize(
    "options",
    [
        {"padding_mask_crop": 0},
        {"padding_mask_crop": 10_000},
        {"working_size": 1},
        {"working_size": 10_000},
        {"working_size": np.int64(60)},
        {"blend": "poisson"},
        {"blend": "fading"},
        {"blend": None},
    ],
)
def test_values_in_range_are_kept(options):
    kept = dataclasses.asdict(FillOptions(**options))
    assert kept == dataclasses.asdict(DEFAULTS) | options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding_mask_crop": -1}, "padding_mask_crop must be a whole number of pixels from 0 to 10000; got -1"),
        ({"padding_mask_crop": 10_001}, "padding_mask_crop .* got 10001"),
        ({"padding_mask_crop": 2.0}, "padding_mask_crop .* got 2.0"),
        ({"working_size": 0}, "working_size must be a whole number of pixels from 1 to 10000; got 0"),
        ({"working_size": "60"}, "working_size .* got '60'"),
        ({"working_size": float("nan")}, "working_size .* got nan"),
        ({"attempt": -1}, "attempt must be a whole number from 0 to 9999; got -1"),
        ({"attempt": None}, "attempt must be a whole number from 0 to 9999; got None"),
        ({"blend": "none"}, "blend must be one of 'auto', 'poisson', 'fading', None; got 'none'"),
        ({"blend": "Poisson"}, "blend .* got 'Poisson'"),
        ({"blend": 1}, "blend .* got 1"),
        ({"blend": ["poisson"]}, r"blend .* got \['poisson'\]"),
        ({"texture": True}, "texture .* got True"),
    ],
)
def test_other_values_are_refused_with_what_is_wanted(options, message):
    with pytest.raises(ValueError, match=message):
        FillOptions(**options)


def test_options_are_named_and_stay_as_they_are():
    with pytest.raises(TypeError):
        FillOptions(4)
    with pytest.raises(TypeError, match="colour"):
        FillOptions(colour="red")
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULTS.blend = None
    assert hash(FillOptions(working_size=60)) == hash(FillOptions(working_size=60))


def test_every_option_says_what_it_does():
    for option in OPTION.values():
        assert option.metadata["help"] and not option.metadata["help"].endswith(".")
        assert ("choices" in option.metadata) != ("range" in option.metadata)
        if "choices" in option.metadata:
            assert option.metadata["choices"][0] == option.default


def test_the_choices_of_blend_are_the_ways_there_are():
    assert OPTION["blend"].metadata["choices"] == ("auto", *BLENDS) == ("auto", *model.BLENDS)
    assert OPTION["texture"].metadata["choices"] == ("auto", *model.TEXTURES)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("padding_mask_crop", "0", 0),
        ("working_size", "060", 60),
        ("working_size", "none", None),
        ("grow", "0", 0),
        ("attempt", "3", 3),
        ("blend", "none", None),
        ("blend", "poisson", "poisson"),
    ],
)
def test_text_means_a_value(name, text, value):
    assert from_text(OPTION[name], text) == value
    assert getattr(from_texts({name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("padding_mask_crop", "-1"),
        ("working_size", "0"),
        ("working_size", "6.0"),
        ("working_size", "6e1"),
        ("working_size", ""),
        ("working_size", " 6"),
        ("working_size", "six"),
        ("working_size", "²"),
        ("working_size", "9" * 5000),
        ("grow", "none"),
        ("grow", "257"),
        ("blend", ""),
        ("blend", "None"),
        ("blend", "0"),
    ],
)
def test_other_text_is_refused(name, text):
    with pytest.raises(ValueError, match=f"^{name} must be "):
        from_text(OPTION[name], text)
    with pytest.raises(ValueError, match=f"^{name} must be "):
        from_texts({name: text})


def test_several_texts_and_unknown_names():
    assert from_texts({}) == DEFAULTS
    assert from_texts({"blend": "none", "working_size": "60"}) == FillOptions(blend=None, working_size=60)
    with pytest.raises(
        ValueError, match="^Blend, colour: no such option; the options are padding_mask_crop, working_size,"
    ):
        from_texts({"colour": "red", "blend": "none", "Blend": "none"})


def test_choices_as_text_begin_with_the_default():
    assert choice_names(OPTION["blend"]) == ["auto", "poisson", "fading", "none"]
    assert choice_names(OPTION["texture"]) == ["auto", "photo", "none"]


def test_functions_that_take_options_show_each_of_them():
    @takes_fill_options
    def paint(picture: str, size: int = 3, **options) -> str:
        """Paint.

        Args:
            picture: where.
            size: how large.
            **options: those of `FillOptions`.

        Returns:
            What it was given.
        """
        return f"{picture} {size} {options}"

    parameters = inspect.signature(paint).parameters
    assert list(parameters) == ["picture", "size", *OPTION]
    assert parameters["size"].default == 3
    for name, option in OPTION.items():
        assert parameters[name].kind == inspect.Parameter.KEYWORD_ONLY
        assert (parameters[name].default, parameters[name].annotation) == (option.default, option.type)
        assert f"\n    {name}: {option.metadata['help'][:30]}" in paint.__doc__
    assert "**options" not in paint.__doc__
    assert inspect.signature(paint).return_annotation is str
    assert max(map(len, paint.__doc__.splitlines())) <= 120
    assert paint.__doc__.startswith(
        "Paint.\n\nArgs:\n    picture: where.\n    size: how large.\n    padding_mask_crop: "
    )
    assert paint.__doc__.endswith(".\n\nReturns:\n    What it was given.")
    assert paint("p", working_size=4) == "p 3 {'working_size': 4}"
