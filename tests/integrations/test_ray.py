"""glcic_hub.integrations.ray in Ray itself: the command on folders and on an S3 store, and the pipeline of the docs."""

import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from glcic_hub import GLCICPipeline
from tests.batch.conftest import HOLE, batch, files, make_photos, opened, samples, save
from tests.integrations.tools import ROOT, environment, run_with
from tests.random_models import random_model

pytestmark = pytest.mark.slow

SECONDS = 240
AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"

# what the tests add: two processors, less noise; photos called killer.png kill the process that opens them
START = """
import os, signal, sys
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
from glcic_hub.integrations import folders
from glcic_hub.integrations import ray as ours

class Deadly(folders.LocalFolder):
    def picture(self, name):
        if name == "killer.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().picture(name)

def folder_at(address):
    folder = folders.folder_at(address)
    return Deadly(folder.path) if isinstance(folder, folders.LocalFolder) else folder

ours.folder_at = folder_at
"""
COMMAND = START + "sys.exit(ours.main(sys.argv[1:]))\n"
TWICE = """
options = ["--processes", "2", "--model", "model", "--max-megapixels", "1"]
print(ours.main(["photos", "masks", "out", *options]), "is the exit code")
sys.argv = ["program.py", "photos", "masks", "tables"]
"""


@pytest.fixture(scope="module", autouse=True)
def loopback():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # listens on 127.0.0.1 alone, on every system
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    random_model().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory, model) -> tuple[Path, str]:
    """A folder in which the command and the program of the docs have run, and what they printed.

    Of four photos one was done before, and one is damaged; one more has no mask, and one is above the limit.
    """
    folder = tmp_path_factory.mktemp("ray")
    make_photos(folder, 4)
    for kind in ("photos", "masks"):
        os.rename(folder / kind / "003.png", os.fsencode(folder / kind) + b"/\xff.png")  # which is no text
    (folder / "model").symlink_to(model)
    [program] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "large-collections.md").read_text(), re.DOTALL)
    (folder / "out").mkdir()
    (folder / "out" / "000.png").write_text("done before")
    (folder / "photos" / "002.png").write_text("no picture")
    save(samples(9), folder / "photos" / "sub" / "alone.png")
    for kind in ("photos", "masks"):
        Image.new("L", (1001, 1000), 255).save(folder / kind / "large.png")
    remove = "os.remove('photos/sub/alone.png'); os.rmdir('photos/sub'); os.remove('photos/large.png')\n"
    remove += "[os.rename(kind + b'/\\xff.png', kind + b'/003.png') for kind in (b'photos', b'masks')]\n"
    (folder / "program.py").write_text(START + TWICE + remove + program)
    return folder, run_with("ray", folder, "program.py")


def test_the_command_completes_what_is_not_done_and_lists_what_cannot_be(ran, model, tmp_path):
    folder, said = ran
    assert said.splitlines() == ["out", "1 is the exit code"]
    assert sorted(files(folder / "out")) == ["000.png", "001.png", "errors.jsonl", os.fsdecode(b"\xff.png")]
    assert (folder / "out" / "000.png").read_text() == "done before"
    make_photos(tmp_path, 4)
    batch(tmp_path, "photos", "--masks", "masks", "-o", "out", "--model", model)
    for name, wanted in (("001.png", "001.png"), (os.fsdecode(b"\xff.png"), "003.png")):
        assert (folder / "out" / name).read_bytes() == (tmp_path / "out" / wanted).read_bytes()
    lines = (folder / "out" / "errors.jsonl").read_text().splitlines()
    errors = {Path(error["name"]).relative_to(folder).as_posix(): error["error"] for error in map(json.loads, lines)}
    expected = {
        "photos/sub/alone.png": "no mask for it",
        "photos/002.png": "cannot use",
        "photos/large.png": "is too large to read",
    }
    assert len(lines) == 3 and errors.keys() == expected.keys(), "in the order in which Ray's tasks have ended"
    for name, words in expected.items():
        assert words in errors[name]


def test_the_pipeline_of_the_docs(ran):
    import pyarrow.parquet

    rows = sorted(pyarrow.parquet.read_table(ran[0] / "tables").to_pylist(), key=lambda row: row["name"])
    assert [row["name"] for row in rows] == [f"00{number}.png" for number in range(4)]
    assert rows[2]["completed"] == b"" and "cannot use 'photo': " in rows[2]["error"]
    pipe = GLCICPipeline.from_pretrained()
    for number in (0, 1, 3):
        assert rows[number]["error"] == ""
        result = np.asarray(Image.open(io.BytesIO(rows[number]["completed"])))
        expected = np.asarray(pipe(Image.fromarray(samples(number)), Image.fromarray(HOLE)).images[0])
        np.testing.assert_array_equal(result[~HOLE], samples(number)[~HOLE])
        assert np.abs(result.astype(int) - expected).max() <= 2  # threads may differ by a rounding


