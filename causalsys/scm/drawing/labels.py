"""Places for the labels of lines: on the line where there is room, not on a box."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from causalsys.scm.drawing.boxes import Box, Point
from causalsys.scm.drawing.layers import Link
from causalsys.scm.drawing.looks import text_width

LABEL_SIZE = 11.0

Area = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def half_width(link: Link) -> float:
    """Half the width that a line's label takes up."""
    return text_width(link.label, LABEL_SIZE) / 2 + 3


class Labels:
    """The labels placed so far."""

    def __init__(self, boxes: Iterable[Box], links: Iterable[Link], *, horizontal: bool) -> None:
        self._taken: list[Area] = [
            (left, top, right, bottom)
            for (left, top), (right, bottom) in (box.corners for box in boxes)
        ]
        self._within = {(link.cause, link.effect) for link in links if not link.lagged}
        self._horizontal = horizontal

    def place(self, link: Link, points: Sequence[Point]) -> Point:
        """The place on a line, as near to its middle as can be, that is not taken; take it.

        Args:
            link: The line.
            points: Its curve: a start, then three points for each cubic Bézier piece.
        """
        pieces = [points[i : i + 4] for i in range(0, len(points) - 1, 3)]
        middle = len(pieces) / 2
        shares = sorted(
            (i + t for i in range(len(pieces)) for t in (0.5, 0.3, 0.7)),
            key=lambda share: (abs(share - middle), share),
        )
        x, y = self._aside(link, direct=len(pieces) <= 3)
        places = [(x + at[0], y + at[1]) for at in (_on(pieces[int(s)], s % 1) for s in shares)]
        areas = [_area(place, link) for place in places]
        free = (
            i for i, area in enumerate(areas) if not any(_overlap(area, a) for a in self._taken)
        )
        chosen = next(free, 0)
        self._taken.append(areas[chosen])
        return places[chosen]

    def _aside(self, link: Link, *, direct: bool) -> Point:
        """How far off its line a label stands: off a loop, and away from a twin in the step."""
        side = 0.0
        if link.cause == link.effect:
            side = -1.0
        elif direct and (link.cause, link.effect) in self._within:
            side = 1.0
        return (0.0, side * 8.0) if self._horizontal else (side * half_width(link), 0.0)


def _on(piece: Sequence[Point], t: float) -> Point:
    """The point of a cubic Bézier piece at `t`."""
    shares = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    x = sum(share * point[0] for share, point in zip(shares, piece, strict=True))
    y = sum(share * point[1] for share, point in zip(shares, piece, strict=True))
    return x, y


def _area(middle: Point, link: Link) -> Area:
    (x, y), half, tall = middle, half_width(link), LABEL_SIZE / 2 + 1.5
    return x - half, y - tall, x + half, y + tall


def _overlap(a: Area, b: Area) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
