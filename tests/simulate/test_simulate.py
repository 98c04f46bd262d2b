"""Traces under policies that never ran, against the system itself."""

import numpy as np
import pytest
import torch

import causalsys as cs
from causalsys.errors import (
    EvidenceError,
    InterventionError,
    NotIdentifiedError,
    QueryError,
    UnknownNameError,
)


def by_queue(waiting):
    return (waiting > 1.5).long() + (waiting > 4.0).long()


def test_traces_are_what_they_would_have_been(fitted, served) -> None:
    """Factors are learned from 4800 steps, to about 1 %; all else is physics and exact."""
    found = cs.simulate(fitted, served.log, policies={"four": 4, "queue": by_queue})
    for name, policy in {
        "four": lambda waiting: np.full(len(waiting), 2),
        "queue": lambda waiting: np.digitize(waiting, [1.5, 4.0], right=True),
    }.items():
        truth, frame = served.under(policy), found.frames[name]
        assert list(frame.columns) == list(served.log.columns)
        assert (frame[["trace", "step", "arm"]] == served.log[["trace", "step", "arm"]]).all(
            axis=None
        )
        assert (frame["threads"] == truth["threads"]).all()
        assert np.median(np.abs(frame["cost"] / truth["cost"] - 1)) < 0.03
        assert frame["loss"].mean() == pytest.approx(truth["loss"].mean(), rel=0.02)


def test_rows_come_back_in_the_order_in_which_they_were_given(fitted, served) -> None:
    shuffled = served.log.sample(frac=1.0, random_state=1)
    plain = cs.simulate(fitted, served.log, policies={"four": 4}).frames["four"]
    mixed = cs.simulate(fitted, shuffled, policies={"four": 4}).frames["four"]
    assert (mixed.index == shuffled.index).all()
    assert np.allclose(mixed["cost"].sort_index(), plain["cost"])


def test_what_ran_comes_back_as_it_was(fitted, served) -> None:
    codes = served.log["threads"].map({1: 0, 2: 1, 4: 2}).to_numpy()
    found = cs.simulate(fitted, served.log, policies={"same": served.log["threads"].to_numpy()})
    assert codes.shape == (len(served.log),)
    assert np.allclose(found.frames["same"]["loss"], served.log["loss"])


def test_a_random_policy_draws_alike_for_the_same_seed(fitted, served) -> None:
    def fair(waiting):
        return torch.distributions.Categorical(torch.ones(*waiting.shape, 3))

    runs = [
        cs.simulate(fitted, served.log, policies={"fair": fair}, seed=seed).frames["fair"]
        for seed in (0, 0, 1)
    ]
    assert (runs[0]["threads"] == runs[1]["threads"]).all()
    assert not (runs[0]["threads"] == runs[2]["threads"]).all()
    assert set(runs[0]["threads"]) == {1, 2, 4}


def test_the_luck_of_the_record_is_kept_where_its_policies_are_known(fitted, served) -> None:
    """The arm `random` drew evenly: told so, its own traces come back, and the others do not."""

    def fair(waiting):
        return torch.distributions.Categorical(torch.ones(*waiting.shape, 3))

    found = cs.simulate(
        fitted, served.log, policies={"fair": fair}, behaviour={"random": fair}
    ).frames["fair"]
    same = (found["threads"] == served.log["threads"]).groupby(served.log["arm"]).mean()
    assert same["random"] == 1.0
    assert same["slow"] < 0.6
    own = served.log["arm"] == "random"
    assert np.allclose(found.loc[own, "loss"], served.log.loc[own, "loss"])
    with pytest.raises(UnknownNameError, match="rnadom"):
        cs.simulate(fitted, served.log, policies={"fair": fair}, behaviour={"rnadom": fair})


def test_policies_are_worked_through_on_any_engine_alike(fitted, served) -> None:
    policies = {"four": 4, "queue": by_queue, "heat wave": {"cost": lambda cost: 2 * cost}}
    plain = cs.simulate(fitted, served.log, policies=policies)
    cores = cs.simulate(fitted, served.log, policies=policies, engine=cs.Cores(2))
    for name in policies:
        assert plain.frames[name].equals(cores.frames[name])


def test_what_is_no_engine_is_refused(fitted, served) -> None:
    with pytest.raises(QueryError, match=r"cs\.Cores"):
        cs.simulate(fitted, served.log, policies={"four": 4}, engine="cores")


def test_policies_are_named(fitted, served) -> None:
    with pytest.raises(InterventionError, match="Give each a name"):
        cs.simulate(fitted, served.log, policies={})
    with pytest.raises(InterventionError, match="Give each a name"):
        cs.simulate(fitted, served.log, policies=[by_queue])


def test_what_cannot_be_told_is_refused(served) -> None:
    class Peeking(cs.SCM):
        heat = cs.Latent(cs.Positive())
        waiting = cs.State(cs.Positive("req"))
        threads = cs.Decision(cs.Categorical([1, 2, 4]), parents=[heat], mechanism=cs.Logged())
        cost = cs.Observed(cs.Positive(), parents=[heat, threads], mechanism=cs.Multiplicative())

        @cs.transition(waiting)
        def later(waiting, threads):
            return waiting + threads

    fitted = Peeking.fit(served.log, seed=0)
    with pytest.raises(NotIdentifiedError, match="threads sees heat"):
        cs.simulate(fitted, served.log, policies={"one": 1})


@pytest.mark.parametrize("kind", ["int8", "float32", "str", "category", "Int64"])
def test_columns_keep_the_types_of_the_record(fitted, served, kind) -> None:
    typed = served.log.astype({"threads": kind, "cost": "float32"})
    frame = cs.simulate(fitted, typed, policies={"four": 4}).frames["four"]
    assert (frame.dtypes == typed.dtypes).all()
    assert (frame["threads"].astype(float) == 4).all()


def test_traces_that_name_no_arm_are_refused(fitted, served) -> None:
    with pytest.raises(EvidenceError, match="arm: traces that do not say which policy was live"):
        cs.simulate(fitted, served.log.drop(columns="arm"), policies={"four": 4})


def test_a_policy_may_be_a_tensor_without_axes(fitted, served) -> None:
    found = cs.simulate(fitted, served.log, policies={"last": torch.tensor(4)})
    assert (found.frames["last"]["threads"] == 4).all()


def test_what_cannot_be_a_policy_is_told(fitted, served) -> None:
    def strange(waiting):
        return torch.distributions.Categorical(torch.ones(7, 3))

    with pytest.raises(InterventionError, match=r"a distribution of shape \[7\] where"):
        cs.simulate(fitted, served.log, policies={"strange": strange})
    with pytest.raises(InterventionError, match=r"Say it: cs\.policy\("):
        cs.simulate(fitted, served.log, policies={"net": torch.nn.Sequential()})
