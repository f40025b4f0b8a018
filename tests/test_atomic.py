"""A file is written whole, or there is what was there before."""

import errno
import os
import stat
from fnmatch import fnmatch

import pytest

from glcic_hub.atomic import UNFINISHED, unfinished_beside, write_whole
from tests.hostile.limits import full_disk


def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    former = os.umask(0o027)
    try:
        write_whole(tmp_path / "new", b"data")
    finally:
        os.umask(former)
    assert (tmp_path / "new").read_bytes() == b"data"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["new"]


def test_a_file_that_is_replaced_keeps_its_permissions_and_a_link_stays_one(tmp_path):
    (tmp_path / "file").write_bytes(b"before")
    (tmp_path / "file").chmod(0o604)
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", b"after")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"after"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o604


def test_when_it_fails_there_is_what_was_there_before(tmp_path):
    (tmp_path / "file").write_bytes(b"before")
    with full_disk(1000), pytest.raises(OSError):
        write_whole(tmp_path / "file", bytes(2000))
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"before"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_not_replaced(tmp_path, make):
    make(tmp_path / "other")
    with pytest.raises(FileExistsError, match="not a file"):
        write_whole(tmp_path / "other", b"data")
    assert os.listdir(tmp_path) == ["other"] and not (tmp_path / "other").is_file()


def test_unfinished_names_are_new_hidden_and_of_the_pattern(tmp_path):
    names = [unfinished_beside(tmp_path / "a.png") for _ in range(2)]
    assert names[0] != names[1]
    assert all(name.parent == tmp_path and fnmatch(name.name, UNFINISHED) for name in names)


def refusing(number: int):
    """A call of the operating system that fails with this error, as some drives answer it."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("call", ["chmod", "fsync"])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_drives_without_permissions_or_fsync_are_written(tmp_path, monkeypatch, call, number):
    monkeypatch.setattr(os, call, refusing(number))
    for data in (b"first", b"again"):
        write_whole(tmp_path / "file", data)
        assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == data


@pytest.mark.parametrize("call", ["chmod", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_drive_that_is_full_or_broken_is_told(tmp_path, monkeypatch, call, number):
    (tmp_path / "file").write_bytes(b"before")
    monkeypatch.setattr(os, call, refusing(number))
    with pytest.raises(OSError) as raised:
        write_whole(tmp_path / "file", b"after")
    assert raised.value.errno == number
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"before"
