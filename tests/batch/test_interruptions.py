"""`glcic batch` killed, interrupted, without room, without a model: no partial file, and the next run goes on."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.batch.conftest import batch, end, files, make_photos, samples, save, start

COUNT = 150
SECONDS = 120


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A folder with so many photos that a run takes a while."""
    folder = tmp_path_factory.mktemp("many")
    make_photos(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def wanted(photos, model) -> dict[str, bytes]:
    """The results of a run that nothing disturbs."""
    assert batch(photos, *arguments(photos, photos / "wanted", model), "--processes", 1)[0] == 0
    return files(photos / "wanted")


def arguments(photos: Path, out: Path, model: Path) -> list[object]:
    return [photos / "photos", "--masks", photos / "masks", "-o", out, "--model", model]


def wait_for(out: Path, count: int, process: subprocess.Popen) -> None:
    """Until there are so many results."""
    deadline = time.monotonic() + SECONDS
    while len(list(out.glob("*.png"))) < count:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)


def whole(out: Path) -> dict[str, bytes]:
    """The results, each of which can be decoded to its end; there is nothing hidden beside them."""
    found = files(out)
    assert all(Path(name).suffix == ".png" for name in found if not name.startswith("errors")), sorted(found)
    for name in found:
        if name.endswith(".png"):
            with Image.open(out / name) as image:
                image.load()
    return found


def families(process: subprocess.Popen) -> list[psutil.Process]:
    """The processes that it started."""
    return psutil.Process(process.pid).children(recursive=True)


def workers(process: subprocess.Popen) -> list[psutil.Process]:
    return [child for child in families(process) if any("spawn_main" in word for word in child.cmdline())]


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=SECONDS)[1]


def test_a_kill_loses_nothing_and_the_next_run_goes_on(tmp_path, photos, model, wanted):
    out = tmp_path / "out"
    process = start(tmp_path, *arguments(photos, out, model), "--processes", 2)
    wait_for(out, 5, process)
    children = families(process)
    process.kill()
    end(process)
    assert gone(children)
    left = whole(out)
    assert 5 <= len(left) < COUNT and left.items() <= wanted.items()
    times = {name: (out / name).stat().st_mtime_ns for name in left}

    code, _, err = batch(tmp_path, *arguments(photos, out, model), "--processes", 2)
    assert (code, err) == (0, f"glcic batch: {COUNT - len(left)} completed, {len(left)} done before, 0 failed")
    assert whole(out) == wanted
    assert {name: (out / name).stat().st_mtime_ns for name in left} == times


@pytest.mark.parametrize("everybody", [False, True])
def test_ctrl_c(tmp_path, photos, model, wanted, everybody):
    """A terminal sends the signal to all processes of the group."""
    out = tmp_path / "out"
    process = start(tmp_path, *arguments(photos, out, model), "--processes", 2)
    wait_for(out, 5, process)
    children = families(process)
    os.killpg(process.pid, signal.SIGINT) if everybody else process.send_signal(signal.SIGINT)
    code, said, err = end(process)
    assert (code, said) == (130, "")
    assert err.startswith("glcic batch: interrupted after ") and err.endswith("; run the same command to continue")
    assert gone(children)
    left = whole(out)
    assert len(left) < COUNT and left.items() <= wanted.items()


@pytest.mark.parametrize("delay", [0, 0.05, 0.1])
def test_ctrl_c_before_the_first_picture(tmp_path, photos, model, delay):
    process = start(tmp_path, *arguments(photos, tmp_path / "out", model), "--processes", 2)
    deadline = time.monotonic() + SECONDS
    while not workers(process):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)  # the processes are starting
    os.killpg(process.pid, signal.SIGINT)
    code, said, err = end(process)
    assert code == 130 and "interrupted" in err and "Traceback" not in err
    assert files(tmp_path / "out") == {}


def test_a_process_that_is_killed_costs_what_it_had_in_hand(tmp_path, photos, model, wanted):
    out = tmp_path / "out"
    process = start(tmp_path, *arguments(photos, out, model), "--processes", 2)
    wait_for(out, 5, process)
    workers(process)[0].kill()
    code, _, err = end(process)
    lost = [json.loads(line) for line in (out / "errors.jsonl").read_text().splitlines()]
    assert code == 1 and 1 <= len(lost) <= 3 and f"{len(lost)} failed" in err
    assert all("ended unexpectedly" in row["error"] for row in lost)
    for path in out.glob(".glcic-*.tmp"):  # if the kill hit the writing
        path.unlink()
    # errors.jsonl is one more, and so is a result whose process was killed after writing it and before saying so
    assert len(whole(out)) - (COUNT - len(lost)) in (1, 2)
    assert batch(tmp_path, *arguments(photos, out, model), "--processes", 1)[0] == 0
    assert files(out) == wanted


