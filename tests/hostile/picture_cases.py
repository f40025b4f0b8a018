"""Damaged picture files through `glcic inpaint`, compared with what Pillow makes of them."""

import contextlib
import functools
import io
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from glcic_hub.deep import image_of
from glcic_hub.formats import encoded
from glcic_hub.model import GLCICModel
from tests.hostile.commands import c_libraries, check, is_one_sentence, run
from tests.hostile.mutations import damaged, damaged_png
from tests.test_images import exif_with_thumbnail

WIDTH, HEIGHT = 24, 20
MOST_PIXELS = 2**21
"""Files that claim more are left to the tests of bombs: they are slow to read, and in order."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PRINT_IN_C = ("TIFF", "other")
XMP = b'<x><xmp:Thumbnails><r image="/9j/4AAQ"/></xmp:Thumbnails><a b="c"/></x>'
IPTC_BLOCKS = b"8BIM\4\4\0\0\0\0\0\x12\x1c\2\x05\0\5title\x1c\2\xc8\0\3\xff\xd8\xff"
"""A Photoshop block with a title and a preview."""
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def photoshop_segment(blocks: bytes) -> bytes:
    """The segment of a JPEG file that holds them."""
    return b"\xff\xed" + struct.pack(">H", len(blocks) + 16) + b"Photoshop 3.0\0" + blocks


@functools.cache
def valid_files() -> dict[str, list[bytes]]:
    """For each format small files of many kinds."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    rgb, rgba, grey = (Image.fromarray(noise[..., c]) for c in (slice(3), slice(4), 0))
    smooth = rgb.resize((4, 4)).resize((WIDTH, HEIGHT))
    sixteen = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    deep = [image_of(noise[..., :channels].astype(np.uint16) * 255 + 99) for channels in (3, 4)]
    black_white, palette = grey.convert("1"), smooth.quantize(16)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif = exif.tobytes()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    words = PngImagePlugin.PngInfo()
    words.add_text("Title", "words")
    words.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>', zip=True)
    colours = PngImagePlugin.PngInfo()
    colours.add(b"gAMA", struct.pack(">I", 45455))
    colours.add(b"cHRM", struct.pack(">8I", *range(30000, 38000, 1000)))
    colours.add(b"sRGB", b"\1")
    for kind, data in (("exif", exif), ("iptc", IPTC_BLOCKS), ("xmp", XMP)):
        colours.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(data):8}\n{data.hex()}\n", zip=True)

    def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, file_format, **options)
        return buffer.getvalue()

    def frames(file_format: str, **options: object) -> bytes:
        return saved(smooth, file_format, save_all=True, append_images=[rgb, smooth], **options)

    return {
        "PNG": [
            *(saved(image, "PNG") for image in (rgb, rgba, grey, rgba.convert("LA"), black_white, sixteen, palette)),
            saved(palette, "PNG", transparency=bytes([0, 9, 255])),
            saved(rgb, "PNG", transparency=tuple(map(int, noise[0, 0, :3]))),
            saved(sixteen, "PNG", transparency=5),
            saved(smooth, "PNG", exif=exif, icc_profile=profile, dpi=(72, 72), pnginfo=words),
            saved(smooth, "PNG", pnginfo=colours),
            *(encoded(image, "PNG") for image in deep),
            frames("PNG", duration=100),
        ],
        "JPEG": [
            *(saved(image, "JPEG") for image in (rgb, grey, rgb.convert("CMYK"))),
            saved(smooth, "JPEG", exif=exif, icc_profile=profile, dpi=(72, 72), comment="words"),
            saved(smooth, "JPEG", progressive=True, restart_marker_blocks=1),
            saved(smooth, "JPEG", xmp=XMP, extra=photoshop_segment(IPTC_BLOCKS)),
        ],
        "WEBP": [
            *(saved(image, "WEBP", lossless=True) for image in (smooth, rgba)),
            saved(rgba, "WEBP", quality=50, exif=exif, icc_profile=profile),
            frames("WEBP", duration=100, lossless=True),
        ],
        "TIFF": [
            *(saved(image, "TIFF") for image in (rgb, rgba, grey, black_white, sixteen, palette)),
            *(saved(image, "TIFF") for image in (rgb.convert("CMYK"), rgb.convert("LAB"))),
            *(
                saved(smooth, "TIFF", compression=name)
                for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
            ),
            saved(black_white, "TIFF", compression="group4"),
            saved(smooth, "TIFF", exif=exif, icc_profile=profile, dpi=(72, 72)),
            *(encoded(image, "TIFF") for image in deep),
            saved(smooth, "TIFF", tiffinfo={700: XMP, 33723: IPTC_BLOCKS[12:], 34377: IPTC_BLOCKS}),
            frames("TIFF"),
        ],
        "GIF": [saved(palette, "GIF"), saved(palette, "GIF", transparency=1), frames("GIF", duration=100, disposal=2)],
        "BMP": [saved(image, "BMP") for image in (rgb, rgba, grey, black_white, palette)],
        "other": [
            saved(sixteen, "PPM"),
            *(saved(rgb, name) for name in ("PPM", "PCX", "SGI", "TGA", "QOI", "ICO", "IM", "DDS", "JPEG2000", "AVIF")),
            saved(rgba, "TGA", compression="tga_rle"),
            saved(black_white, "XBM"),
            saved(rgb.convert("F"), "TIFF"),
            frames("MPO"),
        ],
    }


