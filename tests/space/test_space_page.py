"""The page on the Space, in Chromium: beside Gradio, it works as it does with `glcic ui`."""

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SECONDS_FOR_THE_PAGE
from tests.ui.hands import SECOND, ZIGZAG, Visitor


@pytest.fixture
def visitor(browser, space):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(SECONDS_FOR_THE_PAGE * SECOND)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(space)
    yield Visitor(page, asked)
    context.close()


def test_a_painted_photo_is_completed_and_nobody_else_is_asked(visitor, space, photo):
    visitor.open(photo)
    visitor.stroke(*ZIGZAG)
    visitor.remove()
    with visitor.page.expect_download() as downloading:
        visitor.press("download")
    before, after = (np.asarray(Image.open(path)) for path in (photo, downloading.value.path()))
    changed = (after != before).any(axis=2)
    assert after.shape == before.shape and 0.001 < changed.mean() < 0.5
    assert all(address.startswith((space, "blob:", "data:")) for address in visitor.asked)


def test_programs_find_their_way(visitor):
    with visitor.page.expect_popup() as opening:
        visitor.page.click("text=Use it from a program")
    opening.value.wait_for_selector("text=gradio_client import Client")
