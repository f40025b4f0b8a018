"""GLCICModel on disk: what is written, what is read back, and what is refused."""

import contextlib
import copy
import json
import pickle
import re
import resource
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from glcic_hub import model as model_module
from glcic_hub.device import choose_device
from glcic_hub.model import GLCICModel, embedded_models
from glcic_hub.network import complete_batch
from glcic_hub.pipeline import GLCICPipeline
from tests.random_models import random_model

SETTINGS = {"base_channels": 4, "mean": (0.1, 0.25, 0.6), "sample_size": 64, "max_hole_size": 24}
SETTINGS |= {"blend": "fading", "texture": None}
FILES = {"README.md", "config.json", "model.safetensors"}


def make_model(seed=0, **settings):
    """A small model as after training: no tensor is left as it was initialised."""
    model = GLCICModel(**{**SETTINGS, **settings})
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.dtype == torch.int64:
                value.fill_(1000 + seed)
            else:
                value.copy_(torch.rand(value.shape, generator=generator) / 3 + 0.1)
    return model


@pytest.fixture
def model():
    return make_model()


@pytest.fixture
def folder(model, tmp_path):
    """A saved model."""
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def assert_same_state(state, wanted):
    assert list(state) == list(wanted)
    for key, value in wanted.items():
        assert state[key].dtype == value.dtype and torch.equal(state[key], value), key


