"""The Space as a person uses it, in Chromium: open, paint, complete, compare, download."""

import io
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from scipy import ndimage

from glcic_hub import GLCICPipeline
from tests.conftest import SECONDS_FOR_THE_PAGE
from tests.space.conftest import assert_completed_alike

SCREENSHOTS = Path(__file__).parents[2] / "outputs" / "space-screenshots"
GROWN = 4  # the page's own choice for "Grow the mask"
SECOND = 1000
LEAST_STROKE = 300
"""Pixels on the screen: every stroke and mask here is larger; what marks the place of the brush is smaller."""
CANVAS_ALONE = "#editor :not(canvas, :has(canvas)) {visibility: hidden !important}"


DESKTOP, PHONE = (
    pytest.param(("desktop", 1280, "light"), id="desktop"),
    pytest.param(("phone", 390, "dark"), id="phone"),
)


@pytest.fixture(params=[DESKTOP, PHONE])
def page(request, browser, space):
    name, width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(SECONDS_FOR_THE_PAGE * SECOND)
    page = context.new_page()
    page.goto(space, wait_until="domcontentloaded")
    page.wait_for_selector("#photo input[type=file]", state="attached")
    yield page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{request.function.__name__}-{name}.png", full_page=True)
    context.close()


def open_photo(page: Page, path: Path) -> None:
    page.set_input_files("#photo input[type=file]", path)
    wait_for_the_editor(page)


def wait_for_the_editor(page: Page) -> None:
    """Until the photo is laid out: before, the editor shows it at 100 %, which is the right zoom of no photo here."""
    page.wait_for_selector("#editor canvas")
    expect(page.locator("#editor")).to_contain_text(re.compile(r"\b(?!100)\d+%"))
    wait_until_it_shows(page, lambda seen: True)


def canvas(page: Page) -> np.ndarray:
    """What the editor shows now without the buttons on it, RGB of the screen's pixels."""
    shown = page.locator("#editor canvas").first.screenshot(style=CANVAS_ALONE)
    return np.asarray(Image.open(io.BytesIO(shown)).convert("RGB"))


def wait_until_it_shows(page: Page, what: Callable[[np.ndarray], bool]) -> None:
    """Until the editor's canvas is as `what` wants it, and two looks see the same."""
    deadline = time.monotonic() + SECONDS_FOR_THE_PAGE
    before = canvas(page)
    while True:
        page.wait_for_timeout(0.1 * SECOND)
        now = canvas(page)
        if what(now) and np.array_equal(now, before):
            return
        assert time.monotonic() < deadline, f"{(now != before).sum()} of {now.size} values change"
        before = now


@contextmanager
def painting(page: Page) -> Iterator[None]:
    """What is done here must change what is painted, and is waited for."""
    before = canvas(page)
    yield
    wait_until_it_shows(page, lambda seen: (seen != before).any(axis=2).sum() > LEAST_STROKE)


def add_mask(page: Page, path: Path) -> None:
    page.click("#options button")
    with painting(page):
        page.set_input_files("#mask input[type=file]", path)


def stroke(page: Page, tool: str, *points: tuple[float, float]) -> None:
    """One stroke through points that are given as shares of the editor's canvas, (0.5, 0.5) being its middle."""
    page.click(f"#editor button[aria-label='{tool}']")
    with painting(page):
        box = page.locator("#editor canvas").first.bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=5)
        page.mouse.up()


def complete(page: Page) -> None:
    page.click("#go")
    expect(page.locator("#status")).to_contain_text("Completed in")


def download(page: Page) -> np.ndarray:
    with page.expect_download() as downloading:
        page.click("#download")
    assert downloading.value.suggested_filename.endswith(".png")
    return np.asarray(Image.open(downloading.value.path()))


def used_mask(page: Page) -> np.ndarray:
    """What was filled in the last run: the mask that the page gives back, grown as it was."""
    page.click("#reuse")
    image = page.locator("#mask img").first
    page.click("#options button")
    image.wait_for(state="visible")
    mask = np.asarray(Image.open(io.BytesIO(page.request.get(image.get_attribute("src")).body())).convert("L")) > 127
    return ndimage.distance_transform_edt(~mask) <= GROWN


def test_a_painted_photo_is_completed(page, photo):
    open_photo(page, photo)
    stroke(page, "Brush", (0.45, 0.5), (0.55, 0.5), (0.55, 0.55))
    complete(page)
    expect(page.locator("#slider img")).to_have_count(2)
    before, after = np.asarray(Image.open(photo)), download(page)
    assert after.shape == before.shape
    used = used_mask(page)
    assert np.array_equal(after[~used], before[~used])
    assert (after != before).any(axis=2)[used].mean() > 0.9, "what was painted over has changed"
    # The stroke runs through the middle of the photo, 10 % of the canvas wide.
    rows, columns = np.nonzero(used)
    middle = np.array(used.shape) / 2
    assert abs(rows.mean() - middle[0]) < 40 and abs(columns.mean() - middle[1]) < 40
    assert 0.003 < used.mean() < 0.5
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "no scrolling sideways"


