"""What the Space completes, without a server."""

import os
import time

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from glcic_hub import GLCICPipeline
from glcic_hub.errors import FailedWork, WrongUse
from glcic_hub.filling.options import FillOptions
from glcic_hub.ui.turns import Turns
from spaces_app import work


@pytest.fixture(autouse=True)
def small_model(model_folder, monkeypatch):
    monkeypatch.setenv("GLCIC_MODEL", str(model_folder))


def completed(photo, mask, folder, options: FillOptions = work.DEFAULTS) -> Image.Image:
    (path,) = work.complete_files(Turns(), [str(photo)], [str(mask)], folder, options=options)
    return Image.open(path)


def test_the_result_is_the_pipeline_s(photo, mask, bool_mask, model_folder, tmp_path):
    for options in ({}, {"texture": "photo"}, {"grow": 7}):
        expected = GLCICPipeline.from_pretrained(model_folder)(Image.open(photo), bool_mask, **options).images[0]
        found = completed(photo, mask, tmp_path, FillOptions(**options))
        assert found.format == "PNG" and np.array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("name", ["grey.jpg", "deep.png", "alpha.webp", "palette.gif", "print.jpg"])
def test_known_pixels_are_the_file_s_whatever_it_is(name, photo, mask, bool_mask, tmp_path):
    rgb = Image.open(photo)
    see_through = rgb.convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize(rgb.size))
    image = {
        "grey.jpg": rgb.convert("L"),
        "deep.png": Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 200),
        "alpha.webp": see_through,
        "palette.gif": rgb.quantize(64),
        "print.jpg": rgb.convert("CMYK"),
    }[name]
    image.save(tmp_path / name, **({"lossless": True, "exact": True} if "webp" in name else {}))
    with Image.open(tmp_path / name) as file:
        stored = file.convert("RGB") if file.mode in ("P", "CMYK") else file.copy()
    result = completed(tmp_path / name, mask, tmp_path, FillOptions(grow=3))
    known = ndimage.distance_transform_edt(~bool_mask) > 3
    assert result.mode == stored.mode
    assert np.array_equal(np.asarray(result)[known], np.asarray(stored)[known])
    assert not np.array_equal(np.asarray(result)[bool_mask], np.asarray(stored)[bool_mask])


def test_what_cannot_be_used_is_said(photo, mask, bool_mask, tmp_path):
    Image.new("1", (20, 20), 1).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match="This mask is 20 x 20 pixels, the photo 301 x 199"):
        completed(photo, tmp_path / "small.png", tmp_path)
    Image.new("1", (301, 199)).save(tmp_path / "black.png")
    with pytest.raises(ValueError, match="Nothing in this mask is white"):
        completed(photo, tmp_path / "black.png", tmp_path)
    Image.fromarray(ndimage.binary_dilation(bool_mask, iterations=150)).save(tmp_path / "much.png")
    with pytest.raises(ValueError, match="covers the whole image.*or let it grow less"):
        completed(photo, tmp_path / "much.png", tmp_path, FillOptions(grow=64))
    with pytest.raises(ValueError, match="There is no model x; there is"):
        work.complete_files(Turns(), [str(photo)], [str(mask)], tmp_path, "x")


def test_several_files(photo, mask, tmp_path):
    turns = Turns()
    paths = work.complete_files(turns, [str(photo)] * 2, [str(mask)], tmp_path)
    expected = np.asarray(completed(photo, mask, tmp_path))
    assert len(set(paths)) == 2
    assert all(np.array_equal(np.asarray(Image.open(path)), expected) for path in paths)
    with pytest.raises(ValueError, match="Photo 2 of 2: This photo is no longer on the server"):
        work.complete_files(turns, [str(photo), str(tmp_path / "gone.png")], [str(mask)], tmp_path)
    with pytest.raises(ValueError, match="21 photos: up to 20"):
        work.complete_files(turns, [str(photo)] * 21, [str(mask)], tmp_path)
    with pytest.raises(ValueError, match="3 masks for 2 photos"):
        work.complete_files(turns, [str(photo)] * 2, [str(mask)] * 3, tmp_path)


def test_files_go_when_their_time_is_over(tmp_path):
    folder = work.new_folder(tmp_path / "results")
    (folder / "new.png").write_bytes(b"")
    (folder / "old.png").write_bytes(b"")
    os.utime(folder / "old.png", (time.time() - 3700,) * 2)
    work.remove_in_time(tmp_path)
    deadline = time.monotonic() + 60
    while (folder / "old.png").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [path.name for path in folder.iterdir()] == ["new.png"]


class TestOnBorrowedCards:
    """Where ZeroGPU has changed the function."""

    def lent(self, monkeypatch, function):
        function.zerogpu = None
        monkeypatch.setattr(work, "_filled", function)

    def test_nothing_is_passed_that_another_process_cannot_have(self, monkeypatch):
        self.lent(monkeypatch, lambda *given: given)
        assert work.fill("model", "picture", "mask", "options", print) == ("model", "picture", "mask", "options")

    def test_errors_come_back(self, monkeypatch, photo):
        self.lent(monkeypatch, lambda *given: WrongUse("too much"))
        with pytest.raises(WrongUse, match="too much"):
            work.fill("model", "picture", "mask", "options", print)

    def test_what_zerogpu_says_is_for_the_visitor(self, monkeypatch):
        def refuse(*given):
            raise work.Error("You have exceeded your GPU quota.")

        self.lent(monkeypatch, refuse)
        with pytest.raises(FailedWork, match=r"^You have exceeded your GPU quota$"):
            work.fill("model", "picture", "mask", "options", print)

    def test_a_fill_can_be_sent(self, model_folder, photo, bool_mask):
        import pickle

        picture = work.open_photo(photo, work.LARGEST_PHOTO).picture
        given = pickle.loads(pickle.dumps((str(model_folder), picture, bool_mask, FillOptions())))
        filled = pickle.loads(pickle.dumps(work._filled(*given)))
        assert np.array_equal(filled.mask, bool_mask)