def test_when_all_processes_are_killed_the_run_ends(tmp_path, photos, model):
    process = start(tmp_path, *arguments(photos, tmp_path / "out", model), "--processes", 1)
    wait_for(tmp_path / "out", 1, process)
    workers(process)[0].kill()
    code, _, err = end(process)
    assert code == 1 and "all processes ended unexpectedly" in err and "Traceback" not in err


def test_files_left_behind_are_removed_when_they_are_old(tmp_path, model):
    make_photos(tmp_path, 1)
    out = tmp_path / "out"
    for name, age in (("sub/.glcic-0.tmp", 3600), (".glcic-1.tmp", 5), (".other.tmp", 3600)):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("")
        os.utime(out / name, (time.time() - age,) * 2)
    assert batch(tmp_path, *arguments(tmp_path, out, model))[0] == 0
    assert sorted(files(out)) == [".glcic-1.tmp", ".other.tmp", "000.png"]


def test_a_result_that_cannot_be_written_fails_alone(tmp_path, model):
    make_photos(tmp_path, 2)
    save(samples(0)[:1, :1].repeat(48, 0).repeat(64, 1), tmp_path / "photos" / "small.png")
    shutil.copy(tmp_path / "masks" / "000.png", tmp_path / "masks" / "small.png")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))"
    out = tmp_path / "out"
    code, _, err = batch(tmp_path, *arguments(tmp_path, out, model), before=limit)
    assert code == 1 and f"cannot write {str(out / '000.png')!r}: File too large" in err
    assert sorted(whole(out)) == ["errors.jsonl", "small.png"]


def test_a_name_that_is_too_long_for_its_new_suffix_fails_alone(tmp_path, model):
    make_photos(tmp_path, 1)
    save(samples(0), tmp_path / "photos" / ("n" * 251 + ".png"))
    options = ["--masks", tmp_path / "masks" / "000.png", "-o", "out", "--model", model, "--format", "webp"]
    code, _, err = batch(tmp_path, "photos", *options)
    assert code == 1 and "File name too long" in err
    assert sorted(files(tmp_path / "out")) == ["000.webp", "errors.jsonl"]


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A file system of its own with 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount file systems")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_stops_the_run_and_the_next_goes_on(tmp_path, model, small_disk):
    make_photos(tmp_path, 20)
    command = arguments(tmp_path, small_disk / "out", model)
    code, _, err = batch(tmp_path, *command, "--processes", 1)
    assert code == 1 and err.startswith("glcic batch: cannot write") and "\n" not in err
    assert "No space left on device (stopped after " in err
    left = whole(small_disk / "out")
    assert 0 < len(left) < 20
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    code, _, err = batch(tmp_path, *command, "--processes", 1)
    assert (code, err) == (0, f"glcic batch: {20 - len(left)} completed, {len(left)} done before, 0 failed")


def test_a_folder_that_cannot_be_written(tmp_path, photos, model):
    code, said, err = batch(tmp_path, *arguments(photos, Path("/proc/out"), model))
    assert (code, said) == (1, "") and err.startswith("glcic batch: cannot make the folder '/proc/out'")
    with tempfile.TemporaryDirectory() as folder:  # unlike tmp_path, others than its owner may look into it
        out = Path(folder, "out")
        make_photos(Path(folder), 1)
        out.mkdir(mode=0o555)
        Path(folder).chmod(0o755)
        nobody = "import locale, os, glcic_hub.batch, glcic_hub.cli; os.geteuid() or os.setuid(65534)"
        code, said, err = batch(Path(folder), "photos", "--masks", "masks", "-o", "out", before=nobody)
        assert (code, said, err) == (1, "", "glcic batch: the folder 'out' is not writable")
        out.chmod(0o755)


def test_a_model_that_does_not_load(tmp_path, photos):
    code, said, err = batch(tmp_path, *arguments(photos, tmp_path / "out", tmp_path / "no"), "--processes", 2)
    assert (code, said) == (1, "") and "\n" not in err
    assert err.startswith(f"glcic batch: cannot load the model {str(tmp_path / 'no')!r}")
    assert files(tmp_path / "out") == {}
