"""The page as visitors use it, in Chromium: with a mouse on a wide window, with fingers on a narrow one."""

import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import expect
from scipy import ndimage

from tests.ui.hands import DESKTOP, PHONE, SECOND, ZIGZAG, Visitor

GROWN = 4
NAMELESS = """() => [...document.querySelectorAll("button, input:not([hidden]), select, canvas[tabindex]")]
  .filter((each) => !(each.textContent || each.ariaLabel || each.querySelector("img[alt]") ||
    [...(each.labels ?? [])].some((label) => label.innerText.trim()))) // a label that is not shown is no name
  .map((each) => each.outerHTML.slice(0, 100))"""
SMALL = """() => [...document.querySelectorAll("button, select, input:not([type=checkbox])")]
.filter((each) => {
  const { width, height } = each.getBoundingClientRect();
  return width && (width < 44 || height < 44);
}).map((each) => each.id)"""
STICKING_OUT = """() => [...document.querySelectorAll("button, input, progress, #status")].filter((each) => {
  const { left, right, bottom, height } = each.getBoundingClientRect();
  return left < 0 || right > innerWidth || bottom > innerHeight || (each.id === "status" && height > 60);
}).map((each) => each.id)"""
NOTE_WHAT_IS_SHOWN = """() => {
  window.said = [];
  window.shares = [];
  const [status, progress] = ["status", "progress"].map((id) => document.getElementById(id));
  new MutationObserver(() => window.said.push(status.textContent)).observe(status, { childList: true });
  new MutationObserver(() => window.shares.push(progress.position)).observe(progress, { attributes: true });
}"""


both = pytest.mark.parametrize("visitor", [DESKTOP, PHONE], indirect=True)
phone = pytest.mark.parametrize("visitor", [PHONE], indirect=True)


def stroke_mask(visitor: Visitor, points, size) -> np.ndarray:
    """The pixels of a photo that a stroke covers by their middle, bool (H, W); points are in pixels of the page."""
    scale = visitor.scale(size[0])
    radius = float(visitor.page.input_value("#size")) / 2 / scale
    rows, columns = np.mgrid[: size[1], : size[0]] + 0.5
    places = np.array(points) / scale
    covered = np.zeros(rows.shape, bool)
    for start, end in zip(places, places[1:]):
        along = end - start
        share = ((columns - start[0]) * along[0] + (rows - start[1]) * along[1]) / (along @ along)
        x, y = (start[axis] + share.clip(0, 1) * along[axis] for axis in (0, 1))
        covered |= np.hypot(columns - x, rows - y) <= radius
    return covered


def within(mask: np.ndarray, pixels: float) -> np.ndarray:
    """A mask and what is so near to it."""
    return ndimage.distance_transform_edt(~mask) <= pixels


@both
def test_what_is_painted_is_removed_and_nothing_else_changes(visitor, photo):
    visitor.open(photo)
    window = visitor.page.viewport_size["width"]
    assert visitor.photo_box()[2] > 0.9 * window, "the photo is as wide as the window allows"
    before = np.asarray(Image.open(photo))
    mask = stroke_mask(visitor, visitor.stroke(*ZIGZAG), before.shape[1::-1])
    visitor.remove()
    name, image = visitor.download()
    after = np.asarray(image)
    assert (name, image.format) == ("coffee-completed.png", "PNG")
    assert np.array_equal(after[~within(mask, GROWN + 1)], before[~within(mask, GROWN + 1)]), "bit for bit"
    assert (after != before).any(axis=2)[within(mask, GROWN - 1)].mean() > 0.9
    assert not visitor.paint().any(), "the paint is used up"
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no scrolling sideways"


def test_a_result_in_the_photo_s_own_format(visitor, photo, tmp_path):
    Image.open(photo).save(tmp_path / "cup.jpg")
    visitor.open(tmp_path / "cup.jpg")
    visitor.stroke(*ZIGZAG)
    visitor.remove()
    name, image = visitor.download("download")
    assert (name, image.format) == ("cup-completed.jpg", "JPEG")


