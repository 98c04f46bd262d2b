"""A state's column may hold what each step found or what it left; the transition tells which."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.data.read import read
from causalsys.data.schema import Schema
from causalsys.errors import DataError
from causalsys.simulate.simulate import simulate


class Player(cs.SCM):
    """A buffer that drains while a chunk is downloaded, and then gains it."""

    seconds = cs.Observed(cs.Positive("s"))
    rung = cs.Decision(cs.Categorical(range(3)), mechanism=cs.Logged())
    buffer = cs.State(cs.Positive("s"))

    @cs.equation(cs.Positive("s"))
    def took(seconds, rung):
        return seconds * (1 + rung)

    @cs.transition(buffer)
    def play(buffer, took):
        return ((buffer - took).clamp(min=0) + 4.0).clamp(max=10.0)


def recorded(*, first: float = 0.0, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Two traces without their buffer; and what each step finds of it, and leaves."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"trace": np.repeat([0, 1], 40), "step": np.tile(np.arange(40), 2)})
    frame["seconds"], frame["rung"] = rng.exponential(2, 80), rng.integers(0, 3, 80)
    found, left = _played(frame, first)
    return frame, found, left


def _played(frame: pd.DataFrame, first: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    found, left = np.zeros(80), np.zeros(80)
    took = (frame["seconds"] * (1 + frame["rung"])).to_numpy()
    for row in range(80):
        found[row] = first if row % 40 == 0 else left[row - 1]
        left[row] = min(max(found[row] - took[row], 0) + 4, 10)
    return found, left


def test_what_each_step_found_is_known_from_either() -> None:
    frame, found, left = recorded()
    schema = Schema.learn(Player.declaration, cs.Traces(frame).frame)
    for column in (found, left):
        table = read(schema, cs.Traces(frame.assign(buffer=column)))
        torch.testing.assert_close(table.values["buffer"][0], torch.from_numpy(found))
    assert table.left == {"buffer"}


def test_a_log_may_begin_in_the_middle_where_it_says_what_was_found() -> None:
    frame, found, left = recorded(first=7.0)
    Player.fit(frame.assign(buffer=found), ensemble=2)
    with pytest.raises(DataError, match=r"buffer: .* but its equation gives"):
        Player.fit(frame.assign(buffer=left), ensemble=2)


def test_neither_is_refused() -> None:
    frame, found, _ = recorded()
    found[20] += 0.5
    with pytest.raises(DataError, match=r"buffer: .* but its equation gives"):
        Player.fit(frame.assign(buffer=found), ensemble=2)


def test_simulated_rows_follow_the_log() -> None:
    frame, found, left = recorded()
    fitted = Player.fit(frame.assign(buffer=left), ensemble=2)
    always = {"low": lambda buffer: torch.where(buffer < 5, 0, 1)}
    truth = frame.copy()
    level = 0.0
    wanted = {"found": np.zeros(80), "left": np.zeros(80)}
    for row in range(80):
        level = 0.0 if row % 40 == 0 else level
        wanted["found"][row] = level
        rung = 0 if level < 5 else 1
        level = min(max(level - truth["seconds"][row] * (1 + rung), 0) + 4, 10)
        wanted["left"][row] = level
    for name, column in (("found", found), ("left", left)):
        given = frame.assign(buffer=column)
        # The policy reads what the step found, whichever the log holds.
        rows = simulate(fitted, given, policies=always).frames["low"]
        np.testing.assert_allclose(rows["buffer"], wanted[name])
        own = simulate(fitted, given, policies={"own": frame["rung"].to_numpy()}).frames["own"]
        np.testing.assert_allclose(own["buffer"], column)
