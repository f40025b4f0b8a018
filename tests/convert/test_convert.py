"""Converters: what they make of true files computes what the source computes, and everything else is refused."""

import copy
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from glcic_hub import convert as room
from glcic_hub.convert import KINDS, card, convert, layouts, save_whole
from glcic_hub.model import GLCICModel
from glcic_hub.network import COMPLETION_LAYERS
from tests.convert import foreign
from tests.convert.foreign import MEAN
from tests.convert.torch7_writer import Object, Tensor, tensor, write

# Both sides compute in float64. What is left is that converted weights are rounded to float32, by 6e-8 of each.
EXACT = {"atol": 4e-6, "rtol": 0}


@pytest.fixture(scope="module")
def layers():
    return foreign.network()


@pytest.fixture(scope="module")
def picture():
    """Two pictures and their holes, one of which touches the border."""
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(2, 3, 32, 40, generator=generator).double()
    mask = torch.zeros_like(image[:, :1])
    mask[0, :, 8:20, 10:26] = 1
    mask[1, :, 20:, :12] = 1
    return image, mask


@pytest.fixture
def file(tmp_path):
    """`file(value)` writes a checkpoint: bytes as they are, everything else as torch.save does."""

    def write_file(value, name="checkpoint.pth", **options):
        path = tmp_path / name
        if isinstance(value, bytes):
            path.write_bytes(value)
        else:
            torch.save(value, path, **options)
        return path

    return write_file


def completed(model, picture):
    with torch.no_grad():
        return copy.deepcopy(model).double()(*picture)


