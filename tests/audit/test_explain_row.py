"""One misprediction explained: closed forms, consistency from row to row, and bad input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import causalsys as cs
from causalsys.audit.audit import Audit, audit
from causalsys.audit.explain_row import explain_rows, usual_error
from causalsys.errors import DataError, EvidenceError, QueryError, UnknownNameError

Array = NDArray[np.float64]


class Chain(cs.SCM):
    """a causes b, and both cause y."""

    a = cs.Observed(cs.Real(), mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[a], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[a, b], mechanism=cs.Linear())


class Pair(cs.SCM):
    """Two causes of equal weight."""

    a = cs.Observed(cs.Real(), mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[a, b], mechanism=cs.Linear())


class Hidden(cs.SCM):
    """A hidden group moves the target and three other views of it."""

    group = cs.Latent(cs.Categorical(2))
    a = cs.Observed(cs.Real(), mechanism=cs.Linear())
    flag = cs.Observed(cs.Boolean())
    m = cs.Observed(cs.Real(), parents=[group], mechanism=cs.Linear())
    k = cs.Observed(cs.Real(), parents=[group], mechanism=cs.Linear())
    q = cs.Observed(cs.Real(), parents=[group], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[group, a, flag], mechanism=cs.Linear())


def chain(count: int = 3000, *, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=count)
    b = 2 * a + rng.normal(size=count)
    return pd.DataFrame({"a": a, "b": b, "y": a + 3 * b + rng.normal(size=count)})


def hidden(count: int = 1500, *, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group, flag = rng.random(count) < 0.3, rng.random(count) < 0.5
    a = rng.normal(size=count)
    noise = rng.normal(size=(4, count))
    columns = {"a": a, "flag": flag, "m": 4 * group + noise[0], "k": 4 * group + noise[1]}
    columns |= {"q": 4 * group + noise[2], "y": a + 3 * flag - 6 * group + 0.5 * noise[3]}
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return Chain.fit(chain(), seed=0)


@pytest.fixture(scope="module")
def blind(fitted: cs.FittedSCM) -> Audit:
    """It knows what follows from a on average, and nothing of b."""
    return audit(fitted, lambda rows: 7 * rows["a"].to_numpy(), target="y", inputs=["a"])


@pytest.fixture(scope="module")
def grouped() -> Audit:
    """It knows nothing of the group."""
    return audit(
        Hidden.fit(hidden(), seed=0),
        lambda rows: (rows["a"] + 3 * rows["flag"]).to_numpy(),
        target="y",
        inputs=["a", "flag"],
    )


def test_the_smallest_change_of_one_noise_is_its_closed_form(blind: Audit) -> None:
    found = blind.explain_row({"a": 0.0, "b": 4.0, "y": 12.0}, tolerance=1.0)
    change = found.smallest
    assert change is not None
    assert change.names == ("b",)
    # y falls by 3 for each of b's standard deviations: (12 - 1) / 3. Fitted slopes are off by 2 %.
    assert change.size == pytest.approx(11 / 3, rel=0.05)
    assert change.error == pytest.approx(1.0, abs=1e-3)
    assert change.prediction == pytest.approx(0.0, abs=1e-9)
    assert change.row["y"] == pytest.approx(1.0, abs=1e-3)
    assert [noise.z for noise in found.noises] == pytest.approx([0, 4, 0], abs=0.2)


def test_effects_of_a_change_are_carried_on_and_predicted_again(fitted: cs.FittedSCM) -> None:
    # It overrates a: right where 1.5 |8 a - y| is small, and b follows a in that.
    one = audit(fitted, lambda rows: (3 * rows["a"] + 3 * rows["b"]).to_numpy(), target="y")
    rows = pd.DataFrame({"a": [3.0], "b": [6.0], "y": [21.0]})
    found = one.explain_row(rows, tolerance=0.5)
    change = next(each for each in found.changes if each.names == ("a",))
    twin = fitted.counterfactual(rows, do={"a": change.after[0]})
    for name in ("b", "y"):
        # The counterfactual of another road of the library; both keep b's and y's noise.
        assert change.row[name] == pytest.approx(float(twin.values[name][0, 0, 0]), abs=1e-6)
    again = 3 * float(change.row["a"]) + 3 * float(change.row["b"])
    assert change.prediction == pytest.approx(again)
    assert abs(change.prediction - change.truth) <= 0.5 + 1e-9


def test_two_variables_where_none_alone_suffices() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3000))
    data = pd.DataFrame({"a": a, "b": b, "y": a + b + 0.05 * rng.normal(size=3000)})
    one = audit(Pair.fit(data, seed=0), lambda rows: np.zeros(len(rows)), target="y", inputs=["a"])
    found = one.explain_row({"a": 7.0, "b": 7.0, "y": 14.0}, tolerance=0.2)
    assert found.changes[0].names == ("a", "b")
    # The nearest point of the line a + b = .2 is (.1, .1).
    assert found.changes[0].size == pytest.approx(6.9 * 2**0.5, rel=0.03)
    assert found.changes[0].error <= 0.2 + 1e-9


def test_rows_with_the_same_noise_have_the_same_explanation(
    blind: Audit, fitted: cs.FittedSCM
) -> None:
    base = pd.DataFrame({"a": [0.3], "b": [4.4], "y": [13.0]})
    other = fitted.counterfactual(base, do={"a": 1.7})
    moved = {"a": 1.7} | {name: float(other.values[name][0, 0, 0]) for name in ("b", "y")}
    one, two = (
        audit(fitted, lambda rows: np.zeros(len(rows)), target="y", inputs=["a"])
        .explain_row(row, tolerance=abs(float(y)) - 2)
        .changes
        for row, y in ((base, 13.0), (moved, moved["y"]))
    )
    # Both errors have to fall by 2: the same change of the same noise.
    for name in (("b",), ("y",)):
        sizes = [next(c.size for c in changes if c.names == name) for changes in (one, two)]
        assert sizes[0] == pytest.approx(sizes[1], abs=1e-3)


def test_a_row_has_one_explanation_whatever_is_beside_it(blind: Audit) -> None:
    rows = chain(12, seed=3)
    rows.loc[rows.index % 2 == 0, "y"] += 6
    together = explain_rows(blind.subject, rows)
    for at, whole in enumerate(together):
        alone = blind.explain_row(rows.iloc[[at]])
        assert [each.names for each in alone.changes] == [each.names for each in whole.changes]
        assert [each.size for each in alone.changes] == pytest.approx(
            [each.size for each in whole.changes]
        )
    close = blind.explain_row(rows.iloc[0] + 1e-4)
    assert [each.names for each in close.changes] == [e.names for e in together[0].changes]


def test_a_hidden_group_is_the_explanation(grouped: Audit) -> None:
    row = pd.Series({"a": 0.0, "flag": True, "m": 4.0, "k": 4.0, "q": 4.0, "y": -3.0})
    found = grouped.explain_row(row)
    change = found.smallest
    assert change is not None
    assert change.names == ("group",)
    shares = found.latents[0].probabilities
    assert max(shares.values()) > 0.99
    assert shares[change.before[0]] > 0.99
    assert change.identified
    assert change.truth == pytest.approx(3.0, abs=0.3)
    # Three in ten are in the group, so the other level has .7: log(1 + 1 / .7) in Gumbel's units.
    assert change.size == pytest.approx(np.log(1 + 1 / 0.7) / (np.pi / 6**0.5), rel=0.05)


def test_a_flag_may_be_the_change(grouped: Audit) -> None:
    one = audit(
        grouped.subject.fitted,
        lambda rows: rows["a"].to_numpy(),
        target="y",
        inputs=["a", "flag"],
    )
    row = {"a": 0.0, "flag": True, "m": 0.0, "k": 0.0, "q": 0.0, "y": 3.0}
    found = one.explain_row(row, tolerance=0.5)
    change = found.smallest
    assert change is not None
    assert (change.names, change.before, change.after) == (("flag",), (True,), (False,))
    assert change.size == pytest.approx(np.log(3) / (np.pi / 6**0.5), rel=0.05)


def test_what_is_missing_is_inferred(blind: Audit) -> None:
    found = blind.explain_row({"a": 0.0, "y": 12.0}, tolerance=1.0)
    b = next(noise for noise in found.noises if noise.name == "b")
    # Given y = 12 of a = 0, b is normal: mean 3.6, variance .1.
    assert b.z == pytest.approx(3.6, abs=0.25)
    assert b.spread == pytest.approx(0.1**0.5, abs=0.12)
    assert found.smallest is not None
    assert found.smallest.names == ("b",)


def test_what_is_right_needs_no_change(blind: Audit) -> None:
    found = blind.explain_row({"a": 1.0, "b": 2.0, "y": 7.0})
    assert found.right
    assert found.changes == ()
    assert "right as it was" in str(found)


def test_a_predictor_of_steps(fitted: cs.FittedSCM) -> None:
    one = audit(
        fitted,
        lambda rows: np.where(rows["b"].to_numpy() > 3, 30.0, 0.0),
        target="y",
        inputs=["b"],
    )
    found = one.explain_row({"a": 1.0, "b": 3.1, "y": 10.3}, tolerance=11.0)
    change = found.smallest
    assert change is not None
    # Just below the step, which is nearer than 30 - 10.3 - 11 of y's own noise.
    assert change.names[0] in ("a", "b")
    assert change.size < 0.15


def test_bad_luck_of_the_target_is_not_put_down_to_an_odd_cause(fitted: cs.FittedSCM) -> None:
    # Right everywhere but where a is below -4: it would agree there with a target that is odd.
    one = audit(
        fitted,
        lambda rows: np.where(rows["a"] < -4, -14.0, 7 * rows["a"]),
        target="y",
        inputs=["a"],
    )
    found = one.explain_row({"a": 0.0, "b": 0.0, "y": 14.0}, tolerance=2.0)
    assert found.smallest is not None
    assert found.smallest.names == ("y",)
    assert found.smallest.size == pytest.approx(12.0, rel=0.05)


def test_the_usual_error_is_the_median_of_normal_rows(blind: Audit) -> None:
    # Of 3 b's noise + y's own: normal with variance 10.
    assert usual_error(blind.subject, seed=0) == pytest.approx(0.6745 * 10**0.5, rel=0.1)
    less, more = (
        blind.explain_row({"a": 0.0, "b": 4.0, "y": 12.0}, tolerance=t).changes[0].size
        for t in (3.0, 0.5)
    )
    assert less < more


def test_what_it_says(blind: Audit) -> None:
    found = blind.explain_row({"a": 0.0, "b": 4.0, "y": 12.0}, tolerance=1.0)
    text = str(found)
    assert "b = 4: noise +" in text
    assert "right if:" in text
    assert found.to_frame()["names"].iloc[0] == ("b",)
    stuck = blind.explain_row({"a": 0.0, "b": 400.0, "y": -900.0}, tolerance=0.5)
    assert isinstance(str(stuck), str)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"a": 0.0, "b": 4.0, "y": np.nan}, EvidenceError),
        ({"a": 0.0, "b": 4.0}, EvidenceError),
        ({"a": np.nan, "b": 4.0, "y": 1.0}, EvidenceError),
        ({"b": 4.0, "y": 1.0}, EvidenceError),
        ({"a": 0.0, "b": 4.0, "y": 1.0, "zz": 1.0}, UnknownNameError),
        ({"a": [0.0, 1.0], "b": [4.0, 1.0], "y": [1.0, 1.0]}, EvidenceError),
        (3, DataError),
    ],
)
def test_bad_rows(blind: Audit, row: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        blind.explain_row(row)


@pytest.mark.parametrize(
    "asked",
    [
        lambda one, row: one.explain_row(row, tolerance=0.0),
        lambda one, row: one.explain_row(row, tolerance=-1.0),
        lambda one, row: one.explain_row(row, tolerance=float("nan")),
        lambda one, row: one.explain_row(row, tolerance="small"),
        lambda one, row: one.explain_row(row, seed=-1),
    ],
)
def test_bad_arguments(blind: Audit, asked: Callable[[Audit, object], object]) -> None:
    with pytest.raises(QueryError):
        asked(blind, {"a": 0.0, "b": 4.0, "y": 12.0})
