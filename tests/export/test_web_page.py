"""The page with the engine that computes in the browser, in Chromium: what is special to this engine.

What every engine's page does is in tests/ui/test_page.py.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from playwright.sync_api import expect

from glcic_hub import Completer, FillOptions, fill, masks
from glcic_hub.demo import PHOTOS, photo_path, stroke_mask
from glcic_hub.filling.grids import dilated
from glcic_hub.ui.words import GROWN
from tests.conftest import SECONDS_FOR_THE_PAGE
from tests.export.conftest import box, completer, with_doubted
from tests.ui.hands import SECOND, Visitor

SCREENSHOTS = Path(__file__).parents[2] / "outputs" / "web-screenshots"
SIZE = (199, 301)
HOLE = box(SIZE, slice(80, 120), slice(110, 160))
CORNER = box(SIZE, slice(150, 170), slice(230, 260))
NEVER_READY = "export const [LARGEST_MARGIN, LEAST_MARGIN] = [512, 48]; export function addTexture() { for (;;); }"
FAILING = NEVER_READY.replace("for (;;);", "throw new RangeError('no memory');")
OUT_OF_MEMORY = """export const env = { wasm: {} };
export class Tensor {}
const run = () => { throw new RangeError("no memory"); };
export const InferenceSession = { create: () => ({ run }) };"""
READ_MASK = """async (bytes) => {
  const { readMask } = await import(new URL("local/mask.js", document.baseURI).href);
  const file = new File([new Uint8Array(bytes)], "mask.png", { type: "image/png" });
  const { mask, note } = await readMask(file, 40, 30);
  const canvas = new OffscreenCanvas(40, 30).getContext("2d");
  canvas.drawImage(mask, 0, 0);
  const { data } = canvas.getImageData(0, 0, 40, 30);
  return [[...Array(40 * 30).keys()].map((at) => data[4 * at + 3] === 255), note];
}"""


@contextmanager
def visiting(browser, site) -> Iterator[Visitor]:
    """Somebody on the page, which asks nobody but its own host and makes no mistakes."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(SECONDS_FOR_THE_PAGE * SECOND)
    page = context.new_page()
    asked, problems = [], []
    page.on("request", lambda each: asked.append(each.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(site)
    yield Visitor(page, asked)
    context.close()
    assert [url for url in asked if not url.startswith((site, "blob:", "data:"))] == [], "nothing from other hosts"
    assert problems == []


def keep_screenshot(visitor: Visitor, request) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    visitor.page.screenshot(path=SCREENSHOTS / f"{request.function.__name__}.png")


@pytest.fixture(scope="module")
def regular(browser, site):
    """One page for several tests: starting the model takes longer than most of what they do with it."""
    with visiting(browser, site) as visitor:
        yield visitor


@pytest.fixture
def visitor(request, regular):
    yield regular
    keep_screenshot(regular, request)
    if regular.page.locator("#more").is_visible():  # a photo is open
        regular.choose_texture("auto")


@pytest.fixture
def newcomer(request, browser, site):
    with visiting(browser, site) as visitor:
        yield visitor
        keep_screenshot(visitor, request)


@pytest.fixture(scope="module")
def photo_file(photo, tmp_path_factory) -> Path:
    return save(photo, tmp_path_factory.mktemp("photo"))


def save(pixels: np.ndarray, folder: Path, name: str = "coffee.png") -> Path:
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def use_mask(visitor: Visitor, mask: np.ndarray, folder: Path) -> None:
    visitor.page.set_input_files("#mask", save(mask, folder, "mask.png"))
    expect(visitor.page.locator("#clear")).to_have_attribute("aria-disabled", "false")


def remove(visitor: Visitor, mask: np.ndarray, folder: Path) -> np.ndarray:
    """Let a mask, bool (H, W), be filled; the pixels that may have changed, bool (H, W)."""
    use_mask(visitor, mask, folder)
    visitor.remove()
    return dilated(mask, GROWN)


def result(visitor: Visitor, button: str = "download-png", name: str = "coffee-completed.png") -> np.ndarray:
    """The pixels of what is downloaded."""
    suggested, image = visitor.download(button)
    assert suggested == name and image.format == {"png": "PNG", "jpg": "JPEG"}[name[-3:]]
    return np.asarray(image.convert("RGB"))


def soft_fill(graph: bytes, model, photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photo completed by the network alone, with the mask that Python's way shows it."""
    return np.where(mask[..., None], completer(graph)(photo, with_doubted(photo, mask, model)), photo)


def test_without_texture_the_result_is_that_of_python(visitor, graph, embedded, photo, photo_file, tmp_path):
    visitor.open(photo_file)
    visitor.choose_texture("none")
    mask = remove(visitor, HOLE, tmp_path)
    completed = result(visitor)
    assert np.array_equal(completed[~mask], photo[~mask]), "known pixels, bit for bit"
    assert (completed != photo).any(axis=2)[mask].mean() > 0.9
    assert np.abs(completed.astype(int) - soft_fill(graph, embedded, photo, mask)).max() <= 2


def test_the_fill_gets_the_texture_of_the_photo(visitor, graph, embedded, photo, photo_file, tmp_path):
    visitor.open(photo_file)
    mask = remove(visitor, HOLE, tmp_path)
    completed, soft = result(visitor), soft_fill(graph, embedded, photo, mask)
    assert np.array_equal(completed[~mask], photo[~mask]), "known pixels, bit for bit"
    assert 2 < np.abs(completed.astype(int) - soft)[mask].mean() < 25, "it goes where the network says"
    visitor.press("undo")
    visitor.remove()
    assert np.array_equal(result(visitor), completed), "the same again"


def test_what_is_painted_over_has_no_influence(visitor, photo, tmp_path):
    results = []
    for seed in (0, 1):
        changed = photo.copy()
        mask = dilated(HOLE, GROWN)
        changed[mask] = np.random.default_rng(seed).integers(0, 256, changed[mask].shape)
        visitor.open(save(changed, tmp_path))
        remove(visitor, HOLE, tmp_path)
        results.append(result(visitor))
    assert np.array_equal(*results)


@pytest.mark.parametrize("corner", [(620, 900), (0, 1000)])
def test_only_the_surroundings_in_a_large_photo_are_looked_at(visitor, graph, embedded, photo, corner, tmp_path):
    large = np.tile(photo, (7, 8, 1))  # 3.4 megapixels
    mask = box(large.shape[:2], *(slice(start, start + 130) for start in corner))
    visitor.open(save(large, tmp_path))
    visitor.choose_texture("none")
    asked = remove(visitor, mask, tmp_path)
    completed = result(visitor)
    assert np.array_equal(completed[~asked], large[~asked])
    assert np.abs(completed.astype(int) - soft_fill(graph, embedded, large, asked)).max() <= 2, "as with all of it"


def test_a_model_may_want_no_texture(newcomer, graph, embedded, photo, photo_file, tmp_path):
    model = onnx.load_from_string(graph)
    next(pair for pair in model.metadata_props if pair.key == "texture").value = "none"
    newcomer.page.route("**/model.onnx", lambda route: route.fulfill(body=model.SerializeToString()))
    newcomer.open(photo_file)
    mask = remove(newcomer, HOLE, tmp_path)
    soft = soft_fill(graph, embedded, photo, mask)
    assert np.abs(result(newcomer).astype(int) - soft).max() <= 2
    newcomer.press("undo")
    newcomer.choose_texture("photo")
    newcomer.remove()
    assert np.abs(result(newcomer).astype(int) - soft)[mask].mean() > 2


def test_going_on_trying_again_going_back_and_loading_the_page_again(newcomer, photo, photo_file, tmp_path):
    newcomer.open(photo_file)
    first = remove(newcomer, HOLE, tmp_path)
    once = result(newcomer)
    second = remove(newcomer, CORNER, tmp_path)
    twice = result(newcomer)
    assert np.array_equal(twice[~second], once[~second]) and (twice != once)[second].any()
    newcomer.page.reload()
    newcomer.reads("Welcome back")
    assert np.array_equal(result(newcomer), twice), "a version from before"
    others = [twice]
    for _ in range(2):
        newcomer.press("remove")
        newcomer.reads("Another result, in ")
        others.append(result(newcomer))
        assert np.array_equal(others[-1][~second], once[~second])
        assert all((others[-1] != other).any(axis=2)[second].mean() > 0.3 for other in others[:-1])
    for _ in range(4):  # the two others, the second result and its paint
        newcomer.press("undo")
    assert np.array_equal(result(newcomer), once), "what was there before the last one"
    third = remove(newcomer, box(SIZE, slice(20, 40), slice(20, 60)), tmp_path)
    thrice = result(newcomer)
    assert np.array_equal(thrice[~third], once[~third]) and (thrice != photo).any(axis=2)[first].mean() > 0.9


def test_after_loading_no_network_is_needed(newcomer, photo, photo_file, tmp_path):
    newcomer.open(photo_file)
    remove(newcomer, HOLE, tmp_path)
    newcomer.page.context.set_offline(True)
    newcomer.open(save(photo[::-1], tmp_path, "upside-down.png"))
    mask = remove(newcomer, CORNER, tmp_path)
    assert (result(newcomer, name="upside-down-completed.png") != photo[::-1]).any(axis=2)[mask].mean() > 0.9


def test_work_can_be_cancelled_and_done_again(newcomer, photo, photo_file, tmp_path):
    newcomer.page.route(
        "**/filling/texture.js", lambda route: route.fulfill(body=NEVER_READY, content_type="text/javascript")
    )
    newcomer.open(photo_file)
    use_mask(newcomer, HOLE, tmp_path)
    newcomer.press("remove")
    expect(newcomer.page.locator("#progress")).to_have_attribute("value", re.compile("0.4|0.7"))  # the network has said
    newcomer.page.unroute("**/filling/texture.js")
    newcomer.press("cancel")
    newcomer.reads("Cancelled")
    newcomer.remove()
    assert (result(newcomer) != photo).any()


@pytest.mark.parametrize(
    ("file", "body", "sentence"),
    [
        ("filling/texture.js", FAILING, "texture could not be added, probably for lack of memory"),
        ("onnxruntime/ort.wasm.min.mjs", OUT_OF_MEMORY, "could not be completed, probably for lack of memory"),
        ("onnxruntime/ort.wasm.min.mjs", "no script", "The model could not be started"),
        ("model.onnx", "no model", "The model could not be started"),
        ("model.onnx", None, "make it with “make web”"),
    ],
    ids=["texture", "memory", "runtime", "model", "no model"],
)
def test_what_fails_is_explained_and_may_work_later(newcomer, photo, photo_file, tmp_path, file, body, sentence):
    def answer(route):
        route.fulfill(status=200 if body else 404, body=body or "", content_type="text/javascript")

    newcomer.page.route(f"**/{file}", answer)
    newcomer.open(photo_file)
    use_mask(newcomer, HOLE, tmp_path)
    newcomer.press("remove")
    newcomer.reads(sentence)
    newcomer.page.unroute(f"**/{file}")
    newcomer.remove()
    assert (result(newcomer) != photo).any()


def test_transparency_is_put_on_white_and_not_looked_at(visitor, embedded, photo, tmp_path):
    hidden = box(SIZE, slice(0, 90), slice(0, 301))  # half of what is painted
    visitor.open(save(np.dstack([photo, np.where(hidden, 0, 255).astype(np.uint8)]), tmp_path))
    visitor.reads("transparency is not kept")
    visitor.choose_texture("none")
    use_mask(visitor, box(SIZE, slice(10, 20), slice(10, 20)), tmp_path)
    visitor.press("remove")
    visitor.reads("paint over what can be seen")
    visitor.press("undo")
    mask = remove(visitor, box(SIZE, slice(80, 100), slice(20, 80)), tmp_path)
    completed = result(visitor).astype(int)
    assert (completed[hidden] == 255).all()
    assert np.array_equal(completed[~(mask | hidden)], photo[~(mask | hidden)])
    options = FillOptions(texture=None)
    ours = fill(Completer(embedded), photo, mask, options, hidden=hidden).values * 255
    white = fill(Completer(embedded), np.where(hidden[..., None], np.uint8(255), photo), mask, options).values * 255
    seen = mask & ~hidden
    assert np.abs(completed - ours)[seen].mean() < 0.6 * np.abs(completed - white)[seen].mean()


def test_photos_that_cannot_be_completed_are_refused(visitor, photo_file, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    visitor.page.set_input_files("#file", tmp_path / "text.png")
    visitor.reads("“text.png” cannot be read as a picture")
    Image.new("L", (8000, 5000)).save(tmp_path / "huge.png")
    visitor.page.set_input_files("#file", tmp_path / "huge.png")
    visitor.reads("This photo has 40 megapixels; up to 32 work here.")
    visitor.open(photo_file)
    use_mask(visitor, np.ones(SIZE, bool), tmp_path)
    visitor.press("remove")
    visitor.reads("leave something to complete it from")


def test_a_jpeg_photo_can_become_one_again(visitor, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise
    Image.fromarray(photo).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    visitor.open(tmp_path / "turned.jpg")
    mask = remove(visitor, box((301, 199), slice(80, 120), slice(80, 120)), tmp_path)
    exact, smaller = result(visitor, name="turned-completed.png"), result(visitor, "download", "turned-completed.jpg")
    assert np.abs(exact.astype(int) - np.rot90(photo, -1))[~mask].mean() < 4
    assert 0 < np.abs(exact.astype(int) - smaller).mean() < 2


def test_examples_come_with_their_result(newcomer):
    newcomer.page.get_by_role("button", name="Example: rocket").click()
    newcomer.reads("example with its result")
    completed = result(newcomer, name="rocket-completed.png")
    with Image.open(photo_path("rocket")) as photo:
        mask = dilated(np.asarray(stroke_mask(photo.size, PHOTOS["rocket"])) > 0, GROWN)
        difference = np.abs(completed.astype(int) - np.asarray(photo.convert("RGB")))
    assert difference[~mask].max() < 8, "decoders differ a little"
    assert difference[mask].mean() > 5
    newcomer.press("remove")
    newcomer.reads("Another result, in ")
    other = result(newcomer, name="rocket-completed.png")
    assert np.array_equal(other[~mask], completed[~mask]) and (other != completed).any()
    newcomer.press("undo")
    newcomer.press("undo")
    newcomer.remove()
    again = result(newcomer, name="rocket-completed.png")
    assert np.array_equal(again[~mask], completed[~mask]) and (again != completed).any()


def masks_as_people_have_them() -> dict[str, Image.Image]:
    where = np.zeros((30, 40), bool)
    where[10:20, 5:15] = True
    texture = np.random.default_rng(0).integers(30, 220, (30, 40, 3), np.uint8)

    def painted(value: int) -> Image.Image:
        return Image.fromarray(np.where(where, value, 0).astype(np.uint8))

    def cut_out(colours: np.ndarray) -> Image.Image:
        return Image.fromarray(np.dstack([colours, np.where(where, 0, 255).astype(np.uint8)]))

    on_transparent = Image.new("RGBA", (40, 30))
    on_transparent.paste((255, 255, 255, 255), (5, 10, 15, 20))
    return {
        "white": painted(255),
        "of ones": painted(1),
        "dark paint": painted(90),
        "half white": Image.fromarray(np.linspace(0, 255, 1200).reshape(30, 40).astype(np.uint8)),
        "photo with a hole": cut_out(texture),
        "black with a hole": cut_out(np.zeros((30, 40, 3), np.uint8)),
        "on a transparent layer": on_transparent,
        "black": painted(0),
        "a photo": Image.fromarray(texture),
        "grey all over": Image.new("L", (40, 30), 100),
    }


def test_masks_are_understood_as_in_python(visitor, tmp_path):
    for kind, image in masks_as_people_have_them().items():
        image.save(tmp_path / "mask.png")
        filled, note = visitor.page.evaluate(READ_MASK, list((tmp_path / "mask.png").read_bytes()))
        expected, doubt = masks.read_with_doubt(tmp_path / "mask.png", (30, 40))
        assert np.array_equal(np.reshape(filled, (30, 40)), expected), kind
        assert bool(note) == bool(doubt), kind
