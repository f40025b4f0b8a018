"""The Space called by programs: right answers, sentences for errors, many callers at once."""

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from glcic_hub import GLCICPipeline
from glcic_hub.filling.options import FillOptions
from tests.served import assert_completed_alike

CALLERS = 20
SECONDS = 120


@pytest.fixture(scope="module")
def client(space, tmp_path_factory):
    return Client(space, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module")
def expected(photo, bool_mask, model_folder) -> np.ndarray:
    return np.asarray(GLCICPipeline.from_pretrained(model_folder)(Image.open(photo), bool_mask).images[0])


def test_one_photo(client, photo, mask, bool_mask, expected):
    path = client.predict(image=handle_file(photo), mask=handle_file(mask), api_name="/inpaint")
    assert path.endswith(".png")
    assert_completed_alike(Image.open(path), expected, bool_mask, unlike=Image.open(photo))


def test_detail_from_the_photo(client, photo, mask, bool_mask, expected, model_folder):
    path = client.predict(image=handle_file(photo), mask=handle_file(mask), texture="photo", api_name="/inpaint")
    pipe = GLCICPipeline.from_pretrained(model_folder)
    detailed = pipe(Image.open(photo), bool_mask, texture="photo").images[0]
    assert_completed_alike(Image.open(path), detailed, bool_mask, unlike=expected)


def test_several_photos(client, photo, mask, bool_mask, expected):
    files = [handle_file(photo)] * 2
    paths = client.predict(photos=files, mask_files=[handle_file(mask)], api_name="/inpaint_batch")
    assert len(paths) == 2
    for path in paths:
        assert_completed_alike(Image.open(path), expected, bool_mask, unlike=Image.open(photo))


def test_errors_are_sentences(client, photo, mask, tmp_path):
    Image.new("L", (9, 9), 255).save(tmp_path / "small.png")
    with pytest.raises(AppError, match="This mask is 9 x 9 pixels, the photo 301 x 199"):
        client.predict(image=handle_file(photo), mask=handle_file(tmp_path / "small.png"), api_name="/inpaint")
    Image.new("1", (301, 199)).save(tmp_path / "black.png")
    with pytest.raises(AppError, match="Nothing in this mask is white"):
        client.predict(image=handle_file(photo), mask=handle_file(tmp_path / "black.png"), api_name="/inpaint")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(AppError, match="not a readable image"):
        client.predict(image=handle_file(tmp_path / "text.png"), mask=handle_file(mask), api_name="/inpaint")
    with pytest.raises(AppError, match="grow must be a whole number of pixels from 0 to 256; got -1"):
        client.predict(image=handle_file(photo), mask=handle_file(mask), grow=-1, api_name="/inpaint")
    with pytest.raises(AppError, match="Give an image and a mask"):
        client.predict(image=handle_file(photo), mask=None, api_name="/inpaint")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(AppError, match="This file is not a readable image"):
        client.predict(image=handle_file(tmp_path / "text.png"), mask=handle_file(mask), api_name="/inpaint")
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    with pytest.raises(AppError, match="100 megapixels"):
        client.predict(image=handle_file(tmp_path / "huge.png"), mask=handle_file(mask), api_name="/inpaint")


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_known_pixels_are_the_photo_s_whatever_its_mode(client, photo, mask, bool_mask, tmp_path, mode):
    """A grey JPEG and a picture with transparency come to the network as they are, not rewritten on the way."""
    given = Image.open(photo).convert(mode)
    if mode == "RGBA":
        given.putalpha(Image.fromarray(np.tile(np.arange(301) % 256, (199, 1)).astype(np.uint8)))
    path = tmp_path / ("photo.jpg" if mode == "L" else "photo.png")
    given.save(path)
    upload = np.asarray(Image.open(path))
    completed = Image.open(client.predict(image=handle_file(path), mask=handle_file(mask), api_name="/inpaint"))
    assert completed.mode == mode
    assert np.array_equal(np.asarray(completed)[~bool_mask], upload[~bool_mask])


def test_a_mask_counts_as_black_where_it_is_transparent(client, photo, bool_mask, expected, tmp_path):
    white = Image.new("RGBA", (301, 199), "white")
    white.putalpha(Image.fromarray(bool_mask.astype(np.uint8) * 255))
    white.save(tmp_path / "mask.png")
    path = client.predict(image=handle_file(photo), mask=handle_file(tmp_path / "mask.png"), api_name="/inpaint")
    assert_completed_alike(Image.open(path), expected, bool_mask, unlike=Image.open(photo))


def test_only_the_documented_endpoints_are_public(client):
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/inpaint", "/inpaint_batch"}


def test_many_at_once_get_their_own_answers(client, mask, bool_mask, model_folder, tmp_path):
    pipeline = GLCICPipeline.from_pretrained(model_folder)
    rng = np.random.default_rng(0)
    photos = [Image.fromarray(rng.integers(0, 256, (*bool_mask.shape, 3), np.uint8)) for _ in range(CALLERS)]
    paths = [tmp_path / f"{index}.png" for index in range(CALLERS)]
    for image, path in zip(photos, paths):
        image.save(path)

    def call(path):
        return client.predict(image=handle_file(path), mask=handle_file(mask), api_name="/inpaint")

    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(call, paths))
    expected = [pipeline(image, bool_mask).images[0] for image in photos]
    for number, answer in enumerate(answers):
        assert_completed_alike(Image.open(answer), expected[number], bool_mask, unlike=expected[number - 1])


