"""What the page does around the network beside Python's: the same numbers, and the same results of each stage."""

import json
import re

import numpy as np
import onnx
import pytest
from scipy import ndimage
from skimage import data

from glcic_hub.export import view
from glcic_hub.filling import colours, montage, patches, pieces, plain, propagation, rim, synthesis
from glcic_hub.filling.grids import dilated
from glcic_hub.filling.holes import Frame
from tests.export.conftest import WEB, box, frames_of, with_doubted

OTHER_NUMBERS = {"LARGEST_SEARCHED", "SAMPLE", "HELD", "UNREPORTED", "FIRST_STEP", "FIRST_FROM"}
"""Those that differ, as comments in the page's files say, or that it does not need."""

SIZE = (160, 170)
KEPT_COLOURS = """async ([known, fill]) => {
  const { keptColours } = await import(new URL("filling/colours.js", document.baseURI).href);
  const kept = keptColours(Float32Array.from(known), Float32Array.from(fill));
  return kept && [...kept];
}"""


def numbers_of(*files: str) -> dict[str, object]:
    """The constants of the page's files."""
    numbers = {}
    for file in files:
        text = (WEB / "filling" / f"{file}.js").read_text()
        for names, value in re.findall(r"^(?:export )?const \[?([A-Z_, ]+?)\]? = ([^;]+);", text, re.M):
            value = eval(value, dict(numbers))  # numbers and lists are written alike
            numbers |= dict(zip(names.split(", "), value)) if ", " in names else {names: value}
    return numbers


def cat() -> np.ndarray:
    return data.chelsea()[20:180, 100:270].copy()


def ellipse(radius: int) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return ((y - 80) / radius) ** 2 + ((x - 85) / (1.4 * radius)) ** 2 < 1


def with_islands() -> np.ndarray:
    mask = ellipse(40)
    mask[70:72, 80:82] = mask[90, 60:75] = mask[60, 100] = False
    return mask


def two_holes() -> np.ndarray:
    return ellipse(25) | box(SIZE, slice(5, 35), slice(5, 35))


@pytest.mark.parametrize("grow", [0, 1, 4, 30])
def test_a_mask_grows_as_in_python(staged, grow):
    mask = ellipse(20) | box(SIZE, slice(0, 5), slice(150, 170))
    result = staged("prepare", cat(), mask, grow=grow)
    assert np.array_equal(result.asked, dilated(mask, grow))
    assert (result.mask | ~result.asked).all()


TIGHT = {
    "1 px too small": (ellipse(30), ellipse(31)),
    "3 px too small": (ellipse(28), ellipse(31)),
    "well drawn": (ellipse(35), ellipse(31)),
    "islands and slits": (with_islands(), ellipse(38)),
    "two holes": (two_holes(), ndimage.binary_dilation(two_holes(), iterations=2)),
    "long": (box(SIZE, slice(70, 90), slice(0, 170)), box(SIZE, slice(68, 92), slice(0, 170))),
}


@pytest.mark.parametrize(("mask", "thing"), TIGHT.values(), ids=TIGHT)
def test_the_same_pixels_are_doubted(staged, embedded, mask, thing):
    photo = cat()
    photo[thing] = 230, 20, 60
    doubted = with_doubted(photo, mask, embedded) & ~mask
    result = staged("prepare", photo, mask)
    assert doubted.any() == (thing & ~mask).any()
    assert np.array_equal(result.mask & ~mask, doubted)
    assert np.array_equal(result.asked, mask), "what is doubted stays as it is"
    assert np.array_equal(result.photo, photo)


def test_the_rim_of_long_holes_is_looked_at_in_tiles(staged, embedded):
    photo = np.tile(cat(), (1, 8, 1))
    mask = box(photo.shape[:2], slice(70, 90), slice(20, 1200))
    photo[69:91, 19:1201] = 230, 20, 60
    result = staged("prepare", photo, mask)
    assert np.array_equal(result.mask, with_doubted(photo, mask, embedded)) and (result.mask != mask).any()


@pytest.mark.parametrize("spread", [0, 2, 3, 9])
def test_plain_holes_are_filled_as_in_python(staged, embedded, spread):
    photo = np.random.default_rng(0).integers(0, spread + 1, (*SIZE, 3)).astype(np.uint8) + np.array(
        [200, 190, 150], np.uint8
    )
    mask = box(SIZE, slice(60, 100), slice(60, 100))
    photo[mask] = 10, 20, 30
    ((frame, hole_box),) = frames_of(photo, mask, embedded)
    is_plain = plain.fill_plain(frame, hole_box)
    result = staged("prepare", photo, mask)
    assert is_plain == (spread <= 4)
    assert result.mask.any() != is_plain
    if is_plain:
        assert np.abs(result.photo[mask] - 255 * frame.values[mask]).max() <= 0.501
        assert np.ptp(result.photo[mask], axis=0).max() == 0
    assert np.array_equal(result.photo[~mask], photo[~mask])


def test_a_plain_hole_does_not_need_the_others(staged):
    photo, mask = cat(), box(SIZE, slice(20, 50), slice(20, 50))
    photo[:80] = 240, 241, 242
    other = box(SIZE, slice(110, 150), slice(90, 140))
    result = staged("prepare", photo, mask | other)
    assert np.array_equal(result.mask & mask, np.zeros(SIZE, bool)) and result.mask[other].all()
    assert (result.photo[mask] == (240, 241, 242)).all()
    assert np.array_equal(result.asked, mask | other)


def sepia(photo: np.ndarray) -> np.ndarray:
    grey = photo.mean(2) / 255
    return np.stack([grey**0.8, grey**1.05, grey**1.4], axis=2)


