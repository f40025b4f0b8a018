"""What an exported file says about itself, and what `export_onnx` refuses."""

import sys

import onnx
import pytest

from glcic_hub.export import EMBEDDED_TERMS, KINDS, PRECISIONS, export_onnx, terms_of
from tests.export.conftest import session


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_says_what_it_is(model, kind):
    started = session(export_onnx(model, kind, "int8", name="mine", terms="The weights are mine."))
    about = started.get_modelmeta().custom_metadata_map
    assert about["licence"] == "The graph is made by glcic_hub (Apache-2.0). The weights are mine."
    assert "Globally and Locally Consistent Image Completion" in about.pop("source") and about.pop("licence")
    assert about == {
        "name": "mine",
        "kind": kind,
        "precision": "int8",
        "mean": "0.4 0.5 0.6",
        "sample_size": "32",
        "max_hole_size": "16",
        "texture": "none",
    }


def test_the_names_and_types_of_inputs_and_outputs(model):
    def signature(values) -> list[tuple]:
        return [(value.name, value.type, value.shape) for value in values]

    network = session(export_onnx(model, "network", "fp16"))
    assert signature(network.get_inputs()) == [
        ("image", "tensor(float)", ["batch", 3, "height", "width"]),
        ("mask", "tensor(float)", ["batch", 1, "height", "width"]),
    ]
    assert signature(network.get_outputs()) == [("completed", "tensor(float)", ["batch", 3, "height", "width"])]
    pipeline = session(export_onnx(model, "pipeline", "fp16"))
    assert signature(pipeline.get_inputs()) == [
        ("photo", "tensor(uint8)", [1, "height", "width", 3]),
        ("mask", "tensor(uint8)", [1, "height", "width"]),
    ]
    assert signature(pipeline.get_outputs()) == [("completed", "tensor(uint8)", [1, "height", "width", 3])]


def test_the_file_is_valid_and_old_runtimes_can_read_it(model):
    for kind in KINDS:
        for precision in PRECISIONS:
            file = onnx.load_model_from_string(export_onnx(model, kind, precision))
            onnx.checker.check_model(file, full_check=True)
            assert [(each.domain, each.version) for each in file.opset_import] == [("", 18)] and file.ir_version == 8
            names = {constant.name for constant in file.graph.initializer}
            assert {"blocks.0.weight", "blocks.12.bias", "output.weight"} <= names
            assert not any(node.op_type == "BatchNormalization" for node in file.graph.node)


def test_the_sizes_of_the_files(embedded):
    parameters = 6_072_131
    for precision, size in (("fp32", 4), ("fp16", 2), ("int8", 1)):
        for kind in KINDS:
            assert len(export_onnx(embedded, kind, precision)) < 1.04 * size * parameters


def test_wrong_arguments_are_named(model):
    with pytest.raises(ValueError, match="kind must be one of network, pipeline; got 'model'"):
        export_onnx(model, "model")
    with pytest.raises(ValueError, match="precision must be one of fp32, fp16, int8; got 'int4'"):
        export_onnx(model, "network", "int4")


def test_without_onnx_the_error_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "glcic_hub.export.graph")
    with pytest.raises(ImportError, match=r'pip install "\.\[onnx\]"'):
        export_onnx(model, "network")


def test_the_terms_are_those_that_are_known(model, tmp_path):
    assert terms_of(None) == terms_of("glcic-scenes") == EMBEDDED_TERMS
    assert "see its model card" in terms_of("someone/model")
    model.save_pretrained(tmp_path / "model")
    assert "see its model card" in terms_of(tmp_path / "model")
    card = tmp_path / "model" / "README.md"
    card.write_text("---\nlicense: cc-by-nc-sa-4.0\n---\n")
    assert "under the licence cc-by-nc-sa-4.0" in terms_of(str(tmp_path / "model"))
    card.write_text("---\nlicense: other\nlicense_name: research-only\n---\n")
    assert "under the licence research-only" in terms_of(tmp_path / "model")
