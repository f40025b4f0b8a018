"""The contract of Inference Endpoints, on a built repository: base64 in, base64 out, mistakes as {"error": ...}."""

import base64
import importlib.util
import io
import json
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from glcic_hub import GLCICPipeline
from glcic_hub.filling.options import FillOptions

ORIENTATION_TAG = 0x0112
OPTIONS = [option.name for option in fields(FillOptions)]


@pytest.fixture(scope="module")
def handler(built):
    """As the service does it: handler.py is imported from its file, and gets the folder's name."""
    spec = importlib.util.spec_from_file_location("handler", built["main"] / "handler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EndpointHandler(str(built["main"]))


@pytest.fixture(scope="module")
def request_of(built):
    """A picture, its mask, and what the pipeline of the package makes of them."""
    picture, mask = (Image.open(built["main"] / "samples" / f"rocket-{part}.png") for part in ("before", "mask"))
    return picture, mask, GLCICPipeline.from_pretrained(built["main"])(picture, mask).images[0]


def encoded(picture, file_format="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def text(picture, *args, **options):
    return base64.b64encode(encoded(picture, *args, **options)).decode()


def picture_in(answer):
    assert set(answer) == {"image"}, answer
    assert json.loads(json.dumps(answer)) == answer
    image = Image.open(io.BytesIO(base64.b64decode(answer["image"], validate=True)))
    assert image.format == "PNG"
    return image


FORMS = {
    "text": text,
    "data URL": lambda picture: "data:image/png;base64," + text(picture),
    "bytes": encoded,
    "picture": lambda picture: picture,  # what the service makes of some requests before it calls the handler
}


@pytest.mark.parametrize("form", FORMS)
def test_picture_and_mask(handler, request_of, form):
    picture, mask, wanted = request_of
    answer = handler({"inputs": {"image": FORMS[form](picture), "mask": FORMS[form](mask)}})
    assert np.array_equal(picture_in(answer), wanted)


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_alone_is_filled_where_it_is_transparent(handler, request_of, form):
    picture, mask, wanted = request_of
    cutout = picture.copy()
    cutout.putalpha(mask.point(lambda level: 255 - level))
    for inputs in (FORMS[form](cutout), {"image": FORMS[form](cutout)}):
        result = picture_in(handler({"inputs": inputs}))
        assert result.mode == "RGB" and np.array_equal(result, wanted)


def test_parameters_go_to_the_pipeline(handler, request_of):
    picture, mask, _ = request_of
    inputs = {"image": text(picture), "mask": text(mask)}
    result = picture_in(handler({"inputs": inputs, "parameters": {"height": 96, "width": 64}}))
    assert result.size == (64, 96)
    assert "error" in handler({"inputs": inputs, "parameters": {"padding_mask_crop": -1}})
    assert picture_in(handler({"inputs": inputs, "parameters": None})).size == picture.size


def test_rotated_photos_come_back_upright(handler, request_of):
    picture, mask, wanted = request_of
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    stored = picture.transpose(Image.Transpose.ROTATE_90)
    result = picture_in(handler({"inputs": {"image": text(stored, exif=exif.tobytes()), "mask": text(mask)}}))
    assert result.getexif().get(ORIENTATION_TAG, 1) == 1 and np.array_equal(result, wanted)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P", "1", "I;16"])
def test_every_mode_comes_back_as_png(handler, request_of, mode):
    picture, mask, _ = request_of
    if mode == "I;16":
        converted = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        converted = picture.convert(mode)
    form = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    result = picture_in(handler({"inputs": {"image": text(converted, form), "mask": text(mask)}}))
    assert result.size == picture.size


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "the image must be base64 text or the bytes of an image file; got NoneType"),
        ({"inputs": "no base64 at all"}, "the image is not base64 text of an image file"),
        ({"inputs": base64.b64encode(b"no picture").decode()}, "the image is not a readable image file"),
        ({"inputs": b"no picture"}, "the image is not a readable image file"),
        ({"inputs": {"image": "PICTURE"}}, 'the request has no mask: send {"inputs": {"image": ..., "mask": ...}}'),
        ({"inputs": {"image": "PICTURE", "mask": "SMALL"}}, "the mask is 8x8 but its image is 320x367"),
        ({"inputs": {"image": "PICTURE", "mask": 5}}, "the mask must be base64 text"),
        ({"inputs": {"image": "PICTURE", "mask": "WHITE"}}, "the mask of image 0 covers the whole image"),
        ({"inputs": {"picture": "PICTURE"}}, "inputs may hold image, mask; got picture"),
        (
            {"inputs": {"image": "PICTURE", "mask": "MASK"}, "parameters": {"prompt": "a cat"}},
            f"parameters may hold {', '.join(OPTIONS)}, height, width; got prompt",
        ),
        ({"inputs": {"image": "PICTURE", "mask": "MASK"}, "parameters": [1]}, "got list"),
        ({"inputs": {"image": "PICTURE", "mask": "MASK"}, "parameters": {"height": 8}}, "give both height and width"),
    ],
)
def test_mistakes_are_answered_with_what_to_change(handler, request_of, data, message):
    picture, mask, _ = request_of
    known = {"PICTURE": picture, "MASK": mask, "SMALL": mask.resize((8, 8)), "WHITE": Image.new("L", picture.size, 255)}
    if isinstance(data.get("inputs"), dict):
        inputs = {key: text(known[value]) if value in known else value for key, value in data["inputs"].items()}
        data = {**data, "inputs": inputs}
    answer = handler(data)
    assert set(answer) == {"error"} and message in answer["error"]


def test_a_cut_off_picture_is_a_mistake_and_no_crash(handler, request_of):
    picture, mask, _ = request_of
    answer = handler({"inputs": {"image": encoded(picture)[:1000], "mask": text(mask)}})
    assert "the image is not a readable image file" in answer["error"]


def test_the_request_in_the_card_is_one(handler, built, request_of):
    card = (built["main"] / "README.md").read_text()
    (block,) = [part.split("```")[0] for part in card.split("```json\n")[1:]]
    request = json.loads(block)
    for name, picture in zip(("image", "mask"), request_of):
        assert request["inputs"][name] == "<base64>"
        request["inputs"][name] = text(picture)
    assert np.array_equal(picture_in(handler(request)), request_of[2])
