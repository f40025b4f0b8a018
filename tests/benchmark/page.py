"""How long the page of `glcic ui` takes beside IOPaint with our plugin: same model, photos and strokes, in Chromium.

    make bench-page BENCH="--output docs/page.json"

Both servers run on this machine and take turns. Seconds are a visitor's: from choosing a photo until it is drawn, and
from lifting the brush until the result is drawn, which is the last change of the canvas at the stroke. Bytes are those
of the bodies of the requests for a second completion of the same photo.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from skimage import data

from glcic_hub.atomic import write_whole
from tests.benchmark.arguments import positive
from tests.benchmark.machine import describe
from tests.benchmark.progress import ProgressBar
from tests.benchmark.rounds import ratio
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS
from tests.integrations.tools import ROOT, environment

OURS, IOPAINT = "glcic ui", "IOPaint"
SIZES = {"600 x 400": (600, 400, 40), "24 megapixels": (6000, 4000, 55)}
"""Width and height, and the width of the brush that IOPaint has there, pixels of the screen."""
WINDOW = {"width": 1280, "height": 900}
START, STROKE = (640, 430), (45, 12)
"""Where IOPaint's stroke starts in the window, and how far it goes; pixels of the screen. Ours covers as much of the
photo, which our page shows larger."""
QUIET = 2000
"""Milliseconds without a change of the canvas after which it is finished."""
AT_REST = 1000
"""Milliseconds that a visitor takes at least to choose a photo, while the page finishes loading."""
LONGEST = 300_000
SECONDS_TO_START = 120

WATCH = """
window.noted = {};
for (const kind of ["pointerup", "change"]) {
  addEventListener(kind, () => (noted = { [kind]: performance.now() }), true);
}
window.sent = 0;
const count = (body) => (sent += new Blob([body ?? ""]).size);
const [ask, send] = [window.fetch, XMLHttpRequest.prototype.send];
window.fetch = (address, options) => { count(options?.body); return ask(address, options); };
XMLHttpRequest.prototype.send = function (body) { count(body); send.call(this, body); };
let before;
(function look() {
  const seen = [...document.querySelectorAll("canvas")].map((canvas) => {
    const box = canvas.getBoundingClientRect();
    if (!box.width || !canvas.width) return "";
    const scale = canvas.width / box.width;
    const place = [($x - box.left) * scale, ($y - box.top) * scale];
    return canvas.getContext("2d").getImageData(...place, 8, 8).data.join();
  }).join(";");
  if (seen !== before && /[1-9]/.test(seen)) noted.changed = performance.now();
  before = seen;
  requestAnimationFrame(look);
})();
""".replace("$x", str(START[0] + 8)).replace("$y", str(START[1] + 2))
"""Notes when the brush is lifted or a file chosen, when the canvases look different where the stroke begins, and how
many bytes the page sends."""


@dataclass
class Contestant:
    """A page that completes photos, as a new visitor has it in each round.

    Attributes:
        name: for the record.
        address: where it is served.
        answer: what the address of the last request ends with that a completion makes.
        page: where it is open.
    """

    name: str
    address: str
    answer: str
    page: Page | None = None

    def visit(self, browser: Browser) -> None:
        """Open the page anew, and let it complete as soon as the brush is lifted."""
        if self.page:
            self.page.close()
        self.page = browser.new_page(viewport=WINDOW, bypass_csp=True)  # for Playwright's questions
        self.page.add_init_script(WATCH)
        self.page.goto(self.address)
        self.page.wait_for_selector("input[type=file]", state="attached")
        self.page.wait_for_timeout(AT_REST)
        if self.name == OURS:  # IOPaint does it by itself
            self.page.evaluate("document.getElementById('at-once').click()")

    def open(self, photo: Path) -> float:
        """Choose a photo; seconds until it is drawn."""
        self.page.locator("input[type=file]").first.set_input_files(photo)
        return self._until_drawn("change")

    def zoom(self, width: int, height: int) -> float:
        """At how many times its size the page shows a photo of this size."""
        shown = self.page.locator("canvas").last.bounding_box()
        return min(shown["width"] / width, shown["height"] / height)

    def complete(self, brush: float, scale: float) -> float:
        """Paint a stroke, which is completed as soon as the brush is lifted; seconds until the result is drawn.

        Args:
            brush: its width, which alone can be set in ours.
            scale: of stroke and brush.
        """
        if self.name == OURS:
            size = self.page.locator("#size")
            size.evaluate(
                "(size, value) => { size.value = value; size.dispatchEvent(new Event('input')); }", scale * brush
            )
        mouse, (x, y) = self.page.mouse, START
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + scale * STROKE[0], y + scale * STROKE[1], steps=8)
        self.page.evaluate("sent = 0")
        with self.page.expect_request_finished(lambda request: request.url.endswith(self.answer), timeout=LONGEST):
            mouse.up()
        return self._until_drawn("pointerup")

    @property
    def sent(self) -> int:
        """Bytes in the bodies of the requests of the last completion."""
        return self.page.evaluate("sent")

    def _until_drawn(self, start: str) -> float:
        self.page.evaluate("noted.asked = performance.now()")  # from here on, the canvas has to be quiet
        latest = "Math.max(noted.changed, noted.asked)"
        noted = self.page.wait_for_function(
            f"noted.changed && performance.now() - {latest} > {QUIET} ? noted : null", timeout=LONGEST
        ).json_value()
        return (noted["changed"] - noted[start]) / 1000


@contextmanager
def served(module: list[str], variables: dict[str, str], folder: Path) -> Iterator[str]:
    """The address of a server that says it when it is ready."""
    with open(folder / "output.txt", "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", *module], env=variables, cwd=folder, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not (said := re.search(r"http://127\.0\.0\.1:\d+", (folder / "output.txt").read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "output.txt").read_text()[-2000:])
            time.sleep(0.2)
        yield said[0]
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # IOPaint waits for its page to be closed
            process.kill()


@contextmanager
def contestants(folder: Path) -> Iterator[list[Contestant]]:
    """Ours and IOPaint's page, each from a server of its own with all cores."""
    cores = {"OMP_NUM_THREADS": str(os.cpu_count())}
    ours = ["glcic_hub", "ui", "--no-browser"]
    theirs = ["glcic_hub.integrations.iopaint", "start", "--model=glcic-scenes", "--port=0", f"--model-dir={folder}"]
    with ExitStack() as stack:
        addresses = [
            stack.enter_context(served(ours, os.environ | {"PYTHONPATH": str(ROOT)} | cores, _new(folder, OURS))),
            stack.enter_context(
                served([*theirs, "--local-files-only"], environment("iopaint", folder) | cores, _new(folder, IOPAINT))
            ),
        ]
        yield [Contestant(*one) for one in zip((OURS, IOPAINT), addresses, ("/patch", "/inpaint"))]


