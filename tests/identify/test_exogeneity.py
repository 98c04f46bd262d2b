"""Which independence of a lasting noise the graph states."""

import causalsys as cs
from causalsys.identify.exogeneity import exogeneity


def balancer(*, sees: bool = False, arm: bool = True, confounded: bool = False) -> type[cs.SCM]:
    """Jobs of hidden size on servers; the policy may see the size, and may be no trial at all."""
    edges = [("backlog", "server"), ("size", "work"), ("server", "work"), ("other", "note")]
    edges += [("arm", "server")] if arm else []
    edges += [("size", "server")] if sees else []
    edges += [("other", "server"), ("other", "work")] if confounded else []
    variables: dict[str, cs.SCM] = {
        "size": cs.Latent(cs.Positive()),
        "other": cs.Latent(cs.Real()) if confounded else cs.Observed(cs.Real()),
        "backlog": cs.State(cs.Positive("ms")),
        "server": cs.Decision(cs.Categorical(2)),
        "work": cs.Observed(cs.Positive("ms"), mechanism=cs.Multiplicative()),
    }
    if arm:
        variables["arm"] = cs.Arm(cs.Categorical(["a", "b"]))
    return cs.SCM.from_graph(
        edges,
        variables=variables,
        transitions={"backlog": lambda backlog, work: backlog + work},
    )


def test_a_policy_that_looks_at_the_past_leaves_sequential_exogeneity() -> None:
    model = balancer()
    assert exogeneity(model.declaration, "work").constraint == "sequential"
    verdict = model.identify("work", do="server", counterfactual=True)
    assert verdict.status == "identified under"
    assert "sequential exogeneity" in {each.name for each in verdict.assumptions}


def test_it_needs_no_trial() -> None:
    assert exogeneity(balancer(arm=False).declaration, "work").constraint == "sequential"


def test_a_policy_that_sees_the_latent_leaves_arms_only() -> None:
    model = balancer(sees=True)
    found = exogeneity(model.declaration, "work")
    assert (found.constraint, found.tied, found.arms) == ("arms", ("server",), ("arm",))
    assert "server sees size" in found.reason
    verdict = model.identify("work", do="server", counterfactual=True)
    assert "randomised arms" in {each.name for each in verdict.assumptions}


def test_without_a_trial_it_is_refused() -> None:
    model = balancer(sees=True, arm=False)
    assert exogeneity(model.declaration, "work").constraint == "none"
    verdict = model.identify("work", do="server", counterfactual=True)
    assert verdict.status == "not identified"
    assert "server sees size" in verdict.reason


def test_another_latent_behind_both_is_refused() -> None:
    verdict = balancer(confounded=True).identify("work", do="server", counterfactual=True)
    assert not verdict.answerable


def test_what_randomised_arms_carry_they_carry_for_new_traces_too() -> None:
    verdict = balancer(sees=True).identify("work", do="server")
    assert [each.name for each in verdict.assumptions] == ["randomised arms"]
    assert balancer(sees=True, arm=False).identify("work", do="server").status == "not identified"


def test_a_policy_that_sees_a_latent_is_not_asked_what_it_would_do() -> None:
    """It is fitted without the latent, so what it does with what it logs is confounded."""

    class Peeking(cs.SCM):
        arm = cs.Arm(cs.Categorical(["a", "b", "c"]))
        size = cs.Latent(cs.Positive())
        load = cs.Observed(cs.Positive())
        backlog = cs.State(cs.Positive("ms"))
        server = cs.Decision(cs.Categorical(2), parents=[arm, backlog, load, size])
        work = cs.Observed(cs.Positive(), parents=[size, server], mechanism=cs.Multiplicative())

        @cs.transition(backlog)
        def later(backlog, work):
            return backlog + work

    for rows in (True, False):
        verdict = Peeking.identify("work", do="load", counterfactual=rows)
        assert verdict.status == "not identified"
        assert "server" in verdict.reason
        assert "it sees size" in verdict.reason
        assert Peeking.identify("work", do="server", counterfactual=rows).answerable


def test_that_latents_do_not_last_is_assumed_in_words() -> None:
    """One latent of one variable may last; of two nothing but their normal law is used."""

    class Two(cs.SCM):
        heat = cs.Latent(cs.Positive())
        load = cs.Latent(cs.Positive())
        waiting = cs.State(cs.Positive("ms"))
        threads = cs.Decision(cs.Categorical(2), parents=[waiting])
        cost = cs.Observed(
            cs.Positive(), parents=[heat, load, threads], mechanism=cs.Multiplicative()
        )

        @cs.transition(waiting)
        def later(waiting, cost):
            return waiting + cost

    for rows in (True, False):
        verdict = Two.identify("cost", do="threads", counterfactual=rows)
        assert "a latent that does not last" in {each.name for each in verdict.assumptions}


def test_a_formula_is_no_answer_where_the_fitted_mechanism_is_confounded() -> None:
    """Adjusting for the hint would do, but new rows are drawn from the mechanism itself."""

    class Hinted(cs.SCM):
        size = cs.Latent(cs.Positive())
        backlog = cs.State(cs.Positive("ms"))
        hint = cs.Decision(cs.Boolean(), parents=[size])
        server = cs.Decision(cs.Categorical(2), parents=[backlog, hint])
        work = cs.Observed(cs.Positive(), parents=[size, server], mechanism=cs.Multiplicative())

        @cs.transition(backlog)
        def later(backlog, work):
            return backlog + work

    for rows in (True, False):
        verdict = Hinted.identify("work", do="server", counterfactual=rows)
        assert verdict.status == "not identified"
        assert "confounded" in verdict.reason
