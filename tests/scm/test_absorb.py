"""A latent with one child is that child's noise, in traces and only there."""

import pytest

import causalsys as cs
from causalsys.errors import UnknownNameError


class Balancer(cs.SCM):
    arm = cs.Arm()
    job_size = cs.Latent(cs.Positive())
    gap = cs.Observed(cs.Positive("ms"))
    backlog = cs.State(cs.Positive("ms", size=2))
    server = cs.Decision(cs.Categorical(2), parents=[arm, backlog])
    work = cs.Observed(cs.Positive("ms"), parents=[job_size, server], mechanism=cs.Multiplicative())

    @cs.transition(backlog)
    def drain(backlog, server, work, gap):
        return (cs.add_at(backlog, server, work) - gap[..., None]).clamp(min=0)


def test_the_latent_becomes_the_noise_and_the_author_still_sees_it() -> None:
    declared = Balancer.declaration
    assert dict(declared.absorbed) == {"job_size": "work"}
    assert "job_size" not in declared.nodes
    assert [p.key for p in declared.nodes["work"].parents] == ["server"]
    assert declared.nodes["work"].lasting
    assert Balancer.graph.latents == ("job_size",)
    assert "job_size: latent" in repr(Balancer)
    assert "job_size" in Balancer.to_networkx()


def test_asking_for_it_says_what_it_is() -> None:
    with pytest.raises(UnknownNameError, match="work's noise"):
        Balancer.identify("job_size", do="server", latent=True)


def test_a_decision_that_sees_it_is_remembered() -> None:
    class Peeking(Balancer):
        pick = cs.Decision(cs.Boolean(), parents=["job_size", "arm"])

    assert Peeking.declaration.nodes["pick"].sees == ("work",)


@pytest.mark.parametrize(
    "latent",
    [
        cs.Latent(cs.Positive(), per="trace"),
        cs.Latent(cs.Positive(), ["gap"]),
        cs.Latent(cs.Categorical(3)),
        cs.Latent(cs.Positive(size=2)),
    ],
    ids=["of a trace", "with a cause", "of levels", "a vector"],
)
def test_others_stay_latents(latent) -> None:
    above = [("gap", "job_size")] if latent.parents else []
    changed = cs.SCM.from_graph(
        [("job_size", "work"), ("server", "work"), ("done", "server"), *above],
        variables={
            "job_size": latent,
            "done": cs.State(cs.Positive()),
            "server": cs.Decision(cs.Categorical(2)),
            "work": cs.Observed(cs.Positive(), mechanism=cs.SplineFlow()),
        },
        transitions={"done": lambda done, work: done + work},
    )
    assert changed.declaration.temporal
    assert not changed.declaration.absorbed


def test_rows_that_do_not_follow_each_other_keep_theirs() -> None:
    plain = cs.SCM.from_graph(
        [("size", "work"), ("server", "work")],
        variables={
            "size": cs.Latent(cs.Positive()),
            "work": cs.Observed(cs.Positive(), mechanism=cs.Multiplicative()),
        },
    )
    assert not plain.declaration.absorbed
