"""How anomalous a target's value is, and what of it remains when some noises are drawn anew.

The score is dowhy's default. A value's rank among draws of the model gives `g`, the probability of
a less extreme one; the surprise is `-log P(g(Y) >= g(y))` (Budhathoki, Minorics, Blöbaum and
Janzing, ICML 2022, Definition 2), its probability estimated as `(count + 1/2) / (draws + 1/2)`. A
value is as extreme as `y` exactly when it is at most one threshold or at least another, and both
are order statistics of the draws: so an event is two comparisons, not a rank.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

Measure = Literal["surprise", "rank", "value"]
Tail = Literal["both", "upper", "lower"]


@dataclass(frozen=True, eq=False)
class Score:
    """Some rows' anomaly scores, among draws of their target.

    Attributes:
        measure: "surprise", in nats; "rank", `g(y) - E[g(Y)]`; "value", `y - E[Y]`.
        tail: Which values are extreme.
        drawn: Draws of the target, rising, `[draw]`.
        seen: The rows' own values, `[row]`.
        low: At most this is as extreme as the row, `[row]`.
        high: At least this is, `[row]`.
    """

    measure: Measure
    tail: Tail
    drawn: Tensor
    seen: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, seen: Tensor, drawn: Tensor, *, measure: Measure, tail: Tail) -> Self:
        """Scores of `seen` `[row]` among draws of the target `[draw]`."""
        ordered = drawn.sort().values
        rank = _rank(seen, ordered)
        count = 2 * len(ordered)
        extreme = _extreme(rank, count, tail)
        none = torch.full_like(seen, math.inf)
        low = -none if tail == "upper" else _at_most(ordered, extreme)
        high = none if tail == "lower" else -_at_most(-ordered.flip(0), extreme)
        return cls(measure, tail, ordered, seen, low, high)

    @property
    def total(self) -> Tensor:
        """The whole score of each row, which its contributions add up to, `[row]`."""
        return self.everybody - self.nobody

    @property
    def everybody(self) -> Tensor:
        """What is left of the score when every noise is the row's own, `[row]`."""
        if self.measure == "surprise":
            return torch.zeros_like(self.seen)
        return self.seen if self.measure == "value" else self._g(self.seen)

    @property
    def nobody(self) -> Tensor:
        """The same when every noise is drawn anew, `[row]`."""
        if self.measure == "surprise":
            inside = torch.searchsorted(self.drawn, self.low, right=True)
            outside = torch.searchsorted(self.drawn, self.high)
            count = (len(self.drawn) - outside + inside).clamp(max=len(self.drawn))
            return self.finish(count.double(), len(self.drawn))
        mean = self.drawn.mean() if self.measure == "value" else self._g(self.drawn).mean()
        return mean.expand_as(self.seen)

    def summed(self, values: Tensor, rows: slice) -> Tensor:
        """Sums over draws that `finish` makes scores of.

        Args:
            values: The target, `[coalition, row, draw]`.
            rows: Which rows these are.
        """
        if self.measure == "value":
            return values.sum(-1)
        if self.measure == "rank":
            return self._g(values).sum(-1)
        low, high = self.low[rows, None], self.high[rows, None]
        return ((values <= low) | (values >= high)).sum(-1).double()

    def finish(self, sums: Tensor, draws: int) -> Tensor:
        """What is left of the score, of sums over so many draws."""
        if self.measure == "surprise":
            return ((sums + 0.5) / (draws + 0.5)).log()
        return sums / draws

    def of_sums(self, own: Tensor, drawn: Tensor) -> Tensor:
        """What is left of the score, the target being a sum of a row's part and a drawn part.

        Args:
            own: The row's part, `[coalition, row]`.
            drawn: The drawn part, `[coalition, draw]`.

        Returns:
            `[coalition, row]`.
        """
        draws = drawn.shape[-1]
        if self.measure == "value":
            return own + drawn.mean(-1, keepdim=True)
        if self.measure == "rank":
            return self.finish(self.summed(own[:, :, None] + drawn[:, None], slice(None)), draws)
        # numpy sorts several times faster than torch.
        ordered = torch.from_numpy(np.sort(drawn.numpy(), axis=-1))
        count = torch.searchsorted(ordered, self.low - own, right=True)
        count += draws - torch.searchsorted(ordered, self.high - own)
        return self.finish(count.clamp(max=draws).double(), draws)

    def _g(self, values: Tensor) -> Tensor:
        """The rank score: 0 in the middle of the draws, 1 beyond them."""
        count = 2 * len(self.drawn)
        extreme = _extreme(_rank(values, self.drawn), count, self.tail)
        whole = 1 if self.tail == "both" else 2
        return 1 - (extreme.double() + 1) / whole / (len(self.drawn) + 1)


def _rank(values: Tensor, ordered: Tensor) -> Tensor:
    """How many draws are below, plus how many are at most that, an integer."""
    flat = values.contiguous()
    return torch.searchsorted(ordered, flat) + torch.searchsorted(ordered, flat, right=True)


def _extreme(rank: Tensor, count: int, tail: Tail) -> Tensor:
    """The rank from the nearer end: the smaller, the more extreme."""
    if tail == "upper":
        return count - rank
    return rank if tail == "lower" else torch.minimum(rank, count - rank)


def _at_most(ordered: Tensor, most: Tensor) -> Tensor:
    """The largest value whose rank is at most `most`; none of an empty set is."""
    ranks = _rank(ordered, ordered)
    place = torch.searchsorted(ranks, most, right=True)
    padded = torch.cat(
        [ordered.new_full((1,), -math.inf), ordered, ordered.new_full((1,), math.inf)]
    )
    # Just below the first draw whose rank is larger, unless that gap is too high up already.
    above = torch.nextafter(padded[place + 1], padded.new_tensor(-math.inf))
    return torch.where(2 * place <= most, above, padded[place])


__all__ = ["Measure", "Score", "Tail"]
