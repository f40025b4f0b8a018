"""Picture files that Pillow opens with help alone, its limits, and what is said of frames and pages."""

import io
import struct
import sys
import zlib

import numpy as np
import pillow_heif
import pytest
import tifffile  # comes with scikit-image
from PIL import AvifImagePlugin, Image

from glcic_hub import images
from glcic_hub.opening import MORE_FRAMES, CannotRead, open_image, pixel_limit
from tests.hostile.mutations import png_chunks, png_of
from tests.train.pictures import encoded, noise

MEGABYTE = b"0123456789abcdef" * 2**16
HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def png_with(*added: tuple[bytes, bytes], behind: bool = False) -> bytes:
    """A PNG file with more chunks, before or behind the samples."""
    chunks = png_chunks(encoded(noise(9, 11), "PNG"))
    place = len(chunks) - 1 if behind else 1
    return png_of([*chunks[:place], *added, *chunks[place:]])


def text_chunk(kind: bytes, keyword: bytes, text: bytes) -> tuple[bytes, bytes]:
    """A compressed text."""
    return kind, keyword + {b"zTXt": b"\0\0", b"iTXt": b"\0\1\0\0\0"}[kind] + zlib.compress(text)


# ------------------------------------------------------------------------------------------------------ texts of PNG


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
@pytest.mark.parametrize("as_path", [False, True], ids=["bytes", "path"])
def test_much_text_is_no_damage(tmp_path, kind, behind, as_path):
    """Pillow 8363."""
    data = png_with(text_chunk(kind, b"workflow", MEGABYTE + b"x"), behind=behind)
    (tmp_path / "x.png").write_bytes(data)
    image = images.load_image(tmp_path / "x.png" if as_path else data)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(noise(9, 11)))
    assert "workflow" not in image.info


def test_an_image_that_was_opened_elsewhere_is_loaded_whatever_texts_are_behind_its_samples():
    image = Image.open(io.BytesIO(png_with(text_chunk(b"zTXt", b"workflow", 2 * MEGABYTE), behind=True)))
    np.testing.assert_array_equal(images.read(image).rgb, np.asarray(noise(9, 11)))


def test_what_lies_beside_a_text_that_is_too_large_stays():
    profile = np.random.default_rng(0).bytes(2 * 2**20)  # larger than Pillow unpacks, too
    image = images.load_image(
        png_with(
            (b"gAMA", struct.pack(">I", 45455)),
            (b"iCCP", b"name\0\0" + zlib.compress(profile)),
            text_chunk(b"iTXt", b"large", 2 * MEGABYTE),
            text_chunk(b"zTXt", b"packed", b"words"),
            (b"tEXt", b"plain\0" + 2 * MEGABYTE),
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
        )
    )
    assert image.info["gamma"] == 0.45455 and image.info["icc_profile"] == profile and image.info["xmp"] == b"<x/>"
    assert image.info["packed"] == "words" and image.info["plain"] == (2 * MEGABYTE).decode()
    assert "large" not in image.info


def test_many_texts_are_too_much_together():
    texts = [text_chunk(b"zTXt", b"%d" % number, MEGABYTE) for number in range(70)]
    kept = images.load_image(png_with(*texts)).info
    assert 1 < len(kept) < 70 and kept["0"] == MEGABYTE.decode()


def test_a_profile_without_end_is_refused_as_too_large():
    with pytest.raises(ValueError, match="^the image has a colour profile that is too large to read") as raised:
        images.load_image(png_with((b"iCCP", b"name\0\0" + zlib.compress(bytes(2**24 + 1)))))
    assert "damaged" not in str(raised.value)


@pytest.mark.parametrize("cut", [20, 40, 3000])
def test_files_that_are_cut_off_beside_a_large_text_are_damaged(cut):
    data = png_with(text_chunk(b"zTXt", b"large", 2 * MEGABYTE))
    with pytest.raises(OSError, match="damaged"):
        images.load_image(data[:cut])


# ----------------------------------------------------------------------------------------------------- other packages


@pytest.mark.parametrize("head", [HEIC_HEAD, HEIC_HEAD.replace(b"ftypheic", b"ftypmif1")])
def test_heic_files_have_a_sentence_of_their_own(tmp_path, monkeypatch, head):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind != "HEIF"])
    monkeypatch.setattr(Image, "OPEN", {kind: opener for kind, opener in Image.OPEN.items() if kind != "HEIF"})
    (tmp_path / "x.heic").write_bytes(head)
    with pytest.raises(ValueError, match=r"x.heic' is a HEIC image, which .*: pip install pillow-heif"):
        images.load_image(tmp_path / "x.heic")


def test_heic_files_are_read_where_pillow_heif_is_installed(tmp_path):
    exif = Image.Exif()
    exif[0x8298] = "Copyright"
    smooth = noise(4, 3).resize((48, 64))
    pillow_heif.from_pillow(smooth).save(tmp_path / "x.heic", quality=95, exif=exif.tobytes())
    picture = images.read(tmp_path / "x.heic")
    assert picture.size == (64, 48) and picture.image.getexif()[0x8298] == "Copyright"
    assert np.abs(picture.rgb.astype(int) - np.asarray(smooth)).mean() < 3
    with pytest.raises(OSError, match="damaged"):
        images.load_image((tmp_path / "x.heic").read_bytes()[:200])


