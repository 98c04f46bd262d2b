"""What a family of mechanisms lets be identified, beyond what the graph does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from causalsys.scm.declaration import Declaration
from causalsys.scm.frozen import FrozenDict
from causalsys.scm.specs import (
    CountRegression,
    Custom,
    GumbelMax,
    Linear,
    Link,
    Logged,
    MechanismSpec,
    Multiplicative,
    ProbabilityTable,
)
from causalsys.scm.supports import Categorical, Count, Support

Noise = Literal["monotone", "count", "gumbel", "vector", "unknown"]


@dataclass(frozen=True)
class Shape:
    """The shape of one mechanism.

    Attributes:
        family: Its family, in a user's words.
        noise: What its noise is: one number that the value rises with, a count's, Gumbels, one
            number for each component, or unknown.
        link: The scale on which it is linear in its parents; None where it is not.
        chosen: Whether the data chose the family, rather than the user.
    """

    family: str
    noise: Noise
    link: Link | None = None
    chosen: bool = False


Shapes = Mapping[str, Shape]


def shape(spec: MechanismSpec, support: Support, *, chosen: bool = False) -> Shape:
    """The shape of a family for a variable of this support."""
    link: Link | None = None
    if isinstance(spec, Linear) and not spec.level:
        # With lines by level a slope is no one number.
        link = spec.link
    elif isinstance(spec, Multiplicative) and spec.rank == 1:
        link = "log"
    return Shape(type(spec).__name__, _noise(spec, support), link, chosen)


def declared_shapes(declaration: Declaration) -> Shapes:
    """The shapes of a model as it is declared, before data have chosen anything."""
    return FrozenDict(
        {
            node.name: shape(node.mechanism, node.support)
            for node in declaration.nodes.values()
            if node.mechanism is not None
        }
    )


def matches(cause: Shape | None, effect: Shape) -> bool:
    """Whether a cause enters a linear mechanism on the scale of its own link.

    Only then is a chain of two linear mechanisms linear.
    """
    if cause is None or cause.link is None:
        return False
    return cause.link == "identity" or (cause.link == "log" and effect.link == "log")


def _noise(spec: MechanismSpec, support: Support) -> Noise:
    if isinstance(spec, Logged):
        return "unknown"
    if support.size:
        return "vector"
    if isinstance(spec, Custom):
        plain = getattr(spec.family, "bijective", False)
        return "monotone" if plain and getattr(spec.family, "noise", "") == "normal" else "unknown"
    if isinstance(spec, GumbelMax | ProbabilityTable) or isinstance(support, Categorical):
        return "gumbel"
    if isinstance(spec, CountRegression) or isinstance(support, Count):
        return "count"
    return "monotone"
