"""Which pictures lie in folders and tar files."""

import gzip
import io
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from glcic_hub.batch.sources import find_pictures
from glcic_hub.errors import WrongUse
from tests.privileges import without_privileges


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def tar_of(*names: str) -> bytes:
    """A tar file whose members contain their names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name.encode())
            archive.addfile(member, io.BytesIO(name.encode()))
    return buffer.getvalue()


def names(found) -> list[str]:
    return [file.name for file in found.pictures]


def test_folders_with_sub_folders_sorted_by_name(tmp_path):
    touch(tmp_path, "b.jpg", "sub/deep/a.PNG", "a.webp", "ünïcode 图.tiff")
    found = find_pictures([tmp_path])
    assert names(found) == ["a.webp", "b.jpg", "sub/deep/a.PNG", "ünïcode 图.tiff"]
    assert [file.path.read_text() for file in found.pictures] == names(found)
    assert not found.problems and not found.ignored


def test_what_is_hidden_or_no_picture_is_left_out_and_the_latter_counted(tmp_path):
    touch(tmp_path, ".hidden.png", ".folder/a.png", "._a.png", "a.png", "a.txt", "b.heic", "c.txt", "README")
    found = find_pictures([tmp_path])
    assert names(found) == ["a.png"]
    assert found.ignored == {".txt": 2, ".heic": 1, "": 1}


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path / "elsewhere", "a.png")
    touch(tmp_path / "photos", "b.png")
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "circle").symlink_to(tmp_path / "photos")
    assert names(find_pictures([tmp_path / "photos"])) == ["b.png", "linked/a.png"]


def test_tar_files_are_read_without_unpacking(tmp_path):
    path = tmp_path / "shard.tar"
    path.write_bytes(tar_of("b.png", "./sub/a.jpg", "notes.txt", "sub/.hidden.png"))
    found = find_pictures([path])
    assert names(found) == ["b.png", "sub/a.jpg"]
    data = path.read_bytes()
    contents = [data[file.offset : file.offset + file.size].decode() for file in found.pictures]
    assert contents == ["b.png", "./sub/a.jpg"]
    assert found.pictures[1].label == f"{path}: sub/a.jpg"
    assert found.ignored == {".txt": 1} and not found.problems


def test_names_that_lead_out_of_a_tar_file_are_problems(tmp_path):
    path = tmp_path / "shard.tar"
    path.write_bytes(tar_of("/etc/a.png", "../b.png", "c/../../d.png", "e/../f.png"))
    found = find_pictures([path])
    assert names(found) == ["f.png"]
    assert [what for what, _ in found.problems] == [
        f"{path}: {name}" for name in ("/etc/a.png", "../b.png", "c/../../d.png")
    ]


@pytest.mark.parametrize("left", [1536, 1600, 1024 + 520, 2 * 1024 + 300, 3 * 1024, 3 * 1024 + 100])
def test_a_tar_file_that_is_cut_off_is_a_problem_and_its_beginning_is_used(tmp_path, left):
    """Each member takes 1024 bytes, half of it its header; tarfile alone takes several of these cuts for the end."""
    path = tmp_path / "shard.tar"
    path.write_bytes(tar_of("a.png", "b.png", "c.png")[:left])
    found = find_pictures([path])
    assert names(found) == ["a.png", "b.png", "c.png"][: (left + 512) // 1024]
    assert len(found.problems) == 1 and "cut off or damaged" in found.problems[0][1]


@pytest.mark.parametrize("data", [b"", b"no tar file" * 100, gzip.compress(tar_of("a.png"))])
def test_what_is_no_plain_tar_file_is_refused(tmp_path, data):
    (tmp_path / "shard.tar").write_bytes(data)
    with pytest.raises(WrongUse, match="neither a folder nor an uncompressed tar file"):
        find_pictures([tmp_path / "shard.tar"])


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(WrongUse, match="nowhere': No such file"):
        find_pictures([tmp_path / "nowhere"])


def test_a_folder_that_cannot_be_read_is_a_problem():
    def look() -> int:
        found = find_pictures([folder])
        print(names(found), *[sentence for _, sentence in found.problems], file=sys.stderr)
        return len(found.problems)

    with tempfile.TemporaryDirectory() as folder:  # unlike tmp_path, others than its owner may look into it
        folder = touch(Path(folder), "a.png", "closed/b.png")
        folder.chmod(0o755)
        (folder / "closed").chmod(0)
        problems, said = without_privileges(look)
        (folder / "closed").chmod(0o755)
    assert problems == 1 and said.startswith("['a.png']") and "cannot be read" in said
