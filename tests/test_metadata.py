"""What files say about their pictures: found wherever it lies, without small pictures, and written where there is room.

The way is that of the command line: `images.read`, `Picture.completed`, `formats.encoded`.
"""

import base64
import io
import struct

import numpy as np
import pytest
from PIL import Image, IptcImagePlugin, PngImagePlugin

from glcic_hub import images
from glcic_hub.formats import encoded
from glcic_hub.metadata import IPTC, photoshop_blocks, without_small_pictures

SIZE = 16, 12
ARTIST, COPYRIGHT, DATE, MAKER_NOTE, PREVIEW = 0x013B, 0x8298, 0x9003, 0x927C, 0xC4A5
JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><a GPano:ProjectionType="equirectangular" xmp:Rating="4"/>{}</x:xmpmeta>'
TITLE = b"\x1c\2\x05\0\5title"
IPTC_PREVIEW = b"\x1c\2\xc8\0\2\0\1\x1c\2\xca\x80\4\0\0\0\x40" + JPEG
OUTPUTS = ("JPEG", "PNG", "WEBP", "TIFF")


def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), np.uint8))


def file_of(file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    photo().save(buffer, file_format, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def completed(data: bytes, file_format: str) -> Image.Image:
    """The file after one pixel was filled, as a file of another format."""
    picture = images.read(images.load_image(data))
    mask = np.zeros(picture.size, bool)
    mask[2, 3] = True
    return opened(encoded(picture.completed(np.zeros_like(picture.rgb, np.float32), mask), file_format))


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[ARTIST], tags[COPYRIGHT] = "Artist", "Copyright"
    tags.get_ifd(0x8769)[DATE] = "2026:01:02 03:04:05"
    tags.get_ifd(0x8825)[1] = "N"
    return tags


def raw_profile(kind: str, data: bytes, named: str | None = None) -> PngImagePlugin.PngInfo:
    """As ImageMagick writes profiles into PNG files."""
    chunks = PngImagePlugin.PngInfo()
    digits = data.hex()
    lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
    chunks.add_text(f"Raw profile type {kind}", "\n".join(["", named or kind, f"{len(data):8}", *lines, ""]), zip=True)
    return chunks


def app13(*blocks: bytes) -> bytes:
    data = b"Photoshop 3.0\0" + b"".join(blocks)
    return b"\xff\xed" + struct.pack(">H", len(data) + 2) + data


def iptc_of(image: Image.Image) -> bytes:
    """The IPTC data of a JPEG file, or of a PNG file as ExifTool and ImageMagick write them."""
    if image.format == "JPEG":
        return image.info["photoshop"][IPTC]
    if image.format == "TIFF":
        return image.get_photoshop_blocks()[IPTC]["data"]
    digits = image.text["Raw profile type iptc"].split("\n")[3:]
    block = bytes.fromhex("".join(digits))
    assert block.startswith(b"8BIM\4\4\0\0")
    return block[12 : 12 + int.from_bytes(block[8:12], "big")]


# ------------------------------------------------------------------------------------------------------- what is kept


@pytest.mark.parametrize("out", OUTPUTS)
@pytest.mark.parametrize(
    "data",
    [
        *(file_of(kind, exif=exif().tobytes()) for kind in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF")),
        file_of("TIFF", exif=exif().tobytes(), save_all=True, append_images=[photo()]),
        file_of("PNG", pnginfo=raw_profile("exif", exif().tobytes())),
        file_of("PNG", pnginfo=raw_profile("exif", exif().tobytes()[6:])),
        file_of("PNG", pnginfo=raw_profile("APP1", exif().tobytes(), "generic profile")),
    ],
    ids=["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "pages", "text", "text without header", "APP1"],
)
def test_exif_data_wherever_they_lie(data, out):
    """OpenImageIO 945."""
    tags = completed(data, out).getexif()
    assert (tags.get(ARTIST), tags.get(COPYRIGHT)) == ("Artist", "Copyright")
    assert tags.get_ifd(0x8769)[DATE] == "2026:01:02 03:04:05" and tags.get_ifd(0x8825)[1] == "N"
    assert out == "TIFF" or not tags.keys() & {0x0100, 0x0111, 0x0117}  # how the samples lay in a TIFF file


def test_tags_of_a_tiff_file_that_are_about_its_picture():
    tags = exif()
    tags[0x010E], tags[0x0110], tags[0x4746], tags[0x9C9B] = "words", "Model", 4, "title".encode("utf-16-le")
    tags[0x830E], tags[0x87AF] = (0.5, 0.5, 0.0), (1, 1, 0, 1, 1024, 0, 1, 1)  # of GeoTIFF
    tags[0x014A], tags[0x935C] = 8, JPEG  # where another picture lies, and Photoshop's layers
    data = file_of("TIFF", exif=tags.tobytes())
    stored = completed(data, "PNG").getexif()
    for tag in (0x010E, 0x0110, 0x4746, 0x9C9B, 0x830E, 0x87AF, ARTIST, COPYRIGHT):
        assert stored[tag] == opened(data).getexif()[tag]
    assert not stored.keys() & {0x014A, 0x935C}


def test_xmp_data_of_another_type_are_left_out():
    upright = file_of("TIFF", tiffinfo={0x0112: 1})  # otherwise Pillow looks for it in the XMP data, and refuses
    data = with_tag(upright, struct.Struct("<HHII"), 700, 4, (1, 2, 3))
    for out in OUTPUTS:
        assert "xmp" not in completed(data, out).info


def test_exif_data_of_a_closed_file_with_pages(tmp_path):
    (tmp_path / "x.tif").write_bytes(file_of("TIFF", exif=exif().tobytes(), save_all=True, append_images=[photo()]))
    stored = images.read(tmp_path / "x.tif").image.getexif()
    assert stored[ARTIST] == "Artist" and stored.get_ifd(0x8769)[DATE] == "2026:01:02 03:04:05"


def test_an_orientation_where_no_viewer_looks_does_not_turn_the_result():
    turning = exif()
    turning[0x0112] = 6
    result = completed(file_of("PNG", pnginfo=raw_profile("APP1", turning.tobytes())), "PNG")
    assert result.getexif().get(0x0112) is None and result.getexif()[ARTIST] == "Artist"


@pytest.mark.parametrize("out", OUTPUTS)
@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "text", "APP1"])
def test_xmp_data(source, out):
    """ente 7095, gear360pano 53."""
    xmp = XMP.format("").encode()
    if source == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
        data = file_of("PNG", pnginfo=chunks)
    elif source == "text":
        data = file_of("PNG", pnginfo=raw_profile("xmp", xmp))
    elif source == "APP1":
        data = file_of("PNG", pnginfo=raw_profile("APP1", b"http://ns.adobe.com/xap/1.0/\0" + xmp))
    else:
        data = file_of(source, **({"tiffinfo": {700: xmp}} if source == "TIFF" else {"xmp": xmp}))
    result = completed(data, out)
    assert result.info["xmp"] == xmp
    assert out != "PNG" or list(result.text) == ["XML:com.adobe.xmp"]


@pytest.mark.parametrize("out", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("order", ["II", "MM", None])
def test_iptc_data(order, out):
    """Of a TIFF file they are bytes or, in either order, numbers of four of them."""
    if order:
        tags = struct.unpack(f"{'<' if order == 'II' else '>'}3I", TITLE + bytes(2))
        ifd = struct.Struct("<HHII" if order == "II" else ">HHII")
        base = bytearray(file_of("TIFF"))
        if order == "MM":
            base = bytearray(big_endian_tiff())
        data = with_tag(bytes(base), ifd, 33723, 4, tags)
    else:
        data = file_of("TIFF", tiffinfo={33723: TITLE})
    assert iptc_of(completed(data, out)).startswith(TITLE)


def big_endian_tiff() -> bytes:
    """A grey picture of 16 x 12, white."""
    entries = [(256, 3, 16), (257, 3, 12), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 3, 12)]
    entries += [(279, 4, 192)]
    directory = struct.pack(">H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack(">HHI", tag, kind, 1) + (
            struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value)
        )
    return b"MM\0*" + struct.pack(">I", 8 + 192) + b"\xff" * 192 + directory + bytes(4)


def with_tag(data: bytes, entry: struct.Struct, tag: int, kind: int, numbers: tuple[int, ...]) -> bytes:
    """A TIFF file with one more tag of 32-bit numbers: its directory is written anew behind all else."""
    order = "<" if data[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, place)
    entries = data[place + 2 : place + 2 + 12 * count]
    data += struct.pack(f"{order}{len(numbers)}I", *numbers)
    added = entry.pack(tag, kind, len(numbers), len(data) - 4 * len(numbers))
    directory = struct.pack(f"{order}H", count + 1) + entries + added + bytes(4)
    return data[:4] + struct.pack(f"{order}I", len(data)) + data[8:] + directory


@pytest.mark.parametrize("out", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "iptc", "8bim", "bare"])
def test_photoshop_blocks(kind, out):
    (block,) = photoshop_blocks({IPTC: TITLE})
    data = {
        "JPEG": lambda: file_of("JPEG", extra=app13(block)),
        "TIFF": lambda: file_of("TIFF", tiffinfo={34377: block}),
        "iptc": lambda: file_of("PNG", pnginfo=raw_profile("iptc", block)),
        "8bim": lambda: file_of("PNG", pnginfo=raw_profile("8bim", block)),
        "bare": lambda: file_of("PNG", pnginfo=raw_profile("iptc", TITLE)),
    }[kind]()
    result = completed(data, out)
    assert iptc_of(result) == TITLE
    assert out != "JPEG" or IptcImagePlugin.getiptcinfo(result) == {(2, 5): b"title"}


