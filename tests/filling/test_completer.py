"""Models made ready by their names; what completers complete is in `test_fill.py`."""

from glcic_hub.device import choose_device
from glcic_hub.filling.completer import ReadyCompleter, completer_of
from tests.random_models import random_model


def test_the_model_of_a_name_is_loaded_once(tmp_path):
    for side in (32, 64):
        random_model(sample_size=side).save_pretrained(tmp_path / f"{side}")
    small, large = (completer_of(str(tmp_path / f"{side}")) for side in (32, 64))
    assert (small.sample_size, large.sample_size) == (32, 64) and small.device == choose_device()
    assert completer_of(str(tmp_path / "32")) is small and completer_of(str(tmp_path / "64")) is large


def test_a_model_that_asks_for_something_else_is_made_ready_anew():
    model, ready = random_model(), ReadyCompleter()
    first = ready.of(model)
    assert ready.of(model) is first and first.blend == "poisson"
    for name, value in (("blend", "fading"), ("texture", "photo"), ("max_hole_size", 8), ("sample_size", 64)):
        setattr(model, name, value)
        assert getattr(ready.of(model), name) == value