class TestTorch7:
    @pytest.mark.parametrize(
        ("options", "versioned"),
        [
            ({}, True),
            ({"gradients": False}, True),
            ({"kind": "Double"}, True),
            ({"kind": "Cuda"}, True),
            ({"flat_weights": True}, True),
            ({"shared": True}, True),
            ({"shared": True, "flat_weights": True, "kind": "Double"}, True),
            ({"mean": "tensor"}, True),
            ({"eps": 1e-3}, True),
            ({"eps": 1e-3, "old_norms": True, "kind": "Double"}, False),
            ({}, False),
        ],
        ids=str,
    )
    def test_variants_compute_what_the_official_network_computes(self, file, layers, picture, options, versioned):
        path = file(write(foreign.torch7(layers, **options), versioned), "net.t7")
        model = convert(path).model
        wanted = foreign.official(layers, *picture, eps=options.get("eps", 1e-5))
        assert wanted.std() > 0.05  # the comparison can tell
        torch.testing.assert_close(completed(model, picture), wanted, **EXACT)
        assert model.mean.tolist() == pytest.approx(MEAN) and model.training is False

    def test_weights_are_copied_bit_for_bit(self, file, layers):
        state = convert(file(write(foreign.torch7(layers)), "net.t7")).model.network.state_dict()
        for i, layer in enumerate(layers[:16]):
            assert torch.equal(state[f"blocks.{i}.0.weight"], layer["weight"])
            assert torch.equal(state[f"blocks.{i}.1.running_var"], layer["var"])

    def test_the_network_alone_needs_a_mean(self, file, layers, picture):
        path = file(write(foreign.torch7(layers)["model"]), "net.t7")
        with pytest.raises(ValueError, match="does not contain the mean colour.*--mean"):
            convert(path)
        wanted = foreign.official(layers, *picture)
        torch.testing.assert_close(completed(convert(path, mean=MEAN).model, picture), wanted, **EXACT)

    def test_the_mean_of_the_file_cannot_be_overridden(self, file, layers):
        with pytest.raises(ValueError, match="known, 0.4560 0.4472 0.4155: leave --mean out"):
            convert(file(write(foreign.torch7(layers)), "net.t7"), mean=MEAN)

    def test_convolutions_without_bias_and_norms_without_weights(self, file, picture):
        layers = foreign.network(bias=False)
        layers[-1]["bias"] = torch.zeros(3)
        for layer in layers[:-1]:
            layer["gamma"], layer["beta"] = torch.ones_like(layer["mean"]), torch.zeros_like(layer["mean"])
        table = foreign.torch7(layers)
        for module in table["model"].fields["modules"]:
            if module.class_name == "nn.SpatialBatchNormalization":
                del module.fields["weight"], module.fields["bias"]
        model = convert(file(write(table), "net.t7")).model
        torch.testing.assert_close(completed(model, picture), foreign.official(layers, *picture), **EXACT)

    @pytest.mark.parametrize(
        ("place", "change", "message"),
        [
            (0, {"kW": 3.0}, "module 0 has kW 3.0; wanted 5"),
            (3, {"dH": None}, r"module 3 has dH \(none\); wanted 2"),
            (6, {"padW": 0.0}, "module 6 has padW 0.0; wanted 1"),
            (18, {"dilationH": 4.0}, "module 18 has dilationH 4.0; wanted 2"),
            (36, {"adjW": 1.0}, "module 36 has adjW 1.0; wanted 0"),
            (9, {"kW": tensor(np.ones(3, np.float32))}, "module 9 has kW"),
            (9, {"weight": None}, "module 9 has no tensor 'weight'"),
            (9, {"weight": "text"}, "module 9 has no tensor 'weight'"),
            (9, {"weight": Tensor(None, (), ())}, r"9.weight is \(0,\), wanted \(16, 8, 3, 3\)"),
            (0, {"weight": Tensor(None, (), ())}, "not that of a first convolution"),
            (0, {"weight": tensor(np.zeros((2**11, 4, 5, 5), np.float32))}, "not that of a first convolution"),
            (9, {"weight": tensor(np.zeros((16, 8, 3, 3), np.int32), "Int")}, "int32 numbers"),
            (9, {"bias": tensor(np.full(16, np.nan, np.float32))}, "9.bias has values that are not finite"),
            (9, {"bias": tensor(np.full(16, 1e300), "Double")}, "9.bias has values that are not finite"),
            (10, {"eps": -1.0}, "eps that is not a small number"),
            (10, {"running_var": tensor(np.full(16, -1, np.float32))}, "running_var is negative"),
            (10, {"running_mean": tensor(np.zeros((4, 4), np.float32))}, "of shape"),
            (10, {"running_var": None}, "module 10 has no tensor 'running_std'"),
            (11, {"threshold": 0.5}, "module 11 has threshold 0.5; wanted 0"),
        ],
    )
    def test_another_geometry_is_refused(self, file, layers, place, change, message):
        table = foreign.torch7(layers, gradients=False)
        table["model"].fields["modules"][place].fields.update(change)
        with pytest.raises(ValueError, match=message):
            convert(file(write(table), "net.t7"))

    @pytest.mark.parametrize(
        ("place", "name", "message"),
        [
            (18, "nn.SpatialConvolution", "SpatialConvolution without dilation; wanted 2"),
            (36, "nn.SpatialConvolution", "module 36 should be a nn.SpatialFullConvolution, but is nn.SpatialConv"),
            (1, "nn.ReLU", "module 1 should be a nn.SpatialBatchNormalization, but is nn.ReLU"),
            (49, "nn.ReLU", "module 49 should be a nn.Sigmoid"),
            (49, "nn.Tanh", "'nn.Tanh', which is not part"),
        ],
    )
    def test_other_classes_are_refused(self, file, layers, place, name, message):
        table = foreign.torch7(layers, gradients=False)
        table["model"].fields["modules"][place].class_name = name
        with pytest.raises(ValueError, match=message):
            convert(file(write(table), "net.t7"))

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ({}, "the network should be a nn.Sequential, but is something else"),
            ({"model": {"modules": []}}, "the network should be"),
            (Object("nn.ReLU", {}), "but is nn.ReLU"),
            (Object("nn.Sequential", {"modules": [Object("nn.ReLU", {})]}), "not the 50 modules"),
            (Object("nn.Sequential", {}), "not the 50 modules"),
            (["model"], "the network should be"),
        ],
    )
    def test_other_tables_are_refused(self, file, value, message):
        with pytest.raises(ValueError, match=message):
            convert(file(write(value), "net.t7"))

    @pytest.mark.parametrize("mean", [[0.5, 0.5], ["a", "b", "c"], [0.5, 0.5, 124.0], [0.5, 0.5, float("nan")], "grey"])
    def test_a_strange_mean_is_refused(self, file, layers, mean):
        with pytest.raises(ValueError, match="mean colour in the file is"):
            convert(file(write(foreign.torch7(layers, gradients=False) | {"mean": mean}), "net.t7"))

    def test_ascii_files_are_named(self, file):
        with pytest.raises(ValueError, match="ASCII format: save it in binary"):
            convert(file(b"4\n1\n3\nV 1\n13\nnn.Sequential\n", "net.t7"))


