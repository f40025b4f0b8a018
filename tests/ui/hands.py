"""What a visitor does on the page, and what is seen there."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

SECOND = 1000
DESKTOP, PHONE = (
    pytest.param(("desktop", {"viewport": {"width": 1280, "height": 900}}), id="desktop"),
    pytest.param(
        ("phone", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}), id="phone"
    ),
)
DROP = """([type, name, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  const event = type === "paste" ? new ClipboardEvent(type, { ...options, clipboardData: data })
    : new DragEvent(type, { ...options, dataTransfer: data });
  document.body.dispatchEvent(event);
}"""

Share = tuple[float, float]
"""A place on the photo: shares of its width and height."""

ZIGZAG: list[Share] = [(0.4, 0.45), (0.5, 0.5), (0.45, 0.55)]


class Visitor:
    """Somebody with a mouse, or with fingers where the page has touch.

    Args:
        page: the page.
        asked: the addresses of its requests, to which new ones are added.
        touch: with fingers.
    """

    def __init__(self, page: Page, asked: list[str], touch: bool = False):
        self.page, self.asked, self.touch = page, asked, touch
        self._fingers = page.context.new_cdp_session(page) if touch else None

    def open(self, path: Path) -> None:
        self.page.set_input_files("#file", path)
        self.sees_photo()

    def sees_photo(self) -> None:
        """Waits until it is drawn."""
        expect(self.page.locator("#spinner")).to_be_hidden()
        expect(self.page.locator("#frame")).to_be_visible()

    def drop(self, path: Path, how: str = "drop") -> None:
        """Drop a file on the page; or `how` = "paste" it."""
        text = base64.b64encode(path.read_bytes()).decode()
        self.page.evaluate(DROP, [how, path.name, text])

    def reads(self, *words: str) -> None:
        """Waits until the page says so."""
        for each in words:
            expect(self.page.locator("#status, #error").filter(has_text=each)).to_be_visible()

    def press(self, id: str) -> None:
        button = self.page.locator(f"#{id}")
        if self.touch:
            button.tap()
        else:
            button.click()

    def remove(self) -> None:
        self.press("remove")
        self.reads("Done in ")

    def choose_texture(self, choice: str) -> None:
        self.press("more")
        self.page.get_by_label("Texture", exact=True).select_option(choice)
        self.page.click("#more-dialog .close")

    def stroke(self, *shares: Share) -> list[tuple[float, float]]:
        """Paint a line through places of the photo; as they were hit, in pixels of the page from the photo's corner."""
        places = [self.place(*share) for share in shares]
        left, top = self.photo_box()[:2]
        if self.touch:
            for number, place in enumerate(places):
                self.fingers("touchMove" if number else "touchStart", place)
            self.fingers("touchEnd")
        else:
            self.page.mouse.move(*places[0])
            self.page.mouse.down()
            for place in places[1:]:
                self.page.mouse.move(*place)
            self.page.mouse.up()
        return [(x - left, y - top) for x, y in places]

    def place(self, x: float, y: float) -> tuple[int, int]:
        """The pixel of the page where a share of the photo is."""
        left, top, width, height = self.photo_box()
        return round(left + x * width), round(top + y * height)

    def fingers(self, kind: str, *places: Sequence[float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self._fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def photo_box(self) -> tuple[float, float, float, float]:
        """Left, top, width, height on the page."""
        self._wait_for_a_frame()
        box = self.page.locator("#frame").bounding_box()
        return box["x"], box["y"], box["width"], box["height"]

    def scale(self, width: int) -> float:
        """Pixels of the page for one of a photo so wide."""
        return self.photo_box()[2] / width

    def photo(self) -> np.ndarray:
        """What the stage shows of photo and completions, RGBA in its own pixels."""
        return self._canvas("photo")

    def paint(self) -> np.ndarray:
        """Where the stage shows paint, bool in its own pixels."""
        return self._canvas("canvas")[..., 3] > 127

    def _canvas(self, id: str) -> np.ndarray:
        self._wait_for_a_frame()
        data = self.page.evaluate("(id) => document.getElementById(id).toDataURL()", id)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))))

    def _wait_for_a_frame(self) -> None:
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def download(self, button: str = "download-png") -> tuple[str, Image.Image]:
        """The name and the image of the file."""
        with self.page.expect_download() as downloading:
            self.press(button)
        image = Image.open(downloading.value.path())
        image.load()
        return downloading.value.suggested_filename, image
