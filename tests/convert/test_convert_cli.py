"""`glcic convert`: what it writes, what it says and how it fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from glcic_hub import cli
from glcic_hub.convert import KINDS, layouts
from glcic_hub.model import GLCICModel
from tests.convert import foreign
from tests.convert.torch7_writer import write

MEAN = ["--mean", *map(str, foreign.MEAN)]
FILES = ["README.md", "config.json", "model.safetensors"]


@pytest.fixture
def t7(tmp_path: Path) -> Path:
    path = tmp_path / "net.t7"
    path.write_bytes(write(foreign.torch7(foreign.network(), gradients=False)))
    return path


@pytest.fixture
def pth(tmp_path: Path) -> Path:
    path = tmp_path / "net.pth"
    torch.save(foreign.state_dict(foreign.network(), "flat"), path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "model"


def run(*arguments: object) -> int:
    try:
        return cli.main(["convert", *map(str, arguments)])
    except SystemExit as end:  # argparse
        return end.code


def the_message(capsys: pytest.CaptureFixture) -> str:
    """What was said: one line on stderr and nothing on stdout."""
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("glcic convert: ")
    assert said.err.count("\n") == 1 and "Traceback" not in said.err
    return said.err


def test_help_teaches(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    for word in (*KINDS, "--mean", "--approximate", "CC BY-NC-SA 4.0", "examples:", "exit codes:"):
        assert word in text
    assert f"off by at most {layouts.MMAGIC_ERROR} ({round(255 * layouts.MMAGIC_ERROR)} of 255)" in text
    assert max(map(len, text.splitlines())) <= 120
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "glcic convert --help" in capsys.readouterr().out


def test_a_t7_file_becomes_a_model_folder(capsys, t7, out):
    assert run(t7, "-o", out) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert all(line.startswith("glcic convert: ") for line in said.err.splitlines())
    assert "same function" in said.err and "CC BY-NC-SA 4.0" in said.err
    assert sorted(os.listdir(out)) == FILES
    assert sorted(os.listdir(out.parent)) == ["model", "net.t7"]
    assert GLCICModel.from_pretrained(out).sample_size == 256


def test_options_reach_the_model(capsys, pth, out):
    out.mkdir()
    assert run(pth, "-o", out, "--from", "sequential", *MEAN, "--sample-size", 160, "--max-hole-size", 96) == 0
    model = GLCICModel.from_pretrained(out)
    assert (model.sample_size, model.max_hole_size) == (160, 96)
    assert model.mean.tolist() == pytest.approx(foreign.MEAN)


def test_an_approximation_is_asked_for(capsys, tmp_path, out):
    torch.save({"state_dict": foreign.state_dict(foreign.network(bias=False), "mmagic")}, tmp_path / "gl.pth")
    assert run(tmp_path / "gl.pth", "-o", out) == 2
    assert "--approximate" in the_message(capsys)
    assert run(tmp_path / "gl.pth", "-o", out, "--approximate") == 0
    assert "0.0561" in capsys.readouterr().err
    assert "0.0561" in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net.pth"], "cannot convert 'net.pth': the file does not contain the mean colour"),
        (
            ["net.pth", "--mean", "124", "117", "104"],
            "cannot convert 'net.pth': mean must be three numbers from 0 to 1",
        ),
        (["net.t7", *MEAN], "leave --mean out"),
        (["net.t7", "--from", "mmagic"], "is a Torch7 file, which is of kind 'torch7' and not 'mmagic'"),
        (["net.t7", "--max-hole-size", "300"], "max_hole_size must be from 1 to sample_size=256"),
        (["nothing.t7"], "cannot read 'nothing.t7': No such file"),
        (["."], "is a folder, not a checkpoint"),
        (["text.t7"], "cannot convert 'text.t7': it is neither a Torch7 nor a PyTorch file"),
    ],
)
def test_wrong_use_is_one_sentence_and_leaves_nothing(capsys, monkeypatch, t7, pth, arguments, message):
    monkeypatch.chdir(t7.parent)
    Path("text.t7").write_text("text")
    before = sorted(os.listdir())
    assert run(*arguments, "-o", "out") == 2
    assert message in the_message(capsys)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("net.t7", "'net.t7' is not a folder"),
        ("full", "the folder 'full' is not empty; choose a new one with -o"),
        ("nowhere/out", "there is no folder 'nowhere' to make 'nowhere/out' in"),
        ("n" * 300, "File name too long"),
    ],
)
def test_the_folder_is_checked_first(capsys, monkeypatch, t7, out, message):
    monkeypatch.chdir(t7.parent)
    Path("full").mkdir()
    Path("full/README.md").write_text("mine")
    t7.write_bytes(b"not looked at")
    assert run("net.t7", "-o", out) == 2
    assert message in the_message(capsys)
    assert sorted(os.listdir()) == ["full", "net.t7"] and os.listdir("full") == ["README.md"]


def test_arguments_are_checked(capsys, t7, out):
    for arguments in (["--from", "keras"], ["--mean", "1", "2"], ["--sample-size", "0"], ["--max-hole-size", "x"]):
        assert run(t7, "-o", out, *arguments) == 2
        assert arguments[0] in capsys.readouterr().err
    assert run(t7) == 2 and "-o" in capsys.readouterr().err


def test_work_that_fails_leaves_nothing(capsys, monkeypatch, t7, out):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(GLCICModel, "generate_model_card", fail)
    assert run(t7, "-o", out) == 1
    assert f"cannot write {str(out)!r}: No space left on device" in the_message(capsys)
    assert os.listdir(t7.parent) == ["net.t7"]


def test_mistakes_are_answered_without_torch(tmp_path):
    code = "import sys; from glcic_hub import cli; code = cli.main(sys.argv[1:]); print('torch' in sys.modules, code)"
    arguments = ["convert", str(tmp_path / "nothing.t7"), "-o", str(tmp_path / "out")]
    root = Path(cli.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "False 2\n", done.stderr
