"""Chromium, for the tests that look at pages."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(
    not CHROMIUM, reason="there is no chromium on the PATH: apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser():
    """A browser, which has Debian's Chromium."""
    with sync_playwright() as playwright:
        # as root, as in containers, Chromium runs without its sandbox alone
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
