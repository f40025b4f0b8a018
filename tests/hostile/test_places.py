"""Names and places: where pictures come from and results go to, on a file system that is not friendly."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.convert import foreign, torch7_writer
from tests.hostile.commands import Outcome, is_one_sentence, run
from tests.hostile.limits import full_disk

MASK = np.zeros((20, 24), bool)
MASK[4:9, 5:12] = True
SAMPLES = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
BYTES = os.fsdecode(b"\xff\xfe-\xe9")
"""A name that is no text in UTF-8, as old archives bring."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a photo, a mask, a pipe and some links."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(SAMPLES).save("photo.png")
    Image.fromarray(MASK).save("mask.png")
    os.mkfifo("pipe.png")
    for name, target in {
        "to-photo.png": "photo.png",
        "to-pipe.png": "pipe.png",
        "loop.png": "loop.png",
        "dangling.png": "nowhere.png",
        "astray.png": "nowhere/out.png",
    }.items():
        os.symlink(target, name)
    return tmp_path


def inpaint(model: Path, *arguments: object) -> Outcome:
    return run("inpaint", *arguments, "--model", model)


def state() -> dict[str, object]:
    """Everything in the current folder: what links point to, what files hold, the kind of all else."""
    return {
        str(path): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else path.stat().st_mode
        for path in Path().rglob("*")
    }


def assert_refused(outcome: Outcome, before: dict, code: int = 2) -> None:
    assert (outcome.code, outcome.said) == (code, ""), outcome
    assert is_one_sentence(outcome.complained), outcome.complained
    assert state() == before


def assert_completed(path: Path | str) -> None:
    with Image.open(path) as result:
        samples = np.asarray(result)
    np.testing.assert_array_equal(samples[~MASK], SAMPLES[~MASK])
    assert (samples[MASK] != SAMPLES[MASK]).any()


