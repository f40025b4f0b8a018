"""`glcic export onnx`: what it writes, what it says and how it fails."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glcic_hub import cli
from glcic_hub.export import KINDS, PRECISIONS, export_onnx
from tests.export.conftest import box, completer, session


@pytest.fixture
def folder(tmp_path, model, monkeypatch) -> Path:
    model.save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> int:
    try:
        return cli.main(["export", "onnx", *map(str, arguments)])
    except SystemExit as end:  # argparse
        return end.code


def test_help_teaches(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    for word in (*KINDS, *PRECISIONS, "examples:", "exit codes:", "128 or more = fill", "any size"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 120
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "glcic export onnx --help" in capsys.readouterr().out


def test_a_pipeline_is_written(capsys, folder, photo):
    assert run("model", "-o", "out.onnx") == 0
    said = capsys.readouterr()
    assert said.out == "out.onnx\n" and said.err == ""
    assert sorted(os.listdir()) == ["model", "out.onnx"]
    mask = box(photo.shape[:2], slice(60, 90), slice(100, 130))
    completed = completer(Path("out.onnx").read_bytes())(photo, mask)
    assert np.array_equal(completed[~mask], photo[~mask]) and (completed != photo)[mask].any()


def test_options_reach_the_file(folder):
    assert run("model", "-o", "out.ONNX", "--kind", "network", "--precision", "fp16") == 0
    about = session(Path("out.ONNX").read_bytes()).get_modelmeta().custom_metadata_map
    assert (about["name"], about["kind"], about["precision"]) == ("model", "network", "fp16")
    assert "see its model card" in about["licence"]


def test_without_a_name_the_embedded_model_is_written(folder):
    assert run("-o", "out.onnx", "--precision", "int8") == 0
    about = session(Path("out.onnx").read_bytes()).get_modelmeta().custom_metadata_map
    assert about["name"] == "glcic-scenes" and "no clear permission for commercial use" in about["licence"]


def test_an_existing_file_is_kept_unless_forced(capsys, folder):
    Path("out.onnx").write_text("mine")
    assert run("model", "-o", "out.onnx") == 2
    assert "'out.onnx' exists; --force overwrites it" in capsys.readouterr().err
    assert Path("out.onnx").read_text() == "mine"
    assert run("model", "-o", "out.onnx", "--force") == 0
    assert session(Path("out.onnx").read_bytes())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-o", "out.pt"], 2, "the name 'out.pt' must end in .onnx"),
        (["-o", "nowhere/out.onnx"], 2, "there is no folder 'nowhere'"),
        (["no-such-folder/", "-o", "out.onnx"], 1, "cannot load the model 'no-such-folder/'"),
        (["-o", "out.onnx", "--kind", "all"], 2, "invalid choice: 'all'"),
        (["-o", "out.onnx", "--precision", "int4"], 2, "invalid choice: 'int4'"),
        ([], 2, "-o"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(capsys, folder, arguments, code, message):
    assert run(*arguments) == code
    said = capsys.readouterr()
    assert message in said.err and said.out == "" and "Traceback" not in said.err
    assert os.listdir() == ["model"]


def test_work_that_fails_leaves_nothing(capsys, folder, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert run("model", "-o", "out.onnx") == 1
    assert "cannot write 'out.onnx': No space left on device" in capsys.readouterr().err
    assert os.listdir() == ["model"]


def test_without_onnx_it_says_what_to_install(capsys, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "glcic_hub.export.graph")
    assert run("model", "-o", "out.onnx") == 1
    assert 'pip install ".[onnx]"' in capsys.readouterr().err


def test_mistakes_are_answered_without_torch_and_onnx(tmp_path):
    code = "import sys; from glcic_hub import cli; print(cli.main(sys.argv[1:]), {'torch', 'onnx'} & set(sys.modules))"
    arguments = ["export", "onnx", "-o", str(tmp_path / "nowhere" / "out.onnx")]
    root = Path(cli.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "2 set()\n", done.stderr


def test_the_file_is_the_function_s(folder, model):
    assert run("model", "-o", "out.onnx", "--kind", "network") == 0
    terms = "The terms of the weights are those of the model that was exported: see its model card."
    assert Path("out.onnx").read_bytes() == export_onnx(model, "network", "fp32", name="model", terms=terms)
