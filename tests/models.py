"""Small models that many tests ask, with data drawn from known mechanisms."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import causalsys as cs

SMALL = (8,)


class Zoo(cs.SCM):
    """One variable for each family, all below `x` and `k`."""

    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    k = cs.Observed(cs.Categorical(["a", "b", "c"]))
    linear = cs.Observed(cs.Real(), parents=[x, k], mechanism=cs.Linear())
    power = cs.Observed(
        cs.Positive(), parents=[x, k], mechanism=cs.Linear(link="log", noise="empirical")
    )
    share = cs.Observed(cs.Fraction(), parents=[x, k], mechanism=cs.Linear(link="logit"))
    neural = cs.Observed(
        cs.Positive(), parents=[x, k], mechanism=cs.NeuralAdditive(hidden=SMALL, link="log")
    )
    trees = cs.Observed(cs.Real(), parents=[x, k], mechanism=cs.BoostedTrees(rounds=10))
    spline = cs.Observed(cs.Real(), parents=[x, k], mechanism=cs.SplineFlow(hidden=SMALL))
    product = cs.Observed(cs.Positive(), parents=[power, k], mechanism=cs.Multiplicative())
    count = cs.Observed(cs.Count(), parents=[x, k], mechanism=cs.CountRegression())
    level = cs.Observed(cs.Categorical(3), parents=[x, k], mechanism=cs.GumbelMax())
    flag = cs.Observed(cs.Boolean(), parents=[x, level], mechanism=cs.GumbelMax(hidden=SMALL))
    pair = cs.Observed(cs.Real(size=2), parents=[x, count], mechanism=cs.Linear())

    @cs.equation(cs.Real())
    def total(linear, spline):
        return linear + spline


class Confounded(cs.SCM):
    """A linear effect of `x` on `y`, confounded by `u`, which has two proxies."""

    u = cs.Latent(cs.Real())
    w1 = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    w2 = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    x = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[u, x], mechanism=cs.Linear())


class Bent(cs.SCM):
    """A latent with nonlinear effects and three views, fitted by variational inference."""

    u = cs.Latent(cs.Real())
    x = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    y = cs.Observed(
        cs.Positive(),
        parents=[u, x],
        mechanism=cs.NeuralAdditive(hidden=SMALL, link="log", noise="normal"),
    )
    k = cs.Observed(cs.Boolean(), parents=[u])
    w = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())


class Classes(cs.SCM):
    """A latent class with three tests."""

    h = cs.Latent(cs.Boolean())
    p = cs.Observed(cs.Boolean(), parents=[h])
    q = cs.Observed(cs.Boolean(), parents=[h])
    r = cs.Observed(cs.Boolean(), parents=[h])


class Line(cs.SCM):
    """Traces with a latent, lags, a state, a policy and an equation."""

    size = cs.Latent(cs.Real())
    work = cs.Observed(cs.Positive("ms"), parents=[size], mechanism=cs.Linear(link="log"))
    cost = cs.Observed(cs.Real(), parents=[size, work.lag(1)], mechanism=cs.Linear())
    queue = cs.State(cs.Positive("ms"), initial=0.0)
    served = cs.Decision(cs.Boolean(), parents=[queue, cost.lag(1)])

    @cs.equation(cs.Positive("ms"))
    def delay(queue, work):
        return queue + work

    @cs.transition(queue)
    def drain(queue, work, served):
        return (queue + work - 2.0 * served).clamp(min=0)


def zoo(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, k = rng.normal(size=rows), rng.integers(0, 3, rows)
    mean = x + k

    def noise() -> np.ndarray[Any, Any]:
        return rng.normal(size=rows)

    columns = {
        "x": x,
        "k": np.array(list("abc"))[k],
        "linear": mean + noise(),
        "power": np.exp(0.3 * mean + 0.3 * noise()),
        "share": 1 / (1 + np.exp(noise() - mean)),
        "neural": np.exp(0.5 * np.sin(mean) + 0.1 * noise()),
        "trees": np.abs(mean) + 0.1 * noise(),
        "spline": mean**2 + noise(),
        "product": np.exp(0.1 * mean + 0.1 * noise()),
        "count": rng.poisson(np.exp(0.3 * mean)),
        "level": rng.integers(0, 3, rows),
        "flag": rng.random(rows) < 0.4,
        "pair_0": mean + noise(),
        "pair_1": noise(),
    }
    return pd.DataFrame(columns)


def confounded(rows: int = 300, seed: int = 0, effect: float = 1.0) -> pd.DataFrame:
    """Rows of `Confounded`: all noises of scale 0.5, all loadings 1, and the effect."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=rows)
    w1, w2, x, e = (u + 0.5 * rng.normal(size=rows) for _ in range(4))
    return pd.DataFrame({"w1": w1, "w2": w2, "x": x, "y": e + effect * x})


def bent(rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    u = rng.normal(size=rows)
    x = u + 0.5 * rng.normal(size=rows)
    y = np.exp(np.tanh(u) + 0.5 * x + 0.1 * rng.normal(size=rows))
    k = rng.random(rows) < 1 / (1 + np.exp(-2 * u))
    return pd.DataFrame({"x": x, "y": y, "k": k, "w": u + 0.5 * rng.normal(size=rows)})


def classes(rows: int = 2000, seed: int = 3) -> pd.DataFrame:
    """Rows of `Classes`: 30 % are in the class; `CHANCES` says how the tests turn out."""
    rng = np.random.default_rng(seed)
    h = rng.random(rows) < 0.3
    drawn = {name: rng.random(rows) < np.where(h, *CHANCES[name]) for name in CHANCES}
    return pd.DataFrame(drawn)


CHANCES = {"p": (0.9, 0.2), "q": (0.8, 0.1), "r": (0.7, 0.05)}
"""The chance of each test of `Classes`, in the class and outside it."""


def line(lengths: tuple[int, ...] = (6, 3, 8, 5, 6, 7), seed: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for trace, length in enumerate(lengths):
        queue, before, cost = 0.0, 0.0, 0.0
        for step in range(length):
            size = rng.normal()
            work = np.exp(0.3 * size + 0.2 * rng.normal())
            served = rng.random() < 1 / (1 + np.exp(-queue - 0.2 * cost))
            cost = size + 0.5 * before + 0.3 * rng.normal()
            rows.append((trace, step, work, cost, served))
            queue, before = max(queue + work - 2.0 * served, 0.0), work
    return pd.DataFrame(rows, columns=["trace", "step", "work", "cost", "served"])


@cache
def fitted_zoo() -> cs.FittedSCM:
    return Zoo.fit(zoo(), steps=60, ensemble=2)


@cache
def fitted_confounded() -> cs.FittedSCM:
    return Confounded.fit(confounded(), ensemble=2)


@cache
def fitted_bent() -> cs.FittedSCM:
    return Bent.fit(bent(), steps=100, ensemble=2)


@cache
def fitted_classes() -> cs.FittedSCM:
    return Classes.fit(classes(), ensemble=2)


@cache
def fitted_line() -> cs.FittedSCM:
    return Line.fit(cs.Traces(line((8,) * 20)), ensemble=2)
