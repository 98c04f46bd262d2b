"""The family of `cs.auto` where no data can say: with latent parents, or for a latent."""

from __future__ import annotations

from collections.abc import Mapping

from causalsys.mechanisms.marginal import marginal_spec
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Count, Support

_COMBINATIONS = 64


def rule_spec(support: Support, parents: Mapping[str, Support]) -> specs.MechanismSpec:
    """The family that is differentiable in its parents and no more flexible than it must be.

    A noise whose law may depend on the parents can stand in for a latent, which is then never
    used (the collapse of variational autoencoders); so the noise is additive and normal.
    """
    if isinstance(support, Categorical) and fits_a_table(parents):
        return specs.ProbabilityTable()
    if not parents or isinstance(support, Categorical | Count):
        return marginal_spec(support)
    return specs.NeuralAdditive(link=specs.natural_link(support), noise="normal")


def fits_a_table(parents: Mapping[str, Support]) -> bool:
    """Whether the parents are categories with few enough combinations to have a table."""
    combinations = 1
    for support in parents.values():
        if not isinstance(support, Categorical) or support.size:
            return False
        combinations *= support.cardinality
    return bool(parents) and combinations <= _COMBINATIONS