def test_the_photo_of_the_command_is_open_and_results_are_saved_beside_it(browser, served_page):
    page = browser.new_page()
    page.goto(served_page.address)
    visitor = Visitor(page, [])
    visitor.sees_photo()
    visitor.stroke(*ZIGZAG)
    visitor.remove()
    visitor.press("save")
    visitor.reads("first-completed.png")
    assert (served_page.folder / "first-completed.png").is_file()
    page.close()


def test_one_history_for_strokes_and_completions(visitor, photo):
    visitor.open(photo)
    press = visitor.page.keyboard.press
    original = visitor.photo()
    visitor.stroke((0.2, 0.2), (0.3, 0.2))
    visitor.stroke((0.2, 0.7), (0.3, 0.7))
    painted = visitor.paint()
    visitor.remove()
    first = visitor.photo()
    visitor.stroke((0.7, 0.5), (0.8, 0.5))
    visitor.remove()
    second = visitor.photo()
    assert not np.array_equal(first, original) and not np.array_equal(second, first)

    press("Control+z")
    assert np.array_equal(visitor.photo(), first) and visitor.paint().any()
    press("Control+z")
    press("Control+z")
    assert np.array_equal(visitor.photo(), original) and np.array_equal(visitor.paint(), painted)
    press("Control+z")
    assert 0 < visitor.paint().sum() < painted.sum()
    for key in ["Control+y", "Control+Shift+z", "Control+y", "Control+y"]:
        press(key)
    assert np.array_equal(visitor.photo(), second) and not visitor.paint().any()
    visitor.press("undo")
    visitor.press("clear")
    assert np.array_equal(visitor.photo(), first) and not visitor.paint().any(), "clearing paint leaves the photo"
    expect(visitor.page.locator("#redo")).to_be_disabled()


def test_brush_and_eraser(visitor, photo):
    visitor.open(photo)
    page, cursor = visitor.page, visitor.page.locator("#cursor")
    visitor.stroke((0.2, 0.5), (0.4, 0.5))
    painted = visitor.paint()
    size = cursor.bounding_box()["width"]
    assert size == float(page.input_value("#size")), "in pixels of the screen"
    assert abs(painted.any(axis=1).sum() - size) <= 2, "the circle has the size of the stroke"
    page.keyboard.press("]")
    assert cursor.bounding_box()["width"] > size
    page.keyboard.press("[")
    page.keyboard.press("[")
    assert cursor.bounding_box()["width"] < size
    page.keyboard.press("e")
    visitor.stroke((0.3, 0.5), (0.4, 0.5))
    assert 0.3 < visitor.paint().sum() / painted.sum() < 0.9
    page.keyboard.press("b")
    visitor.stroke((0.01, 0.2), (0.01, 0.4))
    left = round(visitor.photo_box()[0] - page.locator("#stage").bounding_box()["x"])
    assert not visitor.paint()[:, :left].any(), "nothing beside the photo"


def test_zoom_and_pan_with_the_mouse(visitor, photo):
    visitor.open(photo)
    page, whole = visitor.page, visitor.photo_box()
    x, y = visitor.place(0.25, 0.25)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    left, top, width, height = zoomed = visitor.photo_box()
    assert width > 2 * whole[2]
    assert abs(left + 0.25 * width - x) < 2 and abs(top + 0.25 * height - y) < 2, "around the pointer"
    page.keyboard.down("Space")
    page.mouse.down()
    page.mouse.move(x + 30, y + 20)
    page.mouse.up()
    page.keyboard.up("Space")
    assert visitor.photo_box()[:2] == pytest.approx((left + 30, top + 20), abs=1)
    page.mouse.down(button="middle")
    page.mouse.move(x, y)
    page.mouse.up(button="middle")
    assert visitor.photo_box() == pytest.approx(zoomed, abs=1)
    assert not visitor.paint().any(), "moving is no painting"
    visitor.press("fit")
    assert visitor.photo_box() == pytest.approx(whole, abs=1)


