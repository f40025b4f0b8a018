"""What a file says about its image besides the samples: found wherever it is stored, and without thumbnails.

It is kept as Pillow has it in `info` of JPEG and PNG files: `exif`, `xmp` and `icc_profile` as bytes, `photoshop` as
{number of the block: bytes}, the texts of PNG files as str under their keywords.
"""

import re
import struct
from contextlib import suppress

from PIL import ExifTags, Image, IptcImagePlugin, TiffImagePlugin

from glcic_hub.opening import warnings_off

EXIF_HEADER = b"Exif\0\0"
ORIENTATION_TAG = 0x0112
IPTC = 0x0404
"""The number of the Photoshop block that holds IPTC data."""

_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_RAW_PROFILE = "Raw profile type "  # the keyword of ImageMagick's texts, with the kind behind it

_XMP_TAG, _PHOTOSHOP_TAG = 0x02BC, 0x8649
_INNER = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_TIFF_TAGS = {
    *(0x010D, 0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x011D, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x013E, 0x013F),
    *(0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),  # copyright, stars, titles of Windows
    *(0x830E, 0x8482, 0x85D8, 0x87AF, 0x87B0, 0x87B1, 0xA480, 0xA481),  # where on Earth
}
"""Tags of a TIFF file that are about its image; others are about how the samples lie in it."""

_SMALL_PICTURE_BLOCKS = {0x0409, 0x040C, 0x0422, 0x0423, 0x0424}  # thumbnails; EXIF and XMP data once more
_SMALL_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|/9j/|iVBORw0KGgo")  # JPEG and PNG, also in base64
_THUMBNAILS = re.compile(r"<\w+:Thumbnails\b(?:[^>]*/>|.*?(?:</\w+:Thumbnails\s*>|\Z))", re.DOTALL)
_BASE64_PICTURE = re.compile(r"(?:data:image/[\w.+-]+;base64,|/9j/|iVBORw0KGgo)(?:[\w+/=\s]|&#\w+;)*")


def gathered(image: Image.Image) -> dict:
    """`info` of a loaded image, and in it what Pillow leaves elsewhere: EXIF and IPTC data of TIFF files, and those in
    PNG texts of ImageMagick. Damaged ones are left out."""
    info = image.info.copy()
    for keyword in [key for key in info if isinstance(key, str) and key.startswith(_RAW_PROFILE)]:
        kind, value = _of_raw_profile(keyword.removeprefix(_RAW_PROFILE), info.pop(keyword))
        if kind and value:
            info.setdefault(kind, value)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        with warnings_off():
            of_tiff = {"exif": _exif_of_tiff(image), "photoshop": _blocks_of_tiff(image)}
        for kind, value in of_tiff.items():
            if value:
                info.setdefault(kind, value)
    return info


def without_small_pictures(info: dict, orientation: int) -> dict:
    """`info` without thumbnails, which still show what was filled.

    `orientation` is left of damaged EXIF data, which may hide one: without it XMP data would count.
    """
    cleaned = {key: _without_base64(value) if isinstance(value, str) else value for key, value in info.items()}
    if "exif" in info:
        cleaned["exif"] = _exif_without_thumbnail(info["exif"], orientation)
    for key in ("xmp", "comment"):
        if isinstance(info.get(key), bytes):
            cleaned[key] = _without_base64(info[key].decode("latin-1")).encode("latin-1")
    if "photoshop" in info:
        cleaned["photoshop"] = _blocks_without_thumbnails(info["photoshop"])
    return cleaned


def photoshop_blocks(blocks: dict[int, bytes]) -> list[bytes]:
    """The blocks as Photoshop has them in files, one behind the other."""
    return [
        b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)
        for number, data in blocks.items()
        if isinstance(data, bytes)  # Pillow has read the others for us: they are the resolution
    ]


def tiff_tags(exif: bytes | None, xmp: bytes | None, blocks: list[bytes]) -> Image.Exif:
    """The tags of a TIFF file with EXIF data (orientation included), XMP data and Photoshop's blocks."""
    tags = Image.Exif()
    with suppress(Exception), warnings_off():  # damaged EXIF data raise many kinds
        stored = Image.Exif()
        stored.load(exif or b"")
        orientation = stored.get(ORIENTATION_TAG)
        tags = _about_the_image(stored)
        if orientation in range(1, 9):
            tags[ORIENTATION_TAG] = orientation
    if xmp:
        tags[_XMP_TAG] = xmp
    if blocks:
        tags[_PHOTOSHOP_TAG] = b"".join(blocks)
    return tags


def _of_raw_profile(kind: str, text: str) -> tuple[str | None, object]:
    """The entry of `info` that is in a text of ImageMagick: a line with the kind, one with the length, then digits."""
    lines = text.split("\n")
    try:
        data = bytes.fromhex("".join(lines[3:] if text.startswith("\n") else lines))
    except ValueError:
        return None, None
    if data.startswith((EXIF_HEADER, b"II*\0", b"MM\0*")):
        return "exif", data if kind == "exif" else _not_turning(data)
    if data.startswith(_XMP_HEADER) or kind == "xmp":
        return "xmp", data.removeprefix(_XMP_HEADER)
    if kind in ("icc", "icm"):
        return "icc_profile", data
    if kind in ("iptc", "8bim"):
        return "photoshop", _blocks(data) or {IPTC: data}
    return None, None


