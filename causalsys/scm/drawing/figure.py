"""A graph as a matplotlib figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalsys.scm.drawing import looks
from causalsys.scm.drawing.boxes import Box
from causalsys.scm.drawing.labels import LABEL_SIZE
from causalsys.scm.drawing.layout import Layout, lay_out
from causalsys.scm.drawing.looks import LOOKS
from causalsys.scm.drawing.routes import Route
from causalsys.scm.drawing.svg import hexagon
from causalsys.scm.graph import Graph
from causalsys.scm.variables import Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

_UNITS_PER_INCH = 80.0
_LARGEST = 40.0
_ENTRY_WIDTH, _ENTRY_HEIGHT = 2.1, 0.19
_DASHES = (0, (4, 2.5))


def plot(graph: Graph, ax: Axes | None = None) -> Axes:
    """Draw the graph.

    Args:
        graph: The causal graph.
        ax: Where to draw; by default a new figure of a fitting size.

    Returns:
        The axes, with a legend of the kinds that occur. The type fits the axes' size now.
    """
    layout = lay_out(graph)
    if ax is None:
        ax = _new_axes(layout, graph)
    ax.set_axis_off()
    ax.set_xlim(0, layout.width)
    ax.set_ylim(layout.height, 0)
    ax.set_aspect("equal")
    _add_legend(ax, graph)
    points = _points_per_unit(ax, layout)
    for route in layout.routes:
        _draw_line(ax, route, points=points)
    for box in layout.boxes.values():
        _draw_variable(ax, graph, box=box, points=points)
    return ax


def _new_axes(layout: Layout, graph: Graph) -> Axes:
    """Axes of the layout's own proportions, above a strip for the legend."""
    import matplotlib.pyplot as plt

    shrink = min(1.0, _LARGEST * _UNITS_PER_INCH / max(layout.width, layout.height))
    scale = shrink / _UNITS_PER_INCH
    width = max(layout.width * scale, _ENTRY_WIDTH)
    rows = -(-len(_entries(graph)) // _columns(width))
    legend = rows * _ENTRY_HEIGHT + 0.1
    height = layout.height * scale + legend
    figure = plt.figure(figsize=(width, height))
    return figure.add_axes((0.0, legend / height, 1.0, 1.0 - legend / height))


def _points_per_unit(ax: Axes, layout: Layout) -> float:
    """How many points of type a unit of the layout takes, so that text fits its box."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    area = ax.get_window_extent()
    pixels = min(area.width / layout.width, area.height / layout.height)
    return float(72 * pixels / figure.dpi)


def _draw_line(ax: Axes, route: Route, *, points: float) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    codes = [Path.MOVETO, *[Path.CURVE4] * (len(route.curve) - 1)]
    style = _DASHES if route.link.lagged else "solid"
    ax.add_patch(
        PathPatch(
            Path(route.curve, codes),
            fill=False,
            edgecolor=looks.LINE,
            linewidth=1.3 * points,
            linestyle=style,
            zorder=1,
        )
    )
    ax.add_patch(Polygon(route.head, facecolor=looks.LINE, edgecolor="none", zorder=1))
    if route.link.lagged:
        ax.text(
            *route.label_at,
            route.link.label,
            fontsize=LABEL_SIZE * points,
            color=looks.INK,
            ha="center",
            va="center_baseline",
            zorder=4,
            bbox={"facecolor": looks.CARD, "edgecolor": "none", "pad": 1.6},
        )


def _draw_variable(ax: Axes, graph: Graph, *, box: Box, points: float) -> None:
    kind = graph.kinds[box.name]
    for patch in _outline(kind, box, points=points):
        ax.add_patch(patch)
    second = looks.note(graph, box.name)
    ax.text(
        box.x,
        box.y - (7 if second else 0),
        looks.shown(box.name),
        parse_math=False,
        fontsize=looks.FONT_SIZE * points,
        color=looks.INK,
        style="italic" if kind == "latent" else "normal",
        ha="center",
        va="center",
        zorder=3,
    )
    if second:
        size = looks.NOTE_SIZE * points
        ax.text(
            box.x,
            box.y + 9,
            second,
            fontsize=size,
            color=looks.INK,
            ha="center",
            va="center",
            zorder=3,
        )


def _outline(kind: Kind, box: Box, *, points: float) -> list[Patch]:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    look = LOOKS[kind]
    (left, top), (right, bottom) = box.corners
    radius = {"box": 2.0, "bars": 4.0}.get(look.shape, box.height / 2)
    patches: list[Patch]
    if look.shape == "hexagon":
        patches = [Polygon(hexagon(box.x, box.y, width=box.width, height=box.height))]
    elif look.shape == "double":
        patches = [_rounded(box, radius), _rounded(box, radius, inset=3.0)]
    elif look.shape == "bars":
        bars = [PathPatch(Path([(x, top), (x, bottom)])) for x in (left + 6, right - 6)]
        patches = [_rounded(box, radius), *bars]
    else:
        patches = [_rounded(box, radius)]
    for patch in patches:
        patch.set(facecolor=look.fill, edgecolor=look.stroke, linewidth=1.4 * points, zorder=2)
        patch.set_linestyle(_DASHES if look.dashed else "solid")
    return patches


def _rounded(box: Box, radius: float, *, inset: float = 0.0) -> Patch:
    from matplotlib.patches import FancyBboxPatch

    left, top = box.corners[0]
    return FancyBboxPatch(
        (left + inset, top + inset),
        box.width - 2 * inset,
        box.height - 2 * inset,
        boxstyle=f"round,pad=0,rounding_size={radius - inset}",
    )


def _add_legend(ax: Axes, graph: Graph) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    ax.legend(
        handles=_entries(graph),
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=_columns(ax.get_position().width * figure.get_figwidth()),
        frameon=False,
        fontsize=8,
        borderaxespad=0.0,
        columnspacing=1.2,
    )


def _columns(inches: float) -> int:
    return max(1, min(4, int(inches / _ENTRY_WIDTH)))


def _entries(graph: Graph) -> list[Patch | Line2D]:
    """What is in this graph, and what it means."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    present = set(graph.kinds.values())
    entries: list[Patch | Line2D] = [
        Patch(
            facecolor=look.fill,
            edgecolor=look.stroke,
            linestyle=_DASHES if look.dashed else "solid",
            label=look.meaning,
        )
        for kind, look in LOOKS.items()
        if kind in present
    ]
    if graph.longest_lag:
        words = "acts from an earlier step"
        entries.append(Line2D([], [], color=looks.LINE, linestyle=_DASHES, label=words))
    return entries
