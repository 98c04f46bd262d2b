"""Which family a variable without parents is taken from."""

from __future__ import annotations

from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Count, Support


def marginal_spec(support: Support) -> specs.MechanismSpec:
    """The family of a root: frequencies, a negative binomial, or the quantiles of the data."""
    if isinstance(support, Categorical):
        return specs.GumbelMax()
    if isinstance(support, Count):
        return specs.CountRegression()
    return specs.Linear(link=specs.natural_link(support), noise="empirical")
