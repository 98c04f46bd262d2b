"""Bounds from a fitted model, against closed forms of its own law, and the truth inside them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys import errors

ROWS = 4000
NEAR = 0.02
"""Frequencies of 4000 rows have a standard error of at most .008."""


class Bow(cs.SCM):
    """A flag that shares a hidden class with its effect."""

    u = cs.Latent(cs.Boolean())
    x = cs.Observed(cs.Boolean(), parents=[u])
    y = cs.Observed(cs.Boolean(), parents=[u, x])
    size = cs.Observed(cs.Real(), parents=[y])


@cache
def data() -> tuple[pd.DataFrame, np.ndarray]:
    """Rows, and what y would have been had x been true."""
    rng = np.random.default_rng(0)
    u, luck = rng.random(ROWS) < 0.4, rng.random(ROWS)
    x = rng.random(ROWS) < np.where(u, 0.8, 0.3)

    def outcome(x):
        return luck < 0.2 + 0.4 * u + 0.3 * x

    y = outcome(x)
    frame = pd.DataFrame({"x": x, "y": y, "size": y + rng.normal(size=ROWS)})
    return frame, outcome(np.ones(ROWS, bool))


@cache
def fitted() -> cs.FittedSCM:
    return Bow.fit(data()[0], ensemble=3)


def test_the_bounds_are_those_of_manski_and_hold_the_truth() -> None:
    frame, changed = data()
    found = fitted().bounds("y", do={"x": True}).loc[True]
    both, treated = (frame["x"] & frame["y"]).mean(), frame["x"].mean()
    assert found["low"] == pytest.approx(both, abs=NEAR)
    assert found["high"] == pytest.approx(both + 1 - treated, abs=NEAR)
    assert found["sharp"]
    assert found["least"] <= found["low"] <= changed.mean() <= found["high"] <= found["most"]


def test_a_row_bounds_necessity() -> None:
    """Tian and Pearl, 2000: PN without experiments lies in [0, 1] under a bow; monotony helps."""
    row = {"x": True, "y": True}
    free = fitted().bounds("y", do={"x": False}, row=row)
    assert (free.loc[False, "low"], free.loc[False, "high"]) == pytest.approx((0, 1), abs=1e-6)
    rising = fitted().bounds("y", do={"x": False}, row={"x": True, "y": False}, rising=[("x", "y")])
    assert rising.loc[False, "low"] == pytest.approx(1, abs=1e-6)


def test_what_is_identified_is_one_number() -> None:
    class Plain(cs.SCM):
        x = cs.Observed(cs.Boolean())
        y = cs.Observed(cs.Boolean(), parents=[x])

    frame = data()[0][["x", "y"]]
    plain = Plain.fit(frame, ensemble=2)
    found = plain.bounds("y", do={"x": True}).loc[True]
    assert found["low"] == pytest.approx(found["high"], abs=1e-6)
    exact = plain.exact("y", do={"x": True}).loc[True, "probability"]
    assert found["low"] == pytest.approx(exact, abs=1e-6)


def test_a_bounded_question_says_where_its_bounds_are() -> None:
    verdict = fitted().identify("y", do="x")
    assert verdict.status == "bounded"
    with pytest.raises(errors.NotIdentifiedError, match=r'(?s)fitted\.bounds\("y", \.\.\.\)'):
        fitted().sample(10, do={"x": True}, outcome="y")
    assert fitted().identify("size", do="x").status == "not identified"


@pytest.mark.parametrize(
    ("asked", "error", "named"),
    [
        (("y", {"do": {"x": 2}}), errors.OutsideSupportError, "x: 2"),
        (("z", {"do": {"x": True}}), errors.UnknownNameError, "z"),
        (("size", {"do": {"x": True}}), errors.QueryError, "size: bounds of what is no small"),
        (("y", {"do": {"y": True}}), errors.QueryError, "y: named twice"),
        (("y", {"do": {"u": True}}), errors.QueryError, "no small system"),
        (("y", {"do": {"x": True}, "row": {"x": "yes"}}), errors.OutsideSupportError, "'yes'"),
        (("y", {"do": {"x": True}, "row": {"size": 1.0}}), errors.QueryError, "no small system"),
    ],
)
def test_bad_questions(asked, error, named) -> None:
    outcome, rest = asked
    with pytest.raises(error, match=named):
        fitted().bounds(outcome, **rest)


def test_a_latent_number_does_no_harm() -> None:
    class Hidden(cs.SCM):
        u = cs.Latent(cs.Real())
        x = cs.Observed(cs.Boolean(), parents=[u])
        y = cs.Observed(cs.Boolean(), parents=[u, x])

    frame, changed = data()
    found = Hidden.fit(frame[["x", "y"]], ensemble=2, steps=300).bounds("y", do={"x": True})
    assert found.loc[True, "least"] <= changed.mean() <= found.loc[True, "most"]