NAMES = {
    "unicode": "bild äöü 写真 🎨 e\u0301.png",
    "no text": f"{BYTES}.png",
    "255 bytes": "n" * 251 + ".png",
    "255 bytes of unicode": "é" * 125 + "x.png",
    "newline": "two\nlines.png",
    "terminal codes": "\x1b[31mred\x07.png",
    "quotes": "'\"`$(x)\\ *?.png",
    "spaces": "  .png",
    "right to left": "\u202egnp.exe.png",
    "dots": "...png",
    "suffix in capitals": "A.PNG",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_for_photo_mask_and_result(model, name):
    os.makedirs("in")
    os.makedirs("out")
    os.rename("photo.png", Path("in", name))
    outcome = inpaint(model, Path("in", name), "mask.png", "-o", Path("out", name))
    assert (outcome.code, outcome.said, outcome.complained) == (0, f"{Path('out', name)}\n", "")
    assert_completed(Path("out", name))
    assert os.listdir("out") == [name]
    os.rename("mask.png", name)
    assert inpaint(model, Path("in", name), name, "-o", "result.png").code == 0


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_in_a_message(model, name):
    Path("in").mkdir()
    Path("in", name).write_bytes(b"no picture")
    before = state()
    assert_refused(inpaint(model, Path("in", name), "mask.png", "-o", "out.png"), before)
    assert_refused(inpaint(model, "photo.png", Path("in", name), "-o", "out.png"), before)
    assert_refused(inpaint(model, "photo.png", "mask.png", "-o", Path("in", name)), before)
    assert_refused(inpaint(Path("missing", name), "photo.png", "mask.png", "-o", "out.png"), before, code=1)


@pytest.mark.parametrize("name", ["-photo.png", "--force", "-o"])
def test_names_that_look_like_options(model, name):
    os.rename("photo.png", name)
    outcome = run("inpaint", "-o=-out.png", "--model", model, "--", name, "mask.png")
    assert (outcome.code, outcome.said) == (0, "-out.png\n")
    assert_completed("-out.png")


@pytest.mark.parametrize("name", ["n" * 252 + ".png", "é" * 126 + ".png", "d/" * 2100 + "x.png"])
def test_names_that_are_too_long(model, name):
    before = state()
    for arguments in ([name, "mask.png", "-o", "out.png"], ["photo.png", name, "-o", "out.png"]):
        assert_refused(inpaint(model, *arguments), before)
    assert_refused(inpaint(model, "photo.png", "mask.png", "-o", name), before)
    assert_refused(inpaint(Path(name), "photo.png", "mask.png", "-o", "out.png"), before, code=1)


@pytest.mark.parametrize(
    "name",
    [
        *("pipe.png", "to-pipe.png", "loop.png", "dangling.png", "astray.png", ".", "photo.png/inside.png", ""),
        *("/dev/zero", "/dev/null", "/dev/full", "/dev/stdin", "/proc/self/mem", "/proc/self/environ"),
    ],
)
def test_what_is_no_picture_file_is_refused_without_waiting(model, name, monkeypatch):
    reading, writing = os.pipe()  # stdin that never says anything
    kept = os.dup(0)
    os.dup2(reading, 0)
    try:
        before = state()
        assert_refused(inpaint(model, name, "mask.png", "-o", "out.png"), before)
        assert_refused(inpaint(model, "photo.png", name, "-o", "out.png"), before)
    finally:
        os.dup2(kept, 0)
        for descriptor in (reading, writing, kept):
            os.close(descriptor)


def test_a_photo_behind_a_link(model):
    before = state()
    assert inpaint(model, "to-photo.png", "mask.png", "-o", "out.png").code == 0
    assert_completed("out.png")
    Path("out.png").unlink()
    assert state() == before


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(
    "name", ["pipe.png", "to-pipe.png", "photo.png/out.png", "loop.png/out.png", "nowhere/out.png"]
)
def test_places_where_no_result_can_be(model, name, force):
    before = state()
    assert_refused(inpaint(model, "photo.png", "mask.png", "-o", name, *force), before)


@pytest.mark.parametrize("name", ["loop.png", "dangling.png", "astray.png", "to-photo.png"])
def test_a_link_in_the_result_s_place_is_kept_unless_forced(model, name):
    before = state()
    assert_refused(inpaint(model, "photo.png", "mask.png", "-o", name), before)


def test_a_result_that_is_forced_through_a_link(model):
    assert inpaint(model, "photo.png", "mask.png", "-o", "dangling.png", "--force").code == 0
    assert Path("dangling.png").is_symlink()
    assert_completed("nowhere.png")
    assert inpaint(model, "to-photo.png", "mask.png", "-o", "to-photo.png", "--force").code == 0
    assert Path("to-photo.png").is_symlink()
    assert_completed("photo.png")
    before = state()
    assert_refused(inpaint(model, "photo.png", "mask.png", "-o", "astray.png", "--force"), before, code=1)


@pytest.mark.parametrize("limit", [0, 1, 500, 1000])
@pytest.mark.parametrize("name", ["out.png", "out.webp", "mask.png", "dangling.png"])
def test_a_disk_that_is_full_at_any_moment(model, limit, name):
    before = state()
    with full_disk(limit):
        outcome = inpaint(model, "photo.png", "mask.png", "-o", name, "--force")
    assert_refused(outcome, before, code=1)


@pytest.mark.parametrize("limit", [0, 100, 1000, 50_000])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_converted_model_on_a_full_disk(limit, is_there):
    Path("net.t7").write_bytes(torch7_writer.write(foreign.torch7(foreign.network(), gradients=False)))
    if is_there:
        Path("model").mkdir()
    before = state()
    with full_disk(limit):
        outcome = run("convert", "net.t7", "-o", "model")
    assert_refused(outcome, before, code=1)


@pytest.mark.parametrize("name", ["/proc/out.png", "/sys/out.png"])
def test_folders_in_which_not_even_root_can_write(model, name):
    Path("net.t7").write_bytes(torch7_writer.write(foreign.torch7(foreign.network(), gradients=False)))
    before = state()
    assert_refused(run("convert", "net.t7", "-o", name), before, code=1)
    assert_refused(inpaint(model, "photo.png", "mask.png", "-o", name), before, code=1)


def test_a_batch_among_pipes_links_and_odd_names(model):
    """One process: what is no picture fails alone, all else is completed, whatever it is called."""
    Path("photos").mkdir()
    names = [name for name in NAMES.values() if not name.startswith(".")]
    for name in (*names, "good.png"):
        shutil.copy("photo.png", Path("photos", name))
    os.mkfifo("photos/pipe.png")
    os.symlink("/dev/zero", "photos/device.png")
    os.symlink("nowhere", "photos/dangling.png")
    os.symlink(".", "photos/circle")
    Path("photos/folder.png").mkdir()
    Path("out").mkdir()
    os.mkfifo("out/good.png")
    command = [sys.executable, "-m", "glcic_hub", "batch", "photos", "--masks", "mask.png", "-o", "out"]
    done = subprocess.run([*command, "--processes", "1", "--model", model], capture_output=True, timeout=100)
    said = done.stderr.decode()
    assert done.returncode == 1 and "Traceback" not in said, said
    assert f"{len(names)} completed, 0 done before, 4 failed" in said, said
    for name in names:
        assert_completed(Path("out", Path(name).with_suffix(".png").name))
    assert not any(name.endswith(".tmp") for name in os.listdir("out"))
    assert Path("out/good.png").is_fifo()
