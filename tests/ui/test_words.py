"""The settings in words for visitors."""

from dataclasses import fields

from glcic_hub.filling.options import FillOptions, from_texts
from glcic_hub.ui.words import GROWN, settings


def test_every_option_but_the_attempt_is_a_setting_in_its_order():
    found = settings(["glcic-scenes"])
    names = [option.name for option in fields(FillOptions)]
    assert [setting["name"] for setting in found] == [name for name in names if name != "attempt"]
    for setting in found:
        assert setting["label"] and setting["help"].endswith("."), setting
    defaults = {one["name"]: "none" if one["value"] is None else str(one["value"]) for one in found}
    assert from_texts(defaults) == FillOptions(grow=GROWN)


def test_choices_have_words():
    (texture,) = [setting for setting in settings(["a"]) if setting["name"] == "texture"]
    assert [choice["value"] for choice in texture["choices"]] == ["auto", "photo", "none"]
    assert texture["choices"][1]["label"] == "From this photo"


def test_models_are_a_setting_where_there_are_several():
    model = settings(["glcic-scenes", "glcic-faces-64"])[-1]
    assert model["name"] == "model" and model["value"] == "glcic-scenes"
    assert [choice["value"] for choice in model["choices"]] == ["glcic-scenes", "glcic-faces-64"]
    assert not any("glcic" in choice["label"] for choice in model["choices"])
