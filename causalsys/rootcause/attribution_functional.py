"""What of a distribution changed: its mean, its variance, a quantile, or all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from causalsys.errors import QueryError
from causalsys.scm.supports import Support

Measured = Literal["mean", "variance", "kl"]


@dataclass(frozen=True)
class Functional:
    """A measure of how a distribution differs from an old one.

    Attributes:
        kind: "mean", "variance", "kl", or the level of a quantile.
    """

    kind: str | float

    @classmethod
    def of(cls, kind: object, support: Support, name: str) -> Self:
        """The measure a user named.

        Raises:
            QueryError: It is none, or none of this variable.
        """
        level = isinstance(kind, float) and 0 < kind < 1
        if kind not in ("mean", "variance", "kl") and not level:
            raise QueryError(
                "measure",
                found=repr(kind),
                mend='Give "mean", "variance", "kl", or a quantile such as 0.99.',
            )
        if kind == "kl" and support.discrete:
            raise QueryError(
                name,
                found="the divergence of a variable that is a count",
                mend='Ask for measure="mean" or a quantile.',
            )
        assert isinstance(kind, str | float)
        return cls(kind)

    @property
    def divergence(self) -> bool:
        """Whether it takes two independent samples."""
        return self.kind == "kl"

    @property
    def words(self) -> str:
        """Its name."""
        if isinstance(self.kind, float):
            return f"{self.kind:g} quantile"
        return "distribution (KL, nats)" if self.divergence else self.kind

    def __call__(self, values: Tensor, old: Tensor) -> Tensor:
        """How much `values` `[..., member, draw]` differ from `old` `[member, draw]`."""
        if self.divergence:
            return _divergence(old, values)
        return self._of(values) - self._of(old)

    def plain(self, values: Tensor) -> float:
        """The measure itself of one sample `[draw]`."""
        return float(self._of(values))

    def least(self, old: Tensor) -> float:
        """A change of the old sample `[draw]` that is hardly one."""
        if self.divergence:
            return 0.1
        spread = float(old.var() if self.kind == "variance" else old.std())
        return max(0.1 * spread, 1e-12)

    def _of(self, values: Tensor) -> Tensor:
        if self.kind == "mean":
            return values.mean(-1)
        if self.kind == "variance":
            return values.var(-1)
        assert isinstance(self.kind, float)
        place = self.kind * (values.shape[-1] - 1)
        low = math.floor(place)
        ordered = values.sort(-1).values
        high = min(low + 1, values.shape[-1] - 1)
        return ordered[..., low].lerp(ordered[..., high], place - low)


def _divergence(old: Tensor, new: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of `old` from `new` by nearest neighbours, at least 0.

    Source: Wang, Kulkarni and Verdu (IEEE Transactions on Information Theory 2009), equation 5,
    with one neighbour.
    """
    old, new = old.sort(-1).values.expand(new.shape).contiguous(), new.sort(-1).values
    count, many = old.shape[-1], new.shape[-1]
    gap = old.diff(dim=-1)
    edge = gap.new_full((*gap.shape[:-1], 1), math.inf)
    own = torch.minimum(torch.cat([edge, gap], -1), torch.cat([gap, edge], -1))
    right = torch.searchsorted(new.contiguous(), old).clamp(1, many - 1)
    other = torch.minimum(
        (old - new.gather(-1, right - 1)).abs(), (new.gather(-1, right) - old).abs()
    )
    usable = (own > 0) & (other > 0)
    ratio = torch.where(usable, other / own, 1.0).log()
    mean = ratio.sum(-1) / usable.sum(-1).clamp(min=1)
    return (mean + math.log(many / (count - 1))).clamp(min=0)


__all__ = ["Functional", "Measured"]
