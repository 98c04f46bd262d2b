"""The graph against the data, and the model as a Pyro program."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pyro
import pytest
import torch

import causalsys as cs
from causalsys.errors import QueryError
from tests import models
from tests.truth import Chain, chain


class NoEdge(cs.SCM):
    """`Chain` without the edge from x to y."""

    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    m = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[m], mechanism=cs.Linear())


def test_true_graphs_pass_as_often_as_they_should() -> None:
    """Of 20 checks at a level of 5 %, more than four fail less than once in 300 times.

    The fit's own error counts as a failure, so it is fitted to many more rows than are checked.
    """
    failed = 0
    for seed in range(20):
        fitted = Chain.fit(chain(5000, seed=seed), ensemble=1)
        failed += not fitted.check(chain(300, seed=100 + seed)).passed
    assert failed <= 4


def test_a_missing_edge_is_found() -> None:
    found = NoEdge.fit(chain(), ensemble=1).check(chain(seed=1))
    assert not found.passed
    rejected = [(test.variable, test.other) for test in found.independences if test.rejected]
    assert ("y", "x") in rejected
    assert "y depends on x given m, which the graph denies" in str(found)
    assert "add the edge x -> y, or a latent that acts on both" in str(found)
    assert found.to_frame()["rejected"].sum() == len(rejected)


def test_a_wrong_law_is_found() -> None:
    data = chain().assign(x=lambda d: np.exp(d["x"]))
    found = Chain.fit(data, ensemble=1).check(data)
    assert "x" in [test.variable for test in found.predictive if test.rejected]


def test_what_is_tied_to_a_latent_is_not_tested() -> None:
    found = models.fitted_confounded().check(models.confounded(100, seed=8))
    assert set(found.untested) == {"w1", "w2", "x", "y"}


def test_categories_counts_and_vectors_can_be_checked() -> None:
    found = models.fitted_zoo().check(models.zoo())
    assert {test.variable for test in found.predictive} >= {"k", "count", "level", "flag"}
    assert all(0 <= test.p_value <= 1 for test in found.independences)


def test_a_program_samples_every_variable() -> None:
    drawn = models.fitted_zoo().to_pyro()(50)
    assert set(drawn) == set(models.Zoo.graph.order)
    assert drawn["linear"].shape == (2, 50)
    assert drawn["pair"].shape == (2, 50, 2)
    assert torch.equal(drawn["total"], drawn["linear"] + drawn["spline"])
    assert set(drawn["k"].unique().tolist()) <= {0, 1, 2}


def test_a_conditioned_program_has_the_likelihood_of_the_rows() -> None:
    fitted = Chain.fit(chain(), ensemble=1)
    rows = chain(30, seed=5)
    seen = {name: torch.tensor(rows[name].to_numpy()).unsqueeze(0) for name in rows}
    conditioned = pyro.condition(fitted.to_pyro(), data=seen)
    traced = pyro.poutine.trace(conditioned).get_trace(30)
    assert traced.log_prob_sum().item() == pytest.approx(fitted.log_prob(rows).sum())


def test_a_program_has_no_steps() -> None:
    with pytest.raises(QueryError, match="lags or states"):
        models.fitted_line().to_pyro()(3)


def test_lags_are_recovered() -> None:
    """Of y = 0.6 y_before - 0.4 x_two_before: 800 rows have a standard error of 0.03."""
    rng = np.random.default_rng(0)
    rows = []
    for trace in range(40):
        y, x = [0.0], [0.0, 0.0]
        for step in range(20):
            x.append(rng.normal())
            y.append(0.6 * y[-1] - 0.4 * x[-3] + rng.normal())
            rows.append((trace, step, x[-1], y[-1]))
    data = pd.DataFrame(rows, columns=["trace", "step", "x", "y"])
    graph = nx.DiGraph()
    graph.add_edge("y", "y", lag=1)
    graph.add_edge("x", "y", lag=2)
    model = cs.SCM.from_graph(graph, default=cs.Observed(cs.Real(), mechanism=cs.Linear()))
    mechanism = model.fit(cs.Traces(data), ensemble=1).mechanism("y")
    slopes = mechanism.state["weight"][0] / mechanism.state["spread"][0, 0]
    found = dict(zip(mechanism.parents, slopes.tolist(), strict=True))
    assert found == pytest.approx({"y[-1]": 0.6, "x[-2]": -0.4}, abs=0.12)