class TestSequential:
    @pytest.mark.parametrize("names", ["flat", "nested", "liruilong"])
    @pytest.mark.parametrize(
        ("wrap", "options"),
        [
            (lambda state: state, {}),
            (lambda state: {"model": state}, {"_use_new_zipfile_serialization": False}),
            (lambda state: {"epoch": 3, "state_dict": {f"module.{key}": x for key, x in state.items()}}, {}),
            (lambda state: {key: nn.Parameter(x.double(), x.ndim > 9) for key, x in state.items() if x.ndim}, {}),
        ],
        ids=["bare", "model in an old file", "DataParallel", "double without counters"],
    )
    def test_layouts_compute_what_the_official_network_computes(self, file, layers, picture, names, wrap, options):
        path = file(wrap(foreign.state_dict(layers, names)), **options)
        conversion = convert(path, mean=MEAN)
        torch.testing.assert_close(completed(conversion.model, picture), foreign.official(layers, *picture), **EXACT)
        assert card.ASSUMED in conversion.notes

    def test_a_true_sequential(self, tmp_path, picture):
        """Against PyTorch's own modules, as the public conversions of the official file build them."""
        torch.manual_seed(0)
        modules, channels = [], 4
        for layer in COMPLETION_LAYERS:
            width = int(4 * layer.width)
            if layer.kind == "deconv":
                modules.append(nn.ConvTranspose2d(channels, width, 4, 2, 1))
            else:
                padding = layer.dilation * (layer.kernel // 2)
                modules.append(nn.Conv2d(channels, width, layer.kernel, layer.stride, padding, layer.dilation))
            modules += [nn.BatchNorm2d(width, momentum=None), nn.ReLU()]
            channels = width
        flat = nn.Sequential(*modules, nn.Conv2d(channels, 3, 3, 1, 1), nn.Sigmoid()).train()
        image, mask = picture
        known = (image - torch.tensor(MEAN).view(1, 3, 1, 1)) * (1 - mask)
        given = torch.cat([known, mask], 1)
        with torch.no_grad():
            for _ in range(2):
                flat(given.float())
            wanted = copy.deepcopy(flat).double().eval()(given)
        blocks = [nn.Sequential(*modules[i : i + 3]) for i in range(0, 48, 3)]
        for name, module in {"flat": flat, "nested": nn.Sequential(*blocks, *flat[48:])}.items():
            torch.save(module.state_dict(), tmp_path / name)
            model = convert(tmp_path / name, mean=MEAN, kind="sequential").model
            torch.testing.assert_close(completed(model, picture), wanted, **EXACT)

    def test_without_biases(self, file, picture):
        """liruilong's bias_in_conv=False."""
        layers = foreign.network(bias=False)
        layers[-1]["bias"] = None
        model = convert(file(foreign.state_dict(layers, "liruilong")), mean=MEAN).model
        torch.testing.assert_close(completed(model, picture), foreign.official(layers, *picture), **EXACT)

    def test_half_precision_and_views(self, file, layers, picture):
        halved = [{name: x.half() for name, x in layer.items()} for layer in layers]
        state = foreign.state_dict(halved, "flat")
        state["12.weight"] = state["12.weight"].permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
        model = convert(file(state), mean=MEAN).model
        torch.testing.assert_close(completed(model, picture), foreign.official(halved, *picture), **EXACT)
        assert model.dtype == torch.float32

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"9.bias": None}, "1 tensors do not fit: 9.bias is missing"),
            ({"10.running_mean": None}, "10.running_mean is missing"),
            ({"48.bias": None}, "48.bias is missing"),
            (
                {"9.weight": None, "4.weight": None},
                "looks like a flat nn.Sequential .*, but 2 tensors are missing, first",
            ),
            ({"50.weight": torch.ones(1)}, "50.weight is left over"),
            ({"9.bias": torch.ones(2)}, r"9.bias is \(2,\), wanted \(16,\)"),
            ({"9.bias": torch.ones(16, dtype=torch.int32)}, "9.bias is a torch.int32 tensor"),
            ({"9.bias": torch.ones(16).to_sparse()}, "9.bias is a torch.float32 tensor of a kind"),
            ({"9.bias": torch.ones(16, device="meta")}, "9.bias is a torch.float32 tensor of a kind"),
            ({"9.bias": torch.ones(16) * float("inf")}, "9.bias has values that are not finite"),
            ({"0.weight": torch.ones(4)}, "not that of a first convolution"),
            ({"0.weight": torch.ones(3, 4, 5, 5)}, "not that of a first convolution"),
            ({"0.weight": torch.ones(1, 1, 1, 1).expand(10**6, 4, 5, 5)}, "not that of a first convolution"),
            ({"0.weight": torch.ones(4, 3, 5, 5)}, "3 input channels instead of 4: it does not see the mask"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, file, layers, change, message):
        state = foreign.state_dict(layers, "flat") | change
        path = file({key: value for key, value in state.items() if value is not None})
        with pytest.raises(ValueError, match=message):
            convert(path, mean=MEAN)

    @pytest.mark.parametrize("names", ["late flat", "late nested"])
    def test_normalisation_after_the_relu_is_refused(self, file, layers, names):
        with pytest.raises(
            ValueError, match="a .* nn.Sequential .* with Conv -> ReLU -> BatchNorm where the paper has"
        ):
            convert(file(foreign.state_dict(layers, names)), mean=MEAN)

    @pytest.mark.parametrize("prefix", ["completion.", ""])
    @pytest.mark.parametrize("in_channels", [3, 4])
    def test_the_blog_network_is_refused(self, file, prefix, in_channels):
        state = foreign.state_dict(foreign.network(in_channels=in_channels), "blog")
        path = file({key.replace("completion.", prefix): value for key, value in state.items()})
        with pytest.raises(
            ValueError,
            match="the blog post's network, which does not see the mask and fills the hole with the mean colour",
        ):
            convert(path, mean=MEAN)

    def test_a_mean_that_is_no_colour_is_refused(self, file, layers):
        path = file(foreign.state_dict(layers, "flat"))
        for mean in [(0.5, 0.5), (0.5, 0.5, 1.5), (0.5, 0.5, float("nan"))]:
            with pytest.raises(ValueError, match="three numbers from 0 to 1"):
                convert(path, mean=mean)


