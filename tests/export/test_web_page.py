"""The static page as a person uses it, in Chromium: open, paint, complete, undo, download, offline."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from glcic_hub import Completer, FillOptions, fill
from glcic_hub.filling.grids import dilated
from tests.conftest import SECONDS_FOR_THE_PAGE
from tests.export.conftest import completer, with_doubted

SCREENSHOTS = Path(__file__).parents[2] / "outputs" / "web-screenshots"
SECOND = 1000
DESKTOP, PHONE = (
    pytest.param(("desktop", {"viewport": {"width": 1280, "height": 900}}), id="desktop"),
    pytest.param(
        ("phone", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}), id="phone"
    ),
)
NOTE_WHAT_IS_SAID = """() => {
  const status = document.getElementById("status");
  const note = () => window.said.push([status.textContent, document.getElementById("texture").disabled]);
  window.said = [];
  new MutationObserver(note).observe(status, { childList: true });
}"""
ZIGZAG = [(0.4, 0.45), (0.5, 0.5), (0.45, 0.55)]  # shares of the photo's width and height

# The mask that a stroke is: drawn by the browser as a line of the photo's size, opaque by at least half.
RASTERISE = """([width, height, radius, points]) => {
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d");
  pen.lineWidth = 2 * radius;
  pen.lineCap = pen.lineJoin = "round";
  points.forEach(([x, y], index) => index ? pen.lineTo(x, y) : pen.moveTo(x, y));
  pen.stroke();
  const { data } = pen.getImageData(0, 0, width, height);
  return [...Array(width * height).keys()].filter((pixel) => data[4 * pixel + 3] >= 128);
}"""


@pytest.fixture(params=[DESKTOP])
def page(request, browser, site):
    name, options = request.param
    context = browser.new_context(**options)
    context.set_default_timeout(SECONDS_FOR_THE_PAGE * SECOND)
    page = context.new_page()
    asked, problems = [], []
    page.on("request", lambda each: asked.append(each.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(site)
    yield page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{request.function.__name__}-{name}.png", full_page=True)
    context.close()
    assert [url for url in asked if not url.startswith((site, "blob:", "data:"))] == [], "nothing from other hosts"
    assert problems == []


@pytest.fixture(scope="module")
def photo_file(photo, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "coffee.png"
    Image.fromarray(photo).save(path)
    return path


def open_photo(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)
    expect(page.locator("#status")).to_contain_text("pixels")


def stroke(page: Page, shares: list[tuple[float, float]], tool: str = "paint") -> list[tuple[float, float]]:
    """Draw a line, with a finger where there is touch; returns its points in shares of the photo, as they were hit."""
    page.check(f"[name=tool][value={tool}]")
    page.locator("#canvas").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    places = [(round(box["x"] + x * box["width"]), round(box["y"] + y * box["height"])) for x, y in shares]
    if page.evaluate("navigator.maxTouchPoints"):
        touch = page.context.new_cdp_session(page)
        for index, (x, y) in enumerate(places):
            kind = "touchMove" if index else "touchStart"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    else:
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()
        page.mouse.move(0, 0)
    return [((x - box["x"]) / box["width"], (y - box["y"]) / box["height"]) for x, y in places]


def mask_of(page: Page, shares: list[tuple[float, float]], size: tuple[int, int]) -> np.ndarray:
    """What a stroke through these points asks for: bool (H, W)."""
    width, height = size
    radius = float(page.input_value("#size")) * max(size) / 1000
    points = [[x * width, y * height] for x, y in shares]
    mask = np.zeros(width * height, bool)
    mask[page.evaluate(RASTERISE, [width, height, radius, points])] = True
    return dilated(mask.reshape(height, width), int(page.input_value("#grow")))


def soft_fill(graph: bytes, model, photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photo completed by the network alone, with the mask that Python's way shows it."""
    return np.where(mask[..., None], completer(graph)(photo, with_doubted(photo, mask, model)), photo)


def complete(page: Page) -> None:
    page.click("#complete")
    expect(page.locator("#status, #error").filter(has_text="Completed in")).to_be_visible()


def download(page: Page, name: str = "coffee-completed.png") -> np.ndarray:
    with page.expect_download() as downloading:
        page.click("#download")
    assert downloading.value.suggested_filename == name
    image = Image.open(downloading.value.path())
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def shown(page: Page) -> np.ndarray:
    """What the canvas shows, in its own pixels."""
    data = page.evaluate("document.getElementById('canvas').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGB"))