def damaged_file(rng: Random, file_format: str) -> bytes:
    """A file of `valid_files`, damaged in one of the ways of its format; seldom not at all."""
    if file_format == "metadata":
        return with_damaged_metadata(rng)
    files = valid_files()[file_format]
    data = rng.choice(files)
    if rng.random() < 0.03:
        return data
    return (damaged_png if file_format == "PNG" and rng.random() < 0.7 else damaged)(rng, data, files)


def with_damaged_metadata(rng: Random) -> bytes:
    """A good picture whose EXIF, XMP, ICC or resolution data are damaged, too long or empty."""
    exif, profile = exif_with_thumbnail(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'

    def kept_or_damaged(data: bytes) -> bytes:
        return rng.choice((data, damaged(rng, data, [data]), damaged(rng, data, [data]), data[:6], b"", data * 100))

    mode, file_format = rng.choice((("RGB", "JPEG"), ("CMYK", "JPEG"), ("L", "PNG"), ("RGBA", "PNG"), ("RGB", "WEBP")))
    image = Image.fromarray(np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).convert(mode)
    options = {"exif": kept_or_damaged(exif), "icc_profile": kept_or_damaged(profile), "xmp": kept_or_damaged(xmp)}
    options["pnginfo"] = PngImagePlugin.PngInfo()
    for kind, data in (("exif", exif), ("APP1", exif), ("iptc", IPTC_BLOCKS), ("8bim", IPTC_BLOCKS), ("xmp", XMP)):
        text = f"\n{kind}\n{len(data):8}\n".encode() + data.hex().encode()
        options["pnginfo"].add(b"tEXt", b"Raw profile type " + kind.encode() + b"\0" + kept_or_damaged(text))
    for kind in (b"gAMA", b"cHRM", b"sRGB", b"zTXt", b"iTXt"):
        options["pnginfo"].add(kind, rng.randbytes(rng.choice((0, 1, 4, 32, 60))))
    if (extra := photoshop_segment(kept_or_damaged(IPTC_BLOCKS)[:60000])) and mode != "L":
        options["extra"] = extra
    buffer = io.BytesIO()
    for name in [name for name in options if rng.random() < 0.3]:
        del options[name]
    try:
        image.save(buffer, file_format, dpi=rng.choice(((72, 72), (0, 1), (65535, 1))), lossless=True, **options)
    except Exception:  # noqa: BLE001 - what Pillow does not write, nobody has
        return with_damaged_metadata(rng)
    return buffer.getvalue()


def picture_case(rng: Random, folder: Path, model: Path, file_format: str) -> str:
    """A damaged photo with a good mask: what Pillow reads is completed around its known pixels, all else is refused."""
    data = damaged_file(rng, file_format)
    if (claim := claimed_size(data)) and claim[0] * claim[1] > MOST_PIXELS:
        return "not tried: a bomb"
    shown = as_pillow_shows(data)
    hole = hole_of(rng, (WIDTH, HEIGHT) if shown is None else shown.size)
    photo, mask = folder / "photo", folder / "mask.png"
    photo.write_bytes(data)
    Image.fromarray(hole).save(mask)
    out = folder / "out" / f"result.{rng.choice(('png', 'png', 'png', 'webp', 'jpg'))}"
    outcome = run("inpaint", photo, mask, "-o", out, "--model", model)
    if "only the first is completed" in outcome.complained:
        assert outcome.code == 0 and has_more_frames(data)
        outcome.complained = ""
    check(outcome, out)
    assert not outcome.printed_in_c or file_format in PRINT_IN_C
    if outcome.code == 0:
        assert shown is not None, "completed what Pillow cannot read"
        assert_known_pixels(out, shown, hole, is_a_guess=bool(outcome.printed_in_c))
    elif shown is not None:
        assert outcome.code == 2 and is_a_reason(outcome.complained, shown, hole, out), outcome.complained
    return f"exit {outcome.code}"


def mask_case(rng: Random, folder: Path, model: Path, file_format: str) -> str:
    """A damaged mask for a good photo."""
    data = damaged_file(rng, file_format)
    if (claim := claimed_size(data)) and claim[0] * claim[1] > MOST_PIXELS:
        return "not tried: a bomb"
    shown = as_pillow_shows(data)
    size = (WIDTH, HEIGHT) if shown is None else shown.size
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8))
    (folder / "mask").write_bytes(data)
    photo.save(folder / "photo.png")
    out = folder / "out" / "result.png"
    outcome = run("inpaint", folder / "photo.png", folder / "mask", "-o", out, "--model", model)
    if outcome.code == 0 and is_remark(outcome.complained):
        outcome.complained = ""
    check(outcome, out)
    assert not outcome.printed_in_c or file_format in PRINT_IN_C
    if outcome.code == 0:
        assert shown is not None, "took what Pillow cannot read for a mask"
        with Image.open(out) as result:
            assert result.size == size
    elif shown is not None:
        assert outcome.code == 2
        words = ("covers the whole image", "no pixel of the mask is white", "looks like a photo")
        assert shown.mode == "F" or any(reason in outcome.complained for reason in words), outcome.complained
    return f"exit {outcome.code}"


