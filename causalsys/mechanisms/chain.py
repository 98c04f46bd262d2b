"""A latent's own dynamics, on a grid of values: a Markov chain.

The noise of a step is one normal number, and the state rises with it: the quantile of the row of
the transition matrix. A state is only known to lie on a step of that quantile function, so the
noise behind it is drawn from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Parents, Sample
from causalsys.mechanisms.draws import uniform_like
from causalsys.mechanisms.links import from_line, to_line
from causalsys.scm.specs import HiddenMarkov

_OFFSET = 1e-12
_INSIDE = 1e-3
"""Noise is drawn at least this share of a step away from its ends, where rounding decides."""
LEAST = 1e-10
"""No transition has a smaller probability, so that no state is ever impossible."""


@dataclass(frozen=True)
class ChainMechanism(Mechanism):
    """A Markov chain on a grid; its state is its value, its parent its value a step ago.

    `state` has `levels` `[member, state]` on the line of the support's link, rising, `initial`
    `[member, state]`, and `transition` `[member, state, state]`.
    """

    bijective: ClassVar[bool] = False

    @property
    def offset(self) -> Tensor:
        """What is added before logarithms: next to nothing."""
        return torch.full((1,), _OFFSET, dtype=torch.float64)

    @property
    def values(self) -> Tensor:
        """The grid's values, `[member, state]`."""
        return from_line(self.state["levels"], support=self.support, offset=self.offset)

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        """A sticky chain on the declared values, or on a standard grid."""
        given = self.spec.levels if isinstance(self.spec, HiddenMarkov) else None
        given = given or self.spec.between
        count = self.spec.states
        levels = torch.linspace(-2, 2, count, dtype=torch.float64)
        if given is not None:
            levels = self.line(torch.tensor(given, dtype=torch.float64))
            if len(levels) != count:
                levels = torch.linspace(float(levels[0]), float(levels[-1]), count).double()
        levels = levels.expand(sample.members, -1)
        stay = 0.9 * torch.eye(count, dtype=torch.float64) + 0.1 / count
        return self.of(levels, torch.full_like(levels, 1 / count), stay.expand(len(levels), -1, -1))

    def of(self, levels: Tensor, initial: Tensor, transition: Tensor) -> Self:
        """The chain with these parameters; nothing in it is impossible."""
        return self.with_state(
            {"levels": levels, "initial": floored(initial), "transition": floored(transition)}
        )

    def line(self, value: Tensor) -> Tensor:
        """A value on the line of the support's link."""
        return to_line(value, support=self.support, offset=self.offset)

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        law, place = self._law(parents), self._place(value).unsqueeze(-1)
        shape = torch.broadcast_shapes(law.shape[:-1], place.shape[:-1])
        return law.expand(*shape, -1).gather(-1, place.expand(*shape, 1)).squeeze(-1).log()

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        above, place = self._law(parents).cumsum(-1), self._place(value).unsqueeze(-1)
        shape = torch.broadcast_shapes(above.shape[:-1], place.shape[:-1])
        above, place = above.expand(*shape, -1), place.expand(*shape, 1)
        top = above.gather(-1, place).squeeze(-1)
        low = above.gather(-1, (place - 1).clamp(min=0)).squeeze(-1)
        low = torch.where(place.squeeze(-1) == 0, torch.zeros_like(low), low)
        share = _INSIDE + (1 - 2 * _INSIDE) * uniform_like(top, generator=generator)
        return torch.special.ndtri(low + share * (top - low))

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        above = self._law(parents).cumsum(-1)
        share = torch.special.ndtr(noise).unsqueeze(-1)
        place = (share > above[..., :-1]).sum(-1)
        return self._at(place)

    def along(self, noise: Tensor, rows_at: Sequence[Tensor]) -> Tensor:
        """The chain's values from all noises of whole traces.

        Args:
            noise: `[..., sample, row]`.
            rows_at: For each step the row of every trace, -1 where it has ended.
        """
        (key,) = self.parents
        found = torch.empty_like(noise)
        before = noise.new_full((), -torch.inf).expand_as(noise[..., rows_at[0]])
        for rows in rows_at:
            live = rows >= 0
            now = self.push(noise[..., rows.clamp(min=0)], {key: before})
            found[..., rows[live]] = now[..., live]
            before = now
        return found

    def _law(self, parents: Parents) -> Tensor:
        """The law of the next state, `[..., sample, row, state]`."""
        (before,) = parents.values()
        place = self._place(before)
        rows = self._of_member(self.state["transition"], place)
        first = self.state["initial"].unsqueeze(-2)
        return torch.where(torch.isneginf(before).unsqueeze(-1), first, rows)

    def _place(self, value: Tensor) -> Tensor:
        """Which level is nearest, `[..., sample, row]`."""
        levels = self.state["levels"]
        ends = from_line(
            (levels[:, 1:] + levels[:, :-1]) / 2, support=self.support, offset=self.offset
        )
        return (value.to(ends.dtype).unsqueeze(-1) > ends.unsqueeze(-2)).sum(-1)

    def _at(self, place: Tensor) -> Tensor:
        return self._of_member(self.values, place)

    def _of_member(self, table: Tensor, place: Tensor) -> Tensor:
        """The entries at `place`, `[..., sample, row]`, of tables `[member, state, ...]`."""
        members = max(len(table), place.shape[-2])
        which = torch.arange(members).unsqueeze(-1) % len(table)
        return table[which, place.expand(*place.shape[:-2], members, place.shape[-1])]


def floored(chance: Tensor) -> Tensor:
    """Probabilities, none of them zero."""
    chance = chance.clamp(min=LEAST)
    return chance / chance.sum(-1, keepdim=True)
