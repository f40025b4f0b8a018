"""Writing files whole or not at all."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".glcic-*.tmp"
"""The pattern of the names that files and folders have until they are whole; a killed process leaves them behind."""

_NOT_OFFERED = {errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def write_whole(path: Path, data: bytes) -> None:
    """Write the file completely or not at all: a file that exists stays as it is if anything fails.

    Raises:
        FileExistsError: something else than a file has this name: a folder, a pipe, a device.
        OSError: it cannot be written.
    """
    target = Path(os.path.realpath(path))  # A link stays a link.
    if target.exists() and not target.is_file():
        raise FileExistsError(errno.EEXIST, "something that is not a file has this name", str(path))
    # open instead of tempfile, whose files are not readable for others whatever the umask says.
    unfinished = unfinished_beside(target)
    try:
        with open(unfinished, "xb") as file:
            file.write(data)
            file.flush()
            with optional_call():
                os.fsync(file.fileno())  # Some file systems say only now that they are full.
        if target.exists():
            with optional_call():
                shutil.copymode(target, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def optional_call() -> Iterator[None]:
    """What a drive may refuse because it has no such thing (permissions on CIFS, fsync in FUSE), as if it were done."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise


def unfinished_beside(target: Path) -> Path:
    """A new name of the pattern `UNFINISHED` in the folder of `target`: renaming it to `target` moves no data."""
    return target.with_name(UNFINISHED.replace("*", secrets.token_hex(8)))
