"""What holds for all tests, whatever ran before and however pytest was started."""

import glcic_hub  # noqa: F401  # before torch, as it says how torch's threads wait

# isort: split
import shutil
import signal

import pytest
import torch

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
SECONDS_FOR_THE_PAGE = 120
"""A page that has not done something by then never will: waiting ends when it is done, however busy the machine is."""


def pytest_configure() -> None:
    # A shell's background job ignores SIGINT, and so would every program that the tests interrupt.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    """Sums depend on their order and so on the threads: a test must not decide about the next one's."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")  # Playwright's event loop would be in the way of the tests of other modules
def browser():
    """Chromium, whose pages and expectations wait as long as a busy machine needs."""
    from playwright.sync_api import expect, sync_playwright

    assert CHROMIUM, "there is no Chromium on the PATH: run `make browser` once, or install one"
    expect.set_options(timeout=1000 * SECONDS_FOR_THE_PAGE)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS.split())
        yield running
        running.close()
