"""A policy that is only ever replaced: nothing is fitted, and nothing is asked of it."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.errors import CausalSysError, QueryError
from causalsys.mechanisms.build import build
from causalsys.scm.supports import Categorical, Real
from tests.query.queues import Balancer, fitted_balancer, logged


def test_every_question_about_it_is_refused() -> None:
    mechanism = build(cs.Logged(), Categorical(3), parents={"load": Real()})
    parents, codes = {"load": torch.zeros(1, 4)}, torch.zeros(1, 4, dtype=torch.int64)
    for ask in (
        lambda: mechanism.log_prob(codes, parents),
        lambda: mechanism.pull(codes, parents),
        lambda: mechanism.push(torch.zeros(1, 4), parents),
        lambda: mechanism.draw_noise((1, 4), generator=torch.Generator()),
    ):
        with pytest.raises(QueryError, match="a logged policy would choose of load"):
            ask()


def test_nothing_is_fitted_and_the_model_can_be_saved(tmp_path) -> None:
    fitted = fitted_balancer()
    assert fitted.diagnostics.variables["server"].family == "Logged"
    assert not fitted.mechanisms["server"].state
    fitted.save(tmp_path / "model")
    again = cs.load(tmp_path / "model", model=Balancer)
    assert again.schema.supports["queues"] == cs.Fifo(3, "ms")
    assert type(again.mechanisms["server"]) is type(fitted.mechanisms["server"])


def test_new_rows_need_a_policy() -> None:
    """Of a logged policy alone no new trace can be drawn."""
    with pytest.raises(CausalSysError, match=r"server|logged policy"):
        fitted_balancer().sample(5, steps=3, outcome="latency")
    drawn = fitted_balancer().sample(5, steps=4, do={"server": lambda waiting: waiting.argmin(-1)})
    assert isinstance(drawn.to_frame(), pd.DataFrame)
    assert drawn.values["latency"].shape == (1, 1, 20)


def test_a_model_with_one_can_be_checked() -> None:
    """Its other variables are; of what nobody fitted there is nothing to check."""
    found = fitted_balancer().check(cs.Traces(logged((60,) * 40, seed=5).drop(columns="size")))
    assert "server" not in {test.variable for test in found.predictive}
    assert {"gap", "work"} <= {test.variable for test in found.predictive}
