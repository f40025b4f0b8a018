"""Nothing that a visitor did is lost: mistakes, a server that forgets or does not answer, a reload."""

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.ui.hands import ZIGZAG

GONE = {"error": "This photo is no longer on the server: open it again.", "gone": True}


def is_as_before(visitor, photo, paint) -> bool:
    return np.array_equal(visitor.photo(), photo) and np.array_equal(visitor.paint(), paint)


def test_mistakes_get_a_sentence_beside_the_button(visitor, photo, tmp_path):
    page = visitor.page
    (tmp_path / "text.png").write_text("no picture")
    page.set_input_files("#file", tmp_path / "text.png")
    visitor.reads("This file is not a readable image")
    visitor.open(photo)
    visitor.press("remove")
    visitor.reads("First paint over what should go.")
    visitor.stroke(*ZIGZAG)
    expect(page.locator("#error")).to_be_empty()
    shown = visitor.photo(), visitor.paint()
    Image.new("L", (600, 400), 255).save(tmp_path / "mask.png")
    page.set_input_files("#mask", tmp_path / "mask.png")
    visitor.reads("This mask is 600 x 400 pixels, the photo 301 x 199. Choose the mask made for this photo.")
    page.set_input_files("#file", tmp_path / "text.png")
    visitor.reads("This file is not a readable image")
    error, button = (page.locator(id).bounding_box() for id in ("#error", "#remove"))
    assert abs(error["y"] + error["height"] / 2 - button["y"] - button["height"] / 2) < 20
    assert is_as_before(visitor, *shown)
    visitor.remove()


def test_a_photo_that_is_too_large(visitor, tmp_path):
    visitor.page.route("**/host.json", lambda route: route.fulfill(json=route.fetch().json() | {"maxPixels": 10**6}))
    visitor.page.reload()
    visitor.reads("first.png")  # else the page may open it after the refusal, which then is no longer there to read
    Image.new("L", (2000, 1000)).save(tmp_path / "large.png")
    visitor.page.set_input_files("#file", tmp_path / "large.png")
    visitor.reads("This photo has 2 megapixels; up to 1 work here.")


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda route: route.abort(), "The connection to the server was lost"),
        (
            lambda route: route.fulfill(status=503, json={"error": "Too many people are waiting."}),
            "Too many",
        ),
        (lambda route: route.fulfill(status=502, body="<html>Bad gateway"), "error 502"),
        (lambda route: route.fulfill(body='{"share": 0.5}\n'), "The connection to the server was lost"),
    ],
    ids=["offline", "full", "proxy", "broken off"],
)
def test_a_server_that_fails_leaves_photo_and_paint(visitor, photo, answer, words):
    visitor.open(photo)
    visitor.stroke(*ZIGZAG)
    shown = visitor.photo(), visitor.paint()
    visitor.page.route("**/versions?*", answer)
    visitor.press("remove")
    visitor.reads(words)
    assert is_as_before(visitor, *shown)
    visitor.page.unroute("**/versions?*")
    visitor.remove()


def let_the_server_forget(visitor) -> None:
    """What it has of photos until now, so far as the page can tell."""
    ids = {address.split("/photos/")[1].split("/")[0] for address in visitor.asked if "/photos/" in address}
    for id in ids:
        visitor.page.route(f"**/photos/{id}/**", lambda route: route.fulfill(status=404, json=GONE))
    assert ids


def test_a_server_that_has_forgotten_the_photo_gets_it_again(visitor, photo):
    visitor.open(photo)
    visitor.stroke((0.2, 0.5), (0.3, 0.5))
    visitor.remove()
    expected = np.asarray(visitor.download()[1])
    let_the_server_forget(visitor)
    assert np.array_equal(np.asarray(visitor.download()[1]), expected), "the completion is repeated"
    let_the_server_forget(visitor)
    visitor.stroke((0.7, 0.5), (0.8, 0.5))
    visitor.remove()
    both = np.asarray(visitor.download()[1])
    assert np.array_equal(both[:, :150], expected[:, :150]) and not np.array_equal(both, expected)


