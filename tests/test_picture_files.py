"""Which pictures lie in folders and tar files, and how they are read."""

import gzip
import io
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glcic_hub.formats import READABLE
from glcic_hub.picture_files import PictureFile, list_pictures
from tests.privileges import without_privileges
from tests.train.pictures import DAMAGED, encoded, noise, write_shard


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def tar_of(*names: str) -> bytes:
    """A tar file whose members contain their names."""
    with tempfile.TemporaryDirectory() as folder:
        return write_shard(Path(folder, "x.tar"), {name: name.encode() for name in names}).read_bytes()


def names(found) -> list[str]:
    return [file.name for file in found.pictures]


def test_folders_with_sub_folders_sorted_by_name(tmp_path):
    touch(tmp_path, "b.jpg", "sub/deep/a.PNG", "a.webp", "ünïcode 图.tiff", "sub.png")
    found = list_pictures(tmp_path)
    assert names(found) == ["a.webp", "b.jpg", "sub/deep/a.PNG", "sub.png", "ünïcode 图.tiff"]  # part for part
    assert [file.path.read_text() for file in found.pictures] == names(found)
    assert not found.problems and not found.ignored


def test_what_is_hidden_or_no_picture_is_left_out_and_the_latter_counted(tmp_path):
    touch(tmp_path, ".hidden.png", ".folder/a.png", "._a.png", "a.png", "a.txt", "b.mov", "c.txt", "README")
    found = list_pictures(tmp_path)
    assert names(found) == ["a.png"]
    assert found.ignored == {".txt": 2, ".mov": 1, "": 1}


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path / "elsewhere", "a.png")
    touch(tmp_path / "photos", "b.png")
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "circle").symlink_to(tmp_path / "photos")
    assert names(list_pictures(tmp_path / "photos")) == ["b.png", "linked/a.png"]


def test_tar_files_are_read_without_unpacking(tmp_path):
    path = tmp_path / "shard.tar"
    path.write_bytes(tar_of("b.png", "./sub/a.jpg", "notes.txt", "sub/.hidden.png"))
    found = list_pictures(path)
    assert names(found) == ["b.png", "sub/a.jpg"]
    data = path.read_bytes()
    contents = [data[file.offset : file.offset + file.byte_count].decode() for file in found.pictures]
    assert contents == ["b.png", "./sub/a.jpg"]
    assert found.pictures[1].label == f"{path}: sub/a.jpg"
    assert found.ignored == {".txt": 1} and not found.problems


def test_members_come_as_they_lie_in_the_tar_file_wherever_their_names_lead(tmp_path):
    path = tmp_path / "shard.tar"
    path.write_bytes(tar_of("/etc/a.png", "../b.png", "c/../../d.png", "e/../f.png", "../.hidden.png"))
    found = list_pictures(path)
    assert names(found) == ["/etc/a.png", "../b.png", "../d.png", "f.png"] and not found.problems


@pytest.mark.parametrize("left", [1536, 1600, 1024 + 520, 2 * 1024 + 300, 3 * 1024, 3 * 1024 + 100])
def test_a_tar_file_that_is_cut_off_is_a_problem_and_its_beginning_is_used(tmp_path, left):
    """Each member takes 1024 bytes, half of it its header; tarfile alone takes several of these cuts for the end."""
    path = tmp_path / "shard.tar"
    path.write_bytes(tar_of("a.png", "b.png", "c.png")[:left])
    found = list_pictures(path)
    assert names(found) == ["a.png", "b.png", "c.png"][: (left + 512) // 1024]
    assert len(found.problems) == 1 and "cut off or damaged" in found.problems[0][1]


@pytest.mark.parametrize(
    "data", [b"", b"no tar file" * 100, gzip.compress(tar_of("a.png"))], ids=["empty", "text", "packed"]
)
def test_what_is_no_plain_tar_file_is_refused(tmp_path, data):
    (tmp_path / "shard.tar").write_bytes(data)
    with pytest.raises(ValueError, match="neither a folder nor an uncompressed tar file"):
        list_pictures(tmp_path / "shard.tar")


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list_pictures(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_read_is_a_problem():
    def look() -> int:
        found = list_pictures(Path(folder))
        print(names(found), *[sentence for _, sentence in found.problems], file=sys.stderr)
        return len(found.problems)

    with tempfile.TemporaryDirectory() as folder:  # unlike tmp_path, others than its owner may look into it
        folder = touch(Path(folder), "a.png", "closed/b.png")
        folder.chmod(0o755)
        (folder / "closed").chmod(0)
        problems, said = without_privileges(look)
        (folder / "closed").chmod(0o755)
    assert problems == 1 and said.startswith("['a.png']") and "cannot be read" in said


# ---------------------------------------------------------------------------------------------------- reading pictures


@pytest.fixture(params=["file", "member"])
def lying(request, tmp_path):
    """`lying(data)`: these bytes as a file, or as a member in the middle of a tar file."""

    def write(data: bytes, name: str = "sub/x.png") -> PictureFile:
        if request.param == "file":
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            return PictureFile(path, name)
        shard = write_shard(tmp_path / "a.tar", {"before.png": b"before", name: data, "behind.png": b"behind"})
        return list_pictures(shard).pictures[1]

    return write


@pytest.mark.parametrize("suffix", READABLE)
def test_every_suffix_is_found_and_read(tmp_path, lying, suffix):
    kind = READABLE[suffix]
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {suffix}")
    image = noise(9, 11).convert("1" if suffix == ".pbm" else "L" if suffix == ".pgm" else "RGB")
    file = lying(encoded(image, kind), f"x{suffix.upper()}")
    assert names(list_pictures(file.path if file.byte_count else tmp_path)).count(f"x{suffix.upper()}") == 1
    assert file.load().size == file.decode().size == file.size_in_pixels() == (11, 9)
    assert file.decode().mode == "RGB"


def test_exif_orientation_is_applied_by_decode_alone(lying):
    stored = noise(20, 30)
    exif = stored.getexif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    file = lying(buffer.getvalue())
    assert np.array_equal(np.asarray(file.load()), np.asarray(stored)) and file.size_in_pixels() == (30, 20)
    assert np.array_equal(np.asarray(file.decode()), np.rot90(np.asarray(stored), -1))


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_pictures_are_refused_in_one_line(lying, kind):
    file = lying(DAMAGED[kind])
    with pytest.raises((OSError, ValueError)) as raised:
        file.load()
    assert "object at" not in str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(OSError, match="cannot read the image sub/x.png of ") as raised:
        file.decode()
    assert str(file.path) in str(raised.value) and "object at" not in str(raised.value)


def test_formats_of_no_suffix_are_loaded_and_not_decoded(lying):
    """A single picture that somebody names may be of any format; a collection holds what its suffixes say."""
    file = lying(encoded(noise(16, 16), "ICO"))
    assert file.load().size == (16, 16)
    with pytest.raises(OSError, match="none of .*BMP, "):
        file.decode()


def test_names_for_messages_and_records(lying):
    file = lying(b"")
    whole = file.byte_count is None
    assert file.label == (str(file.path) if whole else f"{file.path}: sub/x.png")
    assert file.public_name == ("sub/x.png" if whole else "sub/x.png of a.tar")


@pytest.mark.parametrize("how", [PictureFile.load, PictureFile.decode, PictureFile.size_in_pixels])
def test_pipes_are_refused_and_not_waited_for(tmp_path, how):
    os.mkfifo(tmp_path / "x.png")
    (file,) = list_pictures(tmp_path).pictures
    with pytest.raises((OSError, ValueError), match="pipe"):
        how(file)
