"""One HTML page that needs nothing but itself: no script, no font, no request to anywhere."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Plot

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --faint: #5c6470; --line: #d9dde3; --back: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --faint: #a0a7b1; --line: #3a404a; --back: #16181d; }
}
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--back);
       max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.lead { font-size: 1.2rem; } .faint, figcaption, dt { color: var(--faint); font-size: .9rem; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; background: #fff;
         border-radius: 4px; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem;
        white-space: nowrap; }
th, td { text-align: right; padding: .25rem .7rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } dd { margin: 0 0 .5rem; }
"""


@dataclass(frozen=True)
class Figure:
    """A picture with what a reader should see in it.

    Attributes:
        plot: A matplotlib figure.
        caption: The caption; it also describes the picture to those who cannot see it.
    """

    plot: Plot
    caption: str

    def html(self) -> str:
        """The picture as an image inside the page."""
        buffer = BytesIO()
        self.plot.savefig(buffer, format="png", dpi=150, facecolor="white")
        data = base64.b64encode(buffer.getvalue()).decode()
        text = escape(self.caption)
        image = f'<img alt="{text}" src="data:image/png;base64,{data}">'
        return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


@dataclass(frozen=True)
class Table:
    """A table, its numbers to three significant figures.

    Attributes:
        frame: What it shows; the index becomes the first column.
    """

    frame: pd.DataFrame

    def html(self) -> str:
        """The table, which scrolls sideways where it must."""
        index = "" if self.frame.index.name is None else str(self.frame.index.name)
        head = "".join(f"<th>{escape(str(c))}</th>" for c in [index, *self.frame.columns])
        rows = "".join(
            f"<tr><td>{escape(str(label))}</td>"
            + "".join(f"<td>{escape(_cell(value))}</td>" for value in values)
            + "</tr>"
            for label, values in zip(self.frame.index, self.frame.to_numpy(), strict=True)
        )
        return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: Its heading.
        parts: Paragraphs, figures and tables, in order.
    """

    title: str
    parts: Sequence[str | Figure | Table]

    def html(self) -> str:
        """The section, all text escaped."""
        inner = "".join(
            f"<p>{escape(part)}</p>" if isinstance(part, str) else part.html()
            for part in self.parts
        )
        return f"<section><h2>{escape(self.title)}</h2>{inner}</section>"


def page(
    title: str, lead: str, *, sections: Sequence[Section], provenance: Mapping[str, str]
) -> str:
    """The page as HTML.

    Args:
        title: What it is about.
        lead: The one sentence for a reader who reads no further.
        sections: The parts.
        provenance: What the numbers come from: data, versions, the command.

    Example:
        >>> html = page("p99", "It was <load>.", sections=[], provenance={"seed": "0"})
        >>> "It was &lt;load&gt;." in html
        True
    """
    source = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in provenance.items())
    body = "".join(section.html() for section in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{body}'
        f"<section><h2>Where the numbers come from</h2><dl>{source}</dl></section></body></html>\n"
    )


def write_page(path: Path, html: str) -> None:
    """Write a page, so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(html)
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
