"""Photos that are open: versions, what is kept in memory and on disk, and for how long."""

import io
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from glcic_hub import deep, images
from glcic_hub.formats import encoded
from glcic_hub.ui import photos as photos_module
from glcic_hub.ui.photos import Completed, Gone, Photos, completed_stem, suffix_of

MOST = 10**8
MASK = np.zeros((199, 301), bool)
MASK[60:90, 120:170] = True
MASK[70:80, 130:140] = False
OTHER = np.zeros((199, 301), bool)
OTHER[80:100, 150:260] = True


@pytest.fixture
def photos():
    kept = Photos(MOST)
    yield kept
    kept.close()


def add(photos, path, name: str | None = None):
    return photos.add_copy(path, name or path.name)


def complete(photos, photo, base, mask, value=(0.25, 0.5, 0.75)):
    """A version that has one colour under the mask, and the image that it has to be."""
    picture = photos.picture(photo, base and base.id)
    fill = np.zeros((*picture.size, 3), np.float32)
    fill[mask] = value
    image = picture.completed(fill, mask)
    return photos.add_version(photo, base and base.id, Completed(image, mask, 1.5)), image


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def save_as(photo, path, mode: str) -> None:
    image = Image.open(photo)
    if mode in ("RGB 16", "RGBA 16"):
        colours = np.asarray(image.convert(mode[:-3])).astype(np.uint16)
        path.write_bytes(encoded(deep.image_of(colours * 200 + 77), "PNG" if path.suffix == ".png" else "TIFF"))
        return
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 251)
    else:
        image = image.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(path, **({"lossless": True, "exact": True} if path.suffix == ".webp" else {}))


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.png", "RGB"),
        ("a.png", "L"),
        ("a.png", "LA"),
        ("a.png", "RGBA"),
        ("a.png", "I;16"),
        ("a.png", "RGB 16"),
        ("a.png", "RGBA 16"),
        ("a.png", "P"),
        ("a.png", "1"),
        ("a.webp", "RGBA"),
        ("a.tif", "I;16"),
        ("a.tif", "RGB 16"),
        ("a.tif", "CMYK"),
    ],
)
def test_versions_are_exact(photo, tmp_path, name, mode, in_memory):
    """Known pixels are the file's bit for bit, one version after the other, from memory and from disk."""
    save_as(photo, tmp_path / name, mode)
    photos = Photos(MOST, memory=2**30 if in_memory else 0)
    opened = add(photos, tmp_path / name)
    first, _ = complete(photos, opened, None, MASK)
    second, expected = complete(photos, opened, first, OTHER, (1, 0, 0))
    third, _ = complete(photos, opened, None, OTHER)
    files = {one: images.load_image(photos.file(opened, one, True).data) for one in (second, third)}
    found = files[second]
    assert found.mode == expected.mode and np.array_equal(deep.samples_of(found), deep.samples_of(expected))
    known = photos.picture(opened).image
    known = deep.samples_of(known if known.mode == found.mode else known.convert(found.mode))
    assert (known.dtype == np.uint16) == ("16" in mode)
    for version, mask in ((second, MASK | OTHER), (third, OTHER)):
        samples = deep.samples_of(files[version])
        assert np.array_equal(samples[~mask], known[~mask])
        assert (samples[mask] != known[mask]).any()
    photos.close()


def test_jpeg_stays_jpeg_with_what_is_known_of_it(photo, photos, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    Image.open(photo).save(tmp_path / "a.JPG", "JPEG", exif=exif, dpi=(300, 300))
    opened = add(photos, tmp_path / "a.JPG")
    version, image = complete(photos, opened, None, MASK)
    file = photos.file(opened, version, True)
    assert (file.name, file.media_type) == ("a-completed.JPG", "image/jpeg")
    result = decoded(file.data)
    assert result.getexif()[0x010F] == "Maker" and result.info["dpi"] == (300, 300)
    assert np.abs(np.asarray(result).astype(int) - np.asarray(image)).mean() < 1
    exact = photos.file(opened, version, False)
    assert (exact.name, exact.media_type) == ("a-completed.png", "image/png")
    assert np.array_equal(np.asarray(decoded(exact.data)), np.asarray(image))


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "RGBA", "RGB 16"])
def test_patches_show_what_was_filled(photo, photos, tmp_path, mode):
    save_as(photo, tmp_path / "a.png", mode)
    opened = add(photos, tmp_path / "a.png")
    version, image = complete(photos, opened, None, MASK)
    assert version.box == (120, 60, 50, 30)
    patch = decoded(photos.patch(opened, version))
    assert patch.mode == "RGBA" and patch.size == (50, 30)
    shown, filled = np.asarray(patch), MASK[60:90, 120:170]
    assert np.array_equal(shown[..., 3] == 255, filled) and np.array_equal(shown[..., 3] == 0, ~filled)
    assert np.array_equal(shown[filled][:, :3], images.read(image).rgb[MASK])


