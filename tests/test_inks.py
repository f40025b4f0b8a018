"""Inks for new colours, against sums written out and a small colour profile made here."""

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from glcic_hub import images
from glcic_hub.inks import inks_like, to_rgb


def profile_of_a_press() -> bytes:
    """A CMYK profile with tables of two points a side: colours get darker with each ink, and back without black."""

    def table(kind_in: int, kind_out: int, points: list[list[int]]) -> bytes:
        straight = bytes(range(256))
        matrix = struct.pack(">9i", *(65536 if index % 4 == 0 else 0 for index in range(9)))
        head = b"mft1\0\0\0\0" + bytes([kind_in, kind_out, 2, 0]) + matrix
        return head + straight * kind_in + bytes(itertools.chain(*points)) + straight * kind_out

    def lab(cyan: int, magenta: int, yellow: int, black: int) -> list[int]:
        light = 255 * (1 - 0.3 * (cyan + magenta + yellow)) * (1 - black)
        share = 1 - black
        return [round(light), round(128 + share * 60 * (magenta - cyan)), round(128 + share * 60 * (yellow - cyan))]

    there = [lab(*inks) for inks in itertools.product((0, 1), repeat=4)]
    back = [
        [round((255 - light) * (1 - red / 510)), round((255 - light) * (0.5 + red / 510)), round(yellow), 0]
        for light, red, yellow in itertools.product((0, 255), repeat=3)
    ]
    tags = {
        b"desc": b"desc" + struct.pack(">II", 0, 6) + b"press\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"A2B0": table(4, 3, there),
        b"B2A0": table(3, 4, back),
    }
    offset, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        index += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", 0, b"none", 0x02400000, b"prtr", b"CMYK", b"Lab ") + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    whole = head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body
    return struct.pack(">I", len(whole)) + whole[4:]


PROFILE = profile_of_a_press()


def test_the_profile_is_one_that_littlecms_uses():
    press = ImageCms.getOpenProfile(io.BytesIO(PROFILE))
    assert press.profile.xcolor_space.strip() == "CMYK"


@pytest.mark.parametrize("profile", [None, b"damaged", PROFILE], ids=["none", "damaged", "press"])
def test_the_colour_of_a_known_pixel_gets_its_inks(profile):
    inks = np.array([[0, 0, 0, 128], [180, 160, 160, 200], [10, 200, 30, 0], [0, 0, 0, 0]], np.uint8)
    image = Image.fromarray(inks[None], "CMYK")
    image.info["icc_profile"] = profile
    colours = np.asarray(to_rgb(image))[0]
    np.testing.assert_array_equal(inks_like(colours[::-1], inks, colours, profile), inks[::-1])


def test_another_colour_keeps_the_black_of_the_nearest():
    inks = np.array([[0, 0, 0, 128], [100, 100, 100, 0]], np.uint8)
    colours = np.array([[127, 127, 127], [155, 155, 155]], np.uint8)
    new = inks_like(np.array([[125, 127, 127], [155, 160, 155]], np.uint8), inks, colours, None)
    assert new.tolist() == [[4, 0, 0, 128], [100, 95, 100, 0]]  # beside half of black an ink counts half
    assert inks_like(np.array([[255, 255, 255]], np.uint8), inks[:1], colours[:1], None).tolist() == [[0, 0, 0, 0]]


def test_without_known_pixels_the_conversion_is_all_there_is():
    colours = np.array([[10, 20, 30]], np.uint8)
    assert inks_like(colours, np.zeros((0, 4), np.uint8), np.zeros((0, 3), np.uint8), None).tolist() == [
        [245, 235, 225, 0]
    ]


def test_a_profile_decides_what_the_network_sees():
    image = Image.new("CMYK", (8, 8), (0, 0, 0, 128))
    plain = images.read(image).rgb
    image.info["icc_profile"] = PROFILE
    seen = images.read(image).rgb
    assert (plain == 127).all()
    assert np.abs(seen[0, 0].astype(int) - 119).max() <= 3  # half of the lightness, L* = 50, is 119 in sRGB


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("profile", [None, PROFILE], ids=["none", "press"])
def test_filled_pixels_get_inks_like_those_around(profile, orientation):
    inks = np.zeros((40, 30, 4), np.uint8)
    inks[..., 3] = 120
    inks[:, :15] = 180, 160, 160, 200
    image = Image.fromarray(inks, "CMYK")
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info |= {"exif": exif.tobytes()} | ({"icc_profile": profile} if profile else {})
    picture = images.read(image)
    mask = np.zeros((40, 30), bool)
    mask[10:30, 5:25] = True
    upright = images.turned(mask, orientation)
    result = np.asarray(picture.completed(picture.rgb.astype(np.float32) / 255, upright))
    np.testing.assert_array_equal(result, inks)  # the colours that were there get the inks that were there
