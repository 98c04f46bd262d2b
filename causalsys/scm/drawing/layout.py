"""Where everything goes: coordinates for boxes, and curves for the lines between them.

Internally a place is (flow, cross): flow runs from causes to effects, cross along a layer. Only
the last step says which of them is x. Units are those of SVG; 96 are an inch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from causalsys.scm.drawing import looks
from causalsys.scm.drawing.boxes import Box
from causalsys.scm.drawing.layers import Bend, Item, Layers, layered, neighbours
from causalsys.scm.drawing.packing import parts, shelves
from causalsys.scm.drawing.routes import Frame, Route, routes
from causalsys.scm.graph import Graph

MARGIN = 16.0
LOOP = 34.0
_BOX_GAP = 18.0
_BEND_GAP = 12.0
_SWEEPS = 10
_PAGE = (960.0, 720.0)


@dataclass(frozen=True)
class Layout:
    """A drawing with coordinates, y downwards.

    Attributes:
        boxes: Each variable's box.
        routes: The lines.
        width: The whole width.
        height: The whole height.
    """

    boxes: Mapping[str, Box]
    routes: tuple[Route, ...]
    width: float
    height: float


def lay_out(graph: Graph) -> Layout:
    """Lay a graph out from left to right, or from top to bottom where that fits a page better."""
    pieces = parts(graph)
    across = _packed([_placed(piece, layered(piece), horizontal=True) for piece in pieces])
    down = _packed([_placed(piece, layered(piece), horizontal=False) for piece in pieces])
    return min(across, down, key=lambda one: max(one.width / _PAGE[0], one.height / _PAGE[1]))


def _packed(pieces: Sequence[Layout]) -> Layout:
    """Put the parts on one page, with a margin around."""
    corners = shelves([(piece.width, piece.height) for piece in pieces], _PAGE[0] - 2 * MARGIN)
    boxes: dict[str, Box] = {}
    lines: list[Route] = []
    width = height = 2 * MARGIN
    for piece, (left, top) in zip(pieces, corners, strict=True):
        shift = (left + MARGIN, top + MARGIN)
        boxes |= {name: box.moved(shift) for name, box in piece.boxes.items()}
        lines += [line.moved(shift) for line in piece.routes]
        width = max(width, left + piece.width + 2 * MARGIN)
        height = max(height, top + piece.height + 2 * MARGIN)
    return Layout(boxes, tuple(lines), width, height)


def _placed(graph: Graph, layers: Layers, *, horizontal: bool) -> Layout:
    sizes = {name: _size(graph, name) for name in graph.order}
    flow = {name: size[0] if horizontal else size[1] for name, size in sizes.items()}
    cross = {name: size[1] if horizontal else size[0] for name, size in sizes.items()}
    looped = {link.cause for link in layers.links if link.cause == link.effect}
    centre = _across(layers, cross, looped)
    frame = Frame(*_along(layers, flow), horizontal=horizontal)
    boxes = {
        name: Box(
            name,
            looks.LOOKS[graph.kinds[name]].shape,
            flow=frame.middle(layer),
            cross=centre[name],
            flow_size=flow[name],
            cross_size=cross[name],
            horizontal=horizontal,
        )
        for layer, items in enumerate(layers.layers)
        for name in items
        if isinstance(name, str)
    }
    lines = routes(layers, boxes, centre=centre, frame=frame)
    return _framed(boxes, lines)


def _size(graph: Graph, name: str) -> tuple[float, float]:
    """The width and height of a variable's box."""
    second = looks.note(graph, name)
    width = looks.text_width(looks.shown(name), looks.FONT_SIZE)
    width = max(width, looks.text_width(second, looks.NOTE_SIZE))
    return max(width + 30.0, 52.0), 42.0 if second else 30.0


