"""Edges that the graph lacks are suspected, and the finding warns."""

import numpy as np
import pandas as pd
import pytest

import causalsys as cs

ROWS = 400


def rows(count, rng, *, fault=0.0, own=0.0):
    """A deep service that slows a caller of which the graph knows nothing."""
    deep = rng.normal(10, 1, count) + fault
    caller = 0.8 * deep + rng.normal(5, 0.5, count) + own
    other = rng.normal(4, 1, count)
    page = caller + other + rng.normal(2, 0.5, count)
    return pd.DataFrame({"deep": deep, "caller": caller, "other": other, "page": page})


def fitted(edges, normal):
    linear = cs.Observed(cs.Real("ms"), mechanism=cs.Linear())
    return cs.SCM.from_graph(edges, default=linear).fit(normal)


SHAPE = np.r_[np.zeros(3), 1, 2, 3, 2, 3, 2, 1]
WHOLE = [("deep", "caller"), ("caller", "page"), ("other", "page")]
SHORT = [("caller", "page"), ("other", "page"), ("deep", "unrelated")]


@pytest.mark.parametrize("seed", range(4))
def test_an_edge_that_is_missing_is_suspected_and_its_cause_named(seed):
    rng = np.random.default_rng(seed)
    normal = rows(ROWS, rng).assign(unrelated=rng.normal(size=ROWS))
    incident = rows(10, rng, fault=5 * SHAPE).assign(unrelated=rng.normal(size=10))
    finding = cs.root_cause(fitted(SHORT, normal), incident, target="page", normal=normal)
    assert finding.suspects == (("deep", "caller"),)
    assert finding.ranking[0].name == "deep"
    assert any("contradict the graph" in sentence for sentence in finding.assumptions)


@pytest.mark.parametrize("seed", range(4))
def test_a_graph_that_holds_is_not_suspected(seed):
    rng = np.random.default_rng(seed)
    normal = rows(ROWS, rng)
    incident = rows(10, rng, fault=5 * SHAPE).set_axis(range(ROWS, ROWS + 10))
    finding = cs.root_cause(fitted(WHOLE, normal), incident, target="page", normal=normal)
    assert finding.suspects == ()
    assert finding.ranking[0].name == "deep"


@pytest.mark.parametrize("seed", range(4))
def test_two_changes_that_normal_rows_do_not_connect_stay_two(seed):
    rng = np.random.default_rng(seed)
    normal = rows(ROWS, rng)
    incident = rows(10, rng, own=5 * SHAPE).set_axis(range(ROWS, ROWS + 10))
    incident["other"] += 5 * SHAPE
    incident["page"] += 5 * SHAPE
    finding = cs.root_cause(fitted(WHOLE, normal), incident, target="page", normal=normal)
    assert finding.suspects == ()
    assert set(finding.together) == {"caller", "other"}
