"""From a specification to the mechanism that implements it."""

from __future__ import annotations

from collections.abc import Mapping

from causalsys.errors import DeclarationError
from causalsys.mechanisms.autoregressive import AutoRegressiveMechanism
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.categorical import GumbelMaxMechanism
from causalsys.mechanisms.chain import ChainMechanism
from causalsys.mechanisms.count import CountMechanism
from causalsys.mechanisms.custom import build_custom
from causalsys.mechanisms.lasting_normal import LastingNormalMechanism
from causalsys.mechanisms.levelled import LevelledMechanism
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.logged import LoggedMechanism
from causalsys.mechanisms.low_rank import LowRankMechanism
from causalsys.mechanisms.marginal import marginal_spec
from causalsys.mechanisms.measurement import MeasurementMechanism
from causalsys.mechanisms.monotone import MonotoneMechanism
from causalsys.mechanisms.multiplicative import MultiplicativeMechanism
from causalsys.mechanisms.neural import NeuralMechanism
from causalsys.mechanisms.prior import PriorMechanism
from causalsys.mechanisms.quadratic import QuadraticMechanism
from causalsys.mechanisms.rule import rule_spec
from causalsys.mechanisms.spline import SplineMechanism
from causalsys.mechanisms.table import TableMechanism
from causalsys.mechanisms.trees import TreesMechanism
from causalsys.mechanisms.triangular import triangular
from causalsys.scm import specs
from causalsys.scm.supports import Support

_FAMILIES: dict[type[specs.MechanismSpec], type[Mechanism]] = {
    specs.Linear: LinearMechanism,
    specs.Quadratic: QuadraticMechanism,
    specs.NeuralAdditive: NeuralMechanism,
    specs.BoostedTrees: TreesMechanism,
    specs.SplineFlow: SplineMechanism,
    specs.Monotone: MonotoneMechanism,
    specs.Multiplicative: MultiplicativeMechanism,
    specs.LowRank: LowRankMechanism,
    specs.LastingNormal: LastingNormalMechanism,
    specs.GumbelMax: GumbelMaxMechanism,
    specs.ProbabilityTable: TableMechanism,
    specs.CountRegression: CountMechanism,
    specs.StandardNormal: PriorMechanism,
    specs.Measurement: MeasurementMechanism,
    specs.HiddenMarkov: ChainMechanism,
    specs.AutoRegressive: AutoRegressiveMechanism,
    specs.Logged: LoggedMechanism,
}
_WHOLE = (
    specs.StandardNormal,
    specs.LastingNormal,
    specs.Marginal,
    specs.Auto,
    specs.Custom,
    specs.Logged,
)
"""These see to vectors themselves, or hand on to a family that does."""


def build(
    spec: specs.MechanismSpec, support: Support, *, parents: Mapping[str, Support]
) -> Mechanism:
    """The mechanism that implements `spec`, without parameters yet.

    Args:
        spec: What the user wrote after `mechanism=`. `Auto` gives the family that a rule names
            without looking at data (`auto.choose` looks).
        support: The variable's support; for a vector, the family serves each component in
            order, given those before it.
        parents: The support of each parent, by key.

    Raises:
        DeclarationError: No family implements this kind of specification.
        SupportError: The family cannot produce the support.
    """
    if support.size and not isinstance(spec, _WHOLE):
        return triangular(family_of, spec, support, parents=parents)
    return family_of(spec, support, parents=parents)


def family_of(
    spec: specs.MechanismSpec, support: Support, *, parents: Mapping[str, Support]
) -> Mechanism:
    """The mechanism of a scalar."""
    if isinstance(spec, specs.Auto):
        return build(rule_spec(support, parents), support, parents=parents)
    if isinstance(spec, specs.Custom):
        return build_custom(spec, support, parents=parents)
    if isinstance(spec, specs.Marginal):
        return _marginal(support, parents)
    family = _FAMILIES.get(type(spec))
    if isinstance(spec, specs.Linear) and spec.level:
        family = LevelledMechanism
    if family is None:
        raise DeclarationError(
            type(spec).__name__,
            found="a specification without an implementation",
            mend="Use one of causalsys's families, or cs.Custom(family=YourMechanism).",
        )
    return family(spec, support, parents)


def _marginal(support: Support, parents: Mapping[str, Support]) -> Mechanism:
    if parents:
        raise DeclarationError(
            "Marginal",
            found=f"the parents {', '.join(parents)}",
            mend="Use Marginal for a variable without parents, and cs.auto for others.",
        )
    return build(marginal_spec(support), support, parents=parents)
