"""`glcic ui`: where it serves the page, how it ends, and what it refuses."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.random_models import random_model
from tests.served import free_port

SECONDS = 120


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    random_model().save_pretrained(folder)
    return folder


@pytest.fixture
def photo(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    path = tmp_path / "photos" / "a photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


def started(*arguments: object, cwd: Path, **variables: str) -> subprocess.Popen:
    settings = {"PYTHONPATH": str(Path(__file__).parents[1]), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    settings |= {"TMPDIR": str(cwd)} | variables
    return subprocess.Popen(
        [sys.executable, "-m", "glcic_hub", "ui", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(*arguments: object, cwd: Path, **variables: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """The process and the address that it prints."""
    process = started(*arguments, cwd=cwd, **variables)
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.communicate()
        yield process, address
    finally:
        process.kill()
        process.communicate()


def get(address: str) -> dict:
    with urllib.request.urlopen(address, timeout=SECONDS) as answer:
        return json.load(answer)


def post(address: str) -> dict:
    with urllib.request.urlopen(urllib.request.Request(address, b"", method="POST"), timeout=SECONDS) as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_ended_and_leaves_nothing_behind(model, photo, tmp_path, number):
    port = free_port()
    with running(photo, "--no-browser", "--port", port, "--model", model, cwd=tmp_path) as (process, address):
        assert address == f"http://127.0.0.1:{port}/"
        assert get(f"{address}host.json")["firstPhoto"] == "a photo.png"
        opened = post(f"{address}first")
        assert (opened["width"], opened["height"]) == (60, 40)
        assert list(tmp_path.glob("glcic-photos-*"))
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and out == ""
    assert err.splitlines()[-1] == "glcic ui: interrupted" and "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_it_ends_while_it_works(model, tmp_path):
    """A page that waits for a completion keeps nobody from leaving."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)).save(tmp_path / "a.png")
    white = tmp_path / "white.png"
    Image.new("1", (1400, 1400), 1).save(white)
    with running("a.png", "--no-browser", "--model", model, cwd=tmp_path) as (process, address):
        opened = post(f"{address}first")
        query = "left=50&top=50&width=1400&height=1400&texture=photo"
        path = f"{address}photos/{opened['id']}/versions?{query}"
        with urllib.request.urlopen(path, white.read_bytes(), timeout=SECONDS) as answer:
            answer.readline()
            process.send_signal(signal.SIGINT)
            begun = time.monotonic()
            _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and time.monotonic() - begun < 30, err


def test_it_opens_the_browser(model, photo, tmp_path):
    script = tmp_path / "browser.py"
    script.write_text("import sys\nopen('opened.txt', 'w').write(sys.argv[1])\n")
    browser = f"{shlex.quote(sys.executable)} {script} %s"
    with running(photo, "--model", model, cwd=tmp_path, BROWSER=browser) as (_, address):
        deadline = time.monotonic() + SECONDS
        while not (tmp_path / "opened.txt").exists() or not (tmp_path / "opened.txt").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert (tmp_path / "opened.txt").read_text() == address


def test_a_taken_port(model, photo, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = started(photo, "--no-browser", "--port", port, "--model", model, cwd=tmp_path)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1 and out == ""
    assert err.startswith(f"glcic ui: cannot use port {port}: ") and err.endswith("choose another one with --port\n")


def test_another_port_is_found(model, tmp_path):
    with (
        running("--no-browser", "--model", model, cwd=tmp_path) as (_, first),
        running("--no-browser", "--model", model, cwd=tmp_path) as (_, second),
    ):
        assert first != second
        for address in (first, second):
            host = get(f"{address}host.json")
            assert host["firstPhoto"] is None and host["canSave"]


def test_only_this_machine_and_this_page(model, tmp_path):
    with running("--no-browser", "--model", model, cwd=tmp_path) as (_, address):
        for headers, code in (({"Host": "evil.example"}, 400), ({"Origin": "https://evil.example"}, 403)):
            request = urllib.request.Request(f"{address}photos?name=a", b"x", headers, method="POST")
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=SECONDS)
            assert caught.value.code == code
        port = int(address.rstrip("/").rpartition(":")[2])
        others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)} - {"127.0.0.1"}
        for other in others:
            with pytest.raises(OSError):
                socket.create_connection((other, port), timeout=5)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["missing.png"], 2, "cannot read 'missing.png': No such file or directory"),
        (["photos"], 2, "'photos' is a folder, not an image"),
        (["text.png"], 2, "cannot use 'text.png': This file is not a readable image"),
        (["--model", "./missing"], 1, "cannot load the model './missing'"),
        (["--device", "abacus"], 2, "there is no device 'abacus'"),
    ],
)
def test_what_is_refused(photo, tmp_path, arguments, code, sentence):
    (tmp_path / "text.png").write_text("text")
    process = started(*arguments, "--no-browser", cwd=tmp_path)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code and out == ""
    assert err.startswith(f"glcic ui: {sentence}") and err.count("\n") == 1
    assert not list(Path(tmp_path).glob(f"{tempfile.gettempprefix()}*"))
