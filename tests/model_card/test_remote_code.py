"""The single files are made from the package's sources, and need nothing of the package."""

import ast
import subprocess
import sys

import pytest

import glcic_hub
from model_card.build import PIPELINE_CODE
from model_card.remote_code import standalone

FILES = {"pipeline": PIPELINE_CODE, "glcic_hub": ("model.GLCICModel",)}


@pytest.fixture(scope="module")
def codes():
    return {name: standalone("Title.", *wanted) for name, wanted in FILES.items()}


@pytest.mark.parametrize("name", FILES)
def test_no_name_is_missing_or_imported_for_nothing(codes, name):
    """ruff's F rules: undefined names, unused imports, redefinitions."""
    arguments = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "F,E9",
        "--target-version",
        "py310",
        "-",
    ]
    done = subprocess.run(arguments, input=codes[name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", FILES)
def test_nothing_of_the_package_is_imported(codes, name):
    """Neither by Python nor as diffusers sees it, which looks for "from x import" in the text, strings included."""
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(ast.parse(codes[name]))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    others = imported - sys.stdlib_module_names
    assert others <= {"PIL", "diffusers", "huggingface_hub", "numpy", "safetensors", "scipy", "torch", "tqdm"}
    lines = [line.split() for line in codes[name].splitlines()]
    seen = {words[1] for words in lines if words[:1] == ["from"] and words[2:3] == ["import"]}
    seen |= {words[1] for words in lines if words[:1] == ["import"] and len(words) == 2}
    assert {name.split(".")[0] for name in seen} <= imported


def test_only_what_is_needed(codes):
    assert "class Discriminator" not in codes["pipeline"] and "random_boxes" not in codes["pipeline"]
    assert "DiffusionPipeline" not in codes["glcic_hub"] and "scipy" not in codes["glcic_hub"]
    assert "LOADABLE_CLASSES" not in codes["pipeline"]  # the registration is for the installed package
    assert "def __init__(self, completion_network):" in codes["pipeline"]


def test_the_package_s_own_words_are_kept(codes):
    """Statements come as they stand: what can be compared line by line is the network."""
    source = (glcic_hub.__file__.replace("__init__.py", "network.py"), "class CompletionNetwork", "def network_input")
    with open(source[0]) as file:
        text = file.read()
    wanted = text[text.index(source[1]) : text.index(source[2])].strip()
    assert wanted in codes["pipeline"] and wanted in codes["glcic_hub"]


# ------------------------------------------------------------------------------------------- small made-up packages


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`package(name=source, ...)` puts these modules where those of `glcic_hub` are looked for."""
    monkeypatch.setattr(glcic_hub, "__file__", str(tmp_path / "__init__.py"))

    def write(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)

    return write


def run(code):
    names = {}
    exec(code, names)
    return names


def test_same_names_in_two_modules_are_told_apart(package):
    package(
        a="import os\nSIZE = 2\nSIZE += 1\n'''Pixels.'''\nos.environ['x'] = '1'\n\n\ndef read():\n    return SIZE\n",
        b="from glcic_hub import a\nfrom glcic_hub.a import SIZE as SIDE\n\n\n"
        "def read(read_more=False):\n    return read() if read_more else [a.read(), SIDE, 'read']  # über\n",
        c="from glcic_hub.b import read as load\n\nUNUSED = 1\n\n\nclass Reader:\n    def read(self):\n"
        "        return load(True) if self is None else load()\n",
    )
    code = standalone("Title.", "c.Reader")
    assert run(code)["Reader"]().read() == [3, 3, "read"]
    assert "def a_read()" in code and "def b_read(" in code and "# über" in code
    assert "'''Pixels.'''" in code and "UNUSED" not in code and "environ" not in code and "import os" not in code


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"a": "def thing():\n    from glcic_hub import b\n"}, "imports glcic_hub inside a function"),
        ({"a": "from glcic_hub import b\n\n\ndef thing():\n    return b\n"}, "a uses b itself"),
        ({"a": "other = 1\n"}, "glcic_hub.a does not define thing"),
        (
            {
                "a": "from glcic_hub import b\n\n\ndef thing(read):\n    return b.read()\n",
                "b": "def read():\n    pass\n",
            },
            "thing has local names that hide others: read",
        ),
        (
            {
                "a": "import numpy as np\nfrom glcic_hub.b import other\n\n\ndef thing():\n    return np, other\n",
                "b": "import nuts as np\n\n\ndef other():\n    return np\n",
            },
            "np means two things in glcic_hub",
        ),
    ],
)
def test_what_cannot_be_put_into_one_file_is_refused(package, sources, message):
    package(**sources)
    with pytest.raises(ValueError, match=message):
        standalone("Title.", "a.thing")
