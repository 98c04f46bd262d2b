from __future__ import annotations

from dataclasses import dataclass

import pytest

from causalsys.errors import DeclarationError
from causalsys.mechanisms import Mechanism, build
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Count, Positive, Real


def test_a_vector_gets_its_family_component_by_component() -> None:
    made = build(specs.Linear(), Real(size=4), parents={})
    assert type(made).__name__ == "Triangular"
    assert made.noise_shape == (4,)


def test_a_root_gets_a_family_by_its_support() -> None:
    kinds = [
        type(build(specs.Marginal(), support, parents={})).__name__
        for support in (Real(), Positive(), Count(), Categorical(2))
    ]
    assert kinds == ["LinearMechanism", "LinearMechanism", "CountMechanism", "GumbelMaxMechanism"]


def test_a_marginal_has_no_parents() -> None:
    with pytest.raises(DeclarationError, match="Marginal: the parents x"):
        build(specs.Marginal(), Real(), parents={"x": Real()})


def test_an_unknown_specification_is_named() -> None:
    class Strange(specs.MechanismSpec):
        pass

    with pytest.raises(DeclarationError, match=r"Strange: .*cs\.Custom"):
        build(Strange(), Real(), parents={})


def test_a_custom_family_must_be_a_mechanism_and_complete() -> None:
    @dataclass(frozen=True)
    class Half(Mechanism):
        pass

    with pytest.raises(DeclarationError, match="no subclass of Mechanism"):
        build(specs.Custom(family=dict), Real(), parents={})
    with pytest.raises(DeclarationError, match="Half: no log_prob, pull, push, start"):
        build(specs.Custom(family=Half), Real(), parents={})