@phone
def test_two_fingers_zoom_and_move_and_one_paints(visitor, photo):
    visitor.open(photo)
    whole = visitor.photo_box()
    x, y = visitor.place(0.5, 0.5)
    visitor.fingers("touchStart", (x - 20, y))
    visitor.fingers("touchStart", (x - 20, y), (x + 20, y))
    visitor.fingers("touchMove", (x - 60, y + 30), (x + 60, y + 30))
    visitor.fingers("touchEnd")
    left, top, width, height = visitor.photo_box()
    assert width == pytest.approx(3 * whole[2], rel=0.02)
    assert left + width / 2 == pytest.approx(x, abs=5), "what was between the fingers is still there"
    assert not visitor.paint().any()
    expect(visitor.page.locator("#undo")).to_be_disabled()
    visitor.stroke((0.5, 0.5), (0.55, 0.5))
    assert visitor.paint().any()
    visitor.press("undo")
    assert not visitor.paint().any(), "a quick stroke does not eat the tap after it"


def test_the_original_is_seen_while_a_key_or_the_button_is_held(visitor, photo):
    visitor.open(photo)
    page, original = visitor.page, visitor.photo()
    visitor.stroke(*ZIGZAG)
    visitor.remove()
    result = visitor.photo()
    visitor.stroke((0.7, 0.7), (0.8, 0.7))
    for key in ["Tab", "\\"]:
        page.keyboard.down(key)
        assert np.array_equal(visitor.photo(), original) and not visitor.paint().any()
        page.wait_for_timeout(0.3 * SECOND)
        page.keyboard.up(key)
        assert np.array_equal(visitor.photo(), result) and visitor.paint().any()
    page.hover("#original")
    page.mouse.down()
    assert np.array_equal(visitor.photo(), original)
    page.mouse.up()
    assert np.array_equal(visitor.photo(), result)
    page.focus("#canvas")
    page.keyboard.press("Tab")
    expect(page.locator("#canvas")).not_to_be_focused()


@pytest.mark.parametrize("name", ["exif.webp", "xmp.jpg"])
def test_a_photo_is_shown_as_it_is_read_however_it_is_turned(visitor, photo, tmp_path, name):
    """Browsers do not look for the orientation there."""
    exif = Image.Exif()
    exif[0x0112] = 3
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="3"/></x:xmpmeta>'
    how = {"exif": exif, "lossless": True} if name.endswith("webp") else {"xmp": xmp}
    Image.open(photo).save(tmp_path / name, **how)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / name)))
    for opens in (lambda: visitor.open(tmp_path / name), visitor.page.reload):
        opens()
        visitor.sees_photo()
        stage = Image.fromarray(visitor.photo())
        shown = np.asarray(stage.crop(stage.getbbox()).convert("RGB").resize(upright.shape[1::-1]))
        assert np.abs(shown.astype(int) - upright).mean() < 10


def test_what_is_special_about_a_photo_is_said(visitor, photo, tmp_path):
    """The server knows it, perhaps after the browser shows the photo."""
    first = Image.open(photo)
    first.save(tmp_path / "two.webp", save_all=True, append_images=[first.rotate(180)])
    visitor.open(tmp_path / "two.webp")
    visitor.reads("two.webp, 301 × 199 pixels. This file has several frames")


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_photo_is_dropped_or_pasted_anywhere(visitor, photo, how):
    visitor.drop(photo, how)
    visitor.sees_photo()
    visitor.reads("coffee.png, 301 × 199 pixels")


def test_what_is_special_about_a_photo_is_said_when_the_server_has_seen_it(visitor, photo, tmp_path):
    Image.open(photo).convert("CMYK").save(tmp_path / "a.jpg")
    visitor.open(tmp_path / "a.jpg")
    visitor.reads("a.jpg, 301 × 199 pixels. This photo is made of printing inks")


