"""How many latents: the number that is found, and what is told where it cannot be."""

from __future__ import annotations

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import InterventionError, QueryError, UnknownNameError
from causalsys.fit.overidentified import Overidentification
from causalsys.query.dimension import latent_dimension, resized
from causalsys.query.sized import LatentDimension
from tests import models

NAMES = list("abcdef")
SIX = cs.SCM.from_graph(
    [("u", name) for name in NAMES],
    variables={"u": cs.Latent(cs.Real())},
    default=cs.Observed(cs.Real("ms"), mechanism=cs.Linear()),
)
FIVE = cs.SCM.from_graph(
    [("h", name) for name in NAMES[:5]],
    variables={"h": cs.Latent(cs.Categorical(2))},
    default=cs.Observed(cs.Boolean()),
)


def six(size: int, rows: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    loading = rng.uniform(0.5, 1, (size, 6)) * rng.choice([-1, 1], (size, 6))
    values = rng.normal(size=(rows, size)) @ loading + 0.7 * rng.normal(size=(rows, 6))
    return pd.DataFrame(values, columns=NAMES)


def five(levels: int, rows: int = 1500, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    chance = np.array([[0.1] * 5, [0.9] * 5, [0.1, 0.8, 0.1, 0.9, 0.5]])
    drawn = rng.random((rows, 5)) < chance[rng.integers(0, levels, rows)]
    return pd.DataFrame(drawn, columns=NAMES[:5])


@cache
def of_six(size: int) -> LatentDimension:
    return latent_dimension(SIX, six(size), latent="u", sizes=range(3 if size else 2), ensemble=1)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_the_number_of_factors_is_found(size: int) -> None:
    found = of_six(size)
    assert found.best == size
    tests = [each.test for each in found.sizes]
    assert all(isinstance(test, Overidentification) for test in tests)
    assert [test.p_value < 1e-6 for test in tests] == [n < size for n in range(len(tests))]


def test_degrees_of_freedom_are_those_of_factor_analysis() -> None:
    """((p - k)^2 - p - k) / 2 of p = 6 variables and k factors (Lawley and Maxwell, 1971)."""
    tests = [each.test for each in of_six(1).sizes]
    assert [test.freedom for test in tests] == [15, 9, 4]


def test_a_model_that_explains_anything_cannot_be_tested() -> None:
    """Three proxies have as many covariances as loadings."""
    rows = six(1)[["a", "b", "c"]]
    three = cs.SCM.from_graph(
        [("u", name) for name in "abc"],
        variables={"u": cs.Latent(cs.Real())},
        default=cs.Observed(cs.Real(), mechanism=cs.Linear()),
    )
    found = latent_dimension(three, rows, latent="u", sizes=[1], ensemble=1)
    assert found.sizes[0].test == "the latents explain any such data: nothing is left to test"


def test_the_likelihood_ratio_is_that_of_the_covariances() -> None:
    """Without latents it is -n log det of the correlations (Bartlett, 1950)."""
    statistic = of_six(1).sizes[0].test.statistic
    correlation = np.corrcoef(six(1).to_numpy().T)
    assert statistic == pytest.approx(-400 * np.linalg.slogdet(correlation)[1], rel=0.01)


def test_categories_are_tested_against_the_whole_table() -> None:
    """Five flags have 31 free frequencies; without a latent 5, with one of two levels 11."""
    found = latent_dimension(FIVE, five(2, rows=500), latent="h", sizes=[1, 2], ensemble=1)
    assert [each.size for each in found.sizes] == [0, 2]
    assert [each.test.freedom for each in found.sizes] == [26, 20]
    assert found.best == 2


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_number_of_levels_is_found(levels: int) -> None:
    found = latent_dimension(FIVE, five(levels), latent="h", ensemble=1)
    assert found.best == (levels if levels > 1 else 0)
    refuted = [each.test.p_value < 1e-6 for each in found.sizes]
    assert refuted == [levels > 1, levels > 2, False]


def test_the_answer_moves_with_the_number() -> None:
    """Without the latent the slope of y on x is 1 + 1 / 1.25, and the mean under do(x=2) is it
    twice over; with it the effect is 1. Two standard errors of 300 rows are about 0.2."""
    found = latent_dimension(
        models.Confounded,
        models.confounded(300),
        latent="u",
        sizes=range(3),
        do={"x": 2.0},
        outcome="y",
        ensemble=2,
    )
    answers = [each.answer.value for each in found.sizes[:2]]
    assert found.sizes[2].answer is None
    assert "ot identified" in found.sizes[2].reason
    assert answers == pytest.approx([3.6, 2.0], abs=0.3)
    assert found.best == 1
    frame = found.to_frame()
    assert frame.loc[0, "answer"] == answers[0]
    assert "y 2" in str(found) or "y 1.9" in str(found)
    ax = found.plot()
    assert ax.get_ylabel() == "y"
    plt.close("all")


def test_words_say_what_is_enough() -> None:
    text = str(of_six(1))
    assert text.startswith("u: 1 is enough for these data")
    assert "refuted" in text
    assert "not refuted" in text
    ax = of_six(1).plot()
    assert ax.get_xlabel().startswith("size of u")
    plt.close("all")


def test_a_latent_in_an_equation_keeps_its_size() -> None:
    class Written(cs.SCM):
        u = cs.Latent(cs.Real())
        a = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
        b = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())

        @cs.equation(cs.Real())
        def hidden(u):
            return 2 * u

        c = cs.Observed(cs.Real(), parents=[hidden], mechanism=cs.Linear())

    rows = six(1, rows=100)[["a", "b", "c"]]
    found = latent_dimension(Written, rows, latent="u", sizes=[2])
    assert "another size" in found.sizes[0].reason
    with pytest.raises(QueryError, match="no size that could be fitted"):
        _ = found.best


def test_other_latents_stay_and_children_lose_only_this_one() -> None:
    class Two(cs.SCM):
        u = cs.Latent(cs.Real())
        v = cs.Latent(cs.Real(), parents=[u], mechanism=cs.Linear())
        a = cs.Observed(cs.Real(), parents=[u, v], mechanism=cs.Linear())
        b = cs.Observed(cs.Real(), parents=[v], mechanism=cs.Linear())

    found = resized(Two.declaration, "u", 0)
    assert list(found.nodes) == ["v", "a", "b"]
    assert [parent.name for parent in found.nodes["a"].parents] == ["v"]
    assert found.nodes["v"].mechanism == cs.StandardNormal()
    assert resized(Two.declaration, "u", 3).nodes["u"].support.size == 3
    assert resized(Two.declaration, "u", 1) == Two.declaration


def test_what_cannot_be_asked_is_refused() -> None:
    rows = six(1, rows=60)
    with pytest.raises(QueryError, match="no latent"):
        latent_dimension(SIX, rows, latent="a")
    with pytest.raises(UnknownNameError):
        latent_dimension(SIX, rows, latent="w")
    with pytest.raises(QueryError, match="whole numbers"):
        latent_dimension(SIX, rows, latent="u", sizes=[-1])
    with pytest.raises(QueryError, match="half a question"):
        latent_dimension(SIX, rows, latent="u", do={"a": 1.0})
    with pytest.raises(UnknownNameError):
        latent_dimension(SIX, rows, latent="u", do={"a": 1.0}, outcome="zz")
    with pytest.raises(QueryError, match="several worlds"):
        latent_dimension(SIX, rows, latent="u", do=[{"a": 1.0}], outcome="b")  # type: ignore
    with pytest.raises((InterventionError, UnknownNameError)):
        latent_dimension(SIX, rows, latent="u", sizes=[0], do={"zz": 1.0}, outcome="b")
