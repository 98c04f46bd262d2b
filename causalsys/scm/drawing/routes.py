"""Curves for the lines of a drawing: along lanes that no box is in, arrowheads at the border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot

from causalsys.scm.drawing.boxes import Box, Point
from causalsys.scm.drawing.labels import Labels, half_width
from causalsys.scm.drawing.layers import Bend, Item, Layers, Link

_HEAD = 8.0
_HEAD_HALF = 3.6
_LOOP = 34.0
_BULGE = 34.0


@dataclass(frozen=True)
class Route:
    """A line as drawn.

    Attributes:
        link: What it stands for.
        curve: A start, then three points for each cubic Bézier piece.
        head: The arrowhead: its tip, and its two other corners.
        label_at: The middle of its label.
    """

    link: Link
    curve: tuple[Point, ...]
    head: tuple[Point, Point, Point]
    label_at: Point

    @property
    def extent(self) -> tuple[Point, ...]:
        """Points whose hull contains the line and its label."""
        half = half_width(self.link)
        x, y = self.label_at
        label = ((x - half, y - 8), (x + half, y + 8)) if self.link.lagged else ()
        return (*self.curve, *self.head, *label)

    def moved(self, shift: Point) -> Route:
        """The same line elsewhere."""
        head = (_sum(self.head[0], shift), _sum(self.head[1], shift), _sum(self.head[2], shift))
        curve = tuple(_sum(point, shift) for point in self.curve)
        return Route(self.link, curve, head, _sum(self.label_at, shift))


@dataclass(frozen=True)
class Frame:
    """Where the layers start and end along the flow, and whether the flow runs along x."""

    starts: Sequence[float]
    ends: Sequence[float]
    horizontal: bool

    def middle(self, layer: int) -> float:
        """The middle of a layer."""
        return (self.starts[layer] + self.ends[layer]) / 2


@dataclass(frozen=True)
class _Port:
    """One end of a line: a box, the side after or before it, and how far off the middle."""

    box: Box
    layer: int
    after: bool
    offset: float = 0.0

    def stub(self, frame: Frame) -> tuple[Point, Point]:
        """The border's point, and the one where the line leaves the box's layer."""
        cross = self.box.cross + self.offset
        edge = frame.ends[self.layer] if self.after else frame.starts[self.layer]
        return (self.box.border(self.offset, after=self.after), cross), (edge, cross)


def routes(
    layers: Layers, boxes: Mapping[str, Box], *, centre: Mapping[Item, float], frame: Frame
) -> tuple[Route, ...]:
    """Draw every line."""
    layer_of = {item: i for i, items in enumerate(layers.layers) for item in items}
    ports = _ports(layers, boxes, centre=centre, layer_of=layer_of)
    labels = Labels(boxes.values(), layers.links, horizontal=frame.horizontal)
    drawn: list[Route] = []
    for index, (link, chain) in enumerate(zip(layers.links, layers.chains, strict=True)):
        if link.cause == link.effect:
            points = _loop(boxes[link.cause])
        else:
            ends = ports[index, 0], ports[index, 1]
            points = _through(chain, ends, centre=centre, frame=frame)
            if chain[0] != link.cause:
                points.reverse()
        if not frame.horizontal:
            points = [(y, x) for x, y in points]
        label_at = labels.place(link, points) if link.lagged else points[-1]
        drawn.append(_route(link, points, label_at))
    return tuple(drawn)


def _ports(
    layers: Layers,
    boxes: Mapping[str, Box],
    *,
    centre: Mapping[Item, float],
    layer_of: Mapping[Item, int],
) -> dict[tuple[int, int], _Port]:
    """Spread the lines over each side of each box, in the order in which they arrive."""
    sides: dict[tuple[str, bool], list[tuple[float, int, int]]] = {}
    for index, chain in enumerate(layers.chains):
        if chain[0] == chain[-1]:
            continue
        flat = layer_of[chain[0]] == layer_of[chain[-1]]
        for end, item, beside in ((0, chain[0], chain[1]), (1, chain[-1], chain[-2])):
            side = (str(item), flat or end == 0)
            sides.setdefault(side, []).append((centre[beside], index, end))
    found = {}
    for (name, after), lines in sides.items():
        box = boxes[name]
        step = min(9.0, 2 * box.ports / max(len(lines) - 1, 1))
        for place, (_, index, end) in enumerate(sorted(lines)):
            offset = (place - (len(lines) - 1) / 2) * step
            found[index, end] = _Port(box, layer_of[name], after, offset)
    return found


def _through(
    chain: Sequence[Item], ends: tuple[_Port, _Port], *, centre: Mapping[Item, float], frame: Frame
) -> list[Point]:
    """From the first item of a chain to its last: straight in layers, curved between them."""
    start, out = ends[0].stub(frame)
    end, into = ends[1].stub(frame)
    if ends[0].layer == ends[1].layer:
        bulge = _BULGE if ends[1].after else -_BULGE
        curved = [(out[0] + bulge, out[1]), (into[0] + bulge, into[1]), into]
        return [start, *_straight(start, out), *curved, *_straight(into, end)]
    lanes = [
        ((frame.starts[bend.layer], centre[bend]), (frame.ends[bend.layer], centre[bend]))
        for bend in chain
        if isinstance(bend, Bend)
    ]
    stops = [(start, out), *lanes, (into, end)]
    points = [start, *_straight(start, out)]
    for (_, left), (a, b) in pairwise(stops):
        half = (left[0] + a[0]) / 2
        points += [(half, left[1]), (half, a[1]), a, *_straight(a, b)]
    return points


def _straight(a: Point, b: Point) -> list[Point]:
    return [_towards(a, b, 1 / 3), _towards(a, b, 2 / 3), b]


def _loop(box: Box) -> list[Point]:
    """From a box to itself, on the side that no other line uses."""
    half = min(box.flow_size / 4, 12.0)
    top = box.cross - box.cross_size / 2
    if not box.horizontal and box.shape not in ("box", "bars"):
        top += 4.0
    a, b = (box.flow - half, top), (box.flow + half, top)
    return [a, (a[0] - 8, top - _LOOP), (b[0] + 8, top - _LOOP), b]


def _route(link: Link, points: list[Point], label_at: Point) -> Route:
    """Cut the line short at its arrowhead."""
    tip = points[-1]
    before = next((p for p in reversed(points[:-1]) if _apart(p, tip) > 1e-6), (tip[0] - 1, tip[1]))
    length = _apart(before, tip)
    dx, dy = (tip[0] - before[0]) / length, (tip[1] - before[1]) / length
    base = (tip[0] - _HEAD * dx, tip[1] - _HEAD * dy)
    head = (
        tip,
        (base[0] - _HEAD_HALF * dy, base[1] + _HEAD_HALF * dx),
        (base[0] + _HEAD_HALF * dy, base[1] - _HEAD_HALF * dx),
    )
    return Route(link, (*points[:-1], base), head, label_at)


def _towards(a: Point, b: Point, share: float) -> Point:
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))


def _apart(a: Point, b: Point) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])


def _sum(a: Point, b: Point) -> Point:
    return a[0] + b[0], a[1] + b[1]
