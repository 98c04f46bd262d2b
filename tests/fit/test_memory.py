"""Noise with a memory: a hidden state that lasts does not pass for an effect."""

import numpy as np
import pandas as pd
import pytest

import causalsys as cs


class Host(cs.SCM):
    """A host whose other tenants nobody logs; a mode is switched without looking at them."""

    mode = cs.Decision(cs.Boolean())
    wait = cs.Observed(cs.Real("ms"), parents=[mode], mechanism=cs.Linear(memory=True))


class Forgetful(Host):
    """The same, seconds taken as independent."""

    wait = cs.Observed(cs.Real("ms"), parents=["mode"], mechanism=cs.Linear())


def recording(seed: int, *, seconds: int = 600) -> pd.DataFrame:
    """Twenty-odd regimes of the hidden state; the mode adds 20 ms to waits of some 200."""
    rng = np.random.default_rng(seed)
    regimes = np.repeat(rng.uniform(0, 400, seconds // 25), 25)
    mode = np.repeat(rng.random(seconds // 10) < 0.5, 10)
    wait = regimes + 20 * mode + rng.normal(0, 5, seconds)
    return pd.DataFrame({"trace": 0, "step": range(seconds), "mode": mode, "wait": wait})


def effect(model: type[cs.SCM], data: pd.DataFrame) -> float:
    traces = cs.Traces(data)
    answer = model.fit(traces).counterfactual(traces, do=[{"mode": True}, {"mode": False}])
    return answer.contrast("wait", world=0, against=1).average().value


def test_the_effect_is_found_where_rows_as_independent_miss_it() -> None:
    # Within a regime the mode is switched about once, 24 pairs a recording, each known to
    # 5 * sqrt(2) ms: an error of 1.5 ms. Arms as wholes differ by 115 ms / sqrt(12) or so.
    errors = [[effect(m, recording(seed)) - 20 for m in (Host, Forgetful)] for seed in range(5)]
    with_memory, without = np.abs(np.array(errors)).T
    assert with_memory.max() < 5
    assert np.median(without) > 10


def test_it_needs_traces() -> None:
    with pytest.raises(cs.errors.FitError, match=r"wait: a noise that lasts.*cs\.Traces"):
        Host.fit(recording(0)[["mode", "wait"]])
