"""The report's folder: which page shows what, captions, links, tables and photographs beside the pages."""

import base64
import re
import zipfile

import pytest

from brain2image.core.errors import InputError
from brain2image.plan_report import list_shown
from brain2image.report.pages.html import page, table
from brain2image.report.site import sections
from brain2image.report.site.captions import caption_html
from brain2image.report.site.shown_files import divide_into_pages, find_items
from brain2image.report.site.site_frame import Link, Part, site_page
from brain2image.report.site.site_writing import write_site
from brain2image.report.site.table_files import tables_as_csv

BRAINS = r"(?P<person>things-\d+)_(?P<subj>subj\d+)"
LABELS = {"brains": "{person} × {subj}"}
SHOWN = [
    {"pattern": r"figures/overview\.html$", "caption": "Look at `5 Scores`_.", "category": "1 Overview"},
    {"pattern": rf"figures/{BRAINS}/curves\.svg$", "caption": "Of {{ snakemake.wildcards.person }}."},
    {"pattern": rf"figures/{BRAINS}/scores\.html$", "caption": "A *table*."},
    {"pattern": rf"figures/{BRAINS}/gallery_(?P<run>\w+)\.svg$", "caption": "x", "category": "7 Gallery"},
    {"pattern": r"summary\.csv$", "caption": "All rows."},
]
for number, one in enumerate(SHOWN):
    one.setdefault("category", "5 Scores")
    one["labels"] = {"figure": f"{number} part"} | (LABELS if "person" in one["pattern"] else {})
SHOWN[3]["labels"]["run"] = "{run}"
PHOTO = base64.b64encode(b"a photograph").decode()
SVG = '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg xmlns="http://www.w3.org/2000/svg"><image {}/></svg>'
PEOPLE = ("things-01_subj01", "things-02_subj01")


@pytest.fixture
def files(tmp_path):
    """Results of two pairs of brains."""
    texts = {
        "figures/overview.html": page("Title", "See page Gallery.", table(["brains"], [[PEOPLE[1]]])),
        "summary.csv": "run,value\na,1\nb,2\n",
    }
    for brains in PEOPLE:
        texts[f"figures/{brains}/curves.svg"] = SVG.format("")
        texts[f"figures/{brains}/scores.html"] = page("A & B", table(["run", "x"], [["r<u>n", "1"]]))
        texts[f"figures/{brains}/gallery_net.svg"] = SVG.format(
            f'xlink:href="data:image/jpeg;base64,{PHOTO}"'
        )
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [tmp_path / name for name in texts]


def test_pages_are_by_category_and_subject_in_reading_order(files, tmp_path):
    pages = divide_into_pages(find_items(files, SHOWN, results=tmp_path))
    assert [page.name for page in pages] == [
        "index.html",
        "scores.html",
        "scores-things-01-subj01.html",
        "scores-things-02-subj01.html",
        "gallery-things-01-subj01.html",
        "gallery-things-02-subj01.html",
    ]
    assert [item.title for item in pages[2].items] == ["1 part", "2 part"]
    assert pages[4].items[0].title == "3 part, net"
    with pytest.raises(LookupError, match=r"other\.svg: no rule"):
        find_items([tmp_path / "other.svg"], SHOWN, results=tmp_path)