@pytest.mark.parametrize("page", [DESKTOP], indirect=True)
def test_texture_from_the_photo_is_a_click_away(page, photo, mask, bool_mask, model_folder):
    open_photo(page, photo)
    add_mask(page, mask)
    page.locator("#texture").get_by_label("photo").check()
    complete(page)
    grown = ndimage.distance_transform_edt(~bool_mask) <= GROWN
    pipe = GLCICPipeline.from_pretrained(model_folder)
    plain, detailed = (pipe(Image.open(photo), grown, texture=texture).images[0] for texture in (None, "photo"))
    assert_completed_alike(download(page), detailed, grown, unlike=plain)


def test_going_on_from_the_result_with_the_same_mask(page, photo, mask, bool_mask):
    open_photo(page, photo)
    unpainted = canvas(page)
    add_mask(page, mask)
    painted = canvas(page)
    complete(page)
    first = download(page)
    near = np.zeros_like(bool_mask)
    near[60 - GROWN : 90 + GROWN, 120 - GROWN : 170 + GROWN] = True
    before = np.asarray(Image.open(photo))
    assert np.array_equal(first[~near], before[~near])
    assert (first[bool_mask] != before[bool_mask]).mean() > 0.5

    page.click("#go-on")
    expect(page.locator("#status")).not_to_contain_text("Completed in")
    wait_until_it_shows(page, lambda seen: not any(np.array_equal(seen, other) for other in (unpainted, painted)))
    with painting(page):
        page.click("#reuse")
    complete(page)
    second = download(page)
    # What lay under a mask has no influence: the same mask, grown as before, gives the same result.
    assert np.array_equal(second, first)


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_mask_can_be_erased_and_painted_on(page, photo, mask, bool_mask):
    open_photo(page, photo)
    add_mask(page, mask)
    stroke(page, "Erase", (0.35, 0.38), (0.6, 0.38), (0.6, 0.42), (0.35, 0.42))
    stroke(page, "Brush", (0.5, 0.6), (0.6, 0.6))
    complete(page)
    changed = (download(page) != np.asarray(Image.open(photo))).any(axis=2)
    assert changed[bool_mask].mean() < 0.7
    assert changed[110:140, 140:200].mean() > 0.05


@pytest.mark.parametrize("page", [DESKTOP], indirect=True)
def test_a_large_photo_is_painted_on_its_preview(page, photo, tmp_path):
    before = Image.open(photo).resize((2107, 700))
    before.save(tmp_path / "large.jpg", quality=95)
    before = np.asarray(Image.open(tmp_path / "large.jpg"))
    open_photo(page, tmp_path / "large.jpg")
    stroke(page, "Brush", (0.5, 0.5), (0.55, 0.5))
    complete(page)
    after = download(page)
    assert after.shape == before.shape, "the result has the size of the photo"
    changed = (after != before).any(axis=2)
    rows, columns = np.nonzero(changed)
    patch = changed[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert 0.0005 < changed.mean() < 0.1 and patch.mean() > 0.3, "one patch, and nothing else"


def test_an_example_is_one_click_away(page):
    page.click("#example-rocket")
    wait_for_the_editor(page)
    zoom = float(re.search(r"(\d+)%", page.locator("#editor").inner_text())[1]) / 100

    def is_painted_in_its_place(seen: np.ndarray) -> bool:
        """As far right of the middle as the example's mask is."""
        red, green, blue = np.moveaxis(seen[:, seen.shape[1] // 2 :].astype(int), 2, 0)
        columns = np.nonzero((red - green > 40) & (blue - green > 20))[1]
        return len(columns) > 0 and abs(columns.mean() / zoom - 136) < 15

    wait_until_it_shows(page, is_painted_in_its_place)
    complete(page)
    example = np.asarray(Image.open(Path(__file__).parents[2] / "spaces_app/examples/rocket.jpg"))
    assert download(page).shape == example.shape


def test_mistakes_get_a_message(page, photo, tmp_path):
    def expect_message(words: str) -> None:
        expect(page.locator(".toast-body").filter(has_text=words)).to_be_visible()

    page.click("#go")
    expect_message("Open a photo first")
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    page.set_input_files("#photo input[type=file]", tmp_path / "huge.png")
    expect_message("100 megapixels")
    (tmp_path / "text.png").write_text("no picture")
    page.reload(wait_until="domcontentloaded")
    page.set_input_files("#photo input[type=file]", tmp_path / "text.png")
    expect_message("This file is not a readable image")
    expect(page.locator("#photo input[type=file]"), "ready for another one").to_have_count(1)


def test_everything_has_a_name_for_screen_readers(page, photo):
    open_photo(page, photo)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea')].filter(e => e.offsetParent &&
        !(e.innerText || e.ariaLabel || e.title || e.labels?.length || e.getAttribute('aria-labelledby')))
        .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