def is_remark(text: str) -> bool:
    """Whether it is what may be said about a mask of which something is made all the same: one line, or two."""
    words = ("the mask is empty", "looks like a photo", "would be filled")
    return all(is_one_sentence(line) and any(word in line for word in words) for line in text.splitlines(True))


def claimed_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of the header, None if Pillow sees no picture."""
    try:
        with quiet(), Image.open(io.BytesIO(data)) as image:
            return image.size
    except Exception:  # noqa: BLE001 - whatever Pillow says
        return None


def has_more_frames(data: bytes) -> bool:
    """As Pillow says."""
    with quiet(), Image.open(io.BytesIO(data)) as image:
        return image.is_animated


def as_pillow_shows(data: bytes) -> Image.Image | None:
    """The first frame upright, None if Pillow cannot read it."""
    try:
        with quiet(), Image.open(io.BytesIO(data)) as image:
            image.load()
            try:
                orientation = image.getexif().get(0x0112)
            except Exception:  # noqa: BLE001 - damaged EXIF data
                orientation = None
            turn = TURNS.get(orientation) if isinstance(orientation, int) else None
            return image.copy() if turn is None else image.transpose(turn)
    except Exception:  # noqa: BLE001 - whatever Pillow says
        return None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's and libtiff's opinions on damaged files."""
    with warnings.catch_warnings(), c_libraries():
        warnings.simplefilter("ignore")
        yield


def hole_of(rng: Random, size: tuple[int, int]) -> np.ndarray:
    """bool (H, W): one or two rectangles, not all of the picture unless it is one pixel."""
    width, height = size
    hole = np.zeros((height, width), bool)
    for _ in range(rng.choice((1, 2))):
        top, left = rng.randrange(height), rng.randrange(width)
        hole[top : top + rng.randrange(1, 12), left : left + rng.randrange(1, 12)] = True
    if hole.all() and hole.size > 1:
        hole[0, 0] = False
    return hole


def assert_known_pixels(out: Path, shown: Image.Image, hole: np.ndarray, is_a_guess: bool) -> None:
    """The file is whole and of the right size; outside the hole it is what Pillow shows, if the format is exact.

    is_a_guess: libtiff complained, and what it could not read may come out differently each time.
    """
    result = as_pillow_shows(out.read_bytes())
    assert result is not None and result.size == shown.size, (result, shown)
    if out.suffix == ".jpg" or is_a_guess:
        return
    if shown.mode in SIXTEEN_BITS:
        ours, theirs = np.asarray(result), np.asarray(shown)
    else:
        ours, theirs = (np.asarray(in_colour(image)) for image in (result, shown))
    np.testing.assert_array_equal(ours[~hole], theirs[~hole])


def in_colour(image: Image.Image) -> Image.Image:
    """RGBA; of modes that Pillow converts to it by a detour only, that detour."""
    with quiet():
        if image.mode == "La":
            image = image.convert("LA")
        return (image.convert("RGB") if image.mode == "LAB" else image).convert("RGBA")


def is_a_reason(sentence: str, shown: Image.Image, hole: np.ndarray, out: Path) -> bool:
    """Whether a picture that Pillow reads may be refused with this sentence."""
    if hole.all():
        return "covers the whole image" in sentence
    if shown.mode == "F":
        return "floating point samples" in sentence
    if shown.mode in ("I",) and "must have values from 0 to 65535" in sentence:
        return True
    if "16 bits" in sentence:
        return shown.mode in SIXTEEN_BITS and out.suffix != ".png"
    if "is CMYK" in sentence:
        return shown.mode == "CMYK" and out.suffix != ".jpg"
    if "has transparency" in sentence:
        return shown.has_transparency_data and out.suffix == ".jpg"
    if "pixels a side" in sentence:
        return max(shown.size) > 16383 and out.suffix != ".png"
    return "cannot be written as" in sentence and out.suffix in (".jpg", ".webp") and "EXIF" in sentence


@functools.cache
def save_small_model(folder: Path) -> Path:
    """A model that was not trained."""
    GLCICModel(base_channels=4, sample_size=64, max_hole_size=32).save_pretrained(folder)
    return folder
