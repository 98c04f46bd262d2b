"""Questions that contradict the model, or themselves, are refused by name."""

from __future__ import annotations

import pytest

import causalsys as cs
from causalsys import errors


class Trial(cs.SCM):
    """A policy under trial, with a queue."""

    arm = cs.Arm(cs.Categorical(["a", "b"]))
    size = cs.Latent(cs.Real())
    queue = cs.State(cs.Real())
    rate = cs.Decision(cs.Real(), parents=[arm, queue])
    work = cs.Observed(cs.Real(), parents=[size, rate])

    @cs.equation(cs.Real())
    def doubled(size):
        return 2 * size

    @cs.transition(queue)
    def drain(queue, work):
        return queue + work


@pytest.mark.parametrize(
    ("asked", "error", "named"),
    [
        (("wrok", {"do": "rate"}), errors.UnknownNameError, "wrok: .*Did you mean work"),
        (("work", {"do": "rat"}), errors.UnknownNameError, "rat: .*Did you mean rate"),
        (("work", {"do": "rate", "given": "gap"}), errors.UnknownNameError, "gap"),
        (("work", {"do": "rate", "differs": ["gap"]}), errors.UnknownNameError, "gap"),
        (("size", {"do": "rate"}), errors.QueryError, "size: a latent as the outcome.*latent=True"),
        (
            ("work", {"do": "arm"}),
            errors.InterventionError,
            "arm: .*Set what the arms decide .rate",
        ),
        (("work", {"do": "queue"}), errors.InterventionError, "queue: .*first value is given"),
        (
            ("work", {"do": "rate", "given": "rate"}),
            errors.QueryError,
            "rate: given as well as set",
        ),
        (("work", {"given": "work"}), errors.QueryError, "work: given as well as asked for"),
        (("work", {"do": "rate", "given": "size"}), errors.QueryError, "size: a latent as a cond"),
        (("work", {"do": ["rate", "rate"]}), errors.QueryError, "rate: named twice in do"),
        (("work", {"do": 3}), errors.QueryError, "do: 3"),
        (
            ("work", {"do": "rate", "counterfactual": True, "given": "arm"}),
            errors.QueryError,
            "arm: a condition of a question about rows",
        ),
        (
            ("work", {"do": "rate", "counterfactual": ["doubled"]}),
            errors.QueryError,
            "doubled: evidence that nobody logs",
        ),
    ],
)
def test_a_question_is_refused_by_name(asked, error, named) -> None:
    outcome, rest = asked
    with pytest.raises(error, match=named):
        Trial.identify(outcome, **rest)


def test_variables_do_as_names() -> None:
    by_name = Trial.identify("work", do="rate", counterfactual=True)
    assert Trial.identify(Trial.work, do=[Trial.rate], counterfactual=True) == by_name
    assert Trial.identify("work", do={"rate": 3.0}, counterfactual=True) == by_name


@pytest.mark.parametrize("do", [{"arm": "a"}, {"queue": 1.0}])
def test_queries_refuse_what_cannot_be_set(do) -> None:
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    steps = pd.DataFrame({"trace": np.repeat(range(8), 5), "step": np.tile(range(5), 8)})
    steps["arm"] = np.where(steps["trace"] % 2, "a", "b")
    steps["rate"] = rng.normal(size=40)
    steps["work"] = steps["rate"] + rng.normal(size=40)
    model = cs.SCM.from_graph(
        {"arm": ["rate"], "rate": ["work"], "work": ["queue"], "queue": ["rate", "queue"]},
        variables={"arm": cs.Arm(), "queue": cs.State(cs.Real()), "rate": cs.Decision(cs.Real())},
        transitions={"queue": lambda queue, work: queue + work},
    )
    fitted = model.fit(cs.Traces(steps), ensemble=2, steps=20)
    with pytest.raises(errors.InterventionError):
        fitted.counterfactual(cs.Traces(steps), do=do)
    with pytest.raises(errors.InterventionError):
        fitted.sample(3, do=do)
