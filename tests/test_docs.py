"""README and docs as something to follow and to read: their commands run, their sentences are short and idiomatic."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tomllib
from PIL import Image
from skimage import data

from glcic_hub import cli
from tests.convert import foreign
from tests.convert.torch7_writer import write
from train import settings

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FURTHER_TEXTS = [ROOT / folder / "README.md" for folder in ("train", "model_card", "spaces_app", "integrations/web")]
"""Their commands have tests of their own, beside those of what they are about."""

LONGEST_MEAN = 25
TRANSLATED = [r"\bis no\b", r"\bare no\b", r"\bso many\b", r"\bso much\b", r"\bcomes? in\b", r"\bcame in\b"]

MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def commands_of(path: Path) -> list[str]:
    """The lines of its shell blocks, without those that only have a comment."""
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if shlex.split(line, comments=True)]


COMMANDS = sorted({command for path in TEXTS for command in commands_of(path)})


def is_of_make(words: list[str]) -> bool:
    targets = [word for word in words[1:] if "=" not in word]
    return all(re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE) for target in targets)


def is_of_pip(words: list[str]) -> bool:
    extras = re.findall(r"\[(.*?)\]", words[-1])
    return words[:2] == ["pip", "install"] and set(extras) <= PROJECT["optional-dependencies"].keys()


def is_of_training(words: list[str]) -> bool:
    return settings.parse_args(words[3:]) is not None


def is_of_the_page(words: list[str]) -> bool:
    return words[1] == "ui" and cli._parser().parse_args(words[1:]) is not None


def is_there(words: list[str]) -> bool:
    return all((ROOT / word).exists() for word in words if word.startswith("tests/"))


NOT_RUN = {
    "glcic ui ": (is_of_the_page, "serves until it is interrupted; its arguments are parsed"),
    "make ": (is_of_make, "makes environments, or runs these tests; its targets are looked up"),
    "pip install ": (is_of_pip, "changes the environment of the tests; its extras are looked up"),
    "source .venv/bin/activate": (
        is_there,
        "is for the shell of who types it; a test below runs what it makes available",
    ),
    ".venv/bin/pre-commit install": (is_there, "changes the clone"),
    ".venv/bin/python -m pytest ": (is_there, "runs tests; the file is looked up"),
    "python -m train.train_glcic ": (is_of_training, "takes hours; its arguments are parsed"),
    "python -m train.evaluate ": (is_there, "needs photos and a model; tests/train/test_evaluate.py runs it"),
    "python -m glcic_hub.integrations.iopaint ": (is_there, "is run by tests/integrations/test_iopaint.py"),
    "python -m glcic_hub.integrations.ray ": (is_there, "is run by tests/integrations/test_ray.py"),
}
"""Beginnings of commands that are not run here, what is looked at instead, and why."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands of the texts read: a photo and its mask under every name that they have there."""
    folder = tmp_path_factory.mktemp("files")
    assert cli.main(["demo", "-o", str(folder / "demo")]) == 0
    photo = Image.fromarray(data.coffee()[:200, :300])
    mask = np.zeros((200, 300), bool)
    mask[80:110, 100:160] = True
    for name in ("photos", "masks", "together", "completed"):
        (folder / name).mkdir()
    for name in ("photo.jpg", "photos/one.jpg", "together/one.jpg"):
        photo.save(folder / name)
    for name in ("mask.png", "masks/one.png", "together/one_mask.png"):
        Image.fromarray(mask).save(folder / name)
    photo.putalpha(Image.fromarray(~mask).convert("L"))
    photo.save(folder / "cutout.png")
    (folder / "completionnet_places2.t7").write_bytes(write(foreign.torch7(foreign.network(), gradients=False)))
    (folder / "docs").symlink_to(ROOT / "docs")
    return folder


def is_run(command: str) -> bool:
    return command.startswith("glcic ") and not command.startswith("glcic ui ")


@pytest.mark.parametrize("command", [one for one in COMMANDS if is_run(one)])
def test_the_command_runs(command, files, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(shutil.copytree(files, tmp_path / "files", symlinks=True))
    words = shlex.split(command, comments=True)
    outs = [words[words.index("-o") + 1]] if "-o" in words else []
    if ">" in words:  # a pipe is for a shell
        outs = [words[words.index(">") + 1]]
        program = f"{shlex.quote(sys.executable)} -m glcic_hub {command.removeprefix('glcic ')}"
        subprocess.run(["bash", "-euc", program], check=True, env={"PYTHONPATH": str(ROOT)})
    else:
        try:
            assert cli.main(words[1:]) == 0, capfd.readouterr().err
        except SystemExit as end:
            assert "--help" in words and end.code == 0
    assert all(Path(out).exists() and (Path(out).is_file() or any(Path(out).iterdir())) for out in outs)


@pytest.mark.parametrize("command", [one for one in COMMANDS if not is_run(one)])
def test_a_command_that_is_not_run_has_a_reason(command):
    [looked_at] = [check for beginning, (check, _) in NOT_RUN.items() if f"{command} ".startswith(beginning)]
    assert looked_at(shlex.split(command, comments=True))


def test_every_reason_is_needed():
    assert all(any(f"{one} ".startswith(beginning) for one in COMMANDS) for beginning in NOT_RUN)


def test_the_environment_has_the_program():
    """What `source .venv/bin/activate` makes available, in the environment of the tests."""
    done = subprocess.run([Path(sys.executable).parent / "glcic", "--help"], capture_output=True, text=True, check=True)
    assert "glcic inpaint" in done.stdout


def test_the_python_of_the_docs_runs(files, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(files, tmp_path / "files", symlinks=True))
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    exec(code, {})
    before, after = (np.asarray(Image.open(name)) for name in ("photo.jpg", "completed.png"))
    changed = (before != after).any(axis=2)
    assert changed[80:110, 100:160].mean() > 0.5 and not changed[:70].any()


def test_the_oldest_versions_are_those_of_the_project():
    wanted = [re.split("[<>=,]+", one)[:2] for one in PROJECT["dependencies"]]
    rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|$", (ROOT / "docs" / "install.md").read_text(), re.MULTILINE)
    assert sorted(map(list, rows)) == sorted(wanted)


def sentences_of(text: str) -> list[str]:
    """Those of running text and of lists, without code, tables and headings."""
    text = re.sub(r"\A---\n.*?\n---\n|```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    blocks = [block.strip() for block in re.split(r"\n\s*\n|\n(?=- |\d\. |#|\|)", text)]
    spoken = [" ".join(block.split()) for block in blocks if block and block[0] not in "#|"]
    return [one for block in spoken for one in re.split(r"(?<=[.!?])\W*\s+", block) if one.strip("- ")]


@pytest.mark.parametrize("path", [*TEXTS, *FURTHER_TEXTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_sentences_are_short(path):
    lengths = [len(one.split()) for one in sentences_of(path.read_text(encoding="utf-8"))]
    assert sum(lengths) / len(lengths) <= LONGEST_MEAN


@pytest.mark.parametrize("path", [*TEXTS, *FURTHER_TEXTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_reads_translated(path):
    text = " ".join(path.read_text(encoding="utf-8").split())
    assert [found for pattern in TRANSLATED for found in re.findall(f".{{0,30}}{pattern}.{{0,30}}", text)] == []


@pytest.mark.parametrize("path", [*TEXTS, *FURTHER_TEXTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")) if "://" not in link]
    for link in links:
        file, _, heading = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists()
        headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE) if heading else []
        assert not heading or heading in [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings]
