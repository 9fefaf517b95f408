"""The demo's report in a browser: offline, every page, at the width of a desk and of a tablet.

Needs what `make demo` leaves, and Chromium (Debian's package `chromium`).
"""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from helpers.browsers import browser, needs_chromium  # noqa: F401, a fixture

REPORT = Path(__file__).parents[2] / "results" / "demo" / "report"
# What the report is to answer, in this order.
MENU = [
    "Overview",
    "Pairs",
    "Data quality",
    "Training",
    "Scores",
    "Run comparison",
    "Gallery",
    "Leak audit",
    "How it was made",
]
PAGES = sorted(path.name for path in REPORT.glob("*.html"))
WIDTHS = (1400, 800)
# What reaches beyond its page, or shows less than it holds.
CUT_OFF = """() => [...document.querySelectorAll("body *")].filter(node => {
    const box = node.getBoundingClientRect();
    const clips = getComputedStyle(node).overflowX !== "visible" && node.scrollWidth > node.clientWidth + 1;
    return !node.closest("svg svg, svg *") && (box.right > innerWidth + 1 || box.left < -1 || clips);
}).map(node => node.outerHTML.slice(0, 200))"""

PICTURE_WIDTHS = """() => Promise.all([...document.querySelectorAll("svg image")].map(async node => {
    const image = new Image();
    image.src = node.href.baseVal;
    await image.decode();
    return image.width;
}))"""

pytestmark = pytest.mark.skipif(not PAGES, reason="`make demo` has not run here")


class _Links(HTMLParser):
    """Collects the addresses that a page leads to, and its anchors."""

    def __init__(self, name):
        super().__init__()
        self.addresses, self.anchors = [], set()
        self.feed((REPORT / name).read_text())

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors.add(attributes.get("id"))
        named = (attributes.get(key) for key in ("href", "src", "xlink:href"))
        self.addresses += [one for one in named if one and not one.startswith("data:")]


def test_no_link_is_dead():
    links = {name: _Links(name) for name in PAGES}
    for name, page in links.items():
        assert len(page.addresses) > 10, name
        for address in page.addresses:
            file, _, anchor = unquote(address).partition("#")
            assert "://" not in address, (name, address)
            assert not file or (REPORT / file).is_file(), (name, address)
            if anchor and (not file or file in links):
                assert anchor in links[file or name].anchors, (name, address)


def test_every_page_is_one_click_from_the_overview():
    assert {*PAGES} - {"index.html"} <= {*_Links("index.html").addresses}
    assert all("index.html" in _Links(name).addresses for name in PAGES)


def test_pages_can_be_read_one_after_the_other():
    read, name = [], "index.html"
    while name:
        read.append(name)
        text = (REPORT / name).read_text()
        found = re.search(r'rel="prev" href="([^"]+)"', text)
        assert (found and found[1]) == (read[-2] if len(read) > 1 else None)
        found = re.search(r'rel="next" href="([^"]+)"', text)
        name = found and found[1]
    assert sorted(read) == PAGES


@pytest.fixture(scope="module", params=WIDTHS)
def page(browser, request):  # noqa: F811
    """A page of the browser, offline; afterwards there was no error and no request to a network."""
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    context.set_offline(True)
    page, messages, requests = context.new_page(), [], []
    page.on("console", lambda message: messages.append((message.type, message.text)))
    page.on("pageerror", lambda error: messages.append(("error", str(error))))
    page.on("request", lambda request: requests.append(request.url))
    yield page
    context.close()
    assert [text for kind, text in messages if kind in ("error", "warning")] == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def show(page, name):
    """Open a page and wait for all its pictures, those below the window too."""
    page.goto((REPORT / name).as_uri())
    page.evaluate(
        "Promise.all([...document.images].map(image => { image.loading = 'eager'; return image.decode(); }))"
    )


@needs_chromium
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_all_that_it_has(page, name):
    show(page, name)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    assert page.evaluate(CUT_OFF) == []
    sections = page.locator("section:has(> .caption)")
    assert sections.count() > 0
    for number in range(sections.count()):
        section = sections.nth(number)
        assert len(section.locator("> .caption").inner_text()) > 80
        drawn = section.locator("> a > img, > svg, > p, > table, > .table, > .box")
        assert drawn.count() > 0
        for figure in section.locator("> a > img, > svg").all():
            box = figure.bounding_box()
            assert box["width"] > 300 and box["height"] > 80
            # its caption stands below it
            assert box["y"] + box["height"] <= section.locator("> .caption").bounding_box()["y"] + 1


@needs_chromium
def test_the_overview_says_what_came_out(page):
    show(page, "index.html")
    text = page.locator("main").inner_text()
    assert " test pictures of " in text and "chance is" in text
    assert page.locator("nav li").all_inner_texts()[: len(MENU)] == MENU
    figure = page.locator("main svg").first.bounding_box()
    assert figure["width"] > 500 and figure["y"] < 900


@needs_chromium
def test_the_galleries_show_pictures(page):
    gallery = next(name for name in PAGES if name.startswith("gallery"))
    show(page, gallery)
    widths = page.evaluate(PICTURE_WIDTHS)
    assert len(widths) > 60 and min(widths) > 10
