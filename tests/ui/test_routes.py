"""The page's server as its page and others use it, over HTTP."""

import errno
import io
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image
from scipy import ndimage
from starlette.applications import Starlette

from glcic_hub import GLCICPipeline
from glcic_hub.errors import FailedWork
from glcic_hub.filling.fill import Filled
from glcic_hub.filling.options import FillOptions
from glcic_hub.ui import guard, routes, streaming
from glcic_hub.ui.page_files import file_routes
from glcic_hub.ui.photos import Photos
from glcic_hub.ui.routes import Host, page_routes
from glcic_hub.ui.turns import Turns
from glcic_hub.workflow import Settings, fill_holes, load_completer
from tests.served import free_port

SECONDS = 60
PEOPLE = 20
BOX = {"left": 120, "top": 60, "width": 50, "height": 30, "grow": 0}


def in_one_colour(model, picture, mask, options, progress) -> Filled:
    """A fill that takes no time: grey."""
    progress(0.5)
    return Filled(np.full((*mask.shape, 3), 0.5, np.float32), mask)


class Slow:
    """A fill that never ends, unless its progress raises something."""

    def __init__(self):
        self.begun, self.stopped = threading.Event(), threading.Event()

    def __call__(self, model, picture, mask, options, progress):
        self.begun.set()
        try:
            for _ in range(100 * SECONDS):
                progress(0.1)
                time.sleep(0.01)
        finally:
            self.stopped.set()


@contextmanager
def running(app: Starlette) -> Iterator[httpx.Client]:
    """A client of an application, which is served by a thread of this process."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/", timeout=SECONDS) as client:
        yield client
    server.should_exit = True
    thread.join()


@contextmanager
def served(fill=in_one_colour, turns: Turns | None = None, middleware=(), **host) -> Iterator[httpx.Client]:
    """A client of the page's server."""
    photos = Photos(200 * 10**6)
    app_routes = page_routes(Host(photos, turns or Turns(), fill, ["small"], **host))
    with running(Starlette(routes=app_routes, middleware=list(middleware))) as client:
        yield client
    photos.close()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with served() as client:
        yield client


