"""The documents as web pages: whole, readable without a network, built if every link leads somewhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.browsers import browser, needs_chromium  # noqa: F401, a fixture

import brain2image

ROOT = Path(__file__).parents[2]
WIDTH = 800  # at 1400 the columns at both sides leave more than that
# What is wider than the page, or scrolls to the side.
CUT_OFF = """() => [document.documentElement, ...document.querySelectorAll(
    ".md-typeset__scrollwrap, .md-typeset pre > code, .md-typeset h1, .md-typeset h3"
)].filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.outerHTML.slice(0, 200))"""


def build(checkout, out):
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(out)]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """What `make docs` writes."""
    out = tmp_path_factory.mktemp("site")
    result = build(ROOT, out)
    assert result.returncode == 0, result.stderr
    return out


def pages(site):
    """All pages but those of files that the documents link to."""
    return sorted(site.glob("*.html"))


def test_every_document_is_a_page(site):
    documents = {path.stem for path in (ROOT / "docs").glob("*.md")}
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    outside = {"index", "config", "contributing", "changelog"}
    assert {page.stem for page in pages(site)} == documents | notebooks | outside | {"404"}


def test_the_reference_has_every_public_name_and_its_docstring(site):
    text = (site / "api.html").read_text()
    for name in set(brain2image.__all__) - {"__version__"}:
        assert f'id="brain2image.{name}"' in text, name
    assert "Parameters\n--" not in text
    assert "<code>top_k</code>: how many." in text


def test_the_page_of_commands_has_their_options(site):
    text = (site / "commands.html").read_text()
    assert "usage: brain2image translate" in text
    assert "--min-channels" in text


def test_files_that_are_linked_to_are_there(site):
    assert "class" in (site / "source/src/brain2image/datasets/base.py.html").read_text()
    assert "source/profiles/slurm/profile.yaml.html" in (site / "cluster.html").read_text()


def test_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:link|script|img|iframe|source)\b[^>]*>", page.read_text())
        assert not [tag for tag in loaded if re.search(r'(?:href|src)="?(?:https?:)?//', tag)], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", style.read_text()), style


@needs_chromium
def test_in_a_browser_no_page_is_cut_off(site, browser):  # noqa: F811
    context = browser.new_context(viewport={"width": WIDTH, "height": 900}, offline=True)
    tab, asked, errors = context.new_page(), [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    for page in pages(site):
        tab.goto(page.as_uri())
        assert not tab.evaluate(CUT_OFF), page.name
    assert not errors
    assert all(url.startswith("file:") for url in asked)
    context.close()


@needs_chromium
def test_the_search_needs_no_server(site, browser):  # noqa: F811
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.goto((site / "index.html").as_uri())
    tab.set_default_timeout(120_000)
    tab.locator("input.md-search__input").press_sequentially("photodiode")
    tab.get_by_text("1 matching document", exact=True).wait_for()
    assert "/data.html" in tab.locator(".md-search-result__link").first.get_attribute("href")
    context.close()


def test_what_leads_nowhere_ends_the_build(tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for path in (path for path in ROOT.iterdir() if path.name not in ("docs", "mkdocs.yml", "site")):
        (checkout / path.name).symlink_to(path)
    shutil.copy(ROOT / "mkdocs.yml", checkout)
    shutil.copytree(ROOT / "docs", checkout / "docs")
    with (checkout / "docs/files.md").open("a") as file:
        file.write(
            "[a](no_page.md) [b](scores.md#no-heading) [c](../src/no_file.py) [d](../README.md#no-heading)\n"
        )
    (checkout / "docs/forgotten.md").write_text("# Forgotten\n")
    result = build(checkout, tmp_path / "out")
    assert result.returncode == 1
    for missing in ("no_page.md", "scores.md#no-heading", "src/no_file.py", "index.md#no-heading"):
        assert missing in result.stderr, missing
    assert re.search(r'not included in the "nav" configuration:\s+- forgotten\.md', result.stderr)
    assert "Aborted with 5 warnings in strict mode" in result.stdout + result.stderr
