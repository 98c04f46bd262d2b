"""What each kind of variable looks like, whatever it is drawn with.

Kinds differ by shape and outline as well as by colour, so that a print in grey still tells them
apart. Dashes mean "not in the log as such": a latent, or an edge from an earlier step.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

from causalsys.scm.graph import Graph
from causalsys.scm.variables import Kind

Shape = Literal["pill", "box", "hexagon", "bars", "double"]

FONT_SIZE = 13.0
NOTE_SIZE = 10.0
LONGEST_NAME = 30

INK = "#1c1c1c"
LINE = "#767676"
CARD = "#ffffff"
DARK_INK = "#ececec"
DARK_LINE = "#9a9a9a"
DARK_CARD = "#1d1f23"


@dataclass(frozen=True)
class Look:
    """How a kind is drawn.

    Attributes:
        shape: The outline: a pill, a box, a hexagon, a box with bars, a pill with two lines.
        meaning: What the legend says.
        fill: The inside, on a light page.
        stroke: The outline, on a light page.
        dark_fill: The inside, on a dark page.
        dark_stroke: The outline, on a dark page.
        dashed: Whether the outline is.
    """

    shape: Shape
    meaning: str
    fill: str
    stroke: str
    dark_fill: str
    dark_stroke: str
    dashed: bool = False


LOOKS: dict[Kind, Look] = {
    "observed": Look("pill", "observed: logged", "#e6f0fb", "#2f6db3", "#1b3a5c", "#7db4ee"),
    "latent": Look("pill", "latent: never logged", CARD, "#5f5f5f", DARK_CARD, "#b0b0b0", True),
    "decision": Look(
        "box", "decision: set by a policy", "#fde9cf", "#a85b06", "#4a3210", "#f0b35c"
    ),
    "arm": Look("hexagon", "arm: assigned at random", "#f4e4f5", "#8a3f8f", "#42254a", "#d79bdb"),
    "state": Look(
        "bars", "state: carried to the next step", "#dcf2e8", "#1b7f5c", "#12402f", "#6fd1ab"
    ),
    "equation": Look(
        "double", "equation: known, not learned", "#f1f1f1", "#4a4a4a", "#34373c", "#c4c4c4"
    ),
}
"""The legend's order is this one."""


def shown(name: str) -> str:
    """A name short enough for a box: its middle left out where it is long."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    if len(clean) <= LONGEST_NAME:
        return clean
    half = (LONGEST_NAME - 1) // 2
    return f"{clean[: LONGEST_NAME - 1 - half]}…{clean[-half:]}"


def note(graph: Graph, name: str) -> str:
    """The second, smaller line in a variable's box; empty when there is nothing to add."""
    return "per trace" if graph.per[name] == "trace" else ""


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a common sans-serif type of `size`; errs to the wide side."""
    return size * sum(map(_advance, text))


def _advance(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if character in "iIjl|.,:;'!()[]{} ":
        return 0.38
    if character in "mwMW@%":
        return 0.95
    return 0.72 if character.isupper() else 0.62
