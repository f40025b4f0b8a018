"""A small model, photos with masks, and the command `glcic batch` in processes of its own."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import glcic_hub
from tests.random_models import random_model

HEIGHT, WIDTH = 48, 64
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[14:34, 20:44] = True
ROOT = Path(glcic_hub.__file__).parents[1]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model."""
    folder = tmp_path_factory.mktemp("model") / "model"
    random_model().save_pretrained(folder)
    return folder


def samples(seed: int, channels: int = 3) -> np.ndarray:
    """Noise, uint8 (HEIGHT, WIDTH, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, channels)).astype(np.uint8)


def save(array: np.ndarray, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def make_photos(folder: Path, count: int) -> None:
    """`photos` and `masks` in the folder."""
    for index in range(count):
        save(samples(index), folder / "photos" / f"{index:03}.png")
        save(HOLE, folder / "masks" / f"{index:03}.png")


def make_tar(path: Path, folder: Path, names: list[str]) -> Path:
    """A tar file with these files of the folder."""
    with tarfile.open(path, "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            data = (folder / name).read_bytes()
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def files(folder: Path) -> dict[str, bytes]:
    """Every file in the folder, hidden ones too, by its name there."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def start(
    folder: Path, *arguments: object, before: str = "", environment: dict[str, str] | None = None
) -> subprocess.Popen:
    """`glcic batch` in the folder, in a session of its own; `before`: Python that runs first."""
    code = f"import sys\n{before}\nfrom glcic_hub.cli import main\nsys.exit(main(['batch', *sys.argv[1:]]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code, stdout and stderr, the latter without the bar."""
    out, err = process.communicate(timeout=120)
    lines = [line for line in err.replace("\r", "\n").split("\n") if line and "%|" not in line]
    return process.returncode, out, "\n".join(lines)


def batch(folder: Path, *arguments: object, **options: object) -> tuple[int, str, str]:
    """Run it to its end."""
    return end(start(folder, *arguments, **options))
