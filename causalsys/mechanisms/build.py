"""From a specification to the mechanism that implements it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from causalsys.errors import DeclarationError
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.neural import NeuralMechanism
from causalsys.mechanisms.spline import SplineMechanism
from causalsys.scm import specs
from causalsys.scm.supports import Support


@singledispatch
def build(
    spec: specs.MechanismSpec, support: Support, *, parents: Mapping[str, Support]
) -> Mechanism:
    """The mechanism that implements `spec`, without parameters yet.

    Args:
        spec: What the user wrote after `mechanism=`.
        support: The variable's support.
        parents: The support of each parent, by key.

    Raises:
        DeclarationError: No family implements this kind of specification.
    """
    raise DeclarationError(
        type(spec).__name__,
        found="a specification without an implementation",
        mend="Use one of causalsys's families, or cs.Custom(family=YourMechanism).",
    )


@build.register
def _(spec: specs.Linear, support: Support, *, parents: Mapping[str, Support]) -> Mechanism:
    return LinearMechanism(spec, support, parents)


@build.register
def _(spec: specs.NeuralAdditive, support: Support, *, parents: Mapping[str, Support]) -> Mechanism:
    return NeuralMechanism(spec, support, parents)


@build.register
def _(spec: specs.SplineFlow, support: Support, *, parents: Mapping[str, Support]) -> Mechanism:
    return SplineMechanism(spec, support, parents)