def measure(rounds: int, sizes: dict[str, tuple[int, int, int]] = SIZES) -> list[dict]:
    """A row for each size of photo, with medians of all rounds but a first one, and our share of IOPaint's time."""
    rows = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder, browser = Path(name), playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS.split())
        with contestants(folder) as pages, ProgressBar("page", len(sizes) * (rounds + 1)) as progress:
            for size, (width, height, brush) in sizes.items():
                photo = _photo(folder, width, height)
                found: dict = {page.name: {"open": [], "complete": [], "sent": []} for page in pages}
                for number in range(rounds + 1):
                    progress.now(size)
                    for page in pages:
                        page.visit(browser)
                    opened = [page.open(photo) for page in pages]
                    zooms = [page.zoom(width, height) for page in pages]
                    for page, seconds, zoom in zip(pages, opened, zooms):
                        first, second = (page.complete(brush, zoom / zooms[-1]) for _ in range(2))
                        if number:  # the first completion loads what is needed
                            of_page = found[page.name]
                            of_page["open"].append(seconds)
                            of_page["complete"] += [first, second]
                            of_page["sent"].append(page.sent)
                    progress.done(1)
                rows.append({"photo": size, **row_of(found)})
        browser.close()
    return rows


def row_of(found: dict[str, dict[str, list[float]]]) -> dict:
    """Medians of each contestant, and our share of IOPaint's time.

    Args:
        found: of each contestant the seconds of "open" and "complete" in their order, and the bytes "sent".
    """
    row: dict = {}
    for name, of_page in found.items():
        row[name] = {
            "open_seconds": round(statistics.median(of_page["open"]), 2),
            "complete_seconds": round(statistics.median(of_page["complete"]), 2),
            "second_completion_bytes": round(statistics.median(of_page["sent"])),
        }
    return row | {
        f"{what}_ratio": round(ratio(found[OURS][what], found[IOPAINT][what]), 2) for what in ("open", "complete")
    }


def _new(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


def _photo(folder: Path, width: int, height: int) -> Path:
    path = folder / f"{width}.jpg"
    Image.fromarray(data.coffee()).resize((width, height), Image.Resampling.LANCZOS).save(path, quality=92)
    return path


def main() -> None:
    """Measure, print, and write the record where that is asked for."""
    parser = argparse.ArgumentParser(
        "python -m tests.benchmark.page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=positive, default=5, help="default: %(default)s")
    parser.add_argument("--output", type=Path, help="write the record to this JSON file")
    args = parser.parse_args()
    record = json.dumps({"machine": describe(), "rounds": args.rounds, "rows": measure(args.rounds)}, indent=2)
    print(record)
    if args.output:
        write_whole(args.output, f"{record}\n".encode())


if __name__ == "__main__":
    main()
