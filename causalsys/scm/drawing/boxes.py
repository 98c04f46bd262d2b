"""The box of a variable: where it is, and where its outline is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from causalsys.scm.drawing.looks import Shape

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A variable's box, by its middle and its extent along the flow and across it.

    Attributes:
        name: The variable.
        shape: Its outline.
        flow: The middle, along the flow.
        cross: The middle, across the flow.
        flow_size: The extent along the flow.
        cross_size: The extent across the flow.
        horizontal: Whether the flow runs along x.
    """

    name: str
    shape: Shape
    flow: float
    cross: float
    flow_size: float
    cross_size: float
    horizontal: bool

    @property
    def x(self) -> float:
        """The middle's x."""
        return self.flow if self.horizontal else self.cross

    @property
    def y(self) -> float:
        """The middle's y."""
        return self.cross if self.horizontal else self.flow

    @property
    def width(self) -> float:
        """The extent in x."""
        return self.flow_size if self.horizontal else self.cross_size

    @property
    def height(self) -> float:
        """The extent in y."""
        return self.cross_size if self.horizontal else self.flow_size

    @property
    def corners(self) -> tuple[Point, Point]:
        """The upper left corner and the lower right one."""
        half, tall = self.width / 2, self.height / 2
        return (self.x - half, self.y - tall), (self.x + half, self.y + tall)

    def moved(self, shift: Point) -> Box:
        """The same box elsewhere, by (x, y)."""
        along, across = shift if self.horizontal else (shift[1], shift[0])
        return replace(self, flow=self.flow + along, cross=self.cross + across)

    @property
    def ports(self) -> float:
        """How far from the middle of a flow side lines may be attached."""
        return 0.3 * self.height if self.horizontal else max(self.width - self.height, 10.0) / 2.4

    def border(self, offset: float, *, after: bool) -> float:
        """Where the outline is, along the flow, `offset` across from the middle."""
        inset = 0.0
        if self.horizontal:
            radius, away = self.height / 2, abs(offset)
            if self.shape in ("pill", "double"):
                inset = radius - sqrt(max(radius**2 - away**2, 0.0))
            elif self.shape == "hexagon":
                inset = away / radius * 12.0
        reach = self.flow_size / 2 - inset
        return self.flow + reach if after else self.flow - reach