class TestMMagic:
    @pytest.fixture
    def path(self, file):
        return self.checkpoint(file, foreign.network(bias=False))

    @staticmethod
    def checkpoint(file, layers):
        """As MMagic saves: with its meta data, the discriminators and the optimiser."""
        state = foreign.state_dict(layers, "mmagic")
        state |= {"disc.global_disc.conv1.conv.weight": torch.ones(4, 3, 5, 5), "disc.fc.weight": torch.ones(1, 8)}
        return file({"meta": {"iter": 7, "env_info": "text"}, "state_dict": state, "optimizer": {"generator": {}}})

    def test_it_is_refused_because_of_its_output(self, path):
        with pytest.raises(
            ValueError, match="output is clamped instead of passing a sigmoid, so no GLCIC model .*--approximate"
        ):
            convert(path)

    def test_the_approximation_keeps_its_promise(self, path, picture):
        layers = foreign.network(bias=False)
        conversion = convert(path, approximate=True)
        wanted = foreign.mmagic(layers, *picture)
        difference = (completed(conversion.model, picture) - wanted).abs()
        assert 0.03 < difference.max() <= layouts.MMAGIC_ERROR + 1e-5
        assert (wanted == 0).any() and (wanted == 1).any()  # the clamp is at work
        assert any("approximation" in note and "0.0561" in note for note in conversion.notes)
        assert conversion.model.mean.tolist() == [0.5, 0.5, 0.5]

    def test_all_but_the_output_is_exact(self, path, picture):
        """Undo the sigmoid and its slope: what is left is MMagic's last convolution."""
        layers = foreign.network(bias=False)
        image, mask = picture
        with torch.no_grad():
            before = torch.logit(convert(path, approximate=True).model.double()(image.double(), mask.double()))
        bgr = (255 * image.double().flip(1) - 127.5) / 127.5
        wanted = foreign.forward(layers, torch.cat([bgr * (1 - mask), mask.double()], 1)).flip(1)
        is_moderate = wanted.abs() < 4  # further out the sigmoid is 0 or 1
        assert is_moderate.float().mean() > 0.7
        before = before * 2 / layouts.MMAGIC_SLOPE
        torch.testing.assert_close(before[is_moderate], wanted[is_moderate], atol=1e-4, rtol=0)

    def test_the_error_bound(self):
        v = torch.linspace(-3, 4, 700_001, dtype=torch.float64)

        def error(slope):
            return (torch.sigmoid(slope * (v - 0.5)) - v.clamp(0, 1)).abs().max().item()

        assert layouts.MMAGIC_ERROR - 1e-4 < error(layouts.MMAGIC_SLOPE) <= layouts.MMAGIC_ERROR
        assert min(error(5.0), error(5.6), error(5.7), error(6.5)) > error(layouts.MMAGIC_SLOPE)  # it is the best

    def test_its_mean_is_fixed(self, path):
        with pytest.raises(ValueError, match="known, 0.5000 0.5000 0.5000: leave --mean out"):
            convert(path, approximate=True, mean=MEAN)


