"""What could have been otherwise in a row, and how large a change of it is.

A change of a noise is measured in its standard deviations. A category has a noise per level; what
another level takes is the median of what its noise has to rise, given the level that was seen.
With Gumbel noise that follows in closed form: raised by `t`, level `k` of probability `p` leaves
the seen level in place with the probability `1 / (1 - p + p exp(t))`, which is a half at
`t = log(1 + 1 / p)`. It is the same for every row with the same causes, whatever is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.audit.explain_row_twin import Moves, Twin
from causalsys.scm.declaration import Node
from causalsys.scm.specs import Logged
from causalsys.scm.supports import Categorical

_SPREAD = math.pi / math.sqrt(6)
"""The standard deviation of Gumbel noise."""
_USUAL = 3.0
"""Up to where noise is usual, in standard deviations. No noise is moved further out than this, or
than it was: a change must not explain an odd row by an odder one, on which neither the predictor
nor the mechanisms were ever seen."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A variable that could have been otherwise.

    Attributes:
        name: The variable.
        down: How far its noise may fall, `[row]`; of a category None.
        up: How far it may rise.
        sizes: What each level takes, `[level, row]`, infinite for the one that was; else None.
    """

    name: str
    down: Tensor | None = None
    up: Tensor | None = None
    sizes: Tensor | None = None

    def moves(self, shares: Tensor | None = None) -> tuple[Moves, Tensor]:
        """Worlds that differ in it, and how large each change is, `[world, row]`.

        Args:
            shares: Of a noise, how much of the way down (negative) or up, `[world]` or
                `[world, row]`.
        """
        if self.sizes is not None:
            levels = torch.arange(len(self.sizes))[:, None].expand(self.sizes.shape)
            return Moves(levels={self.name: levels}), self.sizes
        assert shares is not None
        shifts = self.shifts(shares if shares.dim() == 2 else shares[:, None])
        return Moves(shifts={self.name: shifts}), shifts.abs()

    def shifts(self, shares: Tensor) -> Tensor:
        """Shifts of the noise that are these shares of the way, `[..., row]`."""
        assert self.down is not None
        assert self.up is not None
        return torch.where(shares < 0, shares * self.down, shares * self.up)

    def shares(self, shifts: Tensor) -> Tensor:
        """The inverse of `shifts`."""
        assert self.down is not None
        assert self.up is not None
        return shifts / torch.where(shifts < 0, self.down, self.up).clamp(min=1e-12)

    def take(self, rows: Tensor) -> Candidate:
        """The same of some rows."""
        return Candidate(
            self.name,
            None if self.down is None else self.down[rows],
            None if self.up is None else self.up[rows],
            None if self.sizes is None else self.sizes[:, rows],
        )


def candidates(twin: Twin) -> tuple[list[Candidate], tuple[str, ...]]:
    """What could have been otherwise, and sentences on what is left out."""
    nodes, graph = twin.nodes, twin.subject.fitted.declaration.graph
    logged = {node.name for node in nodes if isinstance(node.mechanism, Logged)}
    frozen = logged.union(*(graph.ancestors(name) for name in logged))
    found, left = [], []
    for node in nodes:
        if not node.learned:
            continue
        one = None if node.name in frozen else _candidate(twin, node)
        found += [] if one is None else [one]
        left += [node.name] if one is None else []
    notes = (
        f"Not looked for in {', '.join(left)}: vectors, and what a choice followed whose rule was "
        "not fitted.",
    )
    return found, notes if left else ()


def _candidate(twin: Twin, node: Node) -> Candidate | None:
    support = twin.subject.fitted.schema.supports[node.name]
    if support.size:
        return None
    if isinstance(support, Categorical):
        return Candidate(node.name, sizes=_sizes(twin, node, support.cardinality))
    noise = twin.noises[node.name]
    if noise.dim() > 2:
        return None
    middle = noise.mean(0)
    return Candidate(
        node.name, middle - middle.clamp(max=-_USUAL), middle.clamp(min=_USUAL) - middle
    )


def _sizes(twin: Twin, node: Node, levels: int) -> Tensor:
    """What each level takes, `[level, row]`."""
    value = twin.values[node.name]
    parents: Mapping[str, Tensor] = {ref.key: twin.values[ref.name] for ref in node.parents}
    mechanism, chances = twin.found.mechanisms[node.name], []
    for level in range(levels):
        each = mechanism.log_prob(torch.full_like(value, level), parents).exp()
        chances.append(each.mean(0).expand(value.shape[-1]))
    chance = torch.stack(chances).clamp(min=1e-300)
    sizes = torch.log1p(1 / chance) / _SPREAD
    now = value.mode(0).values
    return sizes.scatter(0, now[None], math.inf)


__all__ = ["Candidate", "candidates"]
