"""What is published: one version everywhere, the text for package indexes, and what wheel and sdist hold."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import glcic_hub
from glcic_hub.model import PRETRAINED_DIR, embedded_models
from tests.served import free_port, serving

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INDEX_PAGE = (ROOT / PROJECT["readme"]).read_text(encoding="utf-8")


def test_one_version():
    assert PROJECT["dynamic"] == ["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)[1]
    assert citation["version"] == newest == glcic_hub.__version__


def test_the_index_page_needs_no_other_file():
    """An index shows it without the repository around it."""
    assert "![" not in INDEX_PAGE
    assert all(target.startswith("https://") for target in re.findall(r"\]\(([^)]*)\)", INDEX_PAGE))


def test_the_python_of_the_index_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Image.open(Path(glcic_hub.__file__).parent / "demo" / "coffee.jpg") as photo:
        before = photo.crop((0, 0, 300, 200))
    hole = np.zeros((200, 300), bool)
    hole[80:110, 100:160] = True
    before.save("photo.jpg")
    Image.fromarray(hole).save("mask.png")
    (code,) = re.findall(r"```python\n(.*?)```", INDEX_PAGE, re.DOTALL)
    exec(code, {})
    with Image.open("completed.png") as after:
        assert (np.asarray(after) != np.asarray(before)).any(axis=2)[hole].mean() > 0.5


@pytest.mark.parametrize("name", embedded_models())
def test_the_licence_beside_the_weights_is_what_their_card_says(name):
    about = tomllib.loads((ROOT / "model_card" / "about" / f"{name}.toml").read_text(encoding="utf-8"))
    assert (PRETRAINED_DIR / name / "LICENSE").read_text(encoding="utf-8").strip() == about["license_text"].strip()


def test_the_workflow_makes_targets_that_exist():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    jobs = workflow["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    bounds = workflow["jobs"]["bounds"]["strategy"]["matrix"]["bound"]
    asked_for = [re.fullmatch(r"(?:sudo )?make (.*)", command)[1] for command in commands]
    targets = {name.replace("${{ matrix.bound }}", bound) for name in asked_for for bound in bounds}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    made = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    made |= {f"compat-{name}" for name in re.findall(r"\.venv-compat-(\w+)/peer\.installed: PEER", makefile)}
    assert targets <= made


BUILD = """
import sys
from setuptools import build_meta
getattr(build_meta, sys.argv[1])(sys.argv[2])
"""


def build(kind, source, target):
    """What `python -m build` runs, with the setuptools that is installed."""
    command = [sys.executable, "-c", BUILD, f"build_{kind}", str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def unpacked_sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    leave_out = shutil.ignore_patterns(".*", "build", "dist", "outputs", "runs", "node_modules", "onnxruntime")
    source = shutil.copytree(ROOT, folder / "source", ignore=leave_out)  # setuptools writes into it
    build("sdist", source, folder)
    with tarfile.open(folder / f"glcic_hub-{glcic_hub.__version__}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / f"glcic_hub-{glcic_hub.__version__}"


@pytest.fixture(scope="module")
def unpacked_wheel(unpacked_sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build("wheel", unpacked_sdist, folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def files_in(folder):
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.mark.slow
def test_the_wheel_has_all_that_the_package_has_and_its_licences(unpacked_wheel):
    assert files_in(unpacked_wheel / "glcic_hub") == files_in(Path(glcic_hub.__file__).parent)
    assert (unpacked_wheel / "glcic_hub" / "py.typed").is_file()
    licences = unpacked_wheel / f"glcic_hub-{glcic_hub.__version__}.dist-info" / "licenses"
    for licence in ["LICENSE", *(f"glcic_hub/pretrained/{name}/LICENSE" for name in embedded_models())]:
        assert (licences / licence).read_bytes() == (ROOT / licence).read_bytes()


DEMO = """
import sys
sys.modules["skimage"] = None  # it is no requirement
import glcic_hub.cli
assert glcic_hub.__file__.startswith(sys.argv[1]), glcic_hub.__file__
glcic_hub.cli.main(["demo"])
"""


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(unpacked_wheel, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(unpacked_wheel)}
    command = [sys.executable, "-c", DEMO, str(unpacked_wheel)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "after.png").is_file()


PAGE = """
import sys
import glcic_hub
from glcic_hub.cli import main
assert glcic_hub.__file__.startswith(sys.argv[1]), glcic_hub.__file__
sys.exit(main(["ui", "--no-browser", "--port", sys.argv[2]]))
"""


@pytest.mark.slow
def test_the_page_runs_from_the_wheel(unpacked_wheel, tmp_path):
    command, port = [sys.executable, "-c", PAGE, unpacked_wheel], free_port()
    environment = {"PYTHONPATH": str(unpacked_wheel)}
    with serving([*command, port], port, tmp_path / "log.txt", cwd=tmp_path, env=environment) as address:
        page = urllib.request.urlopen(address).read().decode()
        for name in re.findall(r'(?:src|href)="([\w.]+)"', page):
            assert urllib.request.urlopen(address + name).status == 200
        assert "main.js" in page


TESTS = """
import sys
import pytest
import glcic_hub
assert glcic_hub.__file__.startswith(sys.argv[1]), glcic_hub.__file__
sys.exit(pytest.main(["-q", *sys.argv[2:]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["--collect-only", "-m", ""], ["tests/test_masks.py", "tests/test_images.py"]],
    ids=["all are collected", "some are run"],
)
def test_the_sdist_has_its_tests(unpacked_sdist, arguments):
    environment = {**os.environ, "PYTHONPATH": str(unpacked_sdist)}
    command = [sys.executable, "-c", TESTS, str(unpacked_sdist), *arguments]
    done = subprocess.run(command, cwd=unpacked_sdist, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:]