class TestOtenim:
    def test_it_is_recognised_and_refused_with_the_reason(self, file, layers):
        path = file(foreign.state_dict(layers, "otenim"))
        wanted = (
            r"otenim/GLCIC-PyTorch with Conv -> ReLU -> BatchNorm .*up to [0-9.]+\).* no GLCIC model computes the same"
        )
        for options in ({}, {"approximate": True}, {"kind": "otenim"}, {"mean": MEAN}):
            with pytest.raises(ValueError, match=wanted):
                convert(path, **options)

    def test_the_orders_are_different_functions(self, layers, picture):
        """The reason for the refusal: the same tensors, far apart."""
        image, mask = picture
        x = torch.cat([image * (1 - mask), mask], 1)
        difference = torch.sigmoid(foreign.forward(layers, x, late=True)) - torch.sigmoid(foreign.forward(layers, x))
        assert difference.abs().max() > 0.1

    def test_an_incomplete_one_is_named(self, file, layers):
        state = foreign.state_dict(layers, "otenim")
        del state["bn3.weight"]
        with pytest.raises(
            ValueError, match="looks like otenim/GLCIC-PyTorch, but 1 tensors are missing, first bn3.weight"
        ):
            convert(file(state))

    def test_its_discriminator_is_named(self, file):
        with pytest.raises(ValueError, match="a discriminator, but not a completion network"):
            convert(file({"model_ld.conv1.weight": torch.ones(4, 3, 5, 5), "linear1.bias": torch.ones(1)}))


