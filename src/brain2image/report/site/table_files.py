"""The tables of a page as files that a spreadsheet opens."""

import csv
import io
from html.parser import HTMLParser


class _TableReader(HTMLParser):
    """Collects the cells of all tables, texts without their markup."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._is_in_cell = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Open a table, a row or a cell; a line break parts words."""
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._is_in_cell = True
        elif tag == "br" and self._is_in_cell:
            self.tables[-1][-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        """Leave a cell."""
        if tag in ("td", "th"):
            self._is_in_cell = False

    def handle_data(self, data: str) -> None:
        """Add text to the cell."""
        if self._is_in_cell:
            self.tables[-1][-1][-1] += data


def tables_as_csv(html: str) -> list[str]:
    """Return the tables of a page as CSV, in its order.

    Parameters
    ----------
    html : a page whose tables do not lie in one another.
    """
    reader = _TableReader()
    reader.feed(html)
    texts = []
    for rows in reader.tables:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([cell.strip() for cell in row] for row in rows)
        texts.append(text.getvalue())
    return texts