def test_files_of_the_server_are_nobody_s_business(client, space, photo, mask):
    """What was not uploaded is not read."""
    given = [{"path": str(path), "meta": {"_type": "gradio.FileData"}} for path in (photo, mask)]
    options = [option.default for option in fields(FillOptions)]
    begun = httpx.post(f"{space}gradio_api/call/inpaint", json={"data": [*given, None, *options]}, timeout=SECONDS)
    event = begun.json()["event_id"]
    said = httpx.get(f"{space}gradio_api/call/inpaint/{event}", timeout=SECONDS).text
    assert "event: error" in said and "it was not uploaded" in said


def test_how_programs_use_it_is_linked_from_the_page(space):
    (about,) = httpx.get(f"{space}host.json").json()["about"]
    text = httpx.get(f"{space}{about['url']}").text
    assert f'Client("{space}")' in text and "/inpaint_batch" in text
    assert all(f"<code>{option.name}=" in text for option in fields(FillOptions))


def test_the_page_is_served_beside_the_api(space, photo, bool_mask, expected):
    """With its queue, and photos of 40 megapixels at most."""
    assert httpx.get(space).headers["content-type"].startswith("text/html")
    assert httpx.get(f"{space}host.json").json()["maxPixels"] == 40_000_000
    with httpx.Client(base_url=space, timeout=SECONDS) as page:
        opened = page.post("photos?name=a.png", content=photo.read_bytes()).json()
        paint = io.BytesIO()
        Image.fromarray(bool_mask[60:90, 120:170]).save(paint, "PNG")
        box = {"left": 120, "top": 60, "width": 50, "height": 30, "grow": 0}
        said = page.post(f"photos/{opened['id']}/versions", params=box, content=paint.getvalue()).text.splitlines()
        version = json.loads(said[-1])["version"]
        file = page.get(f"photos/{opened['id']}/versions/{version}/file?format=png").content
    assert_completed_alike(Image.open(io.BytesIO(file)), expected, bool_mask, unlike=Image.open(photo))


def test_work_for_nobody_stops_here_too(space, photo, tmp_path):
    """Gradio's layers around the page let it notice."""
    large = tmp_path / "large.png"
    Image.open(photo).resize((1600, 1600)).save(large)
    paint = io.BytesIO()
    Image.new("1", (1500, 1500), 1).save(paint, "PNG")
    box = {"left": 50, "top": 50, "width": 1500, "height": 1500, "texture": "photo"}
    with httpx.Client(base_url=space, timeout=SECONDS) as page:
        opened = page.post("photos?name=a.png", content=large.read_bytes()).json()
        path = f"photos/{opened['id']}/versions"
        with page.stream("POST", path, params=box, content=paint.getvalue()) as answer:
            lines = answer.iter_lines()
            assert next(line for line in lines if "share" in json.loads(line))
        begun = time.monotonic()
        small = {"left": 50, "top": 50, "width": 15, "height": 15, "texture": "none"}
        paint = io.BytesIO()
        Image.new("1", (15, 15), 1).save(paint, "PNG")
        said = page.post(path, params=small, content=paint.getvalue()).text.splitlines()
    assert "version" in json.loads(said[-1])
    assert time.monotonic() - begun < 30, "it had to wait for the work of who has left"