def duotone_plane(photo: np.ndarray) -> np.ndarray:
    """Two inks, so that the colours lie in a plane."""
    return 1 - 0.5 * (photo[..., :1] / 255 * [0.9, 0.3, 0.1] + photo[..., 1:2] / 255 * [0.1, 0.2, 0.9])


TONES = {
    "grey": lambda photo: np.repeat(photo.mean(2, keepdims=True) / 255, 3, axis=2),
    "sepia": sepia,
    "two inks": duotone_plane,
    "dark and bright only": lambda photo: np.where(photo[..., :1] > 127, [0.9, 0.8, 0.7], [0.1, 0.1, 0.2]),
    "colour": lambda photo: photo / 255,
}


@pytest.mark.parametrize("tone", TONES)
def test_a_fill_keeps_to_the_colours_as_in_python(browser, site, tone):
    photo, mask = cat(), ellipse(20)
    values = (255 * TONES[tone](photo)).round().astype(np.uint8) / np.float32(255)
    values[mask] = np.clip(values[mask] + np.random.default_rng(0).normal(0, 0.05, (mask.sum(), 3)), 0, 1)
    given = values[~mask], values[mask]
    page = browser.new_page()
    page.goto(site)
    kept = page.evaluate(KEPT_COLOURS, [part.ravel().tolist() for part in given])
    page.close()
    frame = Frame(values.copy(), mask, ~mask)
    colours.keep_colours(frame, (slice(0, SIZE[0]), slice(0, SIZE[1])))
    assert (kept is None) == (tone == "colour")
    assert (kept is None) == np.array_equal(frame.values, values)
    if kept is not None:
        assert np.abs(np.reshape(kept, (-1, 3)) - frame.values[mask]).max() < 0.5 / 255


@pytest.mark.parametrize("textured", [True, False])
def test_a_sepia_photo_gets_a_sepia_fill(staged, textured):
    photo = (255 * sepia(cat())).round().astype(np.uint8)
    mask, tint = ellipse(25), np.array([10, -6, 6])
    completed = np.where(mask[..., None], np.clip(ndimage.gaussian_filter(photo, (6, 6, 0)) + tint, 0, 255), photo)
    result = staged("finish", completed.astype(np.uint8), mask, textured=textured).photo[mask]
    grey = result.mean(1) / 255
    own_grey = sepia(np.repeat(np.arange(256.0)[:, None, None], 3, axis=2))[:, 0]
    wanted = np.stack([np.interp(grey, own_grey.mean(1), channel) for channel in own_grey.T], axis=1)
    assert np.abs(result - 255 * wanted).max() < 3


def test_hidden_pixels_are_not_known(staged):
    photo, mask = cat(), ellipse(25)
    hidden = box(SIZE, slice(0, 70), slice(0, 170))
    white, black = (np.where((hidden & ~mask)[..., None], np.uint8(value), photo) for value in (255, 0))
    prepared = [staged("prepare", each, mask, hidden) for each in (white, black)]
    assert np.array_equal(prepared[0].mask, prepared[1].mask)
    assert np.array_equal(*(each.photo[~mask] for each in prepared))
    assert (prepared[0].photo[:70, :40] == photo[70, :40]).all(), "the network is shown what is nearest"
    assert np.array_equal(prepared[0].asked, mask & ~hidden), "they are never drawn"
    finished = [staged("finish", each, mask, hidden).photo for each in (white, black)]
    assert np.array_equal(*(each[mask & ~hidden] for each in finished))
    assert (finished[0] != photo).any(axis=2)[mask & ~hidden].mean() > 0.5


def test_nothing_known_is_told(staged):
    mask = box(SIZE, slice(0, 100), slice(0, 170))
    assert staged("prepare", cat(), mask, ~mask).asked is None
    assert staged("prepare", cat(), mask, grow=60).asked is None
    assert staged("prepare", cat(), mask, grow=59).asked is not None


def test_metadata_are_read(browser, site, graph):
    page = browser.new_page()
    page.goto(site)
    read = page.evaluate(
        """async () => {
          const { metadataOf } = await import(new URL("local/metadata.js", document.baseURI).href);
          const model = await (await fetch("model.onnx")).arrayBuffer();
          return [metadataOf(new Uint8Array(model)), metadataOf(new TextEncoder().encode("no model"))];
        }"""
    )
    page.close()
    about = {pair.key: pair.value for pair in onnx.load_from_string(graph).metadata_props}
    assert read == [about, {}]


@pytest.mark.parametrize(
    ("module", "files"),
    [
        (patches, ["patches"]),
        (synthesis, ["patches", "synthesis", "texture"]),
        (montage, ["montage"]),
        (pieces, ["pieces"]),
        (propagation, ["propagation"]),
        (rim, ["rim"]),
        (plain, ["plain"]),
        (colours, ["colours"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_numbers_are_those_of_python(module, files):
    """Whoever changes one there is told that the page has to follow."""
    ours = numbers_of(*files)
    theirs = {name: value for name, value in vars(module).items() if re.fullmatch("[A-Z_]{2,}", name)}
    assert theirs.keys() - OTHER_NUMBERS
    for name in theirs.keys() - OTHER_NUMBERS:
        assert ours[name] == json.loads(json.dumps(theirs[name])), name  # with lists instead of tuples


def test_the_view_is_that_of_the_graph():
    numbers = numbers_of("holes")
    assert (numbers["CONTEXT"], numbers["LONGEST_SIDE"]) == (view.CONTEXT, view.LONGEST_SIDE)