def png(mask: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(mask).save(data, "PNG")
    return data.getvalue()


WHITE = png(np.ones((30, 50), bool))


def upload(client, path: Path, name: str | None = None) -> dict:
    answer = client.post("photos", params={"name": name or path.name}, content=path.read_bytes())
    assert answer.status_code == 200, answer.text
    return answer.json()


def lines(client, photo: dict, paint: bytes = WHITE, **query) -> list[dict]:
    """All that is said of a completion."""
    answer = client.post(f"photos/{photo['id']}/versions", params=BOX | query, content=paint)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def result(client, photo: dict, version: dict, file_format: str = "png") -> np.ndarray:
    path = f"photos/{photo['id']}/versions/{version['version']}/file"
    answer = client.get(path, params={"format": file_format})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def error_of(answer: httpx.Response) -> str:
    assert answer.status_code >= 400, answer.text
    return answer.json()["error"]


def test_what_the_page_needs_to_know(client):
    host = client.get("host.json").json()
    assert host["maxPixels"] == 200 * 10**6 and not host["canSave"] and host["firstPhoto"] is None
    assert {"grow", "texture"} <= {setting["name"] for setting in host["settings"]}
    assert "model" not in {setting["name"] for setting in host["settings"]}, "there is one alone"
    assert ".heic" in host["accept"].split(",")
    for example in host["examples"]:
        assert Image.open(io.BytesIO(client.get(example["thumbnail"]).content)).size[0] == 320


def test_a_photo_is_completed_and_goes_on(client, photo, bool_mask):
    opened = upload(client, photo, "my photo.png")
    assert opened | {"id": ""} == {
        "id": "",
        "name": "my photo.png",
        "width": 301,
        "height": 199,
        "format": "PNG",
        "note": "",
    }
    said = lines(client, opened)
    first = said[-1]
    assert first["box"] == [120, 60, 50, 30] and first["seconds"] >= 0 and first["note"] == ""
    before = np.asarray(Image.open(photo))
    after = result(client, opened, first)
    assert np.array_equal(after[~bool_mask], before[~bool_mask]) and (after[bool_mask] == 128).all()
    patch = client.get(f"photos/{opened['id']}/versions/{first['version']}/patch")
    assert patch.headers["content-type"] == "image/webp" and Image.open(io.BytesIO(patch.content)).size == (50, 30)
    second = lines(client, opened, base=first["version"], left=200)[-1]
    assert second["box"] == [200, 60, 50, 30]
    both = result(client, opened, second, "own")
    other = np.roll(bool_mask, 80, 1)
    assert (both[bool_mask | other] == 128).all()
    assert np.array_equal(both[~(bool_mask | other)], before[~(bool_mask | other)])


def test_what_is_not_said_is_as_the_page_begins(photo):
    given = []

    def fill(model, picture, mask, options, progress):
        given.append(options)
        return in_one_colour(model, picture, mask, options, progress)

    with served(fill) as client:
        begins = {one["name"]: one["value"] for one in client.get("host.json").json()["settings"]}
        box = {name: value for name, value in BOX.items() if name not in begins}
        opened = upload(client, photo)
        for query in (box, box | {name: "" if value is None else value for name, value in begins.items()}):
            client.post(f"photos/{opened['id']}/versions", params=query, content=WHITE)
    assert given == [FillOptions(grow=begins["grow"])] * 2


def test_files_are_named_after_the_photo(client, photo, tmp_path):
    Image.open(photo).save(tmp_path / "Straße 1.jpg")
    opened = upload(client, tmp_path / "Straße 1.jpg")
    version = lines(client, opened)[-1]["version"]
    answer = client.get(f"photos/{opened['id']}/versions/{version}/file?format=own")
    assert answer.headers["content-type"] == "image/jpeg"
    assert unquote(answer.headers["content-disposition"]) == "attachment; filename*=UTF-8''Straße 1-completed.jpg"


def test_masks_come_back_as_they_are_understood(client, photo, mask, bool_mask, tmp_path):
    opened = upload(client, photo)
    answer = client.post(f"photos/{opened['id']}/mask", content=mask.read_bytes())
    found = Image.open(io.BytesIO(answer.content))
    assert found.mode == "L" and np.array_equal(np.asarray(found), bool_mask * 255)
    assert "X-Note" not in answer.headers
    doubtful = client.post(f"photos/{opened['id']}/mask", content=photo.read_bytes())
    assert "looks like a photo" in unquote(doubtful.headers["X-Note"])


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ((600, 400), "This mask is 600 x 400 pixels, the photo 451 x 300. Choose the mask made for this photo."),
        ((451, 300), "Nothing in this mask is white. White marks what should go: choose another mask."),
    ],
)
def test_wrong_masks_are_refused_with_a_sentence(client, tmp_path, size, sentence):
    Image.new("RGB", (451, 300), "red").save(tmp_path / "photo.png")
    Image.new("1", size).save(tmp_path / "mask.png")
    opened = upload(client, tmp_path / "photo.png")
    answer = client.post(f"photos/{opened['id']}/mask", content=(tmp_path / "mask.png").read_bytes())
    assert error_of(answer) == sentence


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "This file is empty."),
        (b"text", "This file is not a readable image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "This file is not a readable image"),
    ],
)
def test_files_that_are_no_photos(client, content, sentence):
    answer = client.post("photos?name=a.png", content=content)
    assert answer.status_code == 400 and error_of(answer).startswith(sentence)


def test_large_files_are_refused(photo):
    with served(most_bytes=2**20) as client:
        answer = client.post("photos?name=a.png", content=bytes(2**20 + 1))
        assert error_of(answer) == "This file has 1 MB; up to 1 are taken here."


@pytest.mark.parametrize("mode", ["heic", "grey.jpg", "deep.png", "alpha.webp", "palette.gif", "print.jpg", "deep.tif"])
def test_known_pixels_are_the_photo_s_whatever_it_is(client, photo, bool_mask, tmp_path, mode):
    rgb = Image.open(photo)
    see_through = rgb.convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize(rgb.size))
    deep = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 200)
    path = tmp_path / (mode if "." in mode else f"a.{mode}")
    if mode == "heic":
        import pillow_heif

        pillow_heif.register_heif_opener()
    image = {"grey": rgb.convert("L"), "deep": deep, "alpha": see_through, "palette": rgb.quantize(64)}.get(path.stem)
    image = rgb.convert("CMYK") if path.stem == "print" else image or rgb
    image.save(path, **({"lossless": True, "exact": True} if mode == "alpha.webp" else {}))
    with Image.open(path) as file:
        stored = file.convert("RGB") if file.mode in ("P", "CMYK") else file.copy()
    opened = upload(client, path)
    after = result(client, opened, lines(client, opened, grow=0)[-1])
    assert np.array_equal(after[~bool_mask], np.asarray(stored)[~bool_mask])
    assert (after[bool_mask] != np.asarray(stored)[bool_mask]).any()
    preview = client.get(f"photos/{opened['id']}/preview")
    assert Image.open(io.BytesIO(preview.content)).size == (301, 199)


