"""From the explanation to the decision, to the rows, to the refit of what changed alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalsys as cs


class Service(cs.SCM):
    """Latency by load, on two types of host that nobody logs."""

    host = cs.Latent(cs.Categorical(2))
    load = cs.Observed(cs.Real("1/s"), mechanism=cs.Linear())
    memory = cs.Observed(cs.Real("ns"), parents=[host], mechanism=cs.Linear())
    copy = cs.Observed(cs.Real("GB/s"), parents=[host], mechanism=cs.Linear())
    latency = cs.Observed(cs.Real("ms"), parents=[load, host], mechanism=cs.Linear())
    bill = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())


INPUTS = ["load", "memory", "copy"]


def rows(start: int, count: int, *, old_hosts: float = 0.3, slope: float = 2.0) -> pd.DataFrame:
    rng = np.random.default_rng([start, count])
    old, load = rng.random(count) < old_hosts, rng.normal(0, 1, count)
    return pd.DataFrame(
        {
            "load": load,
            "memory": np.where(old, 4.0, 0.0) + rng.normal(0, 1, count),
            "copy": np.where(old, -4.0, 0.0) + rng.normal(0, 1, count),
            "latency": slope * load + 3.0 * old + rng.normal(0, 0.5, count),
            "bill": load + rng.normal(0, 0.1, count),
        },
        index=range(start, start + count),
    )


def incumbent(frame: pd.DataFrame) -> np.ndarray:
    return 2.0 * frame["load"].to_numpy() + 0.45


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return Service.fit(rows(0, 1500), seed=0)


def decision(fitted: cs.FittedSCM, after: pd.DataFrame, *, cost: float) -> object:
    audit = cs.audit(fitted, incumbent, target="latency", inputs=INPUTS)
    return cs.when_to_retrain(
        audit.explain(rows(0, 1500), after),
        target="latency",
        now=float(np.abs(incumbent(after) - after["latency"]).mean()),
        then=0.5,
        horizon=10_000,
        cost=cost,
    )


def test_a_changed_mechanism_is_refitted_alone_on_few_rows(fitted: cs.FittedSCM) -> None:
    after, rest = rows(2000, 1000, slope=5.0), rows(5000, 1000, slope=5.0)
    found = decision(fitted, after, cost=100.0)
    assert (found.action, found.only) == ("refit", ("latency",))

    residual = (after["latency"] - incumbent(after)).to_numpy()
    chosen = cs.choose_rows(after[["load"]].to_numpy(), residual, count=150)
    influence = chosen.influence[chosen.rows]
    assert (influence > 0).any()
    assert (influence < 0).any()

    again = fitted.refit(after.iloc[chosen.rows], only=found.only)
    for name in ("load", "bill"):
        assert again.mechanisms[name] is fitted.mechanisms[name], name
    error = {
        name: np.abs(
            cs.CausalPredictor(model, target="latency").predict(rest[INPUTS]) - rest["latency"]
        ).mean()
        for name, model in (("old", fitted), ("refitted", again))
    }
    # A mean of |N(0, .5)| is .40 for who knows the mechanism and the host; 3 |load| is 2.4 more.
    assert error["refitted"] < 0.5
    assert error["old"] > 2.0


def test_covariate_shift_alone_leads_to_reweighting_and_no_refit(fitted: cs.FittedSCM) -> None:
    found = decision(fitted, rows(2000, 1000, old_hosts=0.9), cost=100.0)
    assert (found.action, found.only) == ("reweight", ())


def test_a_gain_below_its_cost_is_waited_for(fitted: cs.FittedSCM) -> None:
    found = decision(fitted, rows(2000, 1000, slope=5.0), cost=1e6)
    assert (found.action, found.only) == ("wait", ())


def test_nothing_is_done_where_nothing_changed(fitted: cs.FittedSCM) -> None:
    assert decision(fitted, rows(2000, 1000), cost=0.0).action == "wait"
