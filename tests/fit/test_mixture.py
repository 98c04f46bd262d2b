"""Latent classes of numbers: exact expectation-maximisation against known mixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.data.read import read
from causalsys.errors import DeclarationError
from causalsys.fit.abduct import abduct
from causalsys.fit.fitted import Fitted


class Hosts(cs.SCM):
    """Three benchmarks of a hidden host; the throughput has a line of its own on each."""

    host = cs.Latent(cs.Categorical(3))
    a = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear(scale_by="host"))
    b = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear(scale_by="host"))
    c = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear(scale_by="host"))
    y = cs.Observed(cs.Real(), parents=[host, a, b], mechanism=cs.Linear(by="host"))


MEANS = np.array([[0.0, 0.0, 0.0], [3.0, -1.0, 2.0], [0.0, 0.0, 0.0]])
SCALES = np.array([[0.3, 0.3, 0.3], [0.5, 0.5, 0.5], [2.5, 2.5, 2.5]])
SLOPES = np.array([[1.0, 0.0], [-1.0, 0.5], [0.2, 0.2]])
"""The first and the third host differ in the spread of the benchmarks alone."""


def hosts(rows: int, *, seed: int, shares: tuple[float, ...] = (0.5, 0.3, 0.2)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    host = rng.choice(3, rows, p=shares)
    inputs = MEANS[host] + SCALES[host] * rng.normal(size=(rows, 3))
    y = (SLOPES[host] * inputs[:, :2]).sum(1) + np.array([0, 1, 0])[host]
    y += np.array([0.2, 0.4, 0.2])[host] * rng.normal(size=rows)
    frame = pd.DataFrame(inputs, columns=["a", "b", "c"])
    return frame.assign(y=y, host=host)


def inferred(fitted: Any, rows: pd.DataFrame) -> np.ndarray:
    """The most probable host of each row."""
    table = read(fitted.schema, rows, purpose="evidence")
    drawn = abduct(fitted, table, samples=60, seed=0).table.values["host"]
    return np.stack([(drawn == k).double().mean(0).numpy() for k in range(3)]).argmax(0)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return hosts(1500, seed=1)


@pytest.fixture(scope="module")
def fitted(data: pd.DataFrame) -> Fitted:
    return Hosts.fit(data.drop(columns="host"), ensemble=4)


def test_classes_are_recovered_where_only_their_spread_tells(
    fitted: Fitted, data: pd.DataFrame
) -> None:
    """The best rule under the truth itself has an adjusted Rand index of about .97 here."""
    from sklearn.metrics import adjusted_rand_score

    found = inferred(fitted, data.drop(columns="host"))
    assert adjusted_rand_score(data["host"], found) > 0.9


def test_the_search_agrees_and_says_so(fitted: Fitted) -> None:
    report = fitted.diagnostics.districts[0]
    assert report.method == "exact"
    assert report.converged
    assert report.agreeing >= 6
    assert fitted.diagnostics.warnings == ()


def test_the_likelihood_is_no_lower_than_the_truths(fitted: Fitted, data: pd.DataFrame) -> None:
    """A maximum over a set that has the truth in it; the weak priors cost a few nats in all."""
    normal = torch.distributions.Normal
    joint = []
    for k, share in enumerate((0.5, 0.3, 0.2)):
        inputs = torch.tensor(data[["a", "b", "c"]].to_numpy())
        total = normal(torch.tensor(MEANS[k]), torch.tensor(SCALES[k])).log_prob(inputs).sum(-1)
        line = inputs[:, :2] @ torch.tensor(SLOPES[k]) + [0, 1, 0][k]
        total = total + normal(line, [0.2, 0.4, 0.2][k]).log_prob(torch.tensor(data["y"]))
        joint.append(total + np.log(share))
    truth = float(torch.logsumexp(torch.stack(joint), 0).sum())
    report = fitted.diagnostics.districts[0]
    assert report.log_likelihood * len(data) > truth - 5


def test_it_is_no_worse_than_a_gaussian_mixture() -> None:
    """Diagonal covariances by level are scikit-learn's `diag`; ten of its own restarts."""
    from sklearn.mixture import GaussianMixture

    class Diagonal(cs.SCM):
        host = cs.Latent(cs.Categorical(3))
        a = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear(scale_by="host"))
        b = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear(scale_by="host"))
        c = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear(scale_by="host"))

    data = hosts(800, seed=3)[["a", "b", "c"]]
    ours = Diagonal.fit(data, ensemble=1).diagnostics.districts[0].log_likelihood
    other = GaussianMixture(3, covariance_type="diag", n_init=10, random_state=0).fit(data)
    # In all, 2 nats: what the priors may cost.
    assert ours > other.score(data) - 2 / len(data)


def test_slopes_and_scales_by_level_are_recovered(fitted: Fitted) -> None:
    """With 300 rows in the smallest class a slope has a standard error of .2/2.5/17 = .005, one
    of the tight class .2/.3/27 = .025: four of them."""
    state = fitted.mechanisms["y"].state
    raw = (state["slope"] / state["spread"].squeeze(-2))[0].numpy()
    np.testing.assert_allclose(raw, SLOPES, atol=0.1)
    scale = fitted.mechanisms["a"].state["log_scale"][0].exp().numpy()
    np.testing.assert_allclose(scale, SCALES[:, 0], rtol=0.12)
    assert float(fitted.mechanisms["y"].state["slope"].std(0).max()) > 0