class TestFiles:
    def test_kind_is_checked(self, file, layers):
        t7 = file(write(foreign.torch7(layers, gradients=False)), "net.t7")
        flat = file(foreign.state_dict(layers, "flat"))
        with pytest.raises(ValueError, match="the file is a Torch7 file, which is of kind 'torch7' and not 'mmagic'"):
            convert(t7, kind="mmagic")
        with pytest.raises(ValueError, match=r"the file is a flat nn.Sequential \(.*, which is of kind 'sequential'"):
            convert(flat, kind="torch7")
        with pytest.raises(ValueError, match="kind is 'keras'; wanted one of torch7, otenim, mmagic, sequential"):
            convert(flat, kind="keras")
        assert {layout.kind for layout in layouts.LAYOUTS} | {"torch7"} == set(KINDS)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (b"", "neither a Torch7 nor a PyTorch file"),
            (b"text", "neither a Torch7 nor a PyTorch file"),
            (b"PK\3\4 and no more", "not a complete PyTorch file"),
            (b"\x80\2 and no more", "not a complete PyTorch file"),
            (b"\3\0\0\0", "ends in the middle"),
            ([1, 2], "does not contain a state dict"),
            ({}, "does not contain a state dict"),
            ({"state_dict": {"model": {"net": {"model": {}}}}}, "does not contain a state dict"),
            ({3: torch.ones(1)}, "does not contain a state dict"),
            ({"conv.weight": torch.ones(1)}, "none of the known layouts: a flat nn.Sequential .*; MMagic"),
        ],
    )
    def test_other_files_are_refused(self, file, value, message):
        with pytest.raises(ValueError, match=message) as refused:
            convert(file(value))
        assert "\n" not in str(refused.value)

    def test_pickled_modules_and_code_are_refused(self, file, tmp_path):
        class Attack:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "owned"),)

        for value in (nn.Conv2d(1, 1, 1), {"state_dict": Attack()}, pickle.dumps(Attack())):
            with pytest.raises(ValueError, match="tensors only; .* save the network's state_dict"):
                convert(file(value))
        assert not (tmp_path / "owned").exists()

    def test_files_that_grow_are_refused(self, file):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/0", bytes(10**7))
        with pytest.raises(ValueError, match="not a complete PyTorch file") as refused:
            convert(file(buffer.getvalue()))
        assert str(refused.value.__cause__) == "it is larger when unpacked"

    def test_what_is_no_file_is_refused(self, tmp_path, monkeypatch, file):
        with pytest.raises(FileNotFoundError):
            convert(tmp_path / "nothing.t7")
        with pytest.raises(ValueError, match="not a file"):
            convert(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="not a file"):
            convert(tmp_path / "pipe")
        monkeypatch.setattr(room, "MAX_FILE", 3)
        with pytest.raises(ValueError, match="4 bytes, more than any"):
            convert(file(b"text"))

    @settings(max_examples=600, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(data=st.data(), name=st.sampled_from(["t7", "zip", "old"]))
    def test_fuzz(self, data, name):
        """Changed checkpoints are read or refused by a ValueError, whatever was changed."""
        changed = bytearray(CHECKPOINTS[name])
        for _ in range(data.draw(st.integers(1, 6))):
            # Half of the changes near the ends, where the structure is.
            place = data.draw(st.integers(0, len(changed) - 1) | st.integers(0, 3000) | st.integers(-3000, -1))
            changed[place : place + 1 or None] = data.draw(st.binary(max_size=3))
        try:
            found = room._parse(bytes(changed))
            layouts.read_state(found.tensors, found.layout)
        except ValueError as error:
            assert "\n" not in str(error)


def in_memory(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


CHECKPOINTS = {
    "t7": write(foreign.torch7(foreign.network(), gradients=False)),
    "zip": in_memory(foreign.state_dict(foreign.network(), "flat")),
    "old": in_memory(foreign.state_dict(foreign.network(), "flat"), _use_new_zipfile_serialization=False),
}


class TestSaved:
    @pytest.fixture
    def t7(self, file, layers):
        return file(write(foreign.torch7(layers, gradients=False)), "net{{ 1 + 1 }}`.t7")

    def test_the_folder_loads_as_what_was_converted(self, t7, tmp_path, picture):
        model = convert(t7).model
        save_whole(model, tmp_path / "folder")
        assert sorted(os.listdir(tmp_path / "folder")) == ["README.md", "config.json", "model.safetensors"]
        loaded = GLCICModel.from_pretrained(tmp_path / "folder")
        assert torch.equal(completed(loaded, picture), completed(model, picture))
        assert (loaded.sample_size, loaded.max_hole_size) == (256, 128)
        assert torch.equal(loaded.mean, torch.tensor(MEAN)) and torch.equal(loaded.mean, model.mean)

    def test_the_card_names_source_licence_and_checksums(self, t7, tmp_path):
        save_whole(convert(t7).model, tmp_path / "folder")
        text = (tmp_path / "folder" / "README.md").read_text()
        header, body = text.removeprefix("---\n").split("\n---\n", 1)
        assert "license: cc-by-nc-sa-4.0" in header.splitlines()
        assert "`net__ 1 _ 1 ___.t7`" in body and card.md5(t7.read_bytes()) in body
        assert "CC BY-NC-SA 4.0" in body and card.UNKNOWN_CHECKSUM in body and card.EXACT in body

    def test_the_official_file_is_recognised(self, t7, monkeypatch):
        assert card.OFFICIAL["b1527543a0ee22c23fca44cefdf48531"].startswith("completionnet_places2.t7")
        monkeypatch.setitem(card.OFFICIAL, card.md5(t7.read_bytes()), "the official one")
        notes = convert(t7).notes
        assert "a Torch7 file, the official one; md5" in notes[0] and card.UNKNOWN_CHECKSUM not in notes

    def test_licences_of_other_kinds(self, file, layers, tmp_path):
        path = file(foreign.state_dict(layers, "flat"))
        for mean, is_official in ((MEAN, True), ((0.5, 0.5, 0.5), False)):
            text = str(convert(path, mean=mean).model.generate_model_card())
            assert ("license: cc-by-nc-sa-4.0\n" in text) == is_official
            assert "CC BY-NC-SA 4.0 in every format" in text
        mmagic = TestMMagic.checkpoint(file, foreign.network(bias=False))
        text = str(convert(mmagic, approximate=True).model.generate_model_card())
        assert "license" not in text.split("\n---\n")[0] and "Apache" in text
        assert "weights come from" not in str(GLCICModel(4).generate_model_card())  # other models keep their card

    def test_sizes(self, t7):
        def sizes(**options):
            model, notes = convert(t7, **options)
            return model.sample_size, model.max_hole_size, card.PAPERS_SIZES in notes

        assert sizes() == (256, 128, True)
        assert sizes(sample_size=160, max_hole_size=96) == (160, 96, False)
        assert sizes(sample_size=160) == (160, 80, False)
        assert sizes(sample_size=512) == (512, 128, False)
        assert sizes(max_hole_size=64) == (256, 64, False)
        for wrong in ({"sample_size": 0}, {"max_hole_size": 0}, {"max_hole_size": 300}):
            with pytest.raises(ValueError, match="max_hole_size must be"):
                convert(t7, **wrong)

    def test_an_empty_folder_is_filled_and_a_full_one_is_kept(self, t7, tmp_path):
        model = convert(t7).model
        (tmp_path / "empty").mkdir()
        save_whole(model, tmp_path / "empty")
        assert "config.json" in os.listdir(tmp_path / "empty")
        before = sorted(tmp_path.rglob("*"))
        for name in ("empty", t7.name):
            with pytest.raises(FileExistsError):
                save_whole(model, tmp_path / name)
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_failure_leaves_nothing(self, t7, tmp_path, monkeypatch):
        model = convert(t7).model
        before = sorted(tmp_path.rglob("*"))

        def fail(*_):
            raise OSError("no space left")

        monkeypatch.setattr(GLCICModel, "generate_model_card", fail)  # the last file
        with pytest.raises(OSError, match="no space left"):
            save_whole(model, tmp_path / "folder")
        assert sorted(tmp_path.rglob("*")) == before