def test_avif_files_for_a_pillow_that_cannot_read_them(monkeypatch):
    data = encoded(noise(9, 11), "AVIF")
    assert images.load_image(data).size == (11, 9)
    monkeypatch.setitem(sys.modules, "PIL._avif", None)  # as if Pillow had been built without
    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    with pytest.raises(ValueError, match="is an AVIF image, which this build of Pillow cannot read"):
        images.load_image(data)


def test_a_damaged_avif_file_is_damaged():
    with pytest.raises(OSError, match="damaged"):
        images.load_image(encoded(noise(9, 11), "AVIF")[:100])


# ------------------------------------------------------------------------------------------------------------- limits


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pictures_above_pillow_s_limit(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = encoded(noise(100, 100), "PNG")
    with pytest.raises(ValueError, match="too large to read.* --max-megapixels") as raised:
        images.load_image(data)
    assert "damaged" not in str(raised.value)
    with pixel_limit(None), pytest.raises(CannotRead):
        open_image(data)
    with pixel_limit(1):
        assert images.load_image(data).size == (100, 100)
        with pytest.raises(CannotRead):
            open_image(encoded(Image.new("1", (1001, 1000)), "PNG"))
        assert open_image(encoded(Image.new("1", (1000, 1000)), "PNG")).size == (1000, 1000)
    assert Image.MAX_IMAGE_PIXELS == 1000


# ------------------------------------------------------------------------------------------------------------- frames


def animated(file_format: str, count: int) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.fromarray(np.roll(np.asarray(noise(20, 30)), number, 1)) for number in range(count)]
    frames[0].save(buffer, file_format, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "PNG", "WEBP", "MPO", "AVIF"])
@pytest.mark.parametrize("count", [1, 3])
def test_frames_and_pages_are_noticed(tmp_path, file_format, count):
    """jimp 816."""
    data = animated(file_format, count)
    (tmp_path / "x").write_bytes(data)
    from_bytes, from_path = images.load_image(data), images.load_image(tmp_path / "x")
    with Image.open(tmp_path / "x") as elsewhere:
        pictures = [images.read(image) for image in (from_bytes, from_path, elsewhere)]
        for picture in pictures:
            assert picture.has_more_frames == (count > 1)
            assert MORE_FRAMES not in picture.image.info
            np.testing.assert_array_equal(picture.rgb, pictures[0].rgb)
        if count > 1:  # who asks for another frame means that one
            elsewhere.seek(1)
            assert not images.read(elsewhere).has_more_frames and elsewhere.tell() == 1


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "WEBP"])
def test_the_first_frame_is_read_whatever_is_behind_it(file_format):
    whole = animated(file_format, 3)
    first = images.load_image(whole)
    for cut in range(len(whole) - 1, len(whole) - 400, -7):
        data = whole[:cut]
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.load()
        except Exception:  # noqa: BLE001, S112 - what Pillow does not read, nobody does
            continue
        np.testing.assert_array_equal(np.asarray(images.load_image(data)), np.asarray(first))


@pytest.mark.parametrize("given", ["path", "list", "image"])
def test_pictures_of_several_frames_are_told(tmp_path, given):
    (tmp_path / "x.gif").write_bytes(animated("GIF", 4))
    with Image.open(tmp_path / "x.gif") as opened:
        image = {"path": tmp_path / "x.gif", "list": [noise(9, 9), str(tmp_path / "x.gif")], "image": opened}[given]
        with pytest.warns(UserWarning, match="image [01] has several frames, pages or layers: only the first"):
            images.read_all(image)


# ------------------------------------------------------------------------------------------------------------- planes


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("as_path", [False, True], ids=["bytes", "path"])
def test_planes_that_pillow_misreads_are_refused(tmp_path, channels, as_path):
    samples = np.random.default_rng(0).integers(0, 65536, (channels, 9, 11), np.uint16)
    path = tmp_path / "planes.tif"
    tifffile.imwrite(path, samples, photometric="rgb", planarconfig="separate")
    with pytest.raises(CannotRead, match="each channel of 16 bits by itself.*interleaved channels, or compressed"):
        open_image(path if as_path else path.read_bytes())


@pytest.mark.parametrize(
    ("bits", "options"),
    [
        (8, {"planarconfig": "separate"}),
        (16, {"planarconfig": "separate", "compression": "zlib"}),
        (16, {"planarconfig": "contig"}),
    ],
    ids=["bytes", "packed", "interleaved"],
)
def test_other_planes_are_read_as_they_are(tmp_path, bits, options):
    """Their upper eight bits: Pillow has no more."""
    samples = np.random.default_rng(0).integers(0, 2**bits, (3, 9, 11)).astype(f"u{bits // 8}")
    written = samples if options["planarconfig"] == "separate" else samples.transpose(1, 2, 0)
    tifffile.imwrite(tmp_path / "planes.tif", written, photometric="rgb", **options)
    assert np.array_equal(open_image(tmp_path / "planes.tif"), (samples >> (bits - 8)).transpose(1, 2, 0))