def edit_weights(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


# There and back


def test_round_trip(model, folder):
    loaded = GLCICModel.from_pretrained(folder)
    assert_same_state(loaded.state_dict(), model.state_dict())
    assert loaded.state_dict()["network.blocks.3.1.num_batches_tracked"] == 1000
    assert torch.equal(loaded.mean, torch.tensor(SETTINGS["mean"]))
    assert (loaded.sample_size, loaded.max_hole_size, loaded.network.base_channels) == (64, 24, 4)
    assert not loaded.training
    assert (loaded.dtype, loaded.device) == (torch.float32, torch.device("cpu"))

    image, mask = torch.rand(2, 3, 9, 14), (torch.rand(2, 1, 9, 14) < 0.3).float()
    with torch.no_grad():
        result = loaded(image, mask)
        assert torch.equal(result, model.eval()(image, mask))
        assert torch.equal(result, complete_batch(model.network, image, mask, torch.tensor(SETTINGS["mean"])))


def test_files(folder):
    assert names_in(folder) == FILES
    assert json.loads((folder / "config.json").read_text()) == {**SETTINGS, "mean": list(SETTINGS["mean"])}
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        # 114 tensors of the network; the mean is in the config
        keys = list(file.keys())
        assert len(keys) == 114 and all(key.startswith("network.") for key in keys)
        assert {file.get_tensor(key).dtype for key in keys} == {torch.float32, torch.int64}


def test_saving_again_gives_the_same_bytes(folder, tmp_path):
    GLCICModel.from_pretrained(folder).save_pretrained(tmp_path / "again")
    assert names_in(tmp_path / "again") == FILES
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_defaults_are_written_out(tmp_path):
    GLCICModel(2).save_pretrained(tmp_path)
    wanted = {"base_channels": 2, "mean": [0.5, 0.5, 0.5], "sample_size": 256, "max_hole_size": 128}
    wanted |= {"blend": "poisson", "texture": "photo"}
    assert json.loads((tmp_path / "config.json").read_text()) == wanted


@pytest.mark.parametrize(
    "mean",
    [np.array([0.1, 0.2, 0.3]), np.float32([0.1, 0.2, 0.3]), tuple(np.float32([0.1, 0.2, 0.3])), [0.1, 0.2, 0.3]],
    ids=["float64 array", "float32 array", "tuple of float32", "list"],
)
def test_measured_mean_comes_back(mean, tmp_path):
    """A mean colour computed by NumPy is a mean colour like any other."""
    model = GLCICModel(2, mean=mean)
    model.save_pretrained(tmp_path)
    assert torch.equal(GLCICModel.from_pretrained(tmp_path).mean, model.mean)
    assert model.mean.tolist() == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_are_written_in_their_type_and_read_as_float32(dtype, tmp_path):
    model = make_model().to(dtype)
    model.save_pretrained(tmp_path)
    types = {value.dtype for value in load_file(tmp_path / "model.safetensors").values()}
    assert types == {dtype, torch.int64}
    assert_same_state(GLCICModel.from_pretrained(tmp_path, dtype=dtype).state_dict(), model.state_dict())
    plain = GLCICModel.from_pretrained(tmp_path)
    assert plain.dtype == torch.float32
    assert_same_state(plain.state_dict(), copy.deepcopy(model).float().state_dict())
    assert torch.equal(plain.mean, torch.tensor(SETTINGS["mean"]))  # not rounded on its way


@pytest.mark.parametrize("argument", ["dtype", "torch_dtype"])
def test_dtype(model, folder, argument):
    loaded = GLCICModel.from_pretrained(folder, **{argument: torch.float16})
    assert loaded.dtype == loaded.mean.dtype == torch.float16
    assert_same_state(loaded.state_dict(), copy.deepcopy(model).half().state_dict())
    # diffusers passes torch_dtype=None to components
    assert GLCICModel.from_pretrained(folder, **{argument: None}).dtype == torch.float32


def test_variants_lie_side_by_side(model, folder):
    other = make_model(seed=1).half()
    other.save_pretrained(folder, variant="fp16")
    assert names_in(folder) == FILES | {"model.fp16.safetensors"}
    assert_same_state(GLCICModel.from_pretrained(folder).state_dict(), model.state_dict())
    loaded = GLCICModel.from_pretrained(folder, variant="fp16", dtype=torch.float16)
    assert_same_state(loaded.state_dict(), other.state_dict())
    other.save_pretrained(folder / "plain")  # the variant is that call's, not the model's
    assert names_in(folder / "plain") == FILES
    with pytest.raises(FileNotFoundError, match=r"model\.bf16\.safetensors"):
        GLCICModel.from_pretrained(folder, variant="bf16")


def test_a_variant_that_is_alone_is_read(model, folder):
    other = make_model(seed=1).half()
    other.save_pretrained(folder.parent / "half", variant="fp16")
    half = GLCICModel.from_pretrained(folder.parent / "half", dtype="auto")
    assert_same_state(half.state_dict(), other.state_dict())
    other.save_pretrained(folder, variant="fp16")
    other.save_pretrained(folder, variant="ema")
    assert_same_state(GLCICModel.from_pretrained(folder).state_dict(), model.state_dict())
    (folder / "model.safetensors").unlink()
    for variant in (None, "bf16"):  # which of the two nobody can say
        with pytest.raises(FileNotFoundError, match="there is model.ema.safetensors, model.fp16.safetensors: choose"):
            GLCICModel.from_pretrained(folder, variant=variant)


def test_subfolder(model, folder):
    loaded = GLCICModel.from_pretrained(folder.parent, subfolder=folder.name)
    assert_same_state(loaded.state_dict(), model.state_dict())
    with pytest.raises(FileNotFoundError, match=re.escape(str(folder.parent / "config.json"))):
        GLCICModel.from_pretrained(folder.parent)


def test_a_pipeline_folder_holds_the_model(model, tmp_path):
    """Also as a variant; what a folder without any model says names the folder's own file."""
    model.save_pretrained(tmp_path / "completion_network", variant="fp16")
    (tmp_path / "model_index.json").write_text("{}")
    assert_same_state(GLCICModel.from_pretrained(tmp_path, variant="fp16").state_dict(), model.state_dict())
    (tmp_path / "completion_network" / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "config.json"))):
        GLCICModel.from_pretrained(tmp_path)


