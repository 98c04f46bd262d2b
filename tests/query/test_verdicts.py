"""No answer without its verdict: what is not identified is not told as if it were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys import errors
from tests import models


class Mixed(cs.SCM):
    """`load` acts on a confounded `y`, and on a `z` that nothing confounds."""

    u = cs.Latent(cs.Real())
    load = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[u, load], mechanism=cs.Linear())
    z = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())


def rows(count: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    u = rng.normal(size=count)
    load = u + rng.normal(size=count)
    z = 2 * load + rng.normal(size=count)
    return pd.DataFrame({"load": load, "y": u + load + rng.normal(size=count), "z": z})


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return Mixed.fit(rows(), ensemble=2)


def test_what_is_identified_is_told_and_the_rest_withheld(fitted: cs.FittedSCM) -> None:
    answer = fitted.counterfactual(rows()[:4], do={"load": 0.0})
    assert answer.verdict_of("z").status == "identified under"
    assert np.isfinite(answer.mean("z")).all()
    for read in (answer.mean, answer.interval, answer.average, answer.draws, answer.contrast):
        with pytest.raises(errors.NotIdentifiedError, match=r"(?s)y: Not identified.*log u"):
            read("y")
    frame = answer.to_frame()
    assert "z" in frame
    assert not any(column.startswith("y") for column in frame)
    assert answer.verdict.status == "not identified"
    assert "Withheld: y" in str(answer)


def test_new_rows_are_withheld_too(fitted: cs.FittedSCM) -> None:
    answer = fitted.sample(50, do={"load": 0.0})
    assert np.isfinite(answer.mean("z")).all()
    with pytest.raises(errors.NotIdentifiedError):
        answer.mean("y")
    assert np.isfinite(fitted.sample(50).mean("y")).all()


def test_a_named_outcome_is_refused_at_once(fitted: cs.FittedSCM) -> None:
    with pytest.raises(errors.NotIdentifiedError, match=r'(?s)allow="spread"'):
        fitted.counterfactual(rows()[:4], do={"load": 0.0}, outcome="y")
    with pytest.raises(errors.NotIdentifiedError):
        fitted.sample(4, do={"load": 0.0}, outcome="y")
    answer = fitted.counterfactual(rows()[:4], do={"load": 0.0}, outcome="z")
    assert answer.verdict.answerable


def test_a_question_that_reaches_nothing_identified_is_refused_at_once() -> None:
    class Bow(cs.SCM):
        u = cs.Latent(cs.Real())
        load = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
        y = cs.Observed(cs.Real(), parents=[u, load], mechanism=cs.Linear())

    bow = Bow.fit(rows()[["load", "y"]], ensemble=2)
    with pytest.raises(errors.NotIdentifiedError):
        bow.counterfactual(rows()[:4], do={"load": 0.0})
    with pytest.raises(errors.NotIdentifiedError):
        bow.sample(4, do={"load": 0.0})


def test_worlds_have_verdicts_of_their_own(fitted: cs.FittedSCM) -> None:
    answer = fitted.counterfactual(rows()[:4], do=[{"load": 0.0}, {"y": 1.0}])
    assert answer.verdict_of("y", world=1).status == "identified"
    assert (answer.mean("y", world=1) == 1.0).all()
    with pytest.raises(errors.NotIdentifiedError):
        answer.mean("y", world=0)
    with pytest.raises(errors.NotIdentifiedError):
        answer.contrast("y", world=1, against=0)


def test_a_policy_counts_for_what_it_looks_at(fitted: cs.FittedSCM) -> None:
    """A policy on z that looks at y is fine for these rows: nothing above y changes."""
    answer = fitted.counterfactual(rows()[:4], do={"z": lambda y: 2 * y})
    assert answer.verdict_of("z").answerable
    both = {"load": 0.0, "z": lambda y: 2 * y}
    with pytest.raises(errors.NotIdentifiedError):
        fitted.counterfactual(rows()[:4], do=both)


def test_nested_worlds_count() -> None:
    class Chain(cs.SCM):
        u = cs.Latent(cs.Real())
        x = cs.Observed(cs.Real(), mechanism=cs.Linear())
        m = cs.Observed(cs.Real(), parents=[x, u], mechanism=cs.SplineFlow(hidden=(8,)))
        y = cs.Observed(cs.Real(), parents=[x, m], mechanism=cs.Linear())

    rng = np.random.default_rng(0)
    x = rng.normal(size=100)
    m = x + rng.normal(size=100)
    data = pd.DataFrame({"x": x, "m": m, "y": x + m})
    data["y"] += rng.normal(size=100)
    chain = Chain.fit(data, ensemble=2, steps=20)
    asked = {"x": 1.0, "m": cs.under({"x": 0.0})}
    with pytest.raises(errors.NotIdentifiedError):
        chain.counterfactual(data[:3], do=asked, outcome="y")
    assert chain.counterfactual(data[:3], do={"x": 1.0, "m": 0.0}, outcome="y").verdict.answerable


def test_data_from_elsewhere_are_refused_where_it_matters(fitted: cs.FittedSCM) -> None:
    some = rows()[:4]
    assert fitted.counterfactual(some, do={"load": 0.0}, outcome="z", differs=["load"])
    with pytest.raises(errors.NotIdentifiedError, match=r"(?s)refit z to data"):
        fitted.counterfactual(some, do={"load": 0.0}, outcome="z", differs=["z"])
    with pytest.raises(errors.QueryError, match=r"differs: 'z'. Give a list"):
        fitted.counterfactual(some, do={"load": 0.0}, differs="z")


def test_a_selected_log_is_refused_where_it_biases() -> None:
    class Logged(Mixed):
        chosen = cs.Selected([Mixed.z])

    chosen = Logged.fit(rows()[lambda frame: frame["z"] > 0], ensemble=2)
    with pytest.raises(errors.NotIdentifiedError, match=r"(?s)rows were logged by z"):
        chosen.counterfactual(rows()[:4], do={"load": 0.0}, outcome="z")


def test_spreads_are_asked_for_by_name(fitted: cs.FittedSCM) -> None:
    for allow, outcome in (("spread", None), ("anything", "y"), (True, "y")):
        with pytest.raises(errors.QueryError, match=r"allow"):
            fitted.counterfactual(rows()[:4], do={"load": 0.0}, allow=allow, outcome=outcome)
    answer = fitted.counterfactual(rows()[:4], do={"load": 0.0}, outcome="z", allow="spread")
    with pytest.raises(errors.QueryError, match=r"has an interval"):
        answer.spread("z")


def test_exact_answers_have_verdicts() -> None:
    class Bow(cs.SCM):
        u = cs.Latent(cs.Boolean())
        x = cs.Observed(cs.Boolean(), parents=[u])
        y = cs.Observed(cs.Boolean(), parents=[u, x])

    rng = np.random.default_rng(0)
    u = rng.random(400) < 0.5
    x = rng.random(400) < np.where(u, 0.8, 0.2)
    y = rng.random(400) < np.where(u ^ x, 0.7, 0.3)
    bow = Bow.fit(pd.DataFrame({"x": x, "y": y}), ensemble=2)
    with pytest.raises(errors.NotIdentifiedError):
        bow.exact("y", do={"x": True})
    assert len(bow.exact("y", given={"x": True})) == 2


def test_the_same_question_is_judged_once(fitted: cs.FittedSCM) -> None:
    first = fitted.counterfactual(rows()[:2], do={"load": 0.0}).verdict_of("z")
    assert fitted.counterfactual(rows()[:2], do={"load": 1.0}).verdict_of("z") is first


def test_verdicts_do_not_change_numbers(fitted: cs.FittedSCM) -> None:
    some = rows()[:4]
    plain = fitted.counterfactual(some, do={"load": 0.0})
    named = fitted.counterfactual(some, do={"load": 0.0}, outcome="z")
    assert torch.equal(plain.values["z"], named.values["z"])


def test_latents_may_be_looked_at() -> None:
    answer = models.fitted_confounded().counterfactual(models.confounded()[:3], do={"x": 0.0})
    assert np.isfinite(answer.draws("u").values).all()


def test_a_row_that_tells_more_is_judged_by_what_it_tells() -> None:
    """By the front door, P(y | do(x), x) is known, and P(y | do(x), x, y) is not."""

    class Front(cs.SCM):
        u = cs.Latent(cs.Real())
        x = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
        m = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())
        y = cs.Observed(cs.Real(), parents=[m, u], mechanism=cs.SplineFlow(hidden=(8,)))

    data = rows().rename(columns={"load": "x", "z": "m"})
    front = Front.fit(data, ensemble=2, steps=20)
    some = data[:4].copy()
    some.loc[3, ["m", "y"]] = np.nan
    assert np.isfinite(front.counterfactual(some[3:], do={"x": 0.0}).mean("y")).all()
    with pytest.raises(errors.NotIdentifiedError):
        front.counterfactual(some, do={"x": 0.0}).mean("y")


def test_a_nested_policy_counts_for_what_it_looks_at(fitted: cs.FittedSCM) -> None:
    """The inner world sets z by y, which answers to load and shares u with it."""
    some, inner = rows()[:3], {"load": 0.0, "z": lambda y: y}
    for nested in (inner, {"z": cs.under(inner)}):
        with pytest.raises(errors.NotIdentifiedError):
            fitted.counterfactual(some, do={"z": cs.under(nested)}, outcome="z")
    asked = {"z": cs.under({"load": 0.0})}
    assert fitted.counterfactual(some, do=asked, outcome="z").verdict.answerable
    with pytest.raises(errors.NotIdentifiedError):
        fitted.counterfactual(some, do=asked, outcome="z", differs=["z"])


def test_a_latent_that_moves_is_no_longer_only_looked_at() -> None:
    class Below(cs.SCM):
        x = cs.Observed(cs.Real(), mechanism=cs.Linear())
        u = cs.Latent(cs.Real(), parents=[x])
        y = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())

    below = Below.fit(rows().rename(columns={"load": "x"})[["x", "y"]], ensemble=2, steps=20)
    assert np.isfinite(below.sample(5).mean("u")).all()
    answer = below.sample(5, do={"x": 1.0})
    assert np.isfinite(answer.mean("y")).all()
    with pytest.raises(errors.NotIdentifiedError):
        answer.mean("u")


def test_what_is_computed_from_a_latent_is_known_no_better_than_the_latent() -> None:
    class Computed(cs.SCM):
        u = cs.Latent(cs.Real())
        load = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())

        @cs.equation(cs.Real())
        def both(u, load):
            return u + load

        y = cs.Observed(cs.Real(), parents=[both], mechanism=cs.Linear())
        z = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())

    computed = Computed.fit(rows(), ensemble=2, steps=20)
    answer = computed.counterfactual(rows()[:3], do={"load": 0.0})
    assert np.isfinite(answer.observed("both").values).all()
    with pytest.raises(errors.NotIdentifiedError, match=r"Nobody logs both"):
        answer.mean("both")


def test_conditions_may_be_read_and_looked_at(fitted: cs.FittedSCM) -> None:
    assert (fitted.sample(5, given={"load": 1.0}).mean("load") == 1.0).all()
    answer = fitted.sample(5, do={"z": lambda load: 2 * load}, given={"load": 1.0})
    assert (answer.mean("z") == 2.0).all()


def test_bounds_of_a_selected_log_are_refused() -> None:
    class Logged(cs.SCM):
        x = cs.Observed(cs.Boolean())
        y = cs.Observed(cs.Boolean(), parents=[x])
        chosen = cs.Selected([y])

    bits = np.random.default_rng(0).random((200, 2)) < 0.5
    logged = Logged.fit(pd.DataFrame(bits, columns=["x", "y"]), ensemble=2)
    with pytest.raises(errors.QueryError, match=r"rows were logged by y"):
        logged.bounds("y", do={"x": True})


def test_two_laws_do_not_tell_how_much_a_row_changes(fitted: cs.FittedSCM) -> None:
    """By the front door both laws of y are known, and so their means' difference; no more."""

    class Front(cs.SCM):
        u = cs.Latent(cs.Real())
        x = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
        m = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())
        y = cs.Observed(cs.Real(), parents=[m, u], mechanism=cs.SplineFlow(hidden=(8,)))

    data = rows().rename(columns={"load": "x", "z": "m"})
    front = Front.fit(data, ensemble=2, steps=20)
    change = front.sample(20, do=[{"x": 0.0}, {"x": 1.0}]).contrast("y", world=1, against=0)
    assert np.isfinite(change.average().value)
    with pytest.raises(errors.NotIdentifiedError, match=r"Read its mean or average"):
        change.interval()
    plain = fitted.sample(20, do=[{"load": 0.0}, {"load": 1.0}]).contrast("z", world=1, against=0)
    assert np.isfinite(plain.interval()).all()
    assert plain.paired is not None
    assert plain.paired.assumptions[0].name == "monotone one-dimensional noise"


def test_sensitivity_counts_what_a_policy_looks_at(fitted: cs.FittedSCM) -> None:
    for ask in (fitted.sensitivity, fitted.counterfactual):
        with pytest.raises(errors.NotIdentifiedError, match=r"Nobody logs u"):
            ask(rows()[:4], do={"load": lambda u: u}, outcome="z")
