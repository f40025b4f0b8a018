"""The Space as a person uses it, in Chromium: open, paint, complete, compare, download."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
SCREENSHOTS = Path(__file__).parents[2] / "outputs" / "space-screenshots"
GROWN = 4  # the page's own choice for "Grow the mask"
SECOND = 1000


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "there is no Chromium on the PATH: run `make browser` once, or install one"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield running
        running.close()


@pytest.fixture(params=[("desktop", 1280, "light"), ("phone", 390, "dark")], ids=lambda param: param[0])
def page(request, browser, space):
    name, width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(60 * SECOND)
    page = context.new_page()
    page.goto(space, wait_until="domcontentloaded")
    page.wait_for_selector("#photo input[type=file]", state="attached")
    yield page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{request.function.__name__}-{name}.png", full_page=True)
    context.close()


def open_photo(page: Page, path: Path) -> None:
    page.set_input_files("#photo input[type=file]", path)
    page.wait_for_selector("#editor canvas")
    page.wait_for_timeout(3 * SECOND)  # the editor lays itself out


def paint(page: Page, *points: tuple[float, float]) -> None:
    """One stroke through points that are given as shares of the editor's canvas, (0.5, 0.5) being its middle."""
    page.click("#editor button[aria-label='Brush']")
    box = page.locator("#editor canvas").first.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
    page.wait_for_timeout(1.5 * SECOND)


def complete(page: Page) -> None:
    page.click("#go")
    expect(page.locator("#status")).to_contain_text("Completed in", timeout=60 * SECOND)


def download(page: Page) -> np.ndarray:
    with page.expect_download() as downloading:
        page.click("#download")
    assert downloading.value.suggested_filename.endswith(".png")
    return np.asarray(Image.open(downloading.value.path()))


def used_mask(page: Page) -> np.ndarray:
    """The mask of the last run, grown as it was used, as the page gives it back."""
    page.click("#reuse")
    image = page.locator("#mask img").first
    page.click("#options button")
    image.wait_for(state="visible")
    return np.asarray(Image.open(io.BytesIO(page.request.get(image.get_attribute("src")).body())).convert("L")) > 127


def test_a_painted_photo_is_completed(page, photo):
    open_photo(page, photo)
    paint(page, (0.45, 0.5), (0.55, 0.5), (0.55, 0.55))
    complete(page)
    assert page.locator("#slider img").count() == 2
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


def test_going_on_from_the_result_with_the_same_mask(page, photo, mask, hole):
    open_photo(page, photo)
    page.click("#options button")
    page.set_input_files("#mask input[type=file]", mask)
    page.wait_for_timeout(2 * SECOND)
    complete(page)
    first = download(page)
    near = np.zeros_like(hole)
    near[60 - GROWN : 90 + GROWN, 120 - GROWN : 170 + GROWN] = True
    before = np.asarray(Image.open(photo))
    assert np.array_equal(first[~near], before[~near])
    assert (first[hole] != before[hole]).mean() > 0.5

    page.click("#go-on")
    expect(page.locator("#status")).not_to_contain_text("Completed in")
    page.click("#reuse")
    page.wait_for_timeout(3 * SECOND)
    complete(page)
    second = download(page)
    wider = np.zeros_like(hole)
    wider[60 - 2 * GROWN : 90 + 2 * GROWN, 120 - 2 * GROWN : 170 + 2 * GROWN] = True
    assert np.array_equal(second[~wider], first[~wider])
    assert not np.array_equal(second, first)


def test_an_example_is_one_click_away(page):
    page.click("#example-rocket")
    page.wait_for_selector("#editor canvas")
    complete(page)
    example = np.asarray(Image.open(Path(__file__).parents[2] / "spaces_app/examples/rocket.jpg"))
    assert download(page).shape == example.shape


def test_mistakes_get_a_message(page, photo, tmp_path):
    def message() -> str:
        return page.locator(".toast-body, .toast-text").last.inner_text(timeout=30 * SECOND)

    page.click("#go")
    assert "Open a photo first" in message()
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    page.set_input_files("#photo input[type=file]", tmp_path / "huge.png")
    expect(page.locator(".toast-body, .toast-text").last).to_contain_text("100 megapixels", timeout=60 * SECOND)


def test_everything_has_a_name_for_screen_readers(page, photo):
    open_photo(page, photo)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea')].filter(e => e.offsetParent &&
        !(e.innerText || e.ariaLabel || e.title || e.labels?.length || e.getAttribute('aria-labelledby')))
        .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
