"""Structures: what is carried from step to step, and how it may be declared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalsys as cs
from causalsys.errors import DataError, DeclarationError, InterventionError
from causalsys.scm.structure import kept


class Plain:
    """Servers that work off their jobs, one trace at a time, as one would write it first."""

    def __init__(self, servers: int) -> None:
        self.now = 0.0
        self.ends: list[list[float]] = [[] for _ in range(servers)]
        self.free = [0.0] * servers

    def push(self, server: int, work: float) -> None:
        self.free[server] = max(self.free[server], self.now) + work
        self.ends[server].append(self.free[server])

    def after(self, gap: float) -> None:
        self.now += gap
        self.ends = [[end for end in ends if end > self.now] for ends in self.ends]

    @property
    def waiting(self) -> list[int]:
        return [len(ends) for ends in self.ends]

    @property
    def backlog(self) -> list[float]:
        return [max(free - self.now, 0.0) for free in self.free]


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    servers=st.integers(1, 4),
    traces=st.integers(1, 4),
    lead=st.sampled_from([(), (1,), (2, 3)]),
    load=st.sampled_from([0.3, 1.0, 5.0]),
)
def test_queues_are_those_of_a_plain_simulator(
    seed: int, servers: int, traces: int, lead: tuple[int, ...], load: float
) -> None:
    """Short queues and ever longer ones, ties between an arrival and a job's end among them."""
    rng = np.random.default_rng(seed)
    lengths = np.sort(rng.integers(1, 160, traces))[::-1]
    steps = int(lengths[0])
    server = rng.integers(0, servers, (steps, *lead, traces))
    # Whole numbers make ties, and both add them up without rounding.
    work = rng.exponential(4 * load * servers, server.shape).round()
    gap = rng.exponential(4, (steps, traces)).round()
    found = cs.Fifo(servers).start((*lead, traces))
    plain = {at: Plain(servers) for at in np.ndindex(*lead, traces)}
    for step in range(steps):
        live = int((lengths > step).sum())
        found = kept(found, live)
        for at, each in plain.items():
            if at[-1] < live:
                assert found.waiting[at].tolist() == each.waiting
                np.testing.assert_allclose(found.backlog[at], each.backlog, atol=1e-9)
                each.push(int(server[step][at]), float(work[step][at]))
                each.after(float(gap[step][at[-1]]))
        now = [torch.from_numpy(each[step][..., :live].copy()) for each in (server, work, gap)]
        torch.testing.assert_close(found.wait(now[0]), cs.pick(found.backlog, now[0]))
        found = found.push(now[0], now[1]).after(now[2])


def test_several_jobs_may_come_at_once() -> None:
    queues, plain = cs.Fifo(2).start((1,)), Plain(2)
    for server, work in [(0, 5.0), (0, 1.0), (1, 2.0), (0, 0.0)]:
        queues.push(torch.tensor([server]), torch.tensor([work]))
        plain.push(server, work)
        assert queues.waiting[0].tolist() == plain.waiting
    queues.after(torch.tensor([5.5]))
    plain.after(5.5)
    assert queues.waiting[0].tolist() == plain.waiting == [2, 0]


@pytest.mark.parametrize("server", [-1, 2])
def test_an_unknown_server_is_refused(server: int) -> None:
    with pytest.raises(IndexError, match="none of 0 to 1"):
        cs.Fifo(2).start((1,)).push(torch.tensor([server]), torch.tensor([1.0]))


@pytest.mark.parametrize("servers", [0, 2.0, True])
def test_a_number_of_servers_is_a_whole_number(servers: object) -> None:
    with pytest.raises(DeclarationError, match="Give a whole number of at least 1"):
        cs.Fifo(servers)  # type: ignore[arg-type]


def test_only_states_carry_structures() -> None:
    with pytest.raises(DeclarationError, match=r"queues: .*Only a state carries one"):

        class Wrong(cs.SCM):
            queues = cs.Observed(cs.Fifo(2))


def test_only_equations_see_structures() -> None:
    with pytest.raises(DeclarationError, match=r"server: the parent queues.*Write an equation"):

        class Wrong(cs.SCM):
            queues = cs.State(cs.Fifo(2))
            server = cs.Decision(cs.Categorical(2), parents=[queues])

            @cs.transition(queues)
            def serve(queues, server):
                return queues


class Since:
    """How many steps ago each trace last missed."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.steps = torch.zeros(shape, dtype=torch.float64)

    def seen(self, missed: torch.Tensor) -> Since:
        self.steps = torch.where(missed, 0.0, self.steps + 1)
        return self


@dataclass(frozen=True)
class SinceMiss(cs.Structure):
    def start(self, shape: tuple[int, ...]) -> Since:
        return Since(shape)


class Cache(cs.SCM):
    last = cs.State(SinceMiss())
    missed = cs.Decision(cs.Boolean())

    @cs.equation(cs.Count("steps"))
    def since(last):
        return last.steps

    @cs.transition(last)
    def later(last, missed):
        return last.seen(missed)


def test_a_structure_of_ones_own() -> None:
    """It is carried through the data and through a roll-out, in traces of unequal length."""
    rng = np.random.default_rng(0)
    lengths = [4, 9, 2, 6]
    frame = pd.DataFrame(
        [(trace, step) for trace, length in enumerate(lengths) for step in range(length)],
        columns=["trace", "step"],
    )
    frame["missed"] = rng.random(len(frame)) < 0.4
    fitted = Cache.fit(cs.Traces(frame), ensemble=1)
    wanted = []
    for _, trace in frame.groupby("trace"):
        since = 0
        for missed in trace["missed"]:
            wanted.append(since)
            since = 0 if missed else since + 1
    answer = fitted.counterfactual(cs.Traces(frame), do={"missed": False})
    np.testing.assert_array_equal(answer.observed("since").mean(), wanted)
    np.testing.assert_array_equal(answer.mean("since"), frame["step"])
    assert "last" not in answer.names
    with pytest.raises(InterventionError, match="structure"):
        fitted.counterfactual(cs.Traces(frame), do={"missed": lambda last: last.steps > 1})


def test_a_structure_has_no_column() -> None:
    frame = pd.DataFrame({"trace": 0, "step": range(4), "missed": [True, False, True, False]})
    with pytest.raises(DataError, match=r"last: a column in the data for a structure"):
        Cache.fit(cs.Traces(frame.assign(last=1.0)))