def test_what_is_shown_of_large_photos_is_smaller(photo, photos, monkeypatch):
    monkeypatch.setattr(photos_module, "PREVIEW_SIDE", 40)
    opened = add(photos, photo)
    version, _ = complete(photos, opened, None, MASK)
    assert decoded(photos.preview(opened)).size == (40, 26)
    assert decoded(photos.patch(opened, version)).size == (40, 24)


def test_transparency_and_profile_are_shown(photo, photos, tmp_path):
    save_as(photo, tmp_path / "a.png", "RGBA")
    image = Image.open(tmp_path / "a.png")
    image.save(tmp_path / "a.png", icc_profile=b"a profile")
    opened = add(photos, tmp_path / "a.png")
    version, _ = complete(photos, opened, None, MASK)
    preview, patch = decoded(photos.preview(opened)), decoded(photos.patch(opened, version))
    assert preview.mode == "RGBA" and preview.info["icc_profile"] == patch.info["icc_profile"] == b"a profile"


def test_memory_is_bounded(photo, monkeypatch):
    decodings = []
    open_photo = photos_module.open_photo
    monkeypatch.setattr(photos_module, "open_photo", lambda *given: decodings.append(given) or open_photo(*given))
    for memory, expected in ((10 * 199 * 301 * 6, 3), (199 * 301 * 6, 9)):
        decodings.clear()
        photos = Photos(MOST, memory=memory)
        opened = [add(photos, photo) for _ in range(3)]
        for _ in range(2):
            for one in opened:
                photos.picture(one)
        assert len(decodings) == expected, "the one that was used last is kept whatever its size"
        photos.close()


def test_a_chain_is_not_decoded_again(photo, photos, monkeypatch):
    opened, version = add(photos, photo), None
    monkeypatch.setattr(photos_module, "open_photo", None)
    for _ in range(5):
        version, _ = complete(photos, opened, version, MASK)


def test_photos_are_forgotten_in_time(photo):
    photos = Photos(MOST, kept_seconds=1)
    opened = add(photos, photo)
    deadline = time.monotonic() + 60
    while opened.folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not opened.folder.exists()
    with pytest.raises(Gone):
        photos.get(opened.id)
    photos.close()


def test_the_disk_is_bounded(photo):
    photos = Photos(MOST, most_bytes=int(2.5 * photo.stat().st_size))
    opened = [add(photos, photo) for _ in range(2)]
    photos.get(opened[0].id)  # is used
    last = add(photos, photo)
    with pytest.raises(Gone):
        photos.get(opened[1].id)
    assert photos.get(opened[0].id) and photos.get(last.id)
    photos.close()


def test_what_is_gone_is_said(photo, photos):
    opened = add(photos, photo)
    version, _ = complete(photos, opened, None, MASK)
    shutil.rmtree(opened.folder)
    with pytest.raises(Gone):
        photos.patch(opened, version)
    with pytest.raises(Gone):
        complete(photos, opened, version, MASK)
    with pytest.raises(Gone):
        opened.version("another")
    with pytest.raises(Gone):
        photos.get("another")


def test_nothing_is_left_of_what_cannot_be_opened(photos, tmp_path):
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(ValueError):
        add(photos, tmp_path / "a.png")
    assert not [path for path in photos.new_file().parent.iterdir() if path.is_dir()]


def test_ids_cannot_be_guessed(photo, photos):
    ids = {add(photos, photo).id for _ in range(3)}
    assert len(ids) == 3 and min(map(len, ids)) >= 20


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.jpg", "a-completed"),
        ("a.b.png", "a.b-completed"),
        ("a-completed.png", "a-completed"),
        ("Straße 1.jpg", "Straße 1-completed"),
    ],
)
def test_names_of_results(name, stem):
    assert completed_stem(name) == stem


@pytest.mark.parametrize(
    ("name", "file_format", "suffix"),
    [
        ("a.JPEG", "JPEG", ".JPEG"),
        ("a.jpg", "JPEG", ".jpg"),
        ("a.jpg", "PNG", ".png"),
        ("a.heic", "PNG", ".png"),
        ("a", "WEBP", ".webp"),
        ("a.mpo", "JPEG", ".jpg"),
    ],
)
def test_suffixes_of_results(name, file_format, suffix):
    assert suffix_of(name, file_format) == suffix


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        (r"C:\photos\a.jpg", "a.jpg"),
        ("", "photo"),
        ("..", "photo"),
        ("a\r\nb.jpg", "a__b.jpg"),
        ('a"b<c.jpg', "a_b_c.jpg"),
        ("x" * 500 + ".jpg", "x" * 196 + ".jpg"),
        ("漢" * 85 + ".jpg", "漢" * 65 + ".jpg"),
        ("caf\udce9.jpg", "caf_.jpg"),
    ],
)
def test_names_are_without_folders(photo, photos, given, name):
    assert photos.add_copy(photo, given).name == name