def _not_turning(exif: bytes) -> bytes | None:
    """EXIF data at a place where viewers, and Pillow, look for no orientation."""
    try:
        with warnings_off():
            tags = Image.Exif()
            tags.load(exif)
            return _bytes_of(tags) if tags.pop(ORIENTATION_TAG, None) else exif
    except Exception:  # noqa: BLE001 - damaged EXIF data raise many kinds
        return None


def _bytes_of(tags: Image.Exif) -> bytes:
    """The tags, with those of the camera and the place, but not the thumbnail."""
    for inner in _INNER:
        tags.get_ifd(inner)  # what has been read is written, all else is not
    return tags.tobytes()


def _blocks(data: bytes) -> dict[int, bytes]:
    blocks, at = {}, 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        (number,) = struct.unpack_from(">H", data, at + 4)
        at += 6 + (data[at + 6] + 2) // 2 * 2  # a name, whose length and padding make its place even
        size = int.from_bytes(data[at : at + 4], "big")
        blocks[number] = data[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return blocks


def _exif_of_tiff(image: TiffImagePlugin.TiffImageFile) -> bytes | None:
    kept = Image.Exif()
    with suppress(Exception):  # damaged EXIF data raise many kinds
        kept = _about_the_image(image.getexif())
    return kept.tobytes() if kept else None


def _about_the_image(stored: Image.Exif) -> Image.Exif:
    """The tags that say nothing about how the samples lie in a file, and can be written."""
    kept = Image.Exif()
    values = {tag: stored[tag] for tag in sorted(_TIFF_TAGS.intersection(stored))}
    for inner in _INNER:
        values[inner] = {tag: value for tag, value in stored.get_ifd(inner).items() if tag != ExifTags.IFD.Interop}
    for tag, value in values.items():
        if value and _can_be_written(tag, value):
            kept[tag] = value
    return kept


def _can_be_written(tag: int, value: object) -> bool:
    alone = Image.Exif()
    alone[tag] = value
    try:
        return bool(alone.tobytes())
    except Exception:  # noqa: BLE001 - a value of another type than its tag's
        return False


def _blocks_of_tiff(image: TiffImagePlugin.TiffImageFile) -> dict[int, bytes]:
    try:
        blocks = {number: block["data"] for number, block in image.get_photoshop_blocks().items()}
        iptc = _iptc_of(IptcImagePlugin.getiptcinfo(image) or {})
        return blocks | ({IPTC: iptc} if iptc else {})
    except Exception:  # noqa: BLE001 - damaged tags raise many kinds
        return {}


def _iptc_of(fields: dict[tuple[int, int], bytes | list[bytes]]) -> bytes:
    """IPTC data of (record, number) -> value or values, as Pillow reads them."""
    data = b""
    for key, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            size = struct.pack(">H", len(value)) if len(value) < 0x8000 else b"\x80\4" + struct.pack(">I", len(value))
            data += b"\x1c" + bytes(key) + size + value
    return data


def _exif_without_thumbnail(exif: bytes, orientation: int) -> bytes:
    try:
        with warnings_off():
            tags, kept = Image.Exif(), Image.Exif()
            for copy in (tags, kept):
                copy.load(exif)
            holders = [kept, *(kept.get_ifd(inner) for inner in _INNER)]
            found = [(values, tag) for values in holders for tag, value in values.items() if _is_picture(value)]
            for values, tag in found:
                del values[tag]
            return _bytes_of(kept) if found or tags.get_ifd(ExifTags.IFD.IFD1) else exif
    except Exception:  # noqa: BLE001 - damaged EXIF data raise many kinds
        alone = Image.Exif()
        alone[ORIENTATION_TAG] = orientation
        return alone.tobytes()


def _blocks_without_thumbnails(blocks: dict) -> dict:
    kept = {number: data for number, data in blocks.items() if number not in _SMALL_PICTURE_BLOCKS}
    if isinstance(kept.get(IPTC), bytes):
        kept[IPTC] = _iptc_without_pictures(kept[IPTC])
    return {number: data for number, data in kept.items() if not _is_picture(data)}


def _iptc_without_pictures(data: bytes) -> bytes:
    """IPTC fields but for those of the preview (2:200 to 2:202) and others that contain an image."""
    kept, at = [], 0
    while data[at : at + 1] == b"\x1c" and at + 5 <= len(data):
        start, (record, number, size) = at, struct.unpack_from(">BBH", data, at + 1)
        at += 5
        if size & 0x8000:  # a long field: so many bytes hold its size
            at, size = at + (size & 0x7FFF), int.from_bytes(data[at : at + (size & 0x7FFF)], "big")
        at += size
        if not (record == 2 and 200 <= number <= 202) and not _is_picture(data[start:at]):
            kept.append(data[start:at])
    return b"".join(kept)


def _without_base64(text: str) -> str:
    """A text without thumbnails; itself if it has none."""
    cleaned = _BASE64_PICTURE.sub("", _THUMBNAILS.sub("", text))
    return text if cleaned == text else cleaned


def _is_picture(value: object) -> bool:
    return isinstance(value, bytes) and _SMALL_PICTURE.search(value) is not None