@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True)
def test_a_painted_photo_is_completed(page, graph, embedded, photo, photo_file):
    open_photo(page, photo_file)
    page.uncheck("#texture")
    mask = mask_of(page, stroke(page, ZIGZAG), photo.shape[1::-1])
    assert 0.005 < mask.mean() < 0.2
    complete(page)
    completed = download(page)
    assert np.array_equal(completed[~mask], photo[~mask]), "known pixels, bit for bit"
    assert (completed != photo).any(axis=2)[mask].mean() > 0.9
    difference = np.abs(completed.astype(int) - soft_fill(graph, embedded, photo, mask))
    assert difference.max() <= 2, "the same as in Python"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "no scrolling sideways"
    assert np.array_equal(shown(page), completed), "the result is on the page, without paint"


def test_the_fill_gets_the_texture_of_the_photo(page, graph, embedded, photo, photo_file):
    open_photo(page, photo_file)
    assert page.is_checked("#texture")
    mask = mask_of(page, stroke(page, ZIGZAG), photo.shape[1::-1])
    page.evaluate(NOTE_WHAT_IS_SAID)  # it may be over before anybody looks
    complete(page)
    assert ["Adding the photo's texture …", True] in page.evaluate("said"), "meanwhile the choice cannot be changed"
    completed, soft = download(page), soft_fill(graph, embedded, photo, mask)
    assert np.array_equal(completed[~mask], photo[~mask]), "known pixels, bit for bit"
    assert np.abs(completed.astype(int) - soft)[mask].mean() > 2
    assert np.abs(completed.astype(int) - soft)[mask].mean() < 25, "it goes where the network says"
    page.click("#undo")
    complete(page)
    assert np.array_equal(download(page), completed), "the same again"


def test_the_mask_grows_as_people_say(page, photo, photo_file):
    app = (Path(__file__).parents[2] / "spaces_app" / "app.py").read_text()
    assert page.input_value("#grow") == re.search(r"^GROWN = (\d+)", app, re.M)[1], "as in the Space"
    changed = []
    for grow in ("0", "9"):
        open_photo(page, photo_file)
        page.fill("#grow", grow)
        expect(page.locator("#grown")).to_have_text(f"{grow} px")
        mask = mask_of(page, stroke(page, ZIGZAG), photo.shape[1::-1])
        complete(page)
        changed.append((download(page) != photo).any(axis=2))
        assert not changed[-1][~mask].any() and changed[-1][mask].mean() > 0.9
    assert changed[1].sum() > 1.2 * changed[0].sum()


def test_what_is_painted_over_has_no_influence(page, photo, tmp_path):
    results = []
    mask = None
    for seed in (0, 1):
        changed = photo.copy()
        if mask is not None:
            changed[mask] = np.random.default_rng(seed).integers(0, 256, changed[mask].shape)
        Image.fromarray(changed).save(tmp_path / "coffee.png")
        open_photo(page, tmp_path / "coffee.png")
        mask = mask_of(page, stroke(page, ZIGZAG), photo.shape[1::-1])
        complete(page)
        results.append(download(page))
    assert np.array_equal(*results)


def test_a_model_may_want_no_texture(page, graph, embedded, photo, photo_file):
    model = onnx.load_from_string(graph)
    next(pair for pair in model.metadata_props if pair.key == "texture").value = "none"
    page.route("**/model.onnx", lambda route: route.fulfill(body=model.SerializeToString()))
    open_photo(page, photo_file)
    mask = mask_of(page, stroke(page, ZIGZAG), photo.shape[1::-1])
    complete(page)
    assert not page.is_checked("#texture")
    soft = download(page)
    assert np.abs(soft.astype(int) - soft_fill(graph, embedded, photo, mask)).max() <= 2
    page.click("#undo")
    page.check("#texture")
    complete(page)
    assert page.is_checked("#texture") and (download(page) != soft)[mask].any()


