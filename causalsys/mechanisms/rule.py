"""The family of `cs.auto` where no data can say: with latent parents, or for a latent."""

from __future__ import annotations

from collections.abc import Mapping

from causalsys.mechanisms.marginal import marginal_spec
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Count, Support


def rule_spec(support: Support, parents: Mapping[str, Support]) -> specs.MechanismSpec:
    """The family that is differentiable in its parents and no more flexible than it must be.

    A noise whose law may depend on the parents can stand in for a latent, which is then never
    used (the collapse of variational autoencoders); so the noise is additive and normal.
    """
    if not parents or isinstance(support, Categorical | Count):
        return marginal_spec(support)
    return specs.NeuralAdditive(link=specs.natural_link(support), noise="normal")