def test_texts_and_the_meaning_of_colours_of_png_files():
    """PhotoDemon 612."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Copyright", "somebody")
    chunks.add_itxt("parameters", "steps: 20, 図", "ja", "パラメータ")
    chunks.add_text("Comment", "words " * 1000, zip=True)
    chunks.add(b"gAMA", struct.pack(">I", 45455))
    chunks.add(b"cHRM", struct.pack(">8I", *range(10000, 90000, 10000)))
    chunks.add(b"sRGB", b"\1")
    given = opened(file_of("PNG", pnginfo=chunks, dpi=(300, 300)))
    result = completed(file_of("PNG", pnginfo=chunks, dpi=(300, 300)), "PNG")
    assert result.text == given.text and len(result.text) == 3
    assert (result.text["parameters"].lang, result.text["parameters"].tkey) == ("ja", "パラメータ")
    for key in ("gamma", "chromaticity", "srgb", "dpi"):
        assert result.info[key] == given.info[key]


@pytest.mark.parametrize(("kind", "key"), [("JPEG", "comment"), ("GIF", "comment")])
def test_comments(kind, key):
    data = file_of(kind, comment="said äö")
    assert completed(data, "JPEG").info["comment"] == "said äö".encode()
    assert completed(data, "PNG").text == {"Comment": "said äö"}


def test_what_a_jpeg_file_has_no_room_for_is_left_out():
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", "<x>" + "y" * 70_000 + "</x>")
    result = completed(file_of("PNG", pnginfo=chunks), "JPEG")
    assert "xmp" not in result.info
    many = photoshop_blocks({IPTC: TITLE, 1000: bytes(40_000), 1001: bytes(40_000), 1002: bytes(70_000)})
    result = completed(file_of("TIFF", tiffinfo={34377: b"".join(many)}), "JPEG")
    assert result.info["photoshop"].keys() == {IPTC, 1000, 1001}
    result = completed(file_of("GIF", comment="x" * 70_000), "JPEG")
    assert "comment" not in result.info


# ------------------------------------------------------------------------------------------------ what goes, and why


def base64_of(data: bytes, newline: str = "") -> str:
    text = base64.b64encode(data).decode()
    return newline.join(text[at : at + 20] for at in range(0, len(text), 20))


THUMBNAILS = (
    "<xmp:Thumbnails><rdf:Alt><rdf:li><xmpGImg:format>JPEG</xmpGImg:format>"
    f"<xmpGImg:image>{base64_of(JPEG, '&#xA;')}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>"
)


@pytest.mark.parametrize("out", OUTPUTS)
@pytest.mark.parametrize(
    "thumbnails",
    [
        THUMBNAILS,
        THUMBNAILS.replace("xmp:", "xap:") + THUMBNAILS,
        f'<a GImage:Data="{base64_of(JPEG)}"/>',
        f"<GImage:Data>{base64_of(PNG, chr(10))}</GImage:Data>",
        "<xmp:Thumbnails>" + base64_of(JPEG[2:]),  # cut off, and not even a picture
    ],
    ids=["Adobe", "two", "Google", "PNG", "cut off"],
)
def test_small_pictures_in_xmp_data_go(thumbnails, out):
    xmp = completed(file_of("JPEG", xmp=XMP.format(thumbnails).encode()), out).info["xmp"]
    assert b"/9j/" not in xmp and b"iVBOR" not in xmp and b"AAAA" not in xmp
    assert b'GPano:ProjectionType="equirectangular"' in xmp and b'xmp:Rating="4"' in xmp
    if "cut" not in thumbnails and thumbnails.startswith("<xmp:Thumbnails><rdf") or "GImage" in thumbnails:
        assert xmp.endswith(b"</x:xmpmeta>")


def test_nothing_else_in_xmp_data_changes():
    xmp = XMP.format("<xmp:Thumbnails/><b>words</b>" + THUMBNAILS + "<c/>").encode()
    cleaned = without_small_pictures({"xmp": xmp}, 1)["xmp"]
    assert cleaned == XMP.format("<b>words</b><c/>").encode()


def test_cleaning_takes_a_time_that_grows_with_the_length():
    """Beginnings without ends, which patterns could try again and again."""
    text = "<x:Thumbnails " * 200_000 + "<x:Thumbnails>" * 200_000 + "/9j/" * 200_000
    assert without_small_pictures({"Text": text}, 1)["Text"] == ""


@pytest.mark.parametrize("out", ["JPEG", "PNG", "TIFF"])
def test_small_pictures_in_photoshop_and_iptc_data_go(out):
    blocks = {IPTC: IPTC_PREVIEW + TITLE, 0x0409: bytes(50), 0x040C: bytes(28) + JPEG, 0x0BB7: JPEG, 0x040A: b"\1"}
    data = file_of("JPEG", extra=app13(*photoshop_blocks(blocks)))
    picture = completed(data, out)
    assert iptc_of(picture) == TITLE
    if out == "JPEG":
        assert picture.info["photoshop"] == {IPTC: TITLE, 0x040A: b"\1"}


def test_small_pictures_of_camera_makers_go():
    """Some makers put a preview into their note."""
    tags = exif()
    tags.get_ifd(0x8769)[MAKER_NOTE] = b"Maker\0" + JPEG
    tags[PREVIEW] = JPEG
    result = completed(file_of("JPEG", exif=tags), "JPEG")
    assert JPEG[:4] not in result.info["exif"]
    assert result.getexif()[ARTIST] == "Artist"
    assert result.getexif().get_ifd(0x8769).keys() == {DATE}


@pytest.mark.parametrize("note", [b"Maker\0" + bytes(100), b""])
def test_exif_data_without_pictures_stay_as_they_are(note):
    tags = exif()
    tags.get_ifd(0x8769)[MAKER_NOTE] = note
    given = opened(file_of("JPEG", exif=tags)).info["exif"]
    assert completed(file_of("JPEG", exif=tags), "JPEG").info["exif"] == given


def test_small_pictures_in_texts_go():
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("workflow", f'{{"preview": "data:image/webp;base64,{base64_of(JPEG[4:])}", "steps": 20}}')
    chunks.add_text("Comment", f"before {base64_of(JPEG)}; behind")
    texts = completed(file_of("PNG", pnginfo=chunks), "PNG").text
    assert texts == {"workflow": '{"preview": "", "steps": 20}', "Comment": "before ; behind"}


def test_nothing_goes_where_nothing_was_filled():
    data = file_of("JPEG", xmp=XMP.format(THUMBNAILS).encode(), exif=exif())
    picture = images.read(images.load_image(data))
    kept = picture.completed(np.zeros_like(picture.rgb, np.float32), np.zeros(picture.size, bool))
    assert kept.info["xmp"] == opened(data).info["xmp"]


# ---------------------------------------------------------------------------------------------------------- robustness


@pytest.mark.parametrize("kind", ["exif", "APP1", "iptc", "8bim", "xmp", "icc", "unknown"])
@pytest.mark.parametrize("text", ["", "\n", "no digits", "\nexif\n 3\nabc", "\nx\n9\n" + (b"8BIM" + bytes(9)).hex()])
def test_damaged_texts_are_left_out(kind, text):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(f"Raw profile type {kind}", text)
    data = file_of("PNG", pnginfo=chunks)
    for out in OUTPUTS:
        assert completed(data, out).size == SIZE


def test_the_picture_that_is_given_does_not_change():
    image = opened(file_of("PNG", pnginfo=raw_profile("exif", exif().tobytes())))
    before = dict(image.info)
    picture = images.read(image)
    assert image.info == before and picture.image.getexif()[ARTIST] == "Artist"


def test_an_opaque_copy_keeps_what_is_known(tmp_path):
    """Without a mask the transparency is the hole, and the result is opaque."""
    from glcic_hub.picture_files import PictureFile
    from glcic_hub.workflow import Settings, read_pair

    image = photo()
    image.putalpha(Image.new("L", SIZE, 200))
    image.save(tmp_path / "x.tif", exif=exif())
    picture, _ = read_pair(PictureFile(tmp_path / "x.tif", "x.tif"), None, Settings(file_format="JPEG"))
    assert picture.image.mode == "RGB" and picture.image.getexif()[ARTIST] == "Artist"