def test_levels_keep_their_meaning_in_a_refit(fitted: Any) -> None:
    """The third host becomes the most frequent one; it is still the third."""
    later = hosts(1500, seed=2, shares=(0.2, 0.2, 0.6))
    again = fitted.refit(later.drop(columns="host"), only=["y"])
    share = torch.softmax(again.mechanisms["host"].state["net.constant"][0, 0], -1)
    np.testing.assert_allclose(share, (0.2, 0.2, 0.6), atol=0.05)


def test_weights_count_as_rows() -> None:
    data = hosts(300, seed=5).drop(columns="host")
    twice = pd.concat([data, data.iloc[:100]], ignore_index=True)
    weighted = data.assign(w=[2.0] * 100 + [1.0] * 200)
    first = Hosts.fit(twice, ensemble=1)
    second = Hosts.fit(weighted, weight="w", ensemble=1)
    for name in ("a", "y"):
        one, other = (each.mechanisms[name].state["constant"] for each in (first, second))
        np.testing.assert_allclose(one, other, atol=0.02)


def test_missing_cells_are_inferred() -> None:
    from sklearn.metrics import adjusted_rand_score

    data = hosts(600, seed=7)
    rows = data.drop(columns="host")
    rows.loc[rows.index[::10], "y"] = np.nan
    fitted = Hosts.fit(rows, ensemble=2)
    assert adjusted_rand_score(data["host"], inferred(fitted, rows)) > 0.85


def test_the_host_is_inferred_exactly_without_the_target(fitted: Any, data: pd.DataFrame) -> None:
    """The posterior given the benchmarks alone, by Bayes' rule from member 0's parameters."""
    rows = data.drop(columns=["host", "y"]).iloc[:40]
    one = Hosts.fit(data.drop(columns="host"), ensemble=1)
    table = read(one.schema, rows, purpose="evidence")
    drawn = abduct(one, table, samples=4000, seed=0).table.values["host"]
    share = np.stack([(drawn == k).double().mean(0).numpy() for k in range(3)])
    codes = torch.arange(3).reshape(3, 1, 1)
    joint = one.mechanisms["host"].log_prob(codes, {})
    for name in ("a", "b", "c"):
        value = torch.tensor(rows[name].to_numpy()).unsqueeze(0)
        joint = joint + one.mechanisms[name].log_prob(value, {"host": codes})
    # Four thousand draws: three standard errors are at most .024.
    np.testing.assert_allclose(share, torch.softmax(joint, 0)[:, 0], atol=0.03)


def test_categories_and_shared_scales_hang_on_a_class_too() -> None:
    from sklearn.metrics import adjusted_rand_score

    class Mixed(cs.SCM):
        host = cs.Latent(cs.Categorical(2))
        a = cs.Observed(cs.Positive(), parents=[host], mechanism=cs.Linear(link="log"))
        k = cs.Observed(cs.Categorical(["x", "y", "z"]), parents=[host], mechanism=cs.GumbelMax())
        y = cs.Observed(cs.Real(), parents=[host, a, k], mechanism=cs.Linear())

    rng = np.random.default_rng(0)
    host = rng.random(1000) < 0.4
    a = np.exp(1.5 * host + 0.5 * rng.normal(size=1000))
    chance = np.where(host[:, None], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1])
    k = (rng.random((1000, 1)) > chance.cumsum(1)).sum(1)
    y = a + 2.0 * host + 0.5 * k + 0.5 * rng.normal(size=1000)
    frame = pd.DataFrame({"a": a, "k": np.array(["x", "y", "z"])[k], "y": y})
    fitted = Mixed.fit(frame, ensemble=2)
    assert fitted.diagnostics.districts[0].method == "exact"
    table = read(fitted.schema, frame, purpose="evidence")
    found = abduct(fitted, table, samples=20, seed=0).table.values["host"].double().mean(0) > 0.5
    assert adjusted_rand_score(host, found.numpy()) > 0.85


def test_a_scale_by_level_is_kept_by_a_counterfactual() -> None:
    """The noise is kept, not the residual: under the wide level it is ten times as large."""

    class Known(cs.SCM):
        k = cs.Observed(cs.Categorical(2))
        y = cs.Observed(cs.Real(), parents=[k], mechanism=cs.Linear(scale_by="k"))

    rng = np.random.default_rng(1)
    k = rng.integers(0, 2, 2000)
    fitted = Known.fit(pd.DataFrame({"k": k, "y": np.where(k, 2.0, 0.2) * rng.normal(size=2000)}))
    one = pd.DataFrame({"k": [0], "y": [0.2]})
    answer = fitted.counterfactual(one, do=[{"k": 1}])
    assert float(answer.values["y"].mean()) == pytest.approx(2.0, abs=0.3)


def test_a_fit_with_lines_by_level_is_saved(
    fitted: Any, data: pd.DataFrame, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "hosts.cs")
    rows = data.drop(columns="host").iloc[:20]
    again = cs.load(tmp_path / "hosts.cs")
    np.testing.assert_allclose(again.log_prob(rows), fitted.log_prob(rows))


def test_levels_of_what_is_no_category_are_refused() -> None:
    with pytest.raises(DeclarationError, match="scale_by='x'"):

        class Wrong(cs.SCM):
            x = cs.Observed(cs.Real())
            y = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear(scale_by="x"))

    with pytest.raises(DeclarationError, match="no parent"):

        class Absent(cs.SCM):
            x = cs.Observed(cs.Real())
            y = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear(by="z"))

    with pytest.raises(DeclarationError, match="one of by and scale_by"):
        cs.Linear(by="x", scale_by="x")