def test_without_its_texture_a_photo_can_still_be_completed(page, photo, photo_file):
    fails = "export function addTexture() { throw new Error('out of memory'); }"
    page.route("**/filling/texture.js", lambda route: route.fulfill(body=fails, content_type="text/javascript"))
    open_photo(page, photo_file)
    mask = mask_of(page, stroke(page, ZIGZAG), photo.shape[1::-1])
    page.click("#complete")
    expect(page.locator("#error")).to_contain_text("The photo's texture could not be added")
    assert np.array_equal(download(page), photo)
    page.uncheck("#texture")
    complete(page)
    assert (download(page) != photo).any(axis=2)[mask].mean() > 0.9


def test_everything_can_be_undone(page, photo, photo_file):
    open_photo(page, photo_file)
    assert np.array_equal(shown(page), photo)
    assert page.is_disabled("#undo") and page.is_disabled("#clear")
    stroke(page, ZIGZAG)
    one = shown(page)
    stroke(page, [(0.2, 0.2), (0.2, 0.3)])
    two = shown(page)
    assert (one != photo).any()
    assert (two != one).any()
    page.keyboard.press("Control+z")
    assert np.array_equal(shown(page), one)
    stroke(page, ZIGZAG, "erase")
    assert np.abs(shown(page).astype(int) - photo).max() < 50, "at most a faint trace on the stroke's edge"
    assert np.abs(one.astype(int) - photo).max() > 100
    page.click("#undo")
    page.click("#clear")
    assert np.array_equal(shown(page), photo)
    page.click("#undo")
    assert np.array_equal(shown(page), one)
    complete(page)
    first = download(page)
    page.click("#compare")
    assert np.array_equal(shown(page), photo)
    page.click("#compare")
    assert np.array_equal(shown(page), first)
    page.click("#undo")
    assert np.array_equal(download(page), photo) and np.array_equal(shown(page), one)
    page.click("#undo")
    assert np.array_equal(shown(page), photo) and page.is_disabled("#undo")


def test_going_on_after_a_result(page, photo, photo_file):
    open_photo(page, photo_file)
    first = mask_of(page, stroke(page, ZIGZAG), photo.shape[1::-1])
    complete(page)
    once = download(page)
    second = mask_of(page, stroke(page, [(0.8, 0.8), (0.85, 0.8)]), photo.shape[1::-1])
    complete(page)
    twice = download(page)
    assert np.array_equal(twice[~second], once[~second]) and (twice != once)[second].any()
    assert (twice != photo)[first & ~second].any()


def test_a_large_photo_keeps_its_pixels(page, photo, tmp_path):
    large = np.tile(photo, (7, 8, 1))  # 3.4 megapixels
    Image.fromarray(large).save(tmp_path / "large.png", compress_level=1)
    open_photo(page, tmp_path / "large.png")
    assert max(shown(page).shape) < 1500, "the canvas is bounded"
    mask = mask_of(page, stroke(page, ZIGZAG), large.shape[1::-1])
    complete(page)
    completed = download(page, "large-completed.png")
    assert np.array_equal(completed[~mask], large[~mask]) and (completed != large).any(axis=2)[mask].mean() > 0.9


