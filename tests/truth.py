"""Fitted linear models as numbers, to compare answers with what algebra says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

import causalsys as cs


@dataclass(frozen=True)
class Line:
    """`value = constant + slopes · parents + scale · noise`."""

    constant: float
    slopes: dict[str, float]
    scale: float

    def mean(self, **parents: object) -> object:
        """The value without noise."""
        return self.constant + sum(self.slopes[k] * v for k, v in parents.items())  # type: ignore


def line_of(fitted: cs.FittedSCM, name: str, member: int = 0) -> Line:
    """A member's linear mechanism of scalar parents, on their own scales."""
    mechanism = fitted.mechanism(name)
    constant = mechanism.state["constant"][member, 0]
    slopes = dict[str, float]()
    if "weight" in mechanism.state:
        weight = mechanism.state["weight"][member] / mechanism.state["spread"][0, 0]
        constant = constant - (weight * mechanism.state["center"][0, 0]).sum()
        slopes = dict(zip(mechanism.parents, weight.tolist(), strict=True))
    return Line(float(constant), slopes, float(mechanism.state["log_scale"][member].exp()))


class Chain(cs.SCM):
    """`x` acts on `y` directly, and by way of `m`."""

    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    m = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[x, m], mechanism=cs.Linear())


def chain(rows: int = 500, seed: int = 0) -> pd.DataFrame:
    """Rows of `Chain`: m = 2x + e, y = x - m + e/2."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    m = 2 * x + rng.normal(size=rows)
    return pd.DataFrame({"x": x, "m": m, "y": x - m + 0.5 * rng.normal(size=rows)})
