"""Which estimator a lasting noise is given, and what is said of it."""

import numpy as np
import pandas as pd

import causalsys as cs


class Jobs(cs.SCM):
    arm = cs.Arm()
    size = cs.Latent(cs.Positive())
    done = cs.State(cs.Positive())
    server = cs.Decision(cs.Categorical(range(4)), parents=[arm, done], mechanism=cs.Logged())
    work = cs.Observed(cs.Positive(), parents=[size, server], mechanism=cs.Multiplicative())

    @cs.transition(done)
    def add(done, work):
        return done + work


def log(pairs: list[tuple[int, int]]) -> pd.DataFrame:
    """Each arm draws among its servers; sizes last."""
    rng = np.random.default_rng(0)
    traces, steps = 60, 50
    arm = np.repeat(np.arange(traces) % len(pairs), steps)
    server = np.array(pairs)[arm, rng.integers(0, 2, traces * steps)]
    size = np.exp(np.repeat(rng.normal(size=traces * 5), 10) + 0.1 * rng.normal(size=len(arm)))
    return pd.DataFrame(
        {
            "trace": np.repeat(np.arange(traces), steps),
            "step": np.tile(np.arange(steps), traces),
            "arm": arm,
            "server": server,
            "work": size * np.array([1.0, 2.0, 3.0, 4.0])[server],
        }
    )


def test_groups_that_no_trace_connects_are_told() -> None:
    apart = Jobs.fit(log([(0, 1), (2, 3)]), ensemble=2)
    assert "0, 1 | 2, 3" in str(apart.diagnostics)
    joined = Jobs.fit(log([(0, 1), (2, 3), (1, 2)]), ensemble=2)
    assert "|" not in str(joined.diagnostics)
