"""The lists of formats agree with Pillow; what the formats hold is tested with `glcic inpaint` in test_cli.py."""

from PIL import Image
from pillow_heif import register_heif_opener

from glcic_hub.formats import READABLE, WRITABLE

NOT_READ = {".pfm"}
NOT_REGISTERED = {".mpo"}  # to Pillow a format of its own, whose files are JPEG files with more behind them

register_heif_opener()


def test_every_suffix_of_the_formats_that_are_read_is_read():
    registered = {suffix: kind for suffix, kind in Image.registered_extensions().items() if kind in READABLE.values()}
    assert {suffix: READABLE[suffix] for suffix in READABLE.keys() - NOT_REGISTERED} == {
        suffix: kind for suffix, kind in registered.items() if suffix not in NOT_READ
    }


def test_formats_that_are_read_or_written_are_pillow_s():
    Image.init()
    assert set(READABLE.values()) <= set(Image.OPEN)
    assert set(WRITABLE.values()) <= set(Image.SAVE)


def test_what_is_written_can_be_read():
    assert WRITABLE.items() <= READABLE.items()