def test_a_photo_can_be_dropped(page, photo, photo_file):
    transfer = page.evaluate_handle(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "coffee.png", { type: "image/png" })); return data; }""",
        list(photo_file.read_bytes()),
    )
    for kind in ("dragover", "drop"):
        left_to_browser = page.evaluate(
            "([kind, dataTransfer]) => document.getElementById('drop').dispatchEvent("
            "new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }))",
            [kind, transfer],
        )
        assert not left_to_browser, "it would leave the page and show the file"
    expect(page.locator("#status")).to_contain_text("301 × 199 pixels")
    assert np.array_equal(shown(page), photo)


def test_a_turned_photo_is_upright(page, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise
    Image.fromarray(photo).save(tmp_path / "turned.jpg", exif=exif)
    open_photo(page, tmp_path / "turned.jpg")
    expect(page.locator("#status")).to_contain_text("199 × 301 pixels")
    difference = shown(page).astype(int) - np.rot90(photo, -1)
    assert np.abs(difference).mean() < 6


def test_transparency_is_put_on_white(page, photo, tmp_path):
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:50] = 0
    Image.fromarray(np.dstack([photo, alpha])).save(tmp_path / "cutout.png")
    open_photo(page, tmp_path / "cutout.png")
    expect(page.locator("#status")).to_contain_text("transparency is not kept")
    assert (shown(page)[:50] == 255).all() and np.array_equal(shown(page)[50:], photo[50:])


def test_what_is_transparent_is_neither_source_nor_changed(page, embedded, photo, tmp_path):
    height, width = photo.shape[:2]
    hidden = np.zeros((height, width), bool)
    hidden[: round(0.45 * height)] = True  # half of what is painted
    Image.fromarray(np.dstack([photo, np.where(hidden, 0, 255).astype(np.uint8)])).save(tmp_path / "coffee.png")
    open_photo(page, tmp_path / "coffee.png")
    page.uncheck("#texture")
    stroke(page, [(0.1, 0.1), (0.2, 0.1)])
    page.click("#complete")
    expect(page.locator("#error")).to_contain_text("Paint over what should go first.")
    page.click("#clear")
    mask = mask_of(page, stroke(page, [(0.4, 0.45), (0.6, 0.45)]), (width, height))
    assert (mask & hidden).any() and (mask & ~hidden).any()
    complete(page)
    completed = download(page).astype(int)
    assert (completed[hidden] == 255).all()
    assert np.array_equal(completed[~(mask | hidden)], photo[~(mask | hidden)])
    options = FillOptions(texture=None)
    ours = fill(Completer(embedded), photo, mask, options, hidden=hidden).values * 255
    white = fill(Completer(embedded), np.where(hidden[..., None], np.uint8(255), photo), mask, options).values * 255
    seen = mask & ~hidden
    assert np.abs(completed - ours)[seen].mean() < 0.6 * np.abs(completed - white)[seen].mean()


def test_a_plain_picture_stays_plain(page, tmp_path):
    paper = np.full((200, 300, 3), (250, 246, 236), np.uint8)
    paper[80:110, 120:180] = 20, 30, 60
    Image.fromarray(paper).save(tmp_path / "coffee.png")
    open_photo(page, tmp_path / "coffee.png")
    stroke(page, [(0.35, 0.4), (0.65, 0.4), (0.65, 0.55), (0.35, 0.55), (0.35, 0.48), (0.65, 0.48)])
    complete(page)
    completed = download(page)
    assert (completed == (250, 246, 236)).all()


def test_mistakes_get_a_message(page, photo_file, tmp_path):
    error = page.locator("#error")
    (tmp_path / "text.png").write_text("no picture")
    page.set_input_files("#file", tmp_path / "text.png")
    expect(error).to_contain_text("“text.png” cannot be read as a picture")
    assert page.is_hidden("#tools")
    Image.new("L", (8000, 5000)).save(tmp_path / "huge.png")
    page.set_input_files("#file", tmp_path / "huge.png")
    expect(error).to_contain_text("“huge.png” is too large (8000 × 5000, 40 megapixels): the most is 32")
    open_photo(page, photo_file)
    expect(error).to_be_empty()
    page.click("#complete")
    expect(error).to_contain_text("Paint over what should go first.")
    page.fill("#size", "100")
    stroke(page, [(x, y) for y in np.arange(0.1, 1, 0.2) for x in (0.05, 0.95)])
    page.click("#complete")
    expect(error).to_contain_text("leave something to complete it from")


def test_a_missing_model_is_explained_and_found_later(page, photo_file):
    page.route("**/model.onnx", lambda route: route.fulfill(status=404))
    open_photo(page, photo_file)
    stroke(page, ZIGZAG)
    page.click("#complete")
    expect(page.locator("#error")).to_contain_text("glcic export onnx -o model.onnx")
    page.unroute("**/model.onnx")
    complete(page)
    expect(page.locator("#error")).to_be_empty()


def test_a_damaged_model_is_explained(page, photo_file):
    page.route("**/model.onnx", lambda route: route.fulfill(body="no model"))
    open_photo(page, photo_file)
    stroke(page, ZIGZAG)
    page.click("#complete")
    expect(page.locator("#error")).to_contain_text("The model could not be started")


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_everything_has_a_name_for_screen_readers(page, photo_file):
    open_photo(page, photo_file)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, canvas, progress')].filter(e =>
        !(e.innerText || e.ariaLabel || e.title || e.labels?.length)).map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert page.get_attribute("#status", "role") == "status" and page.get_attribute("#error", "role") == "alert"
    small = page.evaluate(
        "[...document.querySelectorAll('#tools button, #tools label')].filter(e => e.offsetHeight < 44).length"
    )
    assert small == 0, "fingers hit them"