def test_a_mask_file_is_paint_that_can_be_erased_inverted_and_widened(visitor, photo, mask, bool_mask):
    visitor.open(photo)
    page = visitor.page
    page.set_input_files("#mask", mask)
    expect(page.locator("#clear")).to_be_enabled()
    shown = visitor.paint()
    area = bool_mask.sum() * visitor.scale(301) ** 2
    assert shown.sum() == pytest.approx(area, rel=0.02)
    visitor.press("more")
    visitor.press("invert")
    page.keyboard.press("Escape")
    photo_area = visitor.photo_box()[2] * visitor.photo_box()[3]
    assert visitor.paint().sum() == pytest.approx(photo_area - area, rel=0.02)
    page.keyboard.press("Control+z")
    page.fill("#grow", "9")
    visitor.remove()
    before, after = np.asarray(Image.open(photo)), np.asarray(visitor.download()[1])
    changed = (after != before).any(axis=2)
    assert not changed[~within(bool_mask, 9)].any() and changed[within(bool_mask, 9)].mean() > 0.9


@both
def test_another_result_for_the_same_paint(visitor, photo):
    visitor.open(photo)
    button = visitor.page.locator("#remove")
    original = np.asarray(Image.open(photo))
    visitor.choose_texture("photo")
    mask = within(stroke_mask(visitor, visitor.stroke(*ZIGZAG), original.shape[1::-1]), GROWN + 1)
    expect(button).to_have_text("Remove")
    visitor.remove()
    results = [np.asarray(visitor.download()[1])]
    for _ in range(2):
        expect(button).to_have_text("Try again")
        visitor.press("remove")
        visitor.reads("Another result, in ")
        results.append(np.asarray(visitor.download()[1]))
        assert np.array_equal(results[-1][~mask], original[~mask])
        for other in results[:-1]:
            assert (results[-1] != other).any(axis=2)[mask].mean() > 0.3
    visitor.press("undo")
    assert np.array_equal(np.asarray(visitor.download()[1]), results[1])
    visitor.press("undo")
    assert np.array_equal(np.asarray(visitor.download()[1]), results[0])
    visitor.press("remove")
    visitor.reads("Another result, in ")
    fourth = np.asarray(visitor.download()[1])
    assert all((fourth != other).any() for other in results), "those that were undone do not come again"
    visitor.press("undo")
    visitor.press("undo")
    assert visitor.paint().any()
    expect(button).to_have_text("Remove")


def test_trying_again_goes_by_the_settings_of_now_and_says_where_there_is_no_other_result(visitor, photo):
    visitor.open(photo)
    visitor.choose_texture("photo")
    visitor.stroke(*ZIGZAG)
    visitor.remove()
    visitor.choose_texture("none")
    visitor.page.keyboard.press("Control+Enter")
    visitor.reads("Another result, in ")
    alone = visitor.photo()
    visitor.press("remove")
    visitor.reads("There is no other result for this paint.")
    assert np.array_equal(visitor.photo(), alone)
    visitor.press("undo")
    expect(visitor.page.locator("#remove")).to_have_text("Try again")
    assert not np.array_equal(visitor.photo(), alone), "the one before: the other did not become a step"


def test_removing_as_soon_as_the_brush_is_lifted(visitor, photo):
    visitor.open(photo)
    visitor.press("more")
    visitor.page.check("#at-once")
    visitor.page.keyboard.press("Escape")
    visitor.stroke(*ZIGZAG)
    visitor.reads("Done in ")


@both
def test_an_example_comes_with_its_result(visitor):
    example = visitor.page.locator("#examples button").first
    example.tap() if visitor.touch else example.click()
    visitor.sees_photo()
    result = visitor.photo()
    visitor.press("undo")
    assert visitor.paint().any() and not np.array_equal(visitor.photo(), result), "what was painted"
    visitor.press("undo")
    assert not visitor.paint().any()
    visitor.press("redo")
    visitor.press("redo")
    assert np.array_equal(visitor.photo(), result)
    assert visitor.download()[0].endswith("-completed.png")


def test_the_page_tells_how_far_it_is_and_how_long_it_took(visitor, photo):
    visitor.open(photo)
    page = visitor.page
    page.evaluate(NOTE_WHAT_IS_SHOWN)

    def as_third(route):
        before = '{"waiting": 2}\n{"waiting": 1}\n{"share": 0.5}\n'
        route.fulfill(body=before + route.fetch().text(), content_type="application/x-ndjson")

    page.route("**/versions?*", as_third)
    visitor.stroke(*ZIGZAG)
    visitor.remove()
    said, shares = page.evaluate("[window.said, window.shares]")
    assert {"Waiting for 2 removals before yours…", "Waiting for 1 removal before yours…"} <= set(said)
    assert 0.5 in shares


