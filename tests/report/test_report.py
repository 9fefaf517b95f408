"""The demo's report in a browser: offline, without errors, every page and figure visible.

Needs what `make demo` leaves, and Chromium (Debian's package `chromium`).
"""

import base64
import re
from pathlib import Path

import pytest
from helpers.browsers import browser, needs_chromium  # noqa: F401, a fixture

REPORT = Path(__file__).parents[2] / "results" / "demo" / "report.html"
# Snakemake's report brings Tailwind's development version with it, which says so.
HARMLESS = "cdn.tailwindcss.com should not be used in production"
# What the issue of a report is to answer, in this order.
CATEGORIES = [
    "Overview",
    "Pairs",
    "Training",
    "Scores",
    "Run comparison",
    "Gallery",
    "Leak audit",
    "How it was made",
]
EYE, INFORMATION = 0, 1

pytestmark = [
    pytest.mark.skipif(not REPORT.is_file(), reason="`make demo` has not run here"),
    needs_chromium,
]


@pytest.fixture
def page(browser):  # noqa: F811
    """The report, just opened and offline; afterwards there was no error and no request to a network."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_offline(True)
    page, messages, requests = context.new_page(), [], []
    page.on("console", lambda message: messages.append((message.type, message.text)))
    page.on("pageerror", lambda error: messages.append(("error", str(error))))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(REPORT.as_uri())
    page.locator("li > a:has(span)").first.wait_for()
    yield page
    context.close()
    complaints = [text for kind, text in messages if kind in ("error", "warning") and HARMLESS not in text]
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def menu(page):
    """Entries below the heading Results, in their order."""
    names = page.locator("li > a:has(span)").all_inner_texts()
    return [name for name in names if re.match(r"\d ", name)]


def go_to(page, category):
    """Open a category from wherever the menu is, by way of its breadcrumbs; its rows."""
    results = page.locator("nav ol").get_by_text("Results", exact=True)
    if results.count():
        results.click()
    page.locator("li > a:has(span)", has_text=category).click()
    return page.locator("table.table-auto tbody tr")


def test_the_overview_comes_first(page):
    overview = page.locator(".prose .page")
    assert overview.locator("h1").is_visible()
    assert overview.locator("h1").bounding_box()["y"] > 0  # not out of reach above the window
    assert " test pictures of " in overview.inner_text()
    assert "chance is" in overview.inner_text()
    figure = overview.locator("svg").bounding_box()
    assert figure["width"] > 400
    assert figure["y"] + figure["height"] < 900


def test_the_menu_is_in_reading_order(page):
    names = [name[2:] for name in menu(page)]
    assert [name for name in names if name in CATEGORIES] == CATEGORIES
    assert [int(name[0]) for name in menu(page)] == sorted(int(name[0]) for name in menu(page))


def test_links_of_the_overview_lead_to_the_menu(page):
    links = page.locator(".prose a")
    targets = links.all_inner_texts()
    assert set(targets) <= set(menu(page))
    assert len(targets) >= 6
    for target in targets:
        page.locator(".prose a", has_text=target).click()
        page.locator("nav ol", has_text=target).wait_for()
        page.locator("nav ol li a").first.click()
        page.get_by_text("Workflow", exact=True).click()


def test_every_page_and_figure_is_visible_and_explained(page):
    shown = 0
    for category in menu(page):
        for number in range(go_to(page, category).count()):
            row = go_to(page, category).nth(number)
            label = row.inner_text()
            shown += show(page, row.locator("a").nth(EYE), label)
            row.locator("a").nth(INFORMATION).click()
            caption = page.locator("nav .prose").first
            caption.wait_for()
            assert len(caption.inner_text()) > 80, label
    assert shown >= 15


def show(page, eye, label):
    """Click on an eye and look at what appears: 1, or 0 for a table that is saved instead."""
    if eye.get_attribute("download"):
        assert eye.get_attribute("href").startswith("data:text/csv"), label
        return 0
    eye.click()
    content = page.locator(".grow.h-screen > div > img, .grow.h-screen > iframe")
    content.wait_for()
    if content.evaluate("node => node.tagName") == "IFRAME":
        body = page.frame_locator("iframe").locator(".page")
        assert len(body.inner_text()) > 200, label
        assert body.evaluate("node => node.scrollWidth <= node.clientWidth"), label
    else:
        content.evaluate("image => image.decode()")
        assert content.evaluate("image => image.naturalWidth > 300 && image.naturalHeight > 100"), label
        assert content.bounding_box()["y"] >= 0, label
    return 1


def test_the_gallerys_pictures_load(page):
    sources = page.evaluate(
        "Object.keys(results).filter(path => path.includes('gallery')).map(path => results[path].data_uri)"
    )
    assert len(sources) >= 2
    for source in sources:
        svg = base64.b64decode(source.partition(",")[2]).decode()
        pictures = re.findall(r'xlink:href="(data:image/jpeg;base64,[^"]+)"', svg)
        assert len(pictures) > 20
        for picture in pictures:
            width = page.evaluate(
                "async source => { const i = new Image(); i.src = source; await i.decode(); return i.width }",
                picture,
            )
            assert width > 10