@pytest.mark.slow
def test_100_megapixels(client, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100), np.uint8).repeat(100, 0).repeat(100, 1)
    Image.fromarray(pixels).save(tmp_path / "large.png", compress_level=1)
    opened = upload(client, tmp_path / "large.png")
    assert (opened["width"], opened["height"]) == (10_000, 10_000)
    said = lines(client, opened, left=9000, top=8000, width=500, height=300)
    assert said[-1]["box"] == [9000, 8000, 500, 300]
    after = result(client, opened, said[-1])
    pixels[8000:8300, 9000:9500] = 127
    assert np.array_equal(after, pixels)
    preview = client.get(f"photos/{opened['id']}/preview")
    assert Image.open(io.BytesIO(preview.content)).size == (2048, 2048)


class TestWrongRequests:
    @pytest.mark.parametrize(
        ("query", "sentence"),
        [
            ({"left": -1}, "The paint lies outside the photo, which is 301 x 199 pixels."),
            ({"left": 252}, "The paint lies outside the photo, which is 301 x 199 pixels."),
            ({"width": 0}, "The paint lies outside the photo, which is 301 x 199 pixels."),
            ({"top": "x"}, "left, top, width and height must say where the paint is, in pixels."),
            ({"grow": -1}, "grow must be a whole number of pixels from 0 to 256; got '-1'"),
            ({"texture": "x"}, "texture must be one of 'auto', 'photo', None; got 'x'"),
            ({"model": "x"}, "There is no model x; there is small."),
        ],
    )
    def test_settings(self, client, photo, query, sentence):
        opened = upload(client, photo)
        answer = client.post(f"photos/{opened['id']}/versions", params=BOX | query, content=WHITE)
        assert answer.status_code == 400 and error_of(answer) == sentence

    @pytest.mark.parametrize(
        ("paint", "sentence"),
        [
            (png(np.zeros((30, 50), bool)), "Nothing is painted yet"),
            (png(np.ones((50, 30), bool)), "The paint is 30 x 50 pixels, the part of the photo 50 x 30."),
            (b"text", "The paint has not arrived as it should: try again."),
        ],
    )
    def test_paint(self, client, photo, paint, sentence):
        assert lines(client, upload(client, photo), paint)[-1]["error"].startswith(sentence)

    def test_nobody_saves_on_a_server(self, client, photo):
        opened = upload(client, photo)
        version = lines(client, opened)[-1]["version"]
        assert "download" in error_of(client.post(f"photos/{opened['id']}/versions/{version}/save"))

    def test_what_is_gone(self, client, photo):
        opened = upload(client, photo)
        version = lines(client, opened)[-1]["version"]
        own = f"photos/{opened['id']}"
        for method, path in [
            ("GET", "photos/x/preview"),
            ("POST", "photos/x/mask"),
            ("POST", "photos/x/versions"),
            ("GET", f"photos/x/versions/{version}/file"),
            ("GET", f"{own}/versions/x/patch"),
            ("POST", f"{own}/versions?base=x"),
            ("POST", "first"),
        ]:
            answer = client.request(method, path)
            assert answer.status_code == 404 and answer.json()["gone"] is True, path
        for path in ("examples/x/mask", "examples/x/thumbnail"):
            answer = client.get(path)
            assert answer.status_code == 404 and "gone" not in answer.json()
        assert client.post("examples/x").status_code == 404

    def test_a_full_disk(self, client, photo, monkeypatch):
        def full(*args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

        opened = upload(client, photo)
        with monkeypatch.context() as patched:
            patched.setattr(np, "savez", full)
            said = lines(client, opened)[-1]
            assert said == {"error": "The result cannot be kept on the server: No space left on device."}
        monkeypatch.setattr(routes, "open", full, raising=False)
        sentence = error_of(client.post("photos", content=photo.read_bytes()))
        assert sentence == "This file cannot be kept on the server: No space left on device."

    def test_errors_of_the_work_are_sentences(self, photo, caplog):
        def fill(model, picture, mask, options, progress):
            raise (FailedWork("not enough memory"), ZeroDivisionError("of ours"), MemoryError)[options.grow]

        with served(fill) as client:
            opened = upload(client, photo)
            assert lines(client, opened, grow=0)[-1] == {"error": "Not enough memory."}
            said = lines(client, opened, grow=1)[-1]["error"]
            assert lines(client, opened, grow=2)[-1] == streaming.NO_MEMORY
        assert said.startswith("Something went wrong") and "of ours" not in said
        assert "of ours" in caplog.text, "but it is in the log"


def test_examples_come_with_their_completion(client):
    opened = client.post("examples/rocket").json()
    again = client.post("examples/rocket").json()
    assert opened["id"] != again["id"]
    mask = np.asarray(Image.open(io.BytesIO(client.get("examples/rocket/mask").content))) > 0
    assert mask.shape == (opened["height"], opened["width"])
    after, before = (result(client, opened, opened["first"]), client.get(f"photos/{opened['id']}/preview").content)
    assert after.shape == np.asarray(Image.open(io.BytesIO(before))).shape
    assert (after[mask] == 128).all()
    left, top, width, height = opened["first"]["box"]
    rows, columns = np.nonzero(mask)
    assert left <= columns.min() and top <= rows.min() and left + width > columns.max() and top + height > rows.max()


def test_the_first_photo_and_saving(photo, tmp_path):
    (tmp_path / "my photo.png").write_bytes(photo.read_bytes())
    with served(first=tmp_path / "my photo.png", folder=tmp_path) as client:
        host = client.get("host.json").json()
        assert host["firstPhoto"] == "my photo.png" and host["canSave"]
        opened = client.post("first").json()
        version = lines(client, opened)[-1]
        saved = [
            client.post(f"photos/{opened['id']}/versions/{version['version']}/save").json()["path"] for _ in range(3)
        ]
        names = ["my photo-completed.png", "my photo-completed-2.png", "my photo-completed-3.png"]
        assert saved == [str(tmp_path / name) for name in names]
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "my photo.png"])
        assert np.array_equal(np.asarray(Image.open(saved[2])), result(client, opened, version))
        (tmp_path / "my photo.png").unlink()
        assert error_of(client.post("first")) == "my photo.png can no longer be read."
    with served(folder=tmp_path / "missing") as client:
        opened = upload(client, photo)
        version = lines(client, opened)[-1]["version"]
        sentence = error_of(client.post(f"photos/{opened['id']}/versions/{version}/save"))
        assert sentence == f"The result cannot be saved in {tmp_path / 'missing'}: No such file or directory."