def test_what_was_cancelled_while_the_photo_was_sent_again_can_be_done_later(visitor, photo):
    visitor.open(photo)
    visitor.stroke((0.2, 0.5), (0.3, 0.5))
    visitor.remove()
    visitor.stroke(*ZIGZAG)
    let_the_server_forget(visitor)
    with visitor.page.expect_request("**/photos?*"):
        visitor.page.route("**/photos?*", lambda route: None)  # an answer that does not come
        visitor.press("remove")
    visitor.press("cancel")
    visitor.reads("Cancelled")
    visitor.page.unroute("**/photos?*")
    visitor.remove()


def test_a_completion_of_another_photo_comes_too_late(visitor, photo, tmp_path):
    Image.new("RGB", (80, 60), "red").save(tmp_path / "other.png")
    page = visitor.page
    visitor.open(photo)
    visitor.stroke(*ZIGZAG)
    page.evaluate(
        """() => {
          const decode = window.createImageBitmap;
          const held = new Promise((done) => (window.letGo = done));
          let begin;
          window.begun = new Promise((done) => (begin = done));
          window.createImageBitmap = async (file, ...options) => {
            if (file.type === "image/webp") {
              begin();
              await held;
            }
            return decode(file, ...options);
          };
        }"""
    )
    visitor.press("remove")
    page.evaluate("() => window.begun")
    page.set_input_files("#file", tmp_path / "other.png")
    visitor.reads("other.png, 80 × 60 pixels.")
    page.evaluate("letGo()")
    expect(page.locator("#remove")).to_be_enabled()
    visitor.reads("other.png, 80 × 60 pixels.")
    expect(page.locator("#undo")).to_be_disabled()


def test_a_reload_brings_everything_back(visitor, photo):
    page = visitor.page
    visitor.open(photo)
    page.fill("#grow", "7")
    visitor.stroke((0.2, 0.5), (0.3, 0.5))
    visitor.remove()
    visitor.stroke((0.7, 0.5), (0.8, 0.5))
    visitor.remove()
    visitor.stroke(*ZIGZAG)
    visitor.press("undo")
    shown = visitor.photo(), visitor.paint()
    for forgets in (False, True):
        page.reload()
        visitor.reads("Welcome back")
        assert is_as_before(visitor, *shown)
        assert page.input_value("#grow") == "7"
        if forgets:
            let_the_server_forget(visitor)
        before = np.asarray(visitor.download()[1])
    visitor.press("redo")
    assert visitor.paint().any()
    visitor.remove()
    after = np.asarray(visitor.download()[1])
    assert np.array_equal(after[:, :90], before[:, :90]) and not np.array_equal(after, before)
    for _ in range(6):
        visitor.press("undo")
    expect(page.locator("#undo")).to_be_disabled()
    visitor.press("more")
    visitor.press("start-over")
    page.reload()
    expect(page.locator("#welcome")).to_be_visible()


def test_what_could_not_be_kept_is_kept_the_next_time(visitor, photo):
    page = visitor.page
    visitor.open(photo)
    visitor.stroke((0.2, 0.5), (0.3, 0.5))
    page.evaluate(
        """() => {
          const put = IDBObjectStore.prototype.put;
          IDBObjectStore.prototype.put = function (...args) {
            if (this.name === "pieces") {
              IDBObjectStore.prototype.put = put;
              queueMicrotask(() => this.transaction.abort()); // as when the disk is full
            }
            return put.apply(this, args);
          };
        }"""
    )
    visitor.remove()
    visitor.stroke(*ZIGZAG)
    shown = visitor.photo(), visitor.paint()
    page.reload()
    visitor.reads("Welcome back")
    assert is_as_before(visitor, *shown)


def test_tabs_do_not_mix(visitor, photo):
    visitor.open(photo)
    visitor.stroke(*ZIGZAG)
    other = visitor.page.context.new_page()
    other.goto(visitor.page.url)
    expect(other.locator("#examples")).to_be_visible()
    expect(other.locator("#welcome")).to_be_visible()
    other.close()
