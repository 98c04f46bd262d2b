"""Attributions of predictions: closed forms, what each method keeps, and bad input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import causalsys as cs
from causalsys.audit.attribute_axioms import AXIOMS
from causalsys.audit.audit import Audit, audit
from causalsys.errors import (
    EvidenceError,
    MissingColumnError,
    NotIdentifiedError,
    QueryError,
    UnknownNameError,
)

Array = NDArray[np.float64]
SLOPES: dict[str, dict[str, float]] = {
    "a": {},
    "b": {"a": 2.0},
    "c": {"a": -1.0, "b": 0.5},
    "d": {},
}
"""A linear system: by variable, the slope of each cause."""
ORDER = list(SLOPES)
WEIGHTS = np.array([0.3, 1.0, -2.0, 0.7])
"""What the predictor makes of a to d."""


class Linear(cs.SCM):
    """The system above, and a target."""

    a = cs.Observed(cs.Real(), mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[a], mechanism=cs.Linear())
    c = cs.Observed(cs.Real(), parents=[a, b], mechanism=cs.Linear())
    d = cs.Observed(cs.Real(), mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[b, c], mechanism=cs.Linear())


class Mixed(cs.SCM):
    """A flag, an equation, levels, and a positive number."""

    flag = cs.Observed(cs.Boolean())
    load = cs.Observed(cs.Positive(), parents=[flag], mechanism=cs.Linear(link="log"))
    kind = cs.Observed(cs.Categorical(["x", "y", "z"]), parents=[load])

    @cs.equation(cs.Positive())
    def double(load):  # type: ignore[no-untyped-def]
        """Twice the load."""
        return 2 * load  # type: ignore[operator]

    y = cs.Observed(cs.Real(), parents=[double, kind], mechanism=cs.Linear())


def rows(count: int = 2000, *, seed: int = 0, mean: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a, d = mean + rng.normal(size=count), rng.normal(size=count)
    b = 2 * a + rng.normal(size=count)
    c = 0.5 * b - a + rng.normal(size=count)
    return pd.DataFrame({"a": a, "b": b, "c": c, "d": d, "y": b + c + rng.normal(size=count)})


def weighed(frame: pd.DataFrame) -> Array:
    return frame.to_numpy() @ WEIGHTS


def linear_audit(predictor: object = weighed, *, mean: float = 1.0) -> Audit:
    return audit(Linear.fit(rows(mean=mean), seed=0), predictor, target="y", inputs=ORDER)


@pytest.fixture(scope="module")
def audited() -> Audit:
    return linear_audit()


def closed_form(audited: Audit, frame: pd.DataFrame) -> Array:
    """do-Shapley by its definition, the means of a linear system by hand."""
    fitted = audited.subject.fitted
    assert isinstance(fitted, cs.FittedSCM)

    def at(name: str, **causes: float) -> float:
        done = fitted.sample(4000, do={k: 0.0 for k in ORDER if k != name} | causes, seed=1)
        return float(done.values[name][0, 0].mean())

    base = {name: at(name) for name in ORDER}
    slope = {
        name: {cause: at(name, **{cause: 1.0}) - base[name] for cause in causes}
        for name, causes in SLOPES.items()
    }
    found = np.zeros((len(frame), len(ORDER)))
    for row, values in enumerate(frame[ORDER].to_dict("records")):
        for at_name, name in enumerate(ORDER):
            others = [other for other in ORDER if other != name]
            for size in range(len(others) + 1):
                share = factorial(size) * factorial(len(others) - size) / factorial(len(ORDER))
                for some in combinations(others, size):
                    less = _mean({k: values[k] for k in some}, base, slope)
                    more = _mean({k: values[k] for k in (*some, name)}, base, slope)
                    found[row, at_name] += share * (more - less)
    return found


def _mean(
    done: dict[str, float], base: dict[str, float], slope: dict[str, dict[str, float]]
) -> float:
    means: dict[str, float] = {}
    for name in ORDER:
        follows = base[name] + sum(s * means[cause] for cause, s in slope[name].items())
        means[name] = done.get(name, follows)
    return float(WEIGHTS @ [means[name] for name in ORDER])


def test_values_of_a_linear_system_are_those_of_the_definition(audited: Audit) -> None:
    some = rows(6, seed=5)
    found = audited.attribute(some, background=400)
    assert found.names == tuple(ORDER)
    assert found.exact
    # The reference draws 4000 values for each mean: their error is 1/63 of a noise.
    assert np.abs(found.values - closed_form(audited, some)).max() < 0.15


def test_an_effect_shares_with_its_cause() -> None:
    one = audit(
        Linear.fit(rows(), seed=0), lambda frame: frame["b"].to_numpy(), target="y", inputs=["b"]
    )
    found = one.attribute({"a": [3.0], "b": [3.0]}, background=2000)
    assert found.names == ("a", "b")
    # b = 2 a + noise, a of mean 1: a moves b by 4, and is credited when it comes first.
    assert found.values[0] == pytest.approx([2.0, -1.0], abs=0.15)
    assert found.baseline == pytest.approx(2.0, abs=0.1)


def test_orders_agree_with_every_coalition(audited: Audit) -> None:
    some = rows(20, seed=6)
    every = audited.attribute(some, background=400)
    drawn = audited.attribute(some, permutations=64, background=400, seed=3)
    assert not drawn.exact
    stated = np.hypot(drawn.error, every.error)
    assert np.sqrt(np.mean((drawn.values - every.values) ** 2)) < 3 * np.sqrt(np.mean(stated**2))


@pytest.mark.parametrize("method", ["do", "shap"])
@pytest.mark.parametrize("of", ["prediction", "error"])
def test_completeness(audited: Audit, method: str, of: str) -> None:
    some = rows(5, seed=7)
    found = audited.attribute(some, method=method, of=of)  # type: ignore[arg-type]
    period = audited.subject.period(some)
    assert found.outcomes == pytest.approx(
        period.prediction if of == "prediction" else period.error
    )
    assert found.values.sum(axis=1) + found.baseline == pytest.approx(found.outcomes, abs=1e-9)


@pytest.mark.parametrize("method", ["do", "shap"])
def test_additivity(method: str) -> None:
    def curved(frame: pd.DataFrame) -> Array:
        return (frame["a"] * np.tanh(frame["c"])).to_numpy()

    some = rows(4, seed=8)
    parts = [linear_audit(each) for each in (weighed, curved)]
    whole = linear_audit(lambda frame: weighed(frame) + curved(frame))
    one, other, both = (
        each.attribute(some, method=method, seed=2).values  # type: ignore[arg-type]
        for each in (*parts, whole)
    )
    assert both == pytest.approx(one + other, abs=1e-9)


def test_specificity_is_kept_by_do_and_given_up_by_shap() -> None:
    one = linear_audit(lambda frame: frame["b"].to_numpy())
    some = rows(30, seed=9)
    do, shap = one.attribute(some), one.attribute(some, method="shap")
    # Neither c nor d moves b; a moves it, and nothing but b.
    assert np.abs(do.values[:, 2:]).max() < 1e-12
    assert np.abs(do.values[:, 0]).mean() > 0.5
    assert np.abs(shap.values[:, [0, 2, 3]]).max() < 1e-12
    assert "specificity" not in do.gives_up
    assert "specificity" in shap.gives_up


@pytest.mark.parametrize("method", ["do", "shap"])
def test_baseline_invariance_is_given_up(method: str) -> None:
    some = rows(3, seed=10)
    one, other = (
        linear_audit(mean=mean).attribute(some, method=method)  # type: ignore[arg-type]
        for mean in (1.0, 3.0)
    )
    assert "baseline invariance" in one.gives_up
    assert np.abs(one.values - other.values).max() > 1


def test_no_method_has_all_four() -> None:
    for axioms in AXIOMS.values():
        assert [axiom.name for axiom in axioms] == [
            "specificity",
            "additivity",
            "completeness",
            "baseline invariance",
        ]
        kept = {axiom.name for axiom in axioms if axiom.holds}
        assert not {"completeness", "baseline invariance"} <= kept


def test_shap_of_a_line_is_its_closed_form(audited: Audit) -> None:
    some, behind = rows(4, seed=11), rows(50, seed=12)
    state = _state()
    found = audited.attribute(some, method="shap", background=behind)
    assert (_state() == state).all()
    centred = some[ORDER].to_numpy() - behind[ORDER].to_numpy().mean(axis=0)
    assert found.values == pytest.approx(centred * WEIGHTS, abs=1e-9)
    assert found.verdict is None


def _state() -> NDArray[np.uint32]:
    found = np.random.get_state(legacy=False)  # noqa: NPY002
    assert isinstance(found, dict)
    key: NDArray[np.uint32] = found["state"]["key"].copy()
    return key


def test_without_shap_it_says_what_to_install(
    audited: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(QueryError, match="not installed"):
        audited.attribute(rows(2), method="shap")


def _mixed(count: int = 1500, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    flag = rng.random(count) < 0.4
    load = np.exp(0.5 * flag + 0.3 * rng.normal(size=count))
    kind = np.where(rng.random(count) < 0.3, "x", np.where(load > 1.5, "y", "z"))
    y = 2 * load + (kind == "y") + rng.normal(size=count)
    return pd.DataFrame({"flag": flag, "load": load, "double": 2 * load, "kind": kind, "y": y})


def test_categories_curves_and_equations_follow_their_interventions() -> None:
    fitted = Mixed.fit(_mixed(), seed=0)

    def predict(frame: pd.DataFrame) -> Array:
        return np.where(frame["kind"] == "y", frame["double"] ** 2, 1.0) + 3.0 * frame["flag"]

    one = audit(fitted, predict, target="y", inputs=["flag", "double", "kind"])
    row = pd.DataFrame({"flag": [True], "load": [2.0], "double": [4.0], "kind": ["y"]})
    found = one.attribute(row, background=4000)
    assert found.names == ("flag", "load", "kind")
    assert any("double" in note for note in found.notes)

    def worth(*some: str) -> float:
        done = {name: row[name][0] for name in some}
        drawn = fitted.sample(20000, do=done or None, samples=1, seed=4)
        levels = np.array(["x", "y", "z"])
        frame = pd.DataFrame(
            {
                "flag": drawn.values["flag"].flatten().numpy() == 1,
                "double": drawn.values["double"].flatten().numpy(),
                "kind": levels[drawn.values["kind"].flatten().numpy()],
            }
        )
        return float(np.mean(predict(frame)))

    def draws(*some: str) -> float:
        return worth(*some) if len(some) < 3 else float(predict(row)[0])

    names = found.names
    expected = []
    for name in names:
        one_of, two_of = [n for n in names if n != name]
        expected.append(
            (draws(name) - draws()) / 3
            + (draws(one_of, name) - draws(one_of)) / 6
            + (draws(two_of, name) - draws(two_of)) / 6
            + (draws(one_of, two_of, name) - draws(one_of, two_of)) / 3
        )
    # The outcome's deviation is 8: of 20000 draws the means are known to .06, of 4000 to .13.
    assert found.values[0] == pytest.approx(expected, abs=0.4)


def test_an_error_has_a_part_of_the_target_itself(audited: Audit) -> None:
    some = rows(5, seed=13)
    found = audited.attribute(some, of="error")
    assert found.names == (*ORDER, "y")
    assert np.abs(found.values[:, -1]).max() > 0.1


def test_rows_do_not_depend_on_their_neighbours(audited: Audit) -> None:
    some = rows(700, seed=14)
    whole = audited.attribute(some)
    assert audited.attribute(some.iloc[[650]]).values[0] == pytest.approx(whole.values[650])
    assert list(whole.of_row(3)) == [whole.names[at] for at in np.argsort(-np.abs(whole.values[3]))]


def test_what_it_says(audited: Audit) -> None:
    found = audited.attribute(rows(3, seed=15))
    assert "baseline invariance: given up" in str(found)
    frame = found.to_frame()
    assert list(frame.columns) == ["contribution", "error"]
    assert len(frame) == 12


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (lambda one: one.attribute(rows(2), of="loss"), QueryError),
        (lambda one: one.attribute(rows(2), method="lime"), QueryError),
        (lambda one: one.attribute(rows(2), permutations=0), QueryError),
        (lambda one: one.attribute(rows(2), background=rows(50)), QueryError),
        (lambda one: one.attribute(rows(2), background=2), QueryError),
        (lambda one: one.attribute(rows(2), seed=-1), QueryError),
        (lambda one: one.attribute(rows(2).drop(columns="c")), MissingColumnError),
        (lambda one: one.attribute(rows(2).assign(a=np.nan)), EvidenceError),
        (lambda one: one.attribute(rows(2).assign(y=np.nan), of="error"), EvidenceError),
        (lambda one: one.attribute({"a": [1.0], "zz": [2.0]}), UnknownNameError),
        (
            lambda one: one.attribute(rows(2), method="shap", background=rows(9).drop(columns="a")),
            MissingColumnError,
        ),
    ],
)
def test_bad_input(
    audited: Audit, asked: Callable[[Audit], object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        asked(audited)


def test_slopes_keep_baseline_invariance_and_give_up_completeness() -> None:
    some = rows(3, seed=16)
    one, other = (linear_audit(mean=mean).attribute(some, method="slope") for mean in (1.0, 3.0))
    assert one.gives_up == ("completeness",)
    # a moves b by 2 and c by .5 * 2 - 1; b moves c by .5. Fitted slopes are off by .02 each.
    expected = WEIGHTS @ np.array([[1, 0, 0, 0], [2, 1, 0, 0], [0, 0.5, 1, 0], [0, 0, 0, 1]])
    for found in (one, other):
        assert found.values == pytest.approx(np.tile(expected, (3, 1)), abs=0.2)
    assert "completeness: given up" in str(one)
    with pytest.raises(QueryError):
        linear_audit().attribute(some, method="slope", background=50)


class Confounded(cs.SCM):
    """A hidden group moves a cause and its effect, and nothing tells it."""

    group = cs.Latent(cs.Categorical(2))
    a = cs.Observed(cs.Real(), parents=[group], mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[a, group], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[b], mechanism=cs.Linear())


@pytest.mark.slow
def test_what_data_cannot_tell_is_refused_and_shap_is_not() -> None:
    rng = np.random.default_rng(0)
    group, noise = rng.random(600) < 0.5, rng.normal(size=(3, 600))
    a = group + noise[0]
    b = a - 2 * group + noise[1]
    data = pd.DataFrame({"a": a, "b": b, "y": b + noise[2]})
    one = audit(Confounded.fit(data, seed=0), lambda r: r["b"].to_numpy(), target="y", inputs=["b"])
    with pytest.raises(NotIdentifiedError, match="shap"):
        one.attribute(data.head(2))
    assert one.attribute(data.head(2), method="shap").names == ("b",)
    row = data.iloc[0].to_dict() | {"y": 9.0}
    for change in one.explain_row(row).changes:
        assert change.identified == (change.names == ("y",))
        assert change.identified or "not identified" in str(change)
