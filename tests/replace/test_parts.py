"""A prediction in parts: they add up, and are what they should be where the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import QueryError, UnknownNameError
from causalsys.fitted import FittedSCM
from causalsys.replace.predictor import CausalPredictor
from tests.replace.systems import Hosts, Path, hosts, path


class Product(cs.SCM):
    """A latency that is the product of two: nothing of it is a sum."""

    cpu = cs.Observed(cs.Positive(), mechanism=cs.Linear(link="log"))
    load = cs.Observed(cs.Positive(), mechanism=cs.Linear(link="log"))
    latency = cs.Observed(cs.Positive(), parents=[cpu, load], mechanism=cs.Multiplicative())


@pytest.fixture(scope="module")
def known_path() -> FittedSCM:
    return Path.fit(path(1, 2000))


@pytest.fixture(scope="module")
def known_product() -> FittedSCM:
    rng = np.random.default_rng(2)
    cpu, load = np.exp(0.5 * rng.normal(size=(2, 3000)))
    return Product.fit({"cpu": cpu, "load": load, "latency": cpu * load})


def test_the_parts_of_what_is_linear_are_slopes(known_path: FittedSCM) -> None:
    """latency = 5 + load + 3 queue: context(queue) = 3 (queue - its mean), nothing combined.

    The mean is that of the 64 rows that stand for the law: only the baseline depends on them.
    """
    rows = path(3, 300)
    predictor = CausalPredictor(known_path, target="latency", error="squared", context=["queue"])
    found = predictor.parts(rows)
    assert list(found.columns) == ["baseline", "context", "workload", "combination", "loss"]
    assert found.sum(axis=1).to_numpy() == pytest.approx(predictor.predict(rows))
    for part, cause, slope in (("context", "queue", 3), ("workload", "load", 1)):
        line = np.polyfit(rows[cause], found[part], 1)
        # The slopes' standard errors on 2000 rows are .02 and .05.
        assert line[0] == pytest.approx(slope, abs=0.15)
        assert np.polyval(line, rows[cause]) == pytest.approx(found[part], abs=1e-6)
    assert found.combination.abs().max() < 1e-6
    assert found.loss.abs().max() < 1e-9


def test_a_hidden_class_is_context(known_hosts: FittedSCM) -> None:
    """The second kind is 8 higher, whatever `a` and `load` are: they are the workload's."""
    rows, second = hosts(4, 500)
    predictor = CausalPredictor(known_hosts, target="y")
    found = predictor.parts(rows)
    assert found.sum(axis=1).to_numpy() == pytest.approx(predictor.predict(rows))
    sure = predictor.latents(rows).max(axis=1) > 0.999
    step = found.context[sure & second].mean() - found.context[sure & ~second].mean()
    assert step == pytest.approx(8, abs=0.2)
    # Members differ in slopes and in the class's probability, so that little is left.
    assert found.combination.abs().max() < 0.01


@pytest.fixture(scope="module")
def known_hosts() -> FittedSCM:
    return Hosts.fit(hosts(5, 3000)[0])


def test_a_product_is_a_combination(known_product: FittedSCM) -> None:
    """With c̄ and l̄ the means, c l = c̄ l̄ + l̄ (c - c̄) + c̄ (l - l̄) + (c - c̄)(l - l̄)."""
    rows = pd.DataFrame({"cpu": [2.0, 0.5, 2.0], "load": [2.0, 2.0, 0.5]})
    predictor = CausalPredictor(known_product, target="latency", context=["cpu"], error="squared")
    found = predictor.parts(rows)
    mean = np.sqrt(found.baseline[0])
    expected = (rows["cpu"] - mean) * (rows["load"] - mean)
    # The two means over 64 rows differ from each other, by .1 or so.
    assert found.combination.to_numpy() == pytest.approx(expected.to_numpy(), abs=0.35)
    both = found.context[0] - found.context[1], found.workload[0] - found.workload[2]
    assert both[0] * both[1] == pytest.approx(1.5 * 1.5 * found.baseline[0], rel=0.02)


def test_a_missing_input_is_averaged(known_path: FittedSCM) -> None:
    rows = path(6, 20).drop(columns="load")
    predictor = CausalPredictor(known_path, target="latency", context=["queue"], error="squared")
    found = predictor.parts(rows)
    assert found.sum(axis=1).to_numpy() == pytest.approx(predictor.predict(rows))


def test_context_that_cannot_be_is_refused(known_path: FittedSCM, known_hosts: FittedSCM) -> None:
    rows = path(7, 5)
    with pytest.raises(UnknownNameError):
        CausalPredictor(known_path, target="latency", context=["cpu"]).parts(rows)
    with pytest.raises(QueryError, match="effect"):
        CausalPredictor(known_path, target="queue", context=["latency"]).parts(rows)
    with pytest.raises(QueryError, match="through others"):
        CausalPredictor(known_hosts, target="y", context=["b"]).parts(hosts(8, 5)[0])
    with pytest.raises(QueryError, match="list"):
        CausalPredictor(known_path, target="latency", context="queue").parts(rows)
