"""What moments settle, by rank: is a quantity fixed where all observed moments are?

A quantity is locally determined at a point if its gradient lies in the row space of the Jacobian
of the moments, and generically so if that holds at almost every point (Rothenberg, 1971; Catchpole
and Morgan, 1997). Ranks of analytic maps are highest almost everywhere, so a few random points
tell. Derivatives are by complex steps, which are exact to rounding (Squire and Trapp, 1998).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Map = Callable[[Array], Array]
"""From points `[point, parameter]` to values `[point, value]`; analytic, so without conjugates."""

_NULL = 1e-10
"""A direction whose singular value is below this share of the largest one moves no moment.

Float64 leaves about 1e-15 of exact zeros. True values this small would be taken for zeros, which
errs on the side of "not determined"."""

_MOVED = 1e-6
"""What moves by more than this share of its gradient along such directions is not determined."""

_STEP = 1e-40


def determined(moments: Map, quantities: Map, *, points: Array) -> NDArray[np.bool_]:
    """Which quantities are generically, locally determined by the moments.

    Args:
        moments: What is observed, as a function of the parameters.
        quantities: What is asked, likewise.
        points: `[point, parameter]`; random, away from special values.

    Returns:
        `[quantity]`, true where it is determined at all points at which the rank is highest.

    Example:
        >>> points = np.random.default_rng(0).random((3, 2))
        >>> determined(lambda p: p.prod(-1, keepdims=True), lambda p: p, points=points).tolist()
        [False, False]

    Source: T. J. Rothenberg, Identification in parametric models, Econometrica 39 (1971);
    E. A. Catchpole and B. J. T. Morgan, Detecting parameter redundancy, Biometrika 84 (1997).
    """
    asked = slopes(quantities, points)
    seen = slopes(moments, points)
    scale = np.linalg.norm(seen, axis=-2, keepdims=True)
    scale = np.where(scale > 0, scale, 1.0)
    still, free = _still(seen / scale)
    moved = np.linalg.norm((asked / scale) @ still, axis=-1)
    moves = moved > _MOVED * np.maximum(np.linalg.norm(asked / scale, axis=-1), _MOVED)
    known: NDArray[np.bool_] = ~moves[free == free.min()].any(0)
    return known


def slopes(function: Map, points: Array) -> Array:
    """The Jacobians `[point, value, parameter]` of a function at points."""
    steps = 1j * _STEP * np.eye(points.shape[1])
    return np.stack([function(point + steps).imag.T for point in points]) / _STEP


def _still(seen: Array) -> tuple[Array, Array]:
    """The projections onto the directions that move no moment, and how many there are."""
    size, right = np.linalg.svd(np.linalg.qr(seen, mode="r"))[1:]
    moving = np.zeros(right.shape[:2])
    moving[:, : size.shape[-1]] = size > _NULL * size[:, :1]
    return right.swapaxes(1, 2) @ ((1 - moving)[..., None] * right), (1 - moving).sum(-1)
