"""What visitors bring: photos, masks and paint of all kinds, and sentences for what cannot be used."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile  # comes with scikit-image
from PIL import Image, ImageCms

from glcic_hub import deep
from glcic_hub.formats import encoded
from glcic_hub.ui.reading import MEGAPIXEL, open_photo, read_mask, read_paint

MOST = 40 * MEGAPIXEL


def opened(path) -> Image.Image:
    return open_photo(path, MOST).picture.image


def png_header(width: int, height: int) -> bytes:
    """The beginning of a picture file that claims a size."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT"]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def test_rotated_photos_are_opened_upright(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photo).save(tmp_path / "rotated.png", exif=exif)
    image = opened(tmp_path / "rotated.png")
    assert np.array_equal(np.asarray(image), np.rot90(np.asarray(Image.open(photo)), -1))
    assert 0x0112 not in image.getexif(), "or viewers would turn the result once more"


def test_printing_inks_become_rgb(photo, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    Image.open(photo).convert("CMYK").save(tmp_path / "print.jpg", exif=exif)
    picture, file_format, note = open_photo(tmp_path / "print.jpg", MOST)
    assert np.array_equal(np.asarray(picture.image), np.asarray(Image.open(tmp_path / "print.jpg").convert("RGB")))
    assert file_format == "JPEG" and "CMYK" in note and picture.image.getexif()[0x010F] == "Maker"


@pytest.mark.parametrize(
    ("name", "mode", "file_format"),
    [
        ("a.jpg", "RGB", "JPEG"),
        ("a.jpg", "L", "JPEG"),
        ("a.png", "RGBA", "PNG"),
        ("a.png", "I;16", "PNG"),
        ("a.webp", "RGBA", "WEBP"),
        ("a.tif", "RGB", "TIFF"),
        ("a.tif", "I;16", "TIFF"),
        ("a.gif", "P", "PNG"),
        ("a.heic", "RGB", "PNG"),
        ("a.avif", "RGB", "PNG"),
    ],
)
def test_the_format_of_results(photo, tmp_path, name, mode, file_format):
    image = Image.open(photo)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200)
    else:
        image = image.convert(mode)
    if name.endswith("heic"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    image.save(tmp_path / name)
    picture, found, note = open_photo(tmp_path / name, MOST)
    assert (found, picture.size, note) == (file_format, (199, 301), "")


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_colours_of_16_bits_stay_and_are_upright(photo, tmp_path, name):
    colours = np.asarray(Image.open(photo).convert("RGB")).astype(np.uint16) * 257 - 1
    image, exif = deep.image_of(np.rot90(colours)), Image.Exif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    (tmp_path / name).write_bytes(encoded(image, "PNG" if name == "a.png" else "TIFF"))
    picture, file_format, note = open_photo(tmp_path / name, MOST)
    assert (picture.orientation, file_format, note) == (1, "PNG" if name == "a.png" else "TIFF", "")
    np.testing.assert_array_equal(deep.samples_of(picture.image), colours)


def test_colours_of_16_bits_become_8_where_pillow_has_no_more_which_is_said(photo, tmp_path):
    colours = np.asarray(Image.open(photo).convert("RGB"))
    planes = (colours.astype(np.uint16) * 257).transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate", compression="zlib")
    picture, _, note = open_photo(tmp_path / "a.tif", MOST)
    assert np.array_equal(picture.rgb, colours) and note == "This photo has 16 bits per colour; the result has 8."


def test_one_of_several_frames_is_said(photo, tmp_path):
    frame = Image.open(photo).convert("L")
    frame.save(tmp_path / "a.tif", save_all=True, append_images=[frame.point(lambda value: 255 - value)])
    picture, _, note = open_photo(tmp_path / "a.tif", MOST)
    assert np.array_equal(np.asarray(picture.image), np.asarray(frame)) and "only the first" in note


def test_thumbnails_do_not_come_along(photo, tmp_path):
    small, data = Image.open(photo).convert("RGB").resize((32, 20)), io.BytesIO()
    small.save(data, "JPEG")
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif._ifds[1] = {0x0201: data.getvalue(), 0x0202: len(data.getvalue()), 0x0103: 6}
    Image.open(photo).convert("RGB").save(tmp_path / "a.jpg", exif=exif)
    assert b"\xff\xd8" not in opened(tmp_path / "a.jpg").info["exif"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png_header(10_000, 10_000), "This photo has 100 megapixels; up to 40 work here"),
        (png_header(60_000, 60_000), "This photo is larger than the 40 megapixels"),
        (b"plain text", "not a readable image"),
        (png_header(20, 20), "This photo is damaged"),
        (b"", "not a readable image"),
    ],
)
def test_what_cannot_be_opened_is_said(content, message, tmp_path):
    (tmp_path / "upload.png").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        open_photo(tmp_path / "upload.png", MOST)
    assert str(tmp_path) not in str(caught.value), "folders of the server are nobody's business"


