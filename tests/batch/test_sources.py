"""Which pictures a batch has; tests/test_picture_files.py has what lies in one folder or tar file."""

from pathlib import Path

import pytest

from glcic_hub.batch.sources import find_pictures
from glcic_hub.errors import WrongUse
from tests.train.pictures import write_shard


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_pictures_of_several_sources_come_sorted_by_name(tmp_path):
    photos, more = touch(tmp_path / "photos", "b.png", "a.txt"), touch(tmp_path / "more", "a.png", "sub/a.png", "c.txt")
    shard = write_shard(tmp_path / "a.tar", {"sub.png": b"", "b.txt": b"", "c.svg": b""})
    found = find_pictures([photos, shard, more])
    assert [picture.name for picture in found.pictures] == ["a.png", "b.png", "sub.png", "sub/a.png"]
    assert found.ignored == {".txt": 3, ".svg": 1} and not found.problems


def test_single_pictures_are_taken_by_their_names(tmp_path):
    folder = touch(tmp_path, "deep/b.JPG", "deep/a.png", "c/a.tif")
    found = find_pictures([folder / "deep" / "b.JPG", folder / "deep" / "a.png", folder / "c"])
    assert [(picture.name, picture.path.parent.name) for picture in found.pictures] == [
        ("a.png", "deep"),
        ("a.tif", "c"),
        ("b.JPG", "deep"),
    ]


def test_names_that_lead_out_of_a_tar_file_are_problems(tmp_path):
    names = ("/etc/a.png", "../b.png", "c/../../d.png", "e/../f.png")
    path = write_shard(tmp_path / "shard.tar", dict.fromkeys(names, b""))
    found = find_pictures([path])
    assert [picture.name for picture in found.pictures] == ["f.png"]
    assert found.problems == [
        (f"{path}: {name}", "its name leads out of the tar file: rename it")
        for name in ("/etc/a.png", "../b.png", "../d.png")
    ]


def test_problems_of_all_sources_are_kept(tmp_path):
    path = write_shard(tmp_path / "shard.tar", {"a.png": b"a", "b.png": b"b"})
    path.write_bytes(path.read_bytes()[:1024])
    found = find_pictures([touch(tmp_path / "photos", "c.png"), path])
    assert [picture.name for picture in found.pictures] == ["a.png", "c.png"]
    assert [what for what, _ in found.problems] == [str(path)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "cannot read .*nowhere': No such file"),
        ("text.tar", "neither a folder nor an uncompressed tar file"),
    ],
)
def test_what_cannot_be_listed_is_refused(tmp_path, name, message):
    touch(tmp_path, "text.tar")
    with pytest.raises(WrongUse, match=message):
        find_pictures([tmp_path / name])