def test_the_site_is_whole(files, tmp_path):
    write_site(files, SHOWN, out=tmp_path / "report")
    write_site(files, SHOWN, out=tmp_path / "report")  # again, over the old one
    site = tmp_path / "report"
    index = (site / "index.html").read_text()
    assert '<td><a href="scores-things-02-subj01.html">things-02_subj01</a></td>' in index
    assert 'See page <a href="gallery-things-01-subj01.html">Gallery</a>.' in index
    assert 'href="scores.html">Scores</a>' in index  # of the caption
    scores = (site / "scores-things-01-subj01.html").read_text()
    assert "<h2>A &amp; B</h2>" in scores and "<td>r&lt;u&gt;n</td>" in scores
    assert '<img src="figures/things-01-subj01-curves.svg"' in scores
    assert "Of things-01." in scores and "<em>table</em>" in scores
    assert "scores-things-02-subj01.html" in scores  # the other one is a click away
    [photograph] = (site / "pictures").iterdir()  # which both galleries show
    assert photograph.read_bytes() == b"a photograph"
    for person in ("01", "02"):
        text = (site / f"gallery-things-{person}-subj01.html").read_text()
        assert f'xlink:href="pictures/{photograph.name}"' in text
    tables = {path.name: path.read_text() for path in (site / "tables").iterdir()}
    assert tables["summary.csv"] == "run,value\na,1\nb,2\n"
    assert tables["things-01-subj01-scores-1.csv"] == "run,x\nr<u>n,1\n"


def test_a_large_table_is_zipped(files, tmp_path):
    files[1].write_text("run,value\n" + "net,1\n" * 100_000)
    write_site(files, SHOWN, out=tmp_path / "report")
    text = (tmp_path / "report/scores.html").read_text()
    assert 'href="tables/summary.csv.zip" download' in text and "100,000 rows" in text
    with zipfile.ZipFile(tmp_path / "report/tables/summary.csv.zip") as archive:
        assert archive.read("summary.csv").decode() == files[1].read_text()


def test_a_strange_page_is_refused(files, tmp_path):
    files[0].write_text("<p>no page of ours")
    with pytest.raises(InputError, match=r"overview\.html: expected a page of the report"):
        write_site(files, SHOWN, out=tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_captions_keep_words_whose_page_is_not_there():
    html = caption_html("**A** `2 Pairs`_ and `7 Gallery`_.", wildcards={}, links={"2 Pairs": "pairs.html"})
    assert re.search(r'<a [^>]*href="pairs\.html">Pairs</a> and 7 Gallery\.', html)
    assert "<strong>A</strong>" in html
    assert "&lt;b&gt;" in caption_html("<b>", wildcards={}, links={})


def test_links_are_made_of_the_names_of_pages():
    links = {"Leak audit": "a.html"}
    assert sections.link_pages("the page Leak audit.", links) == 'the page <a href="a.html">Leak audit</a>.'
    assert sections.link_pages("the Leak audit.", links) == "the Leak audit."


def test_tables_become_csv():
    second = "<table><tr><td><b>2</b><br><small>3</small></td></tr></table>"
    assert tables_as_csv(str(table(["run", "a, b"], [["x", "1"]])) + second) == ['run,"a, b"\nx,1\n', "2 3\n"]


def test_a_page_alone_needs_no_contents():
    around = {
        "menu": [Link("a.html", "A", True)],
        "siblings": [],
        "subject": "",
        "before": None,
        "after": None,
    }
    text = site_page("T", [Part("t", "T", table([], []), table([], []))], lead="", **around)
    assert 'class="contents"' not in text and "<h2>" not in text
    assert '<a href="a.html" aria-current="page">A</a>' in text


def test_what_rules_mark_is_listed(tmp_path):
    class Output(str):
        flags: dict

    class Caption:
        def get_path_or_uri(self, secret_free):
            (tmp_path / "a.rst").write_text("caption")
            return str(tmp_path / "a.rst")

    class Rule:
        output = (Output("results/figures/{person,[a-z]+}/x.svg"), Output("results/y"))

    class Marked:
        caption, category, labels = Caption(), "5 Scores", {"figure": "x"}

    Rule.output[0].flags, Rule.output[1].flags = {"report": Marked}, {}
    [one] = list_shown([Rule], results="results")
    assert re.match(one["pattern"], "figures/ab/x.svg")["person"] == "ab"
    assert (one["caption"], one["category"], one["labels"]) == ("caption", "5 Scores", {"figure": "x"})
