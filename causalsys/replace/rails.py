"""The rails of a guard, by one name: what may object to a policy's decision.

When(predicate)             a known bad slice: a function of what the policy may read
KnownBad(slice, columns)    the same, of anything that tells rows that it holds in
Uncertain(most=...)         the policy does not know: entropy of its choice, or its ensemble
Limits.from_model(...)      the decision is out of bounds, by quantiles under `do`
Unusual.from_model(...)     a latent state as training hardly saw it, inferred online
"""

from causalsys.replace.rails_base import KnownBad, Objection, Proposal, Rail, Uncertain, When
from causalsys.replace.rails_latent import Unusual
from causalsys.replace.rails_limits import Limits

__all__ = [
    "KnownBad",
    "Limits",
    "Objection",
    "Proposal",
    "Rail",
    "Uncertain",
    "Unusual",
    "When",
]
