"""A graph as SVG and HTML that need nothing else: no Graphviz, no script, no font, no network."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from causalsys.scm.drawing import looks
from causalsys.scm.drawing.boxes import Box, Point
from causalsys.scm.drawing.labels import LABEL_SIZE
from causalsys.scm.drawing.layout import MARGIN, lay_out
from causalsys.scm.drawing.looks import LOOKS, Look
from causalsys.scm.drawing.routes import Route
from causalsys.scm.graph import Graph
from causalsys.scm.variables import Kind

_LEGEND_LINE = 26.0


def to_svg(graph: Graph) -> str:
    """The graph as one SVG element, with a legend; readable on a light page and on a dark one.

    It carries a card of its own as background, and goes dark where the reader's system does.

    Example:
        >>> import causalsys as cs
        >>> class Disk(cs.SCM):
        ...     size = cs.Observed(cs.Positive("MiB"))
        ...     duration = cs.Observed(cs.Positive("s"), parents=[size])
        >>> to_svg(Disk.graph)[:4]
        '<svg'
    """
    layout = lay_out(graph)
    entries = _legend(graph)
    width = max([layout.width, *(2 * MARGIN + _entry_width(words) for _, words in entries)])
    legend, height = _legend_rows(entries, width=width, top=layout.height)
    width, height = round(width, 1), round(height, 1)
    body = [
        *(_line(route) for route in layout.routes),
        *(_variable(graph, box) for box in layout.boxes.values()),
        *(_label(route) for route in layout.routes if route.link.lagged),
        *legend,
    ]
    title = f"Causal graph of {_text(graph.name)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="causalsys" role="img" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, Helvetica, Arial, sans-serif" font-size="{looks.FONT_SIZE}">'
        f"<title>{title}</title><style>{_style()}</style>"
        f'<rect class="card" width="{width}" height="{height}" rx="8" fill="{looks.CARD}"/>'
        + "".join(body)
        + "</svg>"
    )


def to_html(graph: Graph) -> str:
    """The SVG in a box that scrolls where the page is narrower than the graph."""
    return f'<div style="overflow-x: auto; max-width: 100%">{to_svg(graph)}</div>'


def _style() -> str:
    """The dark colours; the light ones are attributes, for viewers that know no style sheets."""
    rules = [
        f".card {{ fill: {looks.DARK_CARD} }}",
        f"text {{ fill: {looks.DARK_INK} }}",
        f".line {{ stroke: {looks.DARK_LINE} }}",
        f".head {{ fill: {looks.DARK_LINE} }}",
        f".halo {{ stroke: {looks.DARK_CARD} }}",
    ]
    for kind, look in LOOKS.items():
        rules.append(f".{kind} {{ fill: {look.dark_fill}; stroke: {look.dark_stroke} }}")
    dark = " ".join(f"svg.causalsys {rule}" for rule in rules)
    return f"@media (prefers-color-scheme: dark) {{ {dark} }}"


def _variable(graph: Graph, box: Box) -> str:
    kind = graph.kinds[box.name]
    second = looks.note(graph, box.name)
    about = f"{box.name}: {kind}" + (f", {second}" if second else "")
    middle = box.y - (7.0 if second else 0.0)
    slant = ' font-style="italic"' if kind == "latent" else ""
    name = (
        f'<text x="{box.x:.1f}" y="{middle + 4.5:.1f}" text-anchor="middle" '
        f'fill="{looks.INK}"{slant}>{_text(looks.shown(box.name))}</text>'
    )
    if second:
        name += (
            f'<text x="{box.x:.1f}" y="{middle + 18:.1f}" text-anchor="middle" '
            f'fill="{looks.INK}" font-size="{looks.NOTE_SIZE}">{second}</text>'
        )
    outline = _outline(kind, box.x, box.y, width=box.width, height=box.height)
    return f"<g><title>{_text(about)}</title>{outline}{name}</g>"


def _outline(kind: Kind, x: float, y: float, *, width: float, height: float) -> str:
    look = LOOKS[kind]
    paint = _paint(kind, look)
    left, top = x - width / 2, y - height / 2
    if look.shape == "hexagon":
        corners = hexagon(x, y, width=width, height=height)
        return f'<polygon points="{_points(corners)}" {paint}/>'
    radius = {"box": 2.0, "bars": 4.0}.get(look.shape, height / 2)
    shape = _rect(left, top, width=width, height=height, radius=radius) + f" {paint}/>"
    if look.shape == "double":
        inner = _rect(left + 3, top + 3, width=width - 6, height=height - 6, radius=radius - 3)
        shape += f"{inner} {paint}/>"
    if look.shape == "bars":
        for at in (left + 6, left + width - 6):
            shape += f'<path d="M{at:.1f} {top:.1f}v{height:.1f}" {paint}/>'
    return shape


def _rect(left: float, top: float, *, width: float, height: float, radius: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius:.1f}"'
    )


def hexagon(x: float, y: float, *, width: float, height: float) -> tuple[Point, ...]:
    """The corners of a hexagon with a point on the left and one on the right."""
    half, tall = width / 2, height / 2
    flat = half - 12.0
    return (
        (x - half, y),
        (x - flat, y - tall),
        (x + flat, y - tall),
        (x + half, y),
        (x + flat, y + tall),
        (x - flat, y + tall),
    )


def _paint(kind: Kind, look: Look) -> str:
    dashes = ' stroke-dasharray="5 3"' if look.dashed else ""
    return f'class="{kind}" fill="{look.fill}" stroke="{look.stroke}" stroke-width="1.4"{dashes}'


def _line(route: Route) -> str:
    start, *rest = route.curve
    curve = f"M{_point(start)}C" + " ".join(map(_point, rest))
    dashes = ' stroke-dasharray="5 4"' if route.link.lagged else ""
    about = f"{route.link.cause} → {route.link.effect}"
    if route.link.lagged:
        about += f", at step {route.link.label}"
    return (
        f"<g><title>{_text(about)}</title>"
        f'<path class="line" d="{curve}" fill="none" stroke="{looks.LINE}" '
        f'stroke-width="1.3"{dashes}/>'
        f'<polygon class="head" points="{_points(route.head)}" fill="{looks.LINE}"/></g>'
    )


def _label(route: Route) -> str:
    x, y = route.label_at
    return (
        f'<text class="halo" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" '
        f'font-size="{LABEL_SIZE}" fill="{looks.INK}" stroke="{looks.CARD}" stroke-width="6" '
        f'paint-order="stroke">{route.link.label}</text>'
    )


def _legend(graph: Graph) -> list[tuple[Kind | None, str]]:
    """What is in this graph, and what it means; None is the lagged line."""
    present = set(graph.kinds.values())
    entries: list[tuple[Kind | None, str]] = [
        (kind, look.meaning) for kind, look in LOOKS.items() if kind in present
    ]
    if graph.longest_lag:
        entries.append((None, "acts from an earlier step"))
    return entries


def _entry_width(words: str) -> float:
    return 34.0 + looks.text_width(words, LABEL_SIZE) + 20.0


def _legend_rows(
    entries: Iterable[tuple[Kind | None, str]], *, width: float, top: float
) -> tuple[list[str], float]:
    """The legend, wrapped to the width; and the height that it reaches."""
    drawn, x, y = [], MARGIN, top + _LEGEND_LINE / 2
    for kind, words in entries:
        if x > MARGIN and x + _entry_width(words) > width - MARGIN:
            x, y = MARGIN, y + _LEGEND_LINE
        if kind is None:
            drawn.append(
                f'<path class="line" d="M{x:.1f} {y:.1f}h28" fill="none" stroke="{looks.LINE}" '
                f'stroke-width="1.3" stroke-dasharray="5 4"/>'
            )
        else:
            drawn.append(_outline(kind, x + 14, y, width=28, height=14))
        drawn.append(
            f'<text x="{x + 34:.1f}" y="{y + 4:.1f}" font-size="{LABEL_SIZE}" '
            f'fill="{looks.INK}">{words}</text>'
        )
        x += _entry_width(words)
    return drawn, y + _LEGEND_LINE


def _point(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(text: str) -> str:
    """Escaped for XML, without the characters that XML cannot hold."""
    clean = (c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return escape("".join(clean))
