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
