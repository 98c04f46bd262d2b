"""Policies that ship with the package: what `do` and `cs.simulate` take, and examples to copy.

A policy is a frozen dataclass: its fields are its parameters, so that tuning can replace them. The
arguments of its `__call__` are variables of the model, as tensors `[..., trace]` or
`[..., trace, size]`. Where a model calls them otherwise, wrap the policy:
`lambda queue_length: ShortestQueue()(queue_length)`.
"""

from causalsys.simulate.policies.predictive import MPC
from causalsys.simulate.policies.routing import (
    LeastLoaded,
    Pair,
    PowerOfK,
    RandomRouting,
    ShortestQueue,
    Tracker,
)
from causalsys.simulate.policies.streaming import BBA, BOLA, Mixed, RandomBitrate, RateBased

__all__ = [
    "BBA",
    "BOLA",
    "MPC",
    "LeastLoaded",
    "Mixed",
    "Pair",
    "PowerOfK",
    "RandomBitrate",
    "RandomRouting",
    "RateBased",
    "ShortestQueue",
    "Tracker",
]
