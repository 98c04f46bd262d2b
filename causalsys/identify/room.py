"""Whether what is observed has room for all values of a latent that it is to reveal.

Two Boolean proxies cannot tell all values of a number apart, whatever their mechanisms. Views and
proxies are rich enough only where their operators are injective (Hu and Schennach, Econometrica 76,
2008; Miao, Geng and Tchetgen, Biometrika 105, 2018); for finite tables by Kruskal's condition
(Allman, Matias and Rhodes, Annals of Statistics 37, 2009, corollary 2).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from causalsys.scm.supports import Categorical, Support

_NUMBER = 1000.0
"""The room of one number, in nats: more than that of any table."""


def room(supports: Mapping[str, Support], names: Collection[str]) -> float:
    """How many values these variables have together, in nats.

    Example:
        >>> from causalsys.scm.supports import Boolean, Real
        >>> supports = {"x": Real(size=2), "b": Boolean(), "c": Boolean()}
        >>> round(room(supports, "bc"), 3), room(supports, "x")
        (1.386, 2000.0)
    """
    found = 0.0
    for name in names:
        support = supports[name]
        table = isinstance(support, Categorical) and support.levels is not None
        levels = len(support.levels or ()) if isinstance(support, Categorical) else 0
        found += (support.size or 1) * (math.log(levels) if table else _NUMBER)
    return found


def reveal(latent: float, views: Collection[float]) -> bool:
    """Whether three independent views with this room may reveal a latent with that room.

    Example:
        >>> reveal(math.log(3), [math.log(3), math.log(3), math.log(2)])
        True
        >>> reveal(1000.0, [1000.0, math.log(2), math.log(2)])
        False
    """
    if latent < _NUMBER:
        levels = math.exp(latent)
        return sum(min(levels, math.exp(min(view, latent))) for view in views) >= 2 * levels + 1.999
    return sorted(views)[1] >= latent and min(views) > 0
