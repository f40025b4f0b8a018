"""Folders on this machine and in a store (fsspec's own in memory): listed, planned, read and written whole."""

import fsspec
import numpy as np
import pytest

from glcic_hub.errors import WrongUse
from glcic_hub.integrations.folders import folder_at, make_plan
from tests.batch.conftest import samples, save


@pytest.fixture(params=["local", "store"])
def root(request, tmp_path) -> str:
    """The address of an empty folder."""
    if request.param == "local":
        return str(tmp_path)
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    return "memory://root"


def touch(root: str, *names: str) -> None:
    for name in names:
        folder_at(root).write(name, b"")


def plan(root: str, photos="photos", masks="masks", out="out", suffix=".png", force=False):
    return make_plan(*(folder_at(f"{root}/{name}") for name in (photos, masks, out)), suffix, force)


def names(made) -> list[tuple[str, str, str]]:
    return [(job.photo.name, job.mask.name, job.out) for job in made.jobs]


def test_files_are_written_whole_and_read(root, tmp_path):
    data = save(samples(1), tmp_path / "one.png").read_bytes()
    folder = folder_at(f"{root}/deep/er")
    for content in (b"another", data):  # one after the other, into the same file
        folder.write("sub/é #1.png", content)
    folder.remove("not there")
    np.testing.assert_array_equal(np.asarray(folder.picture("sub/é #1.png").load()), samples(1))
    assert folder.existing(["sub/é #1.png", "sub", "x.png"]) == {"sub/é #1.png"}
    assert [picture.name for picture in folder_at(root).pictures().pictures if "deep" in picture.name] == [
        "deep/er/sub/é #1.png"
    ]
    folder.remove("sub/é #1.png")
    assert folder.existing(["sub/é #1.png"]) == set()
    assert not [name for name in fsspec.filesystem("memory").find("") if ".glcic-" in name]


def test_a_file_that_cannot_be_finished_is_not_there(root):
    folder = folder_at(root)
    touch(root, "taken/file.png")
    with pytest.raises(OSError, match="."):
        folder.write("taken/file.png/below.png", b"data")
    assert folder.existing(["taken/file.png/below.png"]) == set()


def test_masks_have_the_names_of_photos_and_what_is_done_is_left_out(root):
    touch(root, "photos/a.jpg", "photos/sub/b.v2.webp", "photos/c.png", "photos/d.png", "photos/readme.txt")
    touch(root, "photos/.hidden.png", "photos/.hidden/x.png", "masks/a.PNG", "masks/sub/b.v2.tif", "masks/c.png")
    touch(root, "out/c.png", "out/d.webp")
    made = plan(root)
    assert names(made) == [("a.jpg", "a.PNG", "a.png"), ("sub/b.v2.webp", "sub/b.v2.tif", "sub/b.v2.png")]
    assert (made.done, made.ignored) == (1, {".txt": 1})
    [(photo, sentence)] = made.problems
    assert photo == folder_at(f"{root}/photos").picture("d.png").label and "no mask for it: 'd.*'" in sentence
    assert [job[0] for job in names(plan(root, force=True))] == ["a.jpg", "c.png", "sub/b.v2.webp"]
    assert [job[2] for job in names(plan(root, suffix=".webp"))] == ["a.webp", "c.webp", "sub/b.v2.webp"]


@pytest.mark.parametrize(
    ("present", "folders", "message"),
    [
        (["photos/a.jpg", "photos/a.png"], {}, "a.png' would both be written to"),
        (["photos/a.jpg", "masks/a.bmp", "masks/a.png"], {}, "are masks of the same photo"),
        (["photos/a.txt"], {}, "there is no image in"),
        (["photos/a.jpg"], {"out": "photos"}, "which is read"),
        (["photos/a.jpg"], {"out": "photos/new/"}, "which is read"),
        (["photos/a.jpg"], {"out": "masks/new"}, "which is read"),
        (["out/photos/a.png", "out/photos/photos/a.png"], {"photos": "out/photos"}, "written over an input"),
    ],
)
def test_wrong_use(root, present, folders, message):
    touch(root, "masks/unused.png", *present)
    with pytest.raises(WrongUse, match=message):
        plan(root, **folders)


def test_no_input_is_written_over_through_a_link(tmp_path):
    touch(str(tmp_path), "photos/a.png", "masks/a.png", "out/b.png")
    (tmp_path / "out" / "a.png").symlink_to(tmp_path / "photos" / "a.png")
    with pytest.raises(WrongUse, match="written over an input"):
        plan(str(tmp_path), force=True)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    with pytest.raises(WrongUse, match="which is read"):
        plan(str(tmp_path), out="link/out")


def test_a_photos_folder_that_is_not_there(root):
    touch(root, "masks/a.png")
    with pytest.raises(WrongUse, match="nowhere"):
        plan(root, "nowhere")


def test_an_address_of_no_known_store():
    with pytest.raises(OSError, match="nothing"):
        folder_at("nothing://bucket/photos")


def test_errors_of_stores_name_the_file():
    with pytest.raises(OSError, match="FileNotFoundError: .*a.png"):
        folder_at("memory://root").picture("a.png").load()