@pytest.mark.skipif(sys.platform != "linux", reason="names are characters here")
def test_names_that_are_no_characters(photo, tmp_path):
    """Of files from the time before UTF-8."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    first = folder / os.fsdecode(b"caf\xe9.png")
    first.write_bytes(photo.read_bytes())
    with served(first=first, folder=folder) as client:
        assert client.get("host.json").json()["firstPhoto"] == "caf_.png"
        opened = client.post("first").json()
        version = lines(client, opened)[-1]["version"]
        saved = client.post(f"photos/{opened['id']}/versions/{version}/save").json()["path"]
        assert saved == str(tmp_path / "caf?" / "caf_-completed.png") and (folder / "caf_-completed.png").is_file()
        first.unlink()
        assert error_of(client.post("first")) == "caf_.png can no longer be read."


def test_the_page_s_files(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "index.html").write_text("<p>page")
    (tmp_path / "parts" / "a.js").write_text("// code")
    with running(Starlette(routes=file_routes(tmp_path))) as page:
        answer = page.get("/")
        assert answer.text == "<p>page" and answer.headers["cache-control"] == "no-cache"
        code = page.get("parts/a.js")
        assert code.headers["content-type"].startswith("text/javascript")
        kept = page.get("parts/a.js", headers={"If-None-Match": code.headers["etag"]})
        assert kept.status_code == 304 and not kept.content
        assert page.get("other").status_code == 404
        assert page.post("/").status_code == 405


def test_the_page_is_there(client):
    """With all that it names."""
    page = client.get("/").text
    names = re.findall(r'(?:src|href)="(?!https?:|data:|#)([^"]+)"', page)
    assert names and all(client.get(name).status_code == 200 for name in names)


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx.Client]:
    with served(middleware=guard.MIDDLEWARE) as client:
        yield client


class TestOnOnesOwnMachine:
    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.2:8460", ""])
    def test_other_names_of_the_machine_are_refused(self, guarded, host):
        assert guarded.get("host.json", headers={"Host": host}).status_code == 400

    @pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "http://localhost", "null"])
    def test_other_pages_cannot_send_anything(self, guarded, photo, origin):
        answer = guarded.post("photos?name=a.png", content=photo.read_bytes(), headers={"Origin": origin})
        assert answer.status_code == 403 and "another page" in error_of(answer)

    def test_the_page_itself_can(self, guarded, photo):
        for name in ("127.0.0.1", "localhost"):
            own = f"{name}:{guarded.base_url.port}"
            headers = {"Origin": f"http://{own}", "Host": own}
            assert guarded.post("photos?name=a.png", content=photo.read_bytes(), headers=headers).status_code == 200

    def test_no_page_can_show_it_inside_of_itself(self, guarded):
        answer = guarded.get("host.json")
        assert answer.headers["X-Frame-Options"] == "DENY" and "access-control-allow-origin" not in answer.headers


def test_the_work_stops_when_the_client_goes_away(photo):
    fill = Slow()
    with served(fill) as client:
        opened = upload(client, photo)
        path = f"photos/{opened['id']}/versions"
        with client.stream("POST", path, params=BOX, content=WHITE) as answer:
            said = (json.loads(line) for line in answer.iter_lines())
            assert next(one for one in said if one.get("share"))["share"] == 0.1
            assert not fill.stopped.is_set()
        assert fill.stopped.wait(10), "it works for nobody"


def test_the_line_is_never_silent(photo):
    def fill(*arguments):
        time.sleep(3.5)
        return in_one_colour(*arguments)

    with served(fill) as client:
        opened, times = upload(client, photo), []
        with client.stream("POST", f"photos/{opened['id']}/versions", params=BOX, content=WHITE) as answer:
            for line in answer.iter_lines():
                said = json.loads(line)
                times.append(time.monotonic())
        assert "version" in said and max(np.diff(times)) < 2


def test_who_waits_and_leaves_is_not_waited_for(photo):
    fill = Slow()
    with served(fill) as client, ThreadPoolExecutor(1) as others:
        opened = upload(client, photo)
        path = f"photos/{opened['id']}/versions"
        with client.stream("POST", path, params=BOX, content=WHITE) as first:
            assert fill.begun.wait(SECONDS)

            def wait_and_leave() -> int:
                whole = f"{client.base_url}{path}"
                with httpx.stream("POST", whole, params=BOX, content=WHITE, timeout=SECONDS) as answer:
                    said = (json.loads(line) for line in answer.iter_lines())
                    return next(one["waiting"] for one in said if "waiting" in one)

            assert others.submit(wait_and_leave).result() == 1
            deadline = time.monotonic() + SECONDS
            while others.submit(wait_and_leave).result() != 1:  # until the first of them has left the queue
                assert time.monotonic() < deadline
            first.close()
        assert fill.stopped.wait(10)


def test_too_many_people(photo):
    fill = Slow()
    with served(fill, Turns(most_waiting=0)) as client:
        opened = upload(client, photo)
        path = f"photos/{opened['id']}/versions"
        with client.stream("POST", path, params=BOX, content=WHITE):
            assert fill.begun.wait(SECONDS)
            assert lines(client, opened)[-1] == {"error": "Too many people are waiting: try again in a minute."}


def test_many_at_once_get_their_own_answers(model_folder, bool_mask, tmp_path):
    completer = load_completer(Settings(model=str(model_folder), device="cpu"))

    def fill(model, picture, mask, options, progress):
        time.sleep(0.1)  # long enough for a queue
        return fill_holes(completer, picture, mask, options, progress)

    pipeline = GLCICPipeline.from_pretrained(model_folder)
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (*bool_mask.shape, 3), np.uint8) for _ in range(PEOPLE)]

    def visit(number: int) -> tuple[list[dict], np.ndarray]:
        path = tmp_path / f"{number}.png"
        Image.fromarray(photos[number]).save(path)
        with httpx.Client(base_url=address, timeout=SECONDS) as visitor:
            opened = upload(visitor, path)
            said = lines(visitor, opened, grow=2)
            return said, result(visitor, opened, said[-1])

    with served(fill) as client, ThreadPoolExecutor(PEOPLE) as people:
        address = client.base_url
        answers = list(people.map(visit, range(PEOPLE)))
    grown = ndimage.binary_dilation(bool_mask, iterations=2)
    waiting = []
    for number, (said, after) in enumerate(answers):
        expected = np.asarray(pipeline(Image.fromarray(photos[number]), bool_mask, grow=2).images[0])
        assert np.array_equal(after, expected) and (after[grown] != photos[number][grown]).any()
        places = [line["waiting"] for line in said if "waiting" in line]
        assert places == sorted(places, reverse=True)
        waiting.append(places[0] if places else 0)
    assert max(waiting) > PEOPLE / 2 and len(set(waiting)) > PEOPLE / 4
