"""What a sensitivity reports: tipping points, comparisons, words, picture; and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import InterventionError, QueryError, UnknownNameError
from causalsys.query.sensitivity import Sensitivity, sensitivity
from tests.models import fitted_confounded, fitted_zoo, zoo
from tests.query.hidden import Pair, Triple, asked, strength_of, tangent, triple
from tests.truth import chain, line_of


@pytest.fixture(scope="module")
def found() -> Sensitivity:
    rows = triple(2000, 1)
    return sensitivity(Triple.fit(rows), rows, do={"x": lambda x: x + 1}, outcome="y")


def test_the_tipping_point_is_the_root_of_the_bias(found: Sensitivity) -> None:
    """b = ρ/√(1-ρ²) σ_y/σ_x, all of them one: ρ = -1/√2; sampling errors of three per cent."""
    tipping = found.tipping
    assert tipping.estimate_above is None
    assert tipping.interval_above is None
    assert tipping.estimate_below == pytest.approx(-math.sqrt(0.5), abs=0.03)
    assert tipping.interval_below is not None
    assert tipping.estimate_below < tipping.interval_below < 0
    rows = triple(2000, 1)
    again = sensitivity(
        Triple.fit(rows), rows, do={"x": lambda x: x + 1}, outcome="y",
        strengths=[tipping.estimate_below, tipping.interval_below],
    )  # fmt: skip
    assert again.estimate[0] == pytest.approx(0, abs=1e-6)
    assert again.high[1] == pytest.approx(0, abs=1e-6)


def test_without_a_confounder_it_is_the_counterfactual(found: Sensitivity) -> None:
    rows = triple(2000, 1)
    answer = Triple.fit(rows).counterfactual(rows, do={"x": lambda x: x + 1})
    wanted = answer.contrast("y").average(0.9)
    assert found.unconfounded.value == pytest.approx(wanted.value, abs=1e-9)
    assert found.unconfounded.low == pytest.approx(wanted.low, abs=1e-9)
    middle = found.to_frame().loc[0.0]
    assert middle["estimate"] == pytest.approx(wanted.value, abs=1e-9)


@pytest.mark.parametrize(("a", "g"), [(1.0, 0.8), (0.5, -1.5), (2.0, 0.1)])
def test_a_logged_variables_strength_is_the_product_of_its_correlations(a: float, g: float) -> None:
    rows = triple(5000, 2, a=a, g=g)
    report = sensitivity(
        Triple.fit(rows, ensemble=1), rows, do={"x": 0.0}, outcome="y", strengths=[0.5]
    )
    (load,) = report.benchmarks
    # A correlation's standard error is below 1/√n.
    assert load.with_cause == pytest.approx(a / math.hypot(a, 1), abs=4 / math.sqrt(5000))
    assert load.with_effect == pytest.approx(g / math.hypot(g, 1), abs=4 / math.sqrt(5000))
    assert load.strength == pytest.approx(load.with_cause * load.with_effect)


def test_leaving_a_variable_unlogged_is_undone_at_its_own_strength() -> None:
    rows = triple(4000, 3)
    report = sensitivity(
        Triple.fit(rows, ensemble=1), rows, do={"x": 0.0}, outcome="y", strengths=[0.5]
    )
    less = rows.drop(columns="c")
    effect = asked(
        Pair.fit(less, ensemble=1), less, report.benchmarks[0].strength,
        do={"x": lambda x: x + 1}, outcome="y",
    )  # fmt: skip
    assert effect == pytest.approx(-1, abs=0.06)


def test_a_mediator_does_not_hide_what_confounds() -> None:
    class Mediated(cs.SCM):
        c = cs.Observed(cs.Real(), mechanism=cs.Linear())
        x = cs.Observed(cs.Real(), parents=[c], mechanism=cs.Linear())
        m = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())
        y = cs.Observed(cs.Real(), parents=[x, m, c], mechanism=cs.Linear())

    rows = triple(5000, 4)
    rows["m"] = 2 * rows["x"] + np.random.default_rng(0).normal(size=5000)
    rows["y"] += rows["m"]
    report = sensitivity(
        Mediated.fit(rows, ensemble=1), rows, do={"x": 0.0}, outcome="y",
        between=("x", "y"), strengths=[0.5],
    )  # fmt: skip
    assert [each.name for each in report.benchmarks] == ["c"]
    assert report.benchmarks[0].strength == pytest.approx(strength_of(1.0, 0.8), abs=0.06)


def test_few_rows_are_compared_by_rows_of_the_model() -> None:
    fitted = Triple.fit(triple(4000, 5), ensemble=1)
    report = sensitivity(fitted, triple(3, 6), do={"x": 0.0}, outcome="y", strengths=[0.5])
    assert report.benchmarks[0].strength == pytest.approx(strength_of(1.0, 0.8), abs=0.06)


def test_how_many_times_as_strong(found: Sensitivity) -> None:
    times = found.times("c", of="estimate")
    assert times == pytest.approx(math.sqrt(0.5) / strength_of(1.0, 0.8), rel=0.1)
    assert found.times("c") < times
    with pytest.raises(UnknownNameError, match="Known names: c"):
        found.times("load")


def test_the_words(found: Sensitivity) -> None:
    words = str(found)
    assert "ms without a hidden confounder (90% interval)" in words
    assert "The effect is below 0 ms" in words
    assert f"strength {found.tipping.interval_below:+.2f}" in words
    assert f"{found.times('c'):.1f} times as strong" in words


def test_no_conclusion_and_none_that_tips() -> None:
    rows = triple(400, 7)
    fitted = Triple.fit(rows)
    question = {"do": {"x": lambda x: x + 1}, "outcome": "y"}
    undecided = sensitivity(fitted, rows, threshold=-1.0, **question)  # type: ignore[arg-type]
    assert undecided.tipping.least() == 0
    assert "no conclusion to upset" in str(undecided)
    firm = sensitivity(fitted, rows, strengths=[-0.1, 0.1], **question)  # type: ignore[arg-type]
    assert firm.tipping.least() is None
    assert firm.times("c") == math.inf
    assert "at no strength from -0.10 to 0.10" in str(firm)


def test_the_picture_shows_effect_tipping_point_and_comparison(found: Sensitivity) -> None:
    import matplotlib.pyplot as plt

    axes = found.plot()
    assert "strength" in axes.get_xlabel()
    assert "[ms]" in axes.get_ylabel()
    shown = {text.get_text() for text in axes.texts}
    assert "c" in shown
    assert f"{found.tipping.interval_below:+.2f}".replace("-", "−") in shown
    _, other = plt.subplots()
    assert found.plot(other) is other
    plt.close("all")


def test_the_same_question_has_the_same_answer() -> None:
    rows = zoo().head(30)
    first, second = (
        sensitivity(fitted_zoo(), rows, do={"x": 0.0}, outcome="count", strengths=[0.3], samples=4)
        for _ in range(2)
    )
    assert first.estimate.tolist() == second.estimate.tolist()


# What is refused


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"outcome": "wait"}, UnknownNameError, "no such name"),
        ({"do": {"load": 1.0}}, UnknownNameError, "no such name"),
        ({"outcome": "c"}, QueryError, "not affected by x"),
        ({"outcome": "x"}, QueryError, "not affected by x"),
        ({"do": {}}, QueryError, "not affected"),
        ({"do": [{"x": 0.0}] * 3}, QueryError, "3 worlds"),
        ({"do": 3}, QueryError, "a int"),
        ({"strengths": [0.5, 1.0]}, QueryError, "inside"),
        ({"strengths": []}, QueryError, "inside"),
        ({"strengths": 0.5}, QueryError, "a list"),
        ({"strengths": ["high"]}, QueryError, "finite number"),
        ({"threshold": math.nan}, QueryError, "finite number"),
        ({"level": 1.5}, QueryError, "between 0 and 1"),
        ({"of": "median"}, QueryError, "finite number"),
        ({"of": 2.0}, QueryError, "quantile"),
        ({"between": ("c", "y")}, QueryError, "does not go"),
        ({"between": ("x", "w")}, UnknownNameError, "no such name"),
        ({"between": "x"}, QueryError, "a cause and an effect"),
        ({"samples": 0}, QueryError, "whole number"),
    ],
)
def test_bad_questions(change: dict[str, object], error: type[Exception], message: str) -> None:
    rows = triple(60, 8)
    question = {"do": {"x": 0.0}, "outcome": "y"} | change
    with pytest.raises(error, match=message):
        sensitivity(Triple.fit(rows, ensemble=1), rows, **question)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("do", "outcome", "error", "message"),
    [
        ({"pair": [0.0, 0.0]}, "x", QueryError, "not affected"),
        ({"x": 0.0}, "level", QueryError, "a category, which has no mean"),
        ({"x": 0.0}, "pair", QueryError, "a vector, which has no one effect"),
        ({"level": 1}, "flag", None, ""),
        ({"k": "a"}, "flag", QueryError, "a category of 3 levels"),
        ({"linear": 0.0}, "total", QueryError, "equations alone"),
    ],
)
def test_what_has_no_one_noise(
    do: dict[str, object], outcome: str, error: type[Exception] | None, message: str
) -> None:
    def ask() -> Sensitivity:
        return sensitivity(
            fitted_zoo(), zoo().head(9), do=do, outcome=outcome, strengths=[0.3], samples=2
        )

    if error is None:
        assert np.isfinite(ask().estimate).all()
        return
    with pytest.raises(error, match=message):
        ask()


def test_latents_and_equations_have_no_confounder_to_ask_about() -> None:
    fitted = fitted_confounded()
    rows = {"w1": [0.0], "w2": [0.0], "x": [0.0], "y": [0.0]}
    with pytest.raises(InterventionError, match="u: a latent"):
        sensitivity(fitted, rows, do={"u": 1.0}, outcome="y")

    class Doubled(cs.SCM):
        x = cs.Observed(cs.Real(), mechanism=cs.Linear())
        y = cs.Observed(cs.Real(), parents=["twice"], mechanism=cs.Linear())

        @cs.equation(cs.Real())
        def twice(x):
            return 2 * x

    data = chain(60)[["x", "y"]]
    doubled = Doubled.fit(data, ensemble=1)
    with pytest.raises(InterventionError, match="twice: an equation"):
        sensitivity(doubled, data, do={"twice": 1.0}, outcome="y")
    # From x, through the equation, there is one: y is what the equation acts on.
    through = sensitivity(doubled, data, do={"x": lambda x: x + 1}, outcome="y", strengths=[0.5])
    x, y = line_of(doubled, "x"), line_of(doubled, "y")
    wanted = 2 * y.slopes["twice"] - tangent(0.5) * y.scale / x.scale
    assert through.estimate[0] == pytest.approx(wanted, rel=0.05)


def test_an_arm_is_assigned_at_random() -> None:
    class Trial(cs.SCM):
        arm = cs.Arm(cs.Boolean())
        y = cs.Observed(cs.Real(), parents=[arm], mechanism=cs.Linear())

    data = pd.DataFrame({"arm": [True, False] * 20, "y": np.arange(40.0)})
    with pytest.raises(InterventionError, match="random"):
        sensitivity(Trial.fit(data, ensemble=1), data, do={"arm": True}, outcome="y")
