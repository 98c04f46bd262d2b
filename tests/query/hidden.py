"""Systems with a common cause of known strength, logged or hidden."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs
from causalsys.query.sensitivity import sensitivity

Array = NDArray[np.float64]


def tangent(strength: float) -> float:
    return strength / math.sqrt(1 - strength**2)


class Pair(cs.SCM):
    x = cs.Observed(cs.Real(), mechanism=cs.Linear(noise="normal"))
    y = cs.Observed(cs.Real("ms"), parents=[x], mechanism=cs.Linear(noise="normal"))


class Triple(cs.SCM):
    c = cs.Observed(cs.Real(), mechanism=cs.Linear())
    x = cs.Observed(cs.Real(), parents=[c], mechanism=cs.Linear())
    y = cs.Observed(cs.Real("ms"), parents=[x, c], mechanism=cs.Linear())


def triple(
    rows: int, seed: int, *, a: float = 1.0, b: float = -1.0, g: float = 0.8
) -> pd.DataFrame:
    """x = a c + e, y = b x + g c + n, all noises standard normal."""
    c, e, n = np.random.default_rng(seed).normal(size=(3, rows))
    x = a * c + e
    return pd.DataFrame({"c": c, "x": x, "y": b * x + g * c + n})


def strength_of(a: float, g: float) -> float:
    return a / math.hypot(a, 1) * g / math.hypot(g, 1)


def asked(fitted: cs.FittedSCM, rows: object, strength: float, **question: object) -> float:
    found = sensitivity(fitted, rows, strengths=[strength], **question)  # type: ignore[arg-type]
    return float(found.estimate[0])


def copula(rows: int, strength: float, seed: int) -> tuple[Array, Array]:
    """A cause's noise and its effect's, tied by a hidden confounder."""
    h, n = np.random.default_rng(seed).normal(size=(2, rows))
    return h, strength * h + math.sqrt(1 - strength**2) * n
