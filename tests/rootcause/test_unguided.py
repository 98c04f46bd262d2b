"""Without a target, what went farthest in ordinary units is blamed."""

import numpy as np
import pandas as pd
import pytest

import causalsys as cs

SERVICES = ("cart", "pay", "ship", "user")


def table(count, rng, *, slow="", by=0.0):
    columns = {}
    for place, name in enumerate(SERVICES):
        level = 10.0 * (place + 1)
        columns[f"{name}_cpu"] = level * (1 + 0.1 * rng.normal(size=count))
        columns[f"{name}_latency"] = level * (1 + 0.05 * rng.standard_t(5, size=count))
    frame = pd.DataFrame(columns)
    if slow:
        frame[f"{slow}_latency"] *= 1 + by
        frame[f"{slow}_cpu"] *= 1 + by / 4
    return frame


def model():
    variables = {
        f"{name}_{kind}": cs.Observed(cs.Real(), mechanism=cs.Linear(), component=name)
        for name in SERVICES
        for kind in ("cpu", "latency")
    }
    return cs.SCM.from_graph({name: [] for name in variables}, variables=variables)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("slow", SERVICES)
def test_the_service_that_moved_is_blamed(seed, slow):
    rng = np.random.default_rng(seed)
    normal, after = table(300, rng), table(300, rng, slow=slow, by=0.6)
    finding = cs.root_cause(model().fit(normal), after.set_axis(range(300, 600)), normal=normal)
    assert finding.ranking[0].name == slow
    assert finding.alarm
    assert np.isnan(finding.ranking[0].share)
    assert any("no target" in sentence for sentence in finding.assumptions)


def test_nothing_moved_is_no_incident():
    # Twenty windows of fifty rows; at most one false alarm in twenty is what is promised.
    rng = np.random.default_rng(0)
    normal = table(600, rng)
    fitted = model().fit(normal)
    alarms = [
        cs.root_cause(fitted, table(50, rng).set_axis(range(1000, 1050)), normal=normal).alarm
        for _ in range(20)
    ]
    assert sum(alarms) <= 1