def test_without_ray_it_says_what_to_install():
    done = subprocess.run(
        [sys.executable, "-m", "glcic_hub.integrations.ray", "a", "b", "c"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "") and 'pip install ".[ray]"' in done.stderr


def start(folder: Path, *arguments: object, variables: dict[str, str] | None = None) -> subprocess.Popen:
    """The command in a process of its own, which says everything on stderr."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        env=environment("ray", folder) | (variables or {}),
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen) -> tuple[int, str]:
    _, said = process.communicate(timeout=SECONDS)
    return process.returncode, said


def workers(process: subprocess.Popen) -> list[psutil.Process]:
    """The processes that complete, or are about to."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if child.cmdline()[:1] and child.cmdline()[0].startswith("ray::MapWorker"):
                found.append(child)
        except psutil.Error:  # it has ended meanwhile
            continue
    return found


def wait_until(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)


class Store:
    """An object store of this machine, used by HTTP alone."""

    def __init__(self, url: str):
        self.url = url

    def ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        # of urllib the store would believe that it sends forms, and that it is nobody
        headers = {"Content-Type": "application/octet-stream", "Authorization": AUTHORIZATION}
        request = urllib.request.Request(f"{self.url}/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def names(self, folder: str) -> list[str]:
        listing = self.ask("GET", f"bucket?list-type=2&prefix={folder}/").decode()
        return [name.removeprefix(f"{folder}/") for name in re.findall("<Key>(.*?)</Key>", listing)]


@pytest.fixture
def store(tmp_path):
    """One that speaks S3, with an empty bucket."""
    code = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
    server = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment("ray", tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        store = Store(f"http://127.0.0.1:{int(server.stdout.readline())}")
        store.ask("PUT", "bucket")
        yield store
    finally:
        server.kill()
        server.communicate()


@pytest.mark.slow
def test_an_object_store_and_processes_that_are_killed(tmp_path, model, store):
    count = 100
    make_photos(tmp_path, count)
    assert batch(tmp_path, "photos", "--masks", "masks", "-o", "wanted", "--model", model)[0] == 0
    wanted = files(tmp_path / "wanted")
    for folder in ("photos", "masks"):
        for name, data in files(tmp_path / folder).items():
            store.ask("PUT", f"bucket/{folder}/{name}", data)
    store.ask("PUT", "bucket/out/007.png", b"done before")
    variables = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    variables |= {"AWS_ENDPOINT_URL": store.url, "NO_PROXY": "127.0.0.1"}
    addresses = [f"s3://bucket/{folder}" for folder in ("photos", "masks", "out")]
    process = start(tmp_path, *addresses, "--model", model, "--processes", 2, variables=variables)
    try:
        wait_until(lambda: len(workers(process)) == 2, process)
        workers(process)[0].kill()  # it is starting
        wait_until(lambda: len(store.names("out")) >= 10, process)
        workers(process)[0].kill()
        assert len(store.names("out")) < count / 2
        code, said = end(process)
    finally:
        process.kill()
    assert code == 0 and f"{count - 1} completed, 1 done before, 0 failed" in said, said
    results = {name: store.ask("GET", f"bucket/out/{name}") for name in store.names("out")}
    assert results.pop("007.png") == b"done before"
    wanted.pop("007.png")
    assert results == wanted


@pytest.mark.slow
def test_a_photo_that_kills_its_processes_is_given_up_and_the_others_are_completed(tmp_path, model):
    make_photos(tmp_path, 3)
    for folder in ("photos", "masks"):
        os.link(tmp_path / folder / "000.png", tmp_path / folder / "killer.png")
    process = start(tmp_path, "photos", "masks", "out", "--model", model, "--processes", 1)
    try:
        code, said = end(process)
    finally:
        process.kill()
    assert code == 1 and "3 completed, 0 done before, 1 failed" in said, said
    [error] = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    assert json.loads(error)["name"].endswith("killer.png") and "ended unexpectedly" in error
    assert sorted(files(tmp_path / "out")) == ["000.png", "001.png", "002.png", "errors.jsonl"]
    assert opened(tmp_path / "out" / "000.png").shape == samples(0).shape
