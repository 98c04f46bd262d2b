"""Quantile sketches and exact sums against numpy and exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from causalsys.simulate.exact import ExactSums
from causalsys.simulate.sketch import ACCURACY, Sketch

finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = nps.arrays(np.float64, st.integers(1, 200), elements=finite)
shares = st.floats(0, 1)
RNG = np.random.default_rng(0)
LAWS = {
    "lognormal": RNG.lognormal(3, 2, 20_000),
    "normal": RNG.normal(0, 5, 20_000),
    "pareto": RNG.pareto(0.7, 20_000),
    "exponential": RNG.exponential(1e-9, 20_000),
    "counts": RNG.poisson(2, 20_000).astype(float),
    "negative": -RNG.gamma(2, 3e5, 20_000),
    "two clusters": np.concatenate([RNG.normal(1, 0.01, 9_000), RNG.normal(1e6, 1, 11_000)]),
    "constant": np.full(500, 3.3),
    "mostly zero": np.where(RNG.random(20_000) < 0.9, 0.0, RNG.normal(size=20_000)),
}


def same(one: Sketch, other: Sketch) -> bool:
    return all(
        mine.first == theirs.first and np.array_equal(mine.counts, theirs.counts)
        for mine, theirs in ((one.above, other.above), (one.below, other.below))
    ) and (one.zeros, one.least, one.greatest) == (other.zeros, other.least, other.greatest)


@pytest.mark.parametrize("law", LAWS)
def test_quantiles_are_numpys_within_the_accuracy(law: str) -> None:
    values = LAWS[law]
    sketch = Sketch.of(values)
    for share in (0, 0.001, 0.05, 0.3, 0.5, 0.77, 0.9, 0.99, 0.999, 1):
        wanted = np.quantile(values, share)
        assert abs(sketch.quantile(share) - wanted) <= ACCURACY * abs(wanted) + 1e-300


@given(values=numbers, share=shares)
def test_any_quantile_of_any_numbers(values: np.ndarray, share: float) -> None:
    rank = share * (len(values) - 1)
    ordered = np.sort(values)
    low, high = ordered[int(rank)], ordered[min(int(rank) + 1, len(values) - 1)]
    slack = 1.0001 * ACCURACY * max(abs(low), abs(high)) + 1e-300
    with np.errstate(over="ignore"):
        found = Sketch.of(values).quantile(share)
        assert low - slack <= found <= high + slack


@given(values=numbers, cut=shares)
def test_merging_is_exact_in_any_order(values: np.ndarray, cut: float) -> None:
    at = int(cut * len(values))
    first, second, whole = Sketch.of(values[:at]), Sketch.of(values[at:]), Sketch.of(values)
    assert same(first + second, whole)
    assert same(second + first, whole)
    assert (first + second).count == len(values)


def test_ends_are_exact_and_nothing_has_no_quantile() -> None:
    sketch = Sketch.of(np.array([-math.pi, 2.0, math.e]))
    assert (sketch.quantile(0), sketch.quantile(1)) == (-math.pi, math.e)
    assert math.isnan(Sketch.of(np.zeros(0)).quantile(0.5))


@given(values=numbers, cut=shares)
def test_sums_are_exact_and_so_independent_of_order(values: np.ndarray, cut: float) -> None:
    columns = np.stack([values, -values[::-1]], axis=1)
    at = int(cut * len(values))
    parts = ExactSums.of(columns[at:]) + ExactSums.of(columns[:at])
    wanted = sum((Fraction(float(value)) for value in values), Fraction(0))
    assert parts.fractions() == [wanted, -wanted]


def test_sums_of_many_are_what_fsum_gives() -> None:
    values = LAWS["pareto"]
    assert ExactSums.of(values[:, None]).floats()[0] == math.fsum(values)
