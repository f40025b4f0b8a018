"""`glcic ui` in a process of its own, with a small random model, and photos to give it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.conftest import SECONDS_FOR_THE_PAGE
from tests.random_models import random_model
from tests.served import free_port, serving
from tests.ui.hands import DESKTOP, SECOND, Visitor

SCREENSHOTS = Path(__file__).parents[2] / "outputs" / "page-screenshots"


class Page(NamedTuple):
    """A running `glcic ui`.

    Attributes:
        address: of the page, with a slash at its end.
        folder: where it saves, with the photo that it was started with, first.png.
    """

    address: str
    folder: Path


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "model"
    random_model().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def photo(tmp_path_factory) -> Path:
    """A real photo (Rachel Michetti, CC0), 301x199."""
    path = tmp_path_factory.mktemp("photo") / "coffee.png"
    Image.fromarray(data.coffee()).resize((301, 199)).save(path)
    return path


@pytest.fixture(scope="session")
def bool_mask() -> np.ndarray:
    mask = np.zeros((199, 301), bool)
    mask[60:90, 120:170] = True
    return mask


@pytest.fixture(scope="session")
def mask(bool_mask, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("mask") / "mask.png"
    Image.fromarray(bool_mask).save(path)
    return path


@pytest.fixture(scope="session")
def served_page(model_folder, photo, tmp_path_factory) -> Iterator[Page]:
    """`glcic ui first.png`, where first.png is `photo`."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    (folder / "first.png").write_bytes(photo.read_bytes())
    command = [sys.executable, "-m", "glcic_hub", "ui", folder / "first.png", "--no-browser"]
    log = tmp_path_factory.mktemp("log") / "log.txt"
    with serving([*command, "--port", port, "--model", model_folder], port, log) as address:
        yield Page(address, folder)


@pytest.fixture(params=[DESKTOP])
def visitor(request, browser, served_page):
    """On the page without the photo that the server was started with, as on any other host."""
    name, options = request.param
    context = browser.new_context(**options)
    context.set_default_timeout(SECONDS_FOR_THE_PAGE * SECOND)
    context.route("**/host.json", lambda route: route.fulfill(json=route.fetch().json() | {"firstPhoto": None}))
    page = context.new_page()
    asked, problems = [], []
    page.on("request", lambda each: asked.append(each.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(served_page.address)
    yield Visitor(page, asked, touch="has_touch" in options)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{request.function.__name__}-{name}.png")
    context.close()
    assert [url for url in asked if not url.startswith((served_page.address, "blob:", "data:"))] == []
    assert problems == []
