"""Noises are uniform where the model holds, with every way of integrating latents out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

import causalsys as cs
from causalsys.detect.noises import noises
from causalsys.errors import EvidenceError, QueryError, UnknownNameError

ROWS = 2000
LEAST = 1e-3
"""Of the Kolmogorov-Smirnov tests of a file: parameters are fitted, which makes p larger."""


class Mixed(cs.SCM):
    kind = cs.Observed(cs.Categorical(3))
    count = cs.Observed(cs.Count(), parents=[kind])
    size = cs.Observed(cs.Positive(), parents=[count, kind], mechanism=cs.Linear(link="log"))
    fails = cs.Observed(cs.Boolean(), parents=[size])


class Classes(cs.SCM):
    group = cs.Latent(cs.Categorical(2))
    a = cs.Observed(cs.Real(), parents=[group], mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[group], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[group, a, b], mechanism=cs.Linear())


class Factor(cs.SCM):
    hidden = cs.Latent(cs.Real(), mechanism=cs.StandardNormal())
    a = cs.Observed(cs.Real(), parents=[hidden], mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[hidden], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[hidden, a], mechanism=cs.Linear())


def uniform(values: np.ndarray) -> bool:
    return bool(kstest(values[~np.isnan(values)], "uniform").pvalue > LEAST)


def test_numbers_counts_and_categories() -> None:
    rng = np.random.default_rng(0)
    kind = rng.choice(3, ROWS, p=[0.2, 0.5, 0.3])
    count = rng.poisson(3 + 2 * kind)
    size = np.exp(0.4 * kind + 0.3 * rng.standard_normal(ROWS))
    fails = rng.random(ROWS) < 1 / (1 + np.exp(2 - size))
    rows = pd.DataFrame({"kind": kind, "count": count, "size": size, "fails": fails})
    found = noises(Mixed.fit(rows, ensemble=1), rows).to_frame()
    assert list(found) == ["kind", "count", "size", "fails"]
    assert all(uniform(found[name].to_numpy()) for name in found)
    # Independent of each other: within four standard errors of a correlation, 1 / sqrt(rows).
    apart = found.corr().to_numpy()[np.triu_indices(4, 1)]
    assert np.abs(apart).max() < 4 / np.sqrt(ROWS)


def classes(*, seed: int, share: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = rng.random(ROWS) < share
    a, b = 4 * group + rng.normal(size=ROWS), -4 * group + rng.normal(size=ROWS)
    y = a + b + 3 * group + 0.5 * rng.normal(size=ROWS)
    return pd.DataFrame({"a": a, "b": b, "y": y})


def test_a_hidden_class_is_summed_out_and_a_moved_mix_is_no_change_where_it_is_told() -> None:
    """The inputs tell the class in nearly every row: then its mix moves no noise, and a changed
    mechanism of the target moves its own only."""
    fitted = Classes.fit(classes(seed=0), ensemble=1)
    found = noises(fitted, classes(seed=1))
    assert all(map(uniform, found.values.values()))
    assert found.shared["y"] == ("group",)
    mixed = noises(fitted, classes(seed=2, share=0.6))
    assert uniform(mixed.values["y"])
    changed = classes(seed=3)
    changed["y"] += 2
    moved = noises(fitted, changed)
    assert np.mean(moved.values["y"]) > 0.9
    assert uniform(moved.values["a"])


def test_a_normal_latent_is_integrated_out_and_gaps_give_nothing() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=ROWS)
    a, b = hidden + rng.normal(size=ROWS), hidden + rng.normal(size=ROWS)
    y = a + 2 * hidden + 0.5 * rng.normal(size=ROWS)
    rows = pd.DataFrame({"a": a, "b": b, "y": y})
    fitted = Factor.fit(rows, ensemble=1)
    whole = noises(fitted, rows)
    assert all(map(uniform, whole.values.values()))
    rows.loc[:40, "b"] = np.nan
    gappy = noises(fitted, rows)
    assert np.isnan(gappy.values["b"][:41]).all()
    assert not np.isnan(gappy.values["y"]).any()
    assert np.array_equal(gappy.values["y"][41:], whole.values["y"][41:])
    # Without `b` the other rows' noises are others, and as uniform: 41 draws of 200.
    assert uniform(gappy.values["y"][:41])


def test_bad_input_is_refused() -> None:
    fitted = Classes.fit(classes(seed=0), ensemble=1)
    with pytest.raises(QueryError, match="latent"):
        noises(fitted, classes(seed=1), nodes=["group"])
    with pytest.raises(UnknownNameError):
        noises(fitted, classes(seed=1), nodes=["z"])
    with pytest.raises(EvidenceError, match="no column"):
        noises(fitted, classes(seed=1).drop(columns="y"), nodes=["y"])