def test_str_and_path_are_the_same(model, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    for name in (str(folder), folder, "model", "./model"):
        assert_same_state(GLCICModel.from_pretrained(name).state_dict(), model.state_dict())


def test_config_overrides(model, folder):
    loaded = GLCICModel.from_pretrained(folder, mean=(0.5, 0.25, 0.125), max_hole_size=32)
    assert loaded.mean.tolist() == [0.5, 0.25, 0.125]
    assert (loaded.max_hole_size, loaded.sample_size) == (32, 64)
    assert_same_state(loaded.state_dict(), model.state_dict())
    loaded.save_pretrained(folder.parent / "changed")  # they are the model's settings from then on
    again = GLCICModel.from_pretrained(folder.parent / "changed")
    assert again.mean.tolist() == [0.5, 0.25, 0.125] and again.max_hole_size == 32
    with pytest.raises(ValueError, match="does not fit GLCICModel"):
        GLCICModel.from_pretrained(folder, base_channels=6)
    with pytest.raises(TypeError, match="^colour: not an argument for loading a GLCICModel, nor one of its settings"):
        GLCICModel.from_pretrained(folder / "is not looked at", colour="red")
    with pytest.raises(ValueError, match="config.json with mean as given do not make a GLCICModel: mean must be"):
        GLCICModel.from_pretrained(folder, mean=(2, 2, 2))


class Deeper(GLCICModel):
    """As people extend it: arguments of its own, the others passed on."""

    def __init__(self, *, blocks: int = 3, activation: str = "relu", **others):
        super().__init__(**others)
        self.blocks, self.activation = blocks, activation


class Narrow(GLCICModel):
    """It decides about the settings itself."""

    def __init__(self, note: str):
        super().__init__(base_channels=4)
        self.note = note


class Coded(GLCICModel, coders={complex: (lambda number: [number.real, number.imag], lambda pair: complex(*pair))}):
    def __init__(self, number: complex, **others):
        super().__init__(**others)
        self.number = number


class Configured(GLCICModel):
    def __init__(self, config: dict, base_channels: int = 4):
        super().__init__(base_channels=base_channels)
        self.config = config


@pytest.mark.filterwarnings("error")
def test_a_subclass_keeps_its_own_arguments(tmp_path):
    Deeper(blocks=5, base_channels=4, max_hole_size=24).save_pretrained(tmp_path / "deeper")
    stored = json.loads((tmp_path / "deeper" / "config.json").read_text())
    assert (stored["blocks"], stored["activation"], stored["max_hole_size"]) == (5, "relu", 24)
    loaded = Deeper.from_pretrained(tmp_path / "deeper", activation="elu")
    assert (loaded.blocks, loaded.activation, loaded.max_hole_size) == (5, "elu", 24)
    with pytest.raises(TypeError, match="^block: not an argument for loading a Deeper, nor one of its settings"):
        Deeper.from_pretrained(tmp_path / "deeper", block=5)

    Narrow("mine").save_pretrained(tmp_path / "narrow")
    assert Narrow.from_pretrained(tmp_path / "narrow").note == "mine"
    Coded(2 + 3j, base_channels=4).save_pretrained(tmp_path / "coded")
    assert Coded.from_pretrained(tmp_path / "coded").number == 2 + 3j
    Configured({"depth": 2}).save_pretrained(tmp_path / "configured")
    assert Configured.from_pretrained(tmp_path / "configured").config["depth"] == 2


def test_training_goes_on_from_loaded_weights(folder):
    model = GLCICModel.from_pretrained(folder).train()
    before = copy.deepcopy(model.state_dict())
    assert all(parameter.requires_grad for parameter in model.parameters())
    optimiser = torch.optim.Adadelta(model.parameters())
    image, mask = torch.rand(2, 3, 16, 16), torch.zeros(2, 1, 16, 16)
    mask[:, :, 4:12, 4:12] = 1
    loss = (mask * (model(image, mask) - image)).square().mean()
    loss.backward()
    optimiser.step()
    after = model.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {"network.output.weight", "network.output.bias", "network.blocks.0.0.weight"} <= changed
    assert all(after[key] == before[key] + 1 for key in before if key.endswith("num_batches_tracked"))
    model.save_pretrained(folder)
    assert_same_state(GLCICModel.from_pretrained(folder).state_dict(), after)


def test_deep_copy_keeps_the_settings(model, tmp_path):
    copy.deepcopy(model).save_pretrained(tmp_path)
    assert torch.equal(GLCICModel.from_pretrained(tmp_path).mean, model.mean)


def test_nothing_on_stdout(model, folder, capfd):
    GLCICModel.from_pretrained(folder)
    model.save_pretrained(folder)
    assert capfd.readouterr().out == ""


def test_no_diffusers(folder):
    code = """
        import sys, torch
        from glcic_hub import GLCICModel
        model = GLCICModel.from_pretrained(sys.argv[1])
        model(torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8))
        model.save_pretrained(sys.argv[1])
        assert "huggingface_hub" in sys.modules and "diffusers" not in sys.modules
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_card(model, folder):
    data = ModelCard.load(folder / "README.md").data
    assert (data.library_name, data.pipeline_tag) == ("glcic_hub", "image-to-image")
    assert {"inpainting", "image-inpainting", "glcic"} <= set(data.tags)
    text = (folder / "README.md").read_text()
    assert "https://doi.org/10.1145/3072959.3073659" in text and "{{" not in text
    (folder / "README.md").write_text("mine")
    model.save_pretrained(folder)
    assert (folder / "README.md").read_text() == "mine"


# Settings that make no model


@pytest.mark.parametrize("mean", [(0.5, 0.5), (0.5,) * 4, (0.5, 0.5, 1.5), (-0.1, 0.5, 0.5), (0.5, 0.5, float("nan"))])
def test_mean_is_three_numbers_from_0_to_1(mean):
    with pytest.raises(ValueError, match="mean must be three numbers from 0 to 1"):
        GLCICModel(2, mean=mean)


@pytest.mark.parametrize("texture", ["auto", "none", True, 1])
def test_texture_is_of_the_photo_or_of_nothing(texture):
    with pytest.raises(ValueError, match="texture must be one of 'photo', None; got"):
        GLCICModel(2, texture=texture)


@pytest.mark.parametrize("blend", ["auto", "none", True, 1])
def test_blend_is_one_of_the_ways_there_are(blend):
    with pytest.raises(ValueError, match="blend must be one of 'poisson', 'fading', None; got"):
        GLCICModel(2, blend=blend)


@pytest.mark.parametrize(("sample_size", "max_hole_size"), [(64, 65), (64, 0), (64, -1), (0, 0)])
def test_holes_fit_into_the_samples(sample_size, max_hole_size):
    with pytest.raises(ValueError, match=rf"sample_size={sample_size}; got {max_hole_size}"):
        GLCICModel(2, sample_size=sample_size, max_hole_size=max_hole_size)


# Embedded models


def test_scenes_are_shifted_and_get_texture_and_faces_neither():
    uses = {name: GLCICModel.from_pretrained(name) for name in embedded_models()}
    assert {name: (model.blend, model.texture) for name, model in uses.items()} == {
        "glcic-scenes": ("poisson", "photo"),
        "glcic-faces-64": ("fading", None),
    }


def test_embedded_models(folder, tmp_path, monkeypatch):
    home = tmp_path / "pretrained"
    shutil.copytree(folder, home / "glcic-scenes")
    make_model(seed=1).save_pretrained(home / "another")
    (home / "no-model").mkdir()
    monkeypatch.setattr(model_module, "PRETRAINED_DIR", home)
    monkeypatch.chdir(tmp_path)
    assert embedded_models() == ["another", "glcic-scenes"]
    for name, seed in (("another", 1), ("glcic-scenes", 0), (None, 0)):
        assert_same_state(GLCICModel.from_pretrained(name).state_dict(), make_model(seed).state_dict())
    assert_same_state(GLCICModel.from_pretrained().state_dict(), make_model().state_dict())
    make_model(seed=2).save_pretrained("another")  # a folder wins over an embedded name
    assert_same_state(GLCICModel.from_pretrained("another").state_dict(), make_model(2).state_dict())


def test_every_model_in_the_package_loads():
    for name in embedded_models():
        assert all(value.isfinite().all() for value in GLCICModel.from_pretrained(name).state_dict().values())


# Weights that do not fit


def drop(*keys):
    return lambda state: [state.pop(key) for key in keys]


def put(key, shape):
    return lambda state: state.update({key: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (drop("network.output.bias"), ["missing network.output.bias"]),
        (drop("network.blocks.5.1.running_var"), ["missing network.blocks.5.1.running_var"]),
        (drop("network.blocks.5.1.num_batches_tracked"), ["missing network.blocks.5.1.num_batches_tracked"]),
        (put("network.blocks.16.0.bias", 4), ["unexpected network.blocks.16.0.bias"]),
        (put("mean", 3), ["unexpected mean"]),
        (put("network.output.weight", (3, 2, 5, 5)), ["network.output.weight is (3, 2, 5, 5), wanted (3, 2, 3, 3)"]),
        (put("network.output.bias", (3, 1)), ["network.output.bias is (3, 1), wanted (3,)"]),
        (
            lambda state: state.update({"output.bias": state.pop("network.output.bias"), "x": torch.zeros(1)}),
            ["missing network.output.bias", "unexpected output.bias", "unexpected x"],
        ),
    ],
)
def test_weights_must_fit_exactly(folder, change, named):
    edit_weights(folder, change)
    with pytest.raises(ValueError, match="does not fit GLCICModel") as caught:
        GLCICModel.from_pretrained(folder)
    for words in [str(folder / "model.safetensors"), *named]:
        assert words in str(caught.value)
    assert str(caught.value).count(";") == len(named) - 1  # those tensors and no other


def test_a_model_is_never_half_loaded(model, folder):
    edit_weights(folder, drop("network.output.bias"))
    other = make_model(seed=1)
    with pytest.raises(ValueError, match="missing network.output.bias"):
        model_module._load_strictly(other, folder / "model.safetensors", torch.float32)
    assert_same_state(other.state_dict(), make_model(seed=1).state_dict())


def test_the_weights_are_no_longer_those_of_the_file(model, folder):
    loaded = GLCICModel.from_pretrained(folder)
    with open(folder / "model.safetensors", "r+b") as file:  # in place: the same pages
        size = file.seek(0, 2)
        file.seek(size // 2)
        file.write(b"\0" * (size - size // 2))
    assert_same_state(loaded.state_dict(), model.state_dict())


@pytest.mark.parametrize("base_channels", [10**5, 10**12])
def test_settings_that_ask_for_a_giant_cost_nothing(folder, base_channels):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"base_channels": base_channels}))
    with pytest.raises(ValueError, match="does not fit|do not make a GLCICModel"):
        GLCICModel.from_pretrained(folder)


@pytest.mark.parametrize("share", [0, 0.00005, 0.01, 0.5, 0.999999], ids=str)
def test_truncated_weights(folder, share):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=re.escape(f"{path} is not a complete safetensors file")):
        GLCICModel.from_pretrained(folder)


@pytest.mark.parametrize("name", sorted(FILES - {"README.md"}))
def test_missing_files_are_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(str(folder / name))):
        GLCICModel.from_pretrained(folder)


def test_missing_card_does_not_matter(model, folder):
    (folder / "README.md").unlink()
    assert_same_state(GLCICModel.from_pretrained(folder).state_dict(), model.state_dict())


@pytest.mark.parametrize("text", ["", "{", '{"base_channels": 4,}', "[]", "null", "4", '"text"', "\udcff"])
def test_damaged_config(folder, text):
    path = folder / "config.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=re.escape(f"{path} is not a JSON object")):
        GLCICModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base_channels", "4"),
        ("base_channels", None),
        ("base_channels", 3),
        ("mean", 0.5),
        ("mean", None),
        ("mean", ["a", "b", "c"]),
        ("mean", [0.5, 0.5, 2]),
        ("sample_size", "big"),
        ("max_hole_size", None),
        ("max_hole_size", 65),
    ],
)
def test_settings_that_make_no_model_are_refused_with_the_files_name(folder, key, value):
    path = folder / "config.json"
    path.write_text(json.dumps({**SETTINGS, key: value}))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        GLCICModel.from_pretrained(folder)


def test_settings_of_a_later_version_are_warned_of(model, folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**SETTINGS, "widht": 4, "attention": {"heads": 2}}))
    with pytest.warns(
        UserWarning, match=re.escape(f"{path} has settings that this GLCICModel does not know: ")
    ) as told:
        loaded = GLCICModel.from_pretrained(folder)
    assert str(told[0].message).endswith("attention, widht") and len(told) == 1
    assert_same_state(loaded.state_dict(), model.state_dict())


def test_private_keys_of_a_config_are_not_settings(model, folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**SETTINGS, "_class_name": "GLCICModel", "_diffusers_version": "0.42.1"}))
    assert_same_state(GLCICModel.from_pretrained(folder).state_dict(), model.state_dict())


@pytest.mark.parametrize("name", ["/no/such/folder", "../no/such/folder", "./no such folder"])
def test_a_folder_that_is_not_there_is_named(name):
    with pytest.raises((FileNotFoundError, ValueError), match=re.escape(name)):
        GLCICModel.from_pretrained(name)


# Pickle


class Bomb:
    """An object whose unpickling makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


@pytest.fixture
def bomb(tmp_path):
    """A pickle, shown to be live, and the file that loading it makes."""
    marker = tmp_path / "was loaded"
    data = pickle.dumps({"network.output.bias": Bomb(marker)})
    pickle.loads(data)["network.output.bias"].close()
    assert marker.exists()
    marker.unlink()
    return data, marker


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.bin", "model.pth", "model.pt", "model.ckpt"])
def test_pickle_only_folders_are_refused(folder, bomb, name):
    data, marker = bomb
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(data)
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors does not exist"):
        GLCICModel.from_pretrained(folder)
    assert not marker.exists()


def test_pickle_under_another_name_is_not_loaded(folder, bomb):
    data, marker = bomb
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        GLCICModel.from_pretrained(folder)
    assert not marker.exists()


def test_pickle_is_not_written(model, tmp_path):
    with pytest.raises(ValueError, match="safetensors only"):
        model.save_pretrained(tmp_path / "new", safe_serialization=False)
    assert not (tmp_path / "new").exists()


# Saving that fails


@contextlib.contextmanager
def largest_file(size):
    """Let the operating system refuse to make files larger than `size` bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_failed_save_leaves_no_part_of_a_file(model, tmp_path):
    with largest_file(50_000), pytest.raises(Exception, match="(?i)file too large"):
        model.save_pretrained(tmp_path / "new")
    assert [path for path in (tmp_path / "new").rglob("*") if path.is_file()] == []
    model.save_pretrained(tmp_path / "new")
    assert names_in(tmp_path / "new") == FILES


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_failed_save_keeps_the_model_that_was_there(model, folder, variant):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with largest_file(50_000), pytest.raises(Exception, match="(?i)file too large"):
        make_model(seed=1, mean=(0.5, 0.5, 0.5)).save_pretrained(folder, variant=variant)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    loaded = GLCICModel.from_pretrained(folder)
    assert_same_state(loaded.state_dict(), model.state_dict())
    assert torch.equal(loaded.mean, model.mean)


def test_saving_over_a_loaded_model_keeps_its_weights(model, folder):
    """The file is replaced, not overwritten: a model whose weights are mapped from it stays whole."""
    loaded = GLCICModel.from_pretrained(folder)
    make_model(seed=1).save_pretrained(folder)
    assert_same_state(loaded.state_dict(), model.state_dict())
    assert_same_state(GLCICModel.from_pretrained(folder).state_dict(), make_model(1).state_dict())


# What people ask for when they load


@pytest.mark.parametrize("argument", ["dtype", "torch_dtype"])
@pytest.mark.parametrize(
    ("asked", "weights", "computed"),
    [
        ("float16", torch.float16, torch.float16),
        ("torch.bfloat16", torch.bfloat16, torch.bfloat16),
        ({"completion_network": torch.float64, "default": torch.float16}, torch.float64, torch.float64),
        ({"default": "half"}, torch.float16, torch.float16),
        ({"transformer": torch.float16}, torch.float32, None),
        ("auto", torch.bfloat16, None),
        ({"completion_network": "auto"}, torch.bfloat16, None),
    ],
)
def test_types_are_asked_for_as_in_diffusers_and_transformers(folder, argument, asked, weights, computed):
    make_model().to(torch.bfloat16).save_pretrained(folder)
    loaded = GLCICModel.from_pretrained(folder, **{argument: asked})
    assert loaded.dtype == loaded.mean.dtype == weights
    assert loaded.compute_dtype == computed


@pytest.mark.parametrize("argument", ["device_map", "map_location"])
@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("meta", "meta"),
        (torch.device("meta"), "meta"),
        ("cpu", "cpu"),
        ({"": "meta"}, "meta"),
        ({"completion_network": "meta"}, "meta"),
        ({}, "cpu"),
        ("auto", choose_device().type),
        ("balanced", choose_device().type),
    ],
)
def test_devices_are_asked_for_as_in_accelerate(folder, argument, asked, wanted):
    assert GLCICModel.from_pretrained(folder, **{argument: asked}).device.type == wanted


def test_arguments_that_ask_for_what_holds_anyway(model, folder):
    for arguments in (
        {"strict": True, "use_safetensors": True, "low_cpu_mem_usage": True, "proxies": None},
        {"strict": None, "use_safetensors": None, "low_cpu_mem_usage": False, "proxies": {}},
        {"dtype": torch.float32, "torch_dtype": "float32", "device_map": "cpu", "map_location": torch.device("cpu")},
    ):
        assert_same_state(GLCICModel.from_pretrained(folder, **arguments).state_dict(), model.state_dict())


NOT_TO_BE_FOLLOWED = [
    ({"dtype": "cuda"}, "^dtype must be one of torch.float16, .*; got 'cuda'"),
    ({"torch_dtype": torch.int8}, "^torch_dtype must be one of torch.float16, .*; got torch.int8"),
    ({"dtype": {"completion_network": np.float16}}, "^dtype must be one of .*numpy.float16"),
    (
        {"dtype": torch.float16, "torch_dtype": torch.float32},
        "^dtype and torch_dtype mean the same thing but differ here",
    ),
    ({"device_map": "cpu", "map_location": "meta"}, "^device_map and map_location mean the same thing but differ here"),
    ({"device_map": "gpu"}, "^device_map='gpu' cannot be used"),
    ({"device_map": "cuda:99"}, "^device_map='cuda:99' cannot be used: this machine has no device"),
    ({"device_map": {"network.blocks": "cpu"}}, "^device_map must name one device .* got 'network.blocks'"),
    ({"map_location": len}, "^map_location=.* cannot be used"),
    ({"strict": False}, "^strict=False: weights are always loaded strictly"),
    ({"use_safetensors": False}, "^use_safetensors=False asks for pickle files"),
    ({"proxies": {"https": "http://127.0.0.1:9"}}, "^proxies: set HTTPS_PROXY in the environment"),
]


@pytest.mark.parametrize(("arguments", "match"), NOT_TO_BE_FOLLOWED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_followed_is_refused_by_its_name(folder, arguments, match):
    """Before anything is read, alike for models and pipelines, and in one sentence."""
    for cls in (GLCICModel, GLCICPipeline):
        for place in (folder / "is not looked at", "someone/scenes", None):
            with pytest.raises(ValueError, match=match) as refusal:
                cls.from_pretrained(place, **arguments)
            assert "\n" not in str(refusal.value) and "config.json" not in str(refusal.value)


def test_a_compiled_model_is_compiled_for_each_size_and_computes_the_same():
    inputs_of_graphs = []

    def backend(graph, inputs):
        inputs_of_graphs.append(inputs)
        return graph.forward

    model = random_model()
    plain = copy.deepcopy(model)
    model.compile(backend=backend)
    for height, width in ((40, 48), (48, 56), (40, 48)):
        image, mask = torch.rand(1, 3, height, width), torch.zeros(1, 1, height, width)
        mask[..., 10:20, 12:24] = 1
        with torch.no_grad():
            torch.testing.assert_close(model(image, mask), plain(image, mask))
    sizes = {tuple(x.shape[2:]) for inputs in inputs_of_graphs for x in inputs if x is not None and x.ndim == 4}
    assert {(40, 48), (48, 56)} <= sizes and all(type(side) is int for size in sizes for side in size)
