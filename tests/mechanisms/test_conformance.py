"""Every family keeps the contract of a mechanism, for every support and kind of parent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from causalsys.mechanisms import Mechanism, Training, build
from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.conformance import CHECKS, Case, check_mechanism, example
from causalsys.scm import specs
from causalsys.scm.supports import (
    Boolean,
    Categorical,
    Count,
    Fraction,
    Positive,
    Real,
    Support,
)

PARENTS: dict[str, dict[str, Support]] = {
    "none": {},
    "real": {"x": Real(), "y": Real()},
    "positive": {"x": Positive("ms"), "f": Fraction()},
    "discrete": {"k": Categorical(3), "b": Boolean(), "n": Count()},
    "vector": {"v": Real(size=2), "q": Positive(size=2), "c": Categorical(3, size=2)},
}
SMALL = (8,)
FAMILIES: list[tuple[specs.MechanismSpec, Support]] = [
    (specs.Linear(), Real()),
    (specs.Linear(noise="empirical"), Real()),
    (specs.Linear(link="log"), Positive()),
    (specs.Linear(link="logit", noise="empirical"), Fraction()),
    (specs.Quadratic(), Real()),
    (specs.Quadratic(link="log", noise="normal"), Positive()),
    (specs.NeuralAdditive(hidden=SMALL), Real()),
    (specs.NeuralAdditive(hidden=SMALL, link="log", noise="normal"), Positive()),
    (specs.SplineFlow(hidden=SMALL), Real()),
    (specs.SplineFlow(hidden=SMALL), Positive()),
    (specs.SplineFlow(hidden=SMALL), Fraction()),
    (specs.Monotone(), Real()),
    (specs.Monotone(knots=6), Positive()),
    (specs.Monotone(), Fraction()),
    (specs.BoostedTrees(rounds=20), Real()),
    (specs.BoostedTrees(rounds=20, link="log"), Positive()),
    (specs.Multiplicative(), Positive()),
    (specs.Multiplicative(rank=2), Positive()),
    (specs.CountRegression(), Count()),
    (specs.GumbelMax(), Categorical(4)),
    (specs.GumbelMax(), Boolean()),
    (specs.GumbelMax(hidden=SMALL), Categorical(3)),
]
VECTORS: list[tuple[specs.MechanismSpec, Support]] = [
    (specs.Linear(), Real(size=2)),
    (specs.SplineFlow(hidden=SMALL), Positive(size=2)),
    (specs.CountRegression(), Count(size=2)),
    (specs.GumbelMax(), Categorical(3, size=2)),
    (specs.Auto(), Fraction(size=3)),
]
ROOTS: list[tuple[specs.MechanismSpec, Support]] = [
    *(
        (specs.StandardNormal(), kind(size=s))
        for kind in (Real, Positive, Fraction)
        for s in (None, 2)
    ),
    *((specs.Marginal(), kind()) for kind in (Real, Positive, Fraction, Count, Boolean)),
    (specs.Marginal(), Categorical(5)),
    (specs.Marginal(), Real(size=3)),
]
CASES = [(*family, kind) for family in FAMILIES for kind in PARENTS]
CASES += [(*family, kind) for family in VECTORS for kind in ("none", "real", "vector")]
CASES += [(*root, "none") for root in ROOTS]
CASES += [
    (spec, support, "discrete")
    for support in (Real(), Positive(), Fraction())
    for spec in (
        specs.Linear(link=specs.natural_link(support), by="k"),
        specs.Linear(link=specs.natural_link(support), scale_by="k"),
    )
]
CASES += [(specs.Linear(prior={"x": (1.0, 0.5)}), Real(), kind) for kind in ("real", "positive")]


def _name(case: tuple[specs.MechanismSpec, Support, str]) -> str:
    spec, support, kind = case
    return f"{spec}-{support}-{kind}"


@pytest.fixture(scope="module", params=CASES, ids=_name)
def case(request: pytest.FixtureRequest) -> Case:
    spec, support, kind = request.param

    def make() -> Mechanism:
        return build(spec, support, parents=PARENTS[kind])

    return Case(make, example(make()), Training(steps=25))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conforms(case: Case, check: Callable[[Case], None]) -> None:
    check(case)


@dataclass(frozen=True)
class Shifted(Mechanism):
    """A family as a user would write one: the middle of the data plus normal noise."""

    def start(self, sample: Sample, *, generator: torch.Generator) -> Shifted:
        middle = sample.value.median(-1, keepdim=True).values
        return self.with_state({"middle": middle.expand(sample.members, 1).clone()})

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        return torch.distributions.Normal(self.state["middle"], self.scale).log_prob(value)

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return (value - self.state["middle"]) / self.scale

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        return self.state["middle"] + self.scale * noise

    @property
    def scale(self) -> float:
        return self.spec.options["scale"]


@dataclass(frozen=True)
class Broken(Shifted):
    """Its density forgets the scale."""

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        return torch.distributions.Normal(self.state["middle"], 1.0).log_prob(value)


def test_a_users_family_can_be_checked() -> None:
    spec = specs.Custom(family=Shifted, options={"scale": 2.0})
    check_mechanism(lambda: build(spec, Real("ms"), parents={}))


def test_a_broken_family_is_told_what_is_amiss() -> None:
    spec = specs.Custom(family=Broken, options={"scale": 2.0})
    with pytest.raises(AssertionError, match=r"Custom.* real \[ms\].*: .*density|slope"):
        check_mechanism(lambda: build(spec, Real("ms"), parents={}))
