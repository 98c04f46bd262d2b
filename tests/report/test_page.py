"""Pages: self-contained, escaped, and never half written."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from causalsys.report import Figure, Section, Table, page, write_page

HOSTILE = "<script>alert('x')</script>\n&"


def _page() -> str:
    figure, _ = plt.subplots()
    parts = [
        HOSTILE,
        Figure(figure, HOSTILE),
        Table(pd.DataFrame({HOSTILE: [1.0]}, index=[HOSTILE])),
    ]
    html = page(HOSTILE, HOSTILE, sections=[Section(HOSTILE, parts)], provenance={HOSTILE: HOSTILE})
    plt.close(figure)
    return html


def test_text_shows_as_text() -> None:
    html = _page()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 8


def test_nothing_is_fetched() -> None:
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', _page())
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "http" not in re.sub(r"base64,[^\"]*", "", _page())


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "page.html"
    write_page(path, "old")
    write_page(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