def test_cancel_leaves_the_paint(visitor, photo):
    visitor.open(photo)
    original, page = visitor.photo(), visitor.page
    page.route("**/versions?*", lambda route: None)  # an answer that does not come
    visitor.stroke(*ZIGZAG)
    for cancel in [lambda: visitor.press("cancel"), lambda: page.keyboard.press("Escape")]:
        visitor.press("remove")
        expect(page.locator("#running")).to_be_visible()
        expect(page.locator("#remove")).to_be_disabled()
        cancel()
        visitor.reads("Cancelled. Your paint is still there.")
        assert visitor.paint().any() and np.array_equal(visitor.photo(), original)
    page.unroute("**/versions?*")
    visitor.remove()
    completed = visitor.photo()
    page.route("**/versions?*", lambda route: None)
    visitor.press("remove")  # which is to try again
    visitor.press("cancel")
    visitor.reads("Cancelled. This is the result from before.")
    assert np.array_equal(visitor.photo(), completed)


def test_painting_goes_on_while_something_is_removed(visitor, photo):
    visitor.open(photo)
    page, held = visitor.page, []
    page.route("**/versions?*", lambda route: held.append(route))
    visitor.stroke((0.2, 0.5), (0.3, 0.5))
    visitor.press("remove")
    visitor.stroke((0.7, 0.5), (0.8, 0.5))
    while not held:
        page.wait_for_timeout(0.05 * SECOND)
    held[0].continue_()
    visitor.reads("Done in ")
    columns = np.nonzero(visitor.paint().any(axis=0))[0]
    assert len(columns) and columns.min() > visitor.paint().shape[1] / 2, "what was painted meanwhile is still there"


def test_a_completion_takes_the_place_of_one_that_was_undone(visitor, photo):
    """What is shown is what is downloaded, however much was widened before."""
    visitor.open(photo)
    page = visitor.page
    page.fill("#grow", "20")
    visitor.stroke(*ZIGZAG)
    visitor.remove()
    visitor.press("undo")
    page.fill("#grow", "0")
    page.keyboard.press("Tab")
    visitor.remove()
    shown = visitor.photo()
    expect(page.locator("#redo")).to_be_disabled()
    page.keyboard.press("Control+y")
    assert np.array_equal(visitor.photo(), shown)


def test_nothing_sticks_out_of_narrow_windows(visitor, photo):
    visitor.open(photo)
    visitor.stroke(*ZIGZAG)
    visitor.remove()
    page, held, widths = visitor.page, [], [320, 390, 768, 1000, 1030]

    def sticking_out() -> list[str]:
        found = []
        for width in widths:
            page.set_viewport_size({"width": width, "height": 900})
            found += page.evaluate(STICKING_OUT)
        return found

    assert sticking_out() == []
    page.route("**/versions?*", lambda route: held.append(route))
    visitor.stroke(*ZIGZAG)
    visitor.press("remove")
    expect(page.locator("#cancel")).to_be_visible()
    assert sticking_out() == []


def test_painting_with_the_keyboard(visitor, photo):
    visitor.open(photo)
    press = visitor.page.keyboard.press
    for key in ["ArrowRight", "Enter", "ArrowRight", "ArrowRight", "ArrowDown", "Enter"]:
        press(key)
    assert visitor.paint().any()
    press("Control+Enter")
    visitor.reads("Done in ")
    press("?")
    expect(visitor.page.locator("#help-dialog")).to_be_visible()


@both
def test_everything_has_a_name_and_is_large_enough_for_a_finger(visitor, photo):
    assert visitor.page.evaluate(SMALL) == []
    visitor.open(photo)
    visitor.press("more")
    assert visitor.page.evaluate(NAMELESS) == []
    assert visitor.page.evaluate(SMALL) == []
    names = visitor.page.locator("#settings").inner_text()
    assert "working_size" not in names and "padding" not in names, "words for visitors"