def _along(layers: Layers, flow: Mapping[str, float]) -> tuple[list[float], list[float]]:
    """Where each layer starts and ends: wider gaps where more lines pass."""
    busy = [0] * len(layers.layers)
    place = {item: i for i, items in enumerate(layers.layers) for item in items}
    for chain in layers.chains:
        for item in chain[:-1]:
            busy[place[item]] += 1
    starts, ends, reached = [], [], 0.0
    for items, lines in zip(layers.layers, busy, strict=True):
        thick = max(flow[item] for item in items if isinstance(item, str))
        starts.append(reached)
        ends.append(reached + thick)
        reached += thick + min(44.0 + 2.5 * lines, 140.0)
    return starts, ends


def _across(layers: Layers, cross: Mapping[str, float], looped: set[str]) -> dict[Item, float]:
    """A place along its layer for each item: near its neighbours, in order, not overlapping.

    Each sweep solves, layer by layer, the least squares problem "as near to the mean of my
    neighbours as the order and the gaps allow", which is an isotonic regression.
    """
    rank = {item: i for i, items in enumerate(layers.layers) for item in items}
    names = {item: layer for item, layer in rank.items() if isinstance(item, str)}
    earlier, later = neighbours(layers.chains, names)
    offsets = [
        list(accumulate(_gaps(items, cross, looped), initial=0.0)) for items in layers.layers
    ]
    centre: dict[Item, float] = {}
    for items, offset in zip(layers.layers, offsets, strict=True):
        centre |= {item: at - offset[-1] / 2 for item, at in zip(items, offset, strict=True)}
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        sides = (earlier, later) if sweep >= _SWEEPS - 2 else ((earlier,) if forward else (later,))
        pairs = list(zip(layers.layers, offsets, strict=True))
        for items, offset in pairs if forward else reversed(pairs):
            wanted = [_wanted(item, sides, centre) for item in items]
            centre |= _fitted(items, wanted, offset)
    return centre


def _gaps(items: Sequence[Item], cross: Mapping[str, float], looped: set[str]) -> list[float]:
    """The least distance between the middles of neighbours in a layer."""

    def half(item: Item) -> float:
        return 0.0 if isinstance(item, Bend) else cross[item] / 2

    return [
        half(a)
        + half(b)
        + (_BEND_GAP if isinstance(a, Bend) or isinstance(b, Bend) else _BOX_GAP)
        + (LOOP if b in looped else 0.0)
        for a, b in pairwise(items)
    ]


def _wanted(
    item: Item, sides: Sequence[Mapping[Item, Sequence[Item]]], centre: Mapping[Item, float]
) -> tuple[float, float]:
    """Where an item would be without the others of its layer, and how much that matters.

    Bends pull harder on bends, so that a long line is straight in its middle.
    """
    pull = weight = 0.0
    for other in (other for side in sides for other in side.get(item, ())):
        one = 6.0 if isinstance(item, Bend) and isinstance(other, Bend) else 1.0
        pull += one * centre[other]
        weight += one
    return (pull / weight, weight) if weight else (centre[item], 0.1)


def _fitted(
    items: Sequence[Item], wanted: Sequence[tuple[float, float]], offset: Sequence[float]
) -> dict[Item, float]:
    """Pool adjacent violators, on the places less the room that the items before take up."""
    blocks: list[tuple[float, float, int]] = []
    for (place, weight), before in zip(wanted, offset, strict=True):
        mean, mass, count = place - before, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, more, length = blocks.pop()
            mean = (mean * mass + other * more) / (mass + more)
            mass, count = mass + more, count + length
        blocks.append((mean, mass, count))
    placed = [mean for mean, _, count in blocks for _ in range(count)]
    return {item: at + before for item, at, before in zip(items, placed, offset, strict=True)}


def _framed(boxes: Mapping[str, Box], lines: Sequence[Route]) -> Layout:
    """Move everything so that it starts at zero, and measure it."""
    corners = [corner for box in boxes.values() for corner in box.corners]
    points = [*corners, *(point for line in lines for point in line.extent)]
    left, top = (min(p[i] for p in points) for i in (0, 1))
    right, bottom = (max(p[i] for p in points) for i in (0, 1))
    shift = (-left, -top)
    return Layout(
        {name: box.moved(shift) for name, box in boxes.items()},
        tuple(line.moved(shift) for line in lines),
        right - left,
        bottom - top,
    )