def test_a_damaged_photo_is_refused(photo, tmp_path):
    Image.open(photo).convert("RGB").save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="This photo is damaged: it ends too early"):
        open_photo(tmp_path / "a.jpg", MOST)


def test_floats_are_refused(tmp_path):
    Image.fromarray(np.eye(20, dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="floating-point"):
        open_photo(tmp_path / "a.tif", MOST)


def test_the_profile_stays(photo, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.open(photo).save(tmp_path / "a.png", icc_profile=profile)
    assert opened(tmp_path / "a.png").info["icc_profile"] == profile


class TestMasks:
    def test_white_is_filled(self, mask, bool_mask):
        read, note = read_mask(mask, (199, 301), MOST)
        assert np.array_equal(read, bool_mask) and note == ""

    def test_its_orientation_counts(self, bool_mask, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(np.rot90(bool_mask)).convert("L").save(tmp_path / "mask.png", exif=exif)
        assert np.array_equal(read_mask(tmp_path / "mask.png", (199, 301), MOST)[0], bool_mask)

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (Image.new("L", (600, 400), 255), "This mask is 600 x 400 pixels, the photo 451 x 300. Choose the mask"),
            (Image.new("L", (451, 300)), "Nothing in this mask is white"),
            (Image.new("L", (451, 300), 60), "Nothing in this mask is white"),
            (Image.new("L", (451, 300), 255), "white all over"),
        ],
    )
    def test_what_cannot_be_used_is_said(self, tmp_path, image, message):
        image.save(tmp_path / "mask.png")
        with pytest.raises(ValueError, match=message):
            read_mask(tmp_path / "mask.png", (300, 451), MOST)

    def test_what_is_doubtful_is_said(self, photo, bool_mask, tmp_path):
        assert read_mask(photo, (199, 301), MOST)[1].endswith("are neither black nor white. Is it the right file?")
        Image.fromarray(~bool_mask).save(tmp_path / "inverted.png")
        assert "of the photo would be filled" in read_mask(tmp_path / "inverted.png", (199, 301), MOST)[1]

    def test_huge_ones_are_refused_before_they_are_decoded(self, tmp_path):
        (tmp_path / "mask.png").write_bytes(png_header(10_000, 10_000))
        with pytest.raises(ValueError, match="This mask has 100 megapixels"):
            read_mask(tmp_path / "mask.png", (20, 20), MOST)


def png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


class TestPaint:
    @pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA"])
    def test_white_is_paint(self, bool_mask, mode):
        image = Image.fromarray(bool_mask).convert(mode)
        assert np.array_equal(read_paint(png(image), 199, 301), bool_mask)

    def test_what_is_transparent_is_none(self, bool_mask):
        image = Image.new("RGBA", (301, 199), "white")
        image.putalpha(Image.fromarray(bool_mask.astype(np.uint8) * 255))
        assert np.array_equal(read_paint(png(image), 199, 301), bool_mask)

    @pytest.mark.parametrize(("height", "width"), [(7, 10), (6, 9), (199, 301), (2, 3)])
    @pytest.mark.parametrize("scale", [1, 2, 3, 5])
    def test_what_is_smaller_by_a_whole_number_is_enlarged(self, height, width, scale):
        small = np.random.default_rng(0).random((-(-height // scale), -(-width // scale))) < 0.5
        rows, columns = np.arange(height) // scale, np.arange(width) // scale
        assert np.array_equal(read_paint(png(Image.fromarray(small)), height, width), small[rows][:, columns])

    @pytest.mark.parametrize("size", [(302, 199), (301, 100), (100, 199), (10, 10)])
    def test_of_another_shape_it_is_refused(self, size):
        with pytest.raises(ValueError, match="The paint is"):
            read_paint(png(Image.new("L", size)), 199, 301)

    @pytest.mark.parametrize("data", [b"", b"text", png_header(100_000, 100_000), png_header(20, 20)])
    def test_what_is_no_image_is_refused(self, data):
        with pytest.raises(ValueError, match="paint"):
            read_paint(data, 20, 20)
