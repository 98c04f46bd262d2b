"""What would mend a graph that the data reject."""

from __future__ import annotations

import numpy as np
import pandas as pd

import causalsys as cs
from causalsys.fit.implied import Implied, Window
from causalsys.fit.mends import Addition, added, candidates, mends, mends_of


class Three(cs.SCM):
    """A chain, whose first variable is an arm."""

    arm = cs.Arm(cs.Boolean())
    m = cs.Observed(cs.Real(), parents=[arm], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[m], mechanism=cs.Linear())


FAILED = Implied("y", "arm", ("m",))


def test_an_arm_is_given_no_cause_and_no_latent() -> None:
    found = list(candidates(Window.of(Three.declaration)))
    assert Addition(False, "arm", "y") in found
    assert Addition(True, "m", "y") in found
    assert not [each for each in found if each.effect == "arm"]
    assert not [each for each in found if each.latent and each.cause == "arm"]


def test_no_addition_closes_a_cycle() -> None:
    assert Addition(False, "y", "m") not in list(candidates(Window.of(Three.declaration)))


def test_every_mend_is_found_and_no_other() -> None:
    window = Window.of(Three.declaration)
    expected = {Addition(False, "arm", "y"), Addition(True, "m", "y")}
    assert set(mends_of(window, FAILED)) == expected
    for addition in candidates(window):
        grown = added(window, addition)
        mended = not grown.mixed.m_separated({"arm"}, {"y"}, given={"m"})
        assert mended == (addition in expected)


def test_the_fewest_additions_are_told_in_words() -> None:
    (mend,) = mends(Window.of(Three.declaration), [FAILED], [])
    assert str(mend) == "add the edge arm -> y, or a latent that acts on m and y"
    assert mend.tests == (("y", "arm"),)


def test_what_holds_speaks_against_an_addition() -> None:
    """Both `a` and `b` could act on `y`; that `b` is independent of it rules out its own edge."""

    class Two(cs.SCM):
        a = cs.Observed(cs.Real())
        b = cs.Observed(cs.Real())
        y = cs.Observed(cs.Real())

    held = [Implied("y", "b", ()), Implied("b", "a", ())]
    (mend,) = mends(Window.of(Two.declaration), [Implied("y", "a", ())], held)
    assert mend.undoes == 0
    assert {frozenset({each.cause, each.effect}) for each in mend.alternatives} == {
        frozenset({"a", "y"})
    }


class Hosts(cs.SCM):
    """The truth: `spare` acts on `errors`, and a latent on `load` and `latency`."""

    u = cs.Latent(cs.Real())
    spare = cs.Observed(cs.Real(), mechanism=cs.Linear())
    load = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    latency = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    errors = cs.Observed(cs.Real(), parents=[latency, spare], mechanism=cs.Linear())


class Believed(cs.SCM):
    """`Hosts` without the latent, and without the edge from `spare`."""

    spare = cs.Observed(cs.Real(), mechanism=cs.Linear())
    load = cs.Observed(cs.Real(), mechanism=cs.Linear())
    latency = cs.Observed(cs.Real(), mechanism=cs.Linear())
    errors = cs.Observed(cs.Real(), parents=[latency], mechanism=cs.Linear())


def hosts(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    u, spare, *noise = rng.normal(size=(5, rows))
    load, latency = u + noise[0], u + noise[1]
    errors = latency - spare + noise[2]
    return pd.DataFrame({"spare": spare, "load": load, "latency": latency, "errors": errors})


def test_two_mistakes_are_found_from_data() -> None:
    found = Believed.fit(hosts(1000, 0), ensemble=2).check(hosts(1000, 1))
    told = [str(mend) for mend in found.mends]
    assert len(told) == 2
    assert any("the edge spare -> errors, or a latent that acts on both" in each for each in told)
    assert any("the edge latency -> load, or a latent" in each for each in told)
    assert "to judge by what you know" in str(found)
    frame = found.to_frame().set_index("variable")
    assert "the edge spare -> errors" in frame.query("other == 'spare'").loc["errors", "mends"]


def test_the_truth_needs_no_mends() -> None:
    found = Hosts.fit(hosts(3000, 0), ensemble=2).check(hosts(500, 1))
    assert found.mends == ()
    pairs = {frozenset({test.variable, test.other}) for test in found.independences}
    assert pairs >= {frozenset({"load", "spare"}), frozenset({"latency", "spare"})}
