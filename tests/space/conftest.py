"""The Space in a process of its own, with a small random model; photos and masks are those of the page's tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import free_port, serving
from tests.ui.conftest import bool_mask, mask, model_folder, photo  # noqa: F401 - fixtures

SPACE = Path(__file__).parents[2] / "spaces_app"


@pytest.fixture(scope="session")
def space(model_folder, tmp_path_factory) -> Iterator[str]:  # noqa: F811
    """The address of the running Space, with a slash at its end."""
    port, folder = free_port(), tmp_path_factory.mktemp("space")
    settings = {
        "GLCIC_MODEL": str(model_folder),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "TMPDIR": str(folder),
    }
    with serving([sys.executable, "app.py"], port, folder / "log.txt", cwd=SPACE, env=settings) as address:
        yield address
