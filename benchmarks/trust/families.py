"""Random true equations that follow a mechanism family, so that a fit can be right."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import expit, ndtr
from scipy.stats import nbinom

import causalsys as cs
from benchmarks.trust.truth import Array, Columns, Equation
from causalsys.scm.specs import MechanismSpec
from causalsys.scm.supports import Categorical, Fraction, Positive, Real, Support

Supports = Mapping[str, Support]
Line = Callable[[Columns], Array]
Maker = Callable[[Supports, np.random.Generator], Equation]


def root(random: np.random.Generator) -> Equation:
    """A normal root, its quantiles to be learned."""
    place, scale = random.normal(), random.uniform(0.7, 1.5)
    return Equation((), Real(), lambda e, _: place + scale * e, cs.Marginal())


def skewed(random: np.random.Generator) -> Equation:
    """A root that is far from normal: a mixture of two humps, or one with a long tail."""
    if random.random() < 0.5:
        gap, share = random.uniform(2, 4), random.uniform(0.2, 0.8)
        return Equation(
            (), Real(), lambda e, _: e + 0.8 * gap * expit(6 * (e - 2 * share + 1)), cs.Marginal()
        )
    power = random.uniform(0.4, 0.8)
    return Equation((), Positive(), lambda e, _: np.exp(power * e), cs.Marginal())


def positive_root(random: np.random.Generator) -> Equation:
    """A log-normal root."""
    place, scale = random.normal(), random.uniform(0.3, 0.8)
    return Equation((), Positive(), lambda e, _: np.exp(place + scale * e), cs.Marginal())


def category(random: np.random.Generator) -> Equation:
    """A root of two or three levels."""
    levels = int(random.integers(2, 4))
    support = cs.Boolean() if levels == 2 else Categorical(3)
    odds = random.normal(scale=0.5, size=levels)
    return Equation((), support, lambda e, _: (odds + e).argmax(-1).astype(float), cs.Marginal())


def line(supports: Supports, random: np.random.Generator, *, log: bool = False) -> Line:
    """A random linear function of the parents; positive ones by their logarithm if `log`."""
    slopes = {name: random.uniform(0.4, 1.0) * random.choice([-1, 1]) for name in supports}
    steps = {
        name: random.normal(scale=0.8, size=support.cardinality)
        for name, support in supports.items()
        if isinstance(support, Categorical)
    }

    def value(columns: Columns) -> Array:
        total: Array = np.zeros(1)
        for name, support in supports.items():
            column = columns[name]
            if name in steps:
                total = total + steps[name][column.astype(int)]
            elif log and isinstance(support, Positive):
                total = total + slopes[name] * np.log(column)
            else:
                total = total + slopes[name] * column
        return total

    return value


def linear(supports: Supports, random: np.random.Generator) -> Equation:
    at, scale = line(supports, random), random.uniform(0.4, 1.0)
    return Equation(tuple(supports), Real(), lambda e, p: at(p) + scale * e, cs.Linear())


def uneven(supports: Supports, random: np.random.Generator) -> Equation:
    """Linear in the mean, its noise wider where the first parent is far out."""
    at, first = line(supports, random), next(iter(supports))
    return Equation(
        tuple(supports),
        Real(),
        lambda e, p: at(p) + (0.3 + 0.7 * np.abs(p[first])) * e,
        cs.Linear(),
    )


def log(supports: Supports, random: np.random.Generator) -> Equation:
    at, scale = line(supports, random, log=True), random.uniform(0.2, 0.5)
    spec = cs.Linear(link="log")
    return Equation(tuple(supports), Positive(), lambda e, p: np.exp(0.7 * at(p) + scale * e), spec)


def product(supports: Supports, random: np.random.Generator) -> Equation:
    """A power law with multiplicative noise."""
    made = log(supports, random)
    return Equation(made.parents, made.support, made.value, cs.Multiplicative())


def logit(supports: Supports, random: np.random.Generator) -> Equation:
    at, scale = line(supports, random), random.uniform(0.3, 0.8)
    spec = cs.Linear(link="logit")
    return Equation(tuple(supports), Fraction(), lambda e, p: expit(at(p) + scale * e), spec)


def smooth(supports: Supports, random: np.random.Generator) -> Line:
    """Bends, and a wave along a random direction."""
    bend, wave = line(supports, random), line(supports, random)
    rise, swing = random.uniform(0.8, 1.6), random.uniform(0.3, 0.7)
    return lambda p: rise * np.tanh(bend(p)) + swing * np.sin(1.5 * wave(p))


def stepped(supports: Supports, random: np.random.Generator) -> Line:
    """A few steps in single parents, and one where two of them meet."""
    names = list(supports)
    steps = [
        (name, random.normal(scale=0.7), random.uniform(0.5, 1.2) * random.choice([-1, 1]))
        for name in names
    ]
    both = random.uniform(-0.8, 0.8)

    def value(columns: Columns) -> Array:
        over = [columns[name] > cut for name, cut, _ in steps]
        total = sum((size * up for (_, _, size), up in zip(steps, over, strict=True)), np.zeros(1))
        return total + both * np.logical_and.reduce(over)

    return value


def additive(at: Line, spec: MechanismSpec | None) -> Maker:
    """An additive-noise model around a location."""

    def made(supports: Supports, random: np.random.Generator) -> Equation:
        scale = random.uniform(0.3, 0.7)
        return Equation(tuple(supports), Real(), lambda e, p: at(p) + scale * e, spec)

    return made


def neural(supports: Supports, random: np.random.Generator) -> Equation:
    return additive(smooth(supports, random), cs.NeuralAdditive())(supports, random)


def trees(supports: Supports, random: np.random.Generator) -> Equation:
    at = smooth(supports, random) if random.random() < 0.5 else stepped(supports, random)
    return additive(at, cs.BoostedTrees())(supports, random)


def spline(supports: Supports, random: np.random.Generator) -> Equation:
    """A noise that is skewed, and whose width follows the parents."""
    at, width = smooth(supports, random), line(supports, random)
    scale, skew = random.uniform(0.3, 0.6), random.uniform(0, 0.8)
    positive = random.random() < 0.5

    def value(e: Array, p: Columns) -> Array:
        bent = e + skew * (np.logaddexp(0, 2 * e) - 1)
        drawn = at(p) + scale * np.exp(0.4 * np.tanh(width(p))) * bent
        return np.exp(0.5 * drawn) if positive else drawn

    return Equation(tuple(supports), Positive() if positive else Real(), value, cs.SplineFlow())


def count(supports: Supports, random: np.random.Generator) -> Equation:
    at, level = line(supports, random), random.uniform(0.5, 2.0)
    size = float(np.exp(random.uniform(0.7, 3)))

    def value(e: Array, p: Columns) -> Array:
        mean = np.exp(np.clip(level + 0.5 * at(p), -5, 6)) * np.ones_like(e)
        found: Array = nbinom.ppf(np.clip(ndtr(e), 1e-15, 1 - 1e-15), size, size / (size + mean))
        return found

    return Equation(tuple(supports), cs.Count(), value, cs.CountRegression())


def gumbel(
    supports: Supports, random: np.random.Generator, *, levels: int = 2, table: bool = False
) -> Equation:
    """Logits that are linear in the parents, or a table of any logits."""
    support = cs.Boolean() if levels == 2 else Categorical(levels)
    odds = random.normal(scale=0.5, size=levels)
    lines = [line(supports, random) for _ in range(levels)]
    sizes = [s.cardinality for s in supports.values() if isinstance(s, Categorical)]
    cells = random.normal(scale=0.9, size=(*sizes, levels)) if table else None

    def value(e: Array, p: Columns) -> Array:
        if cells is not None:
            logits = cells[tuple(p[name].astype(int) for name in supports)]
        else:
            logits = odds + np.stack([at(p) * np.ones(len(e)) for at in lines], -1)
        return (logits + e).argmax(-1).astype(float)

    spec = cs.ProbabilityTable() if table else cs.GumbelMax()
    return Equation(tuple(supports), support, value, spec)


def automatic(supports: Supports, random: np.random.Generator) -> Equation:
    """Any of the families, left to `cs.auto`."""
    chosen = [linear, log, neural, trees, spline, count][int(random.integers(6))]
    made = chosen(supports, random)
    return Equation(made.parents, made.support, made.value)
