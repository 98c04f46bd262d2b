"""The game over noises: a coalition's variables keep a row's own noise, the others draw theirs.

Its value is what is left of the row's anomaly score then (`attribution_score`). All coalitions,
rows and draws are evaluated together, in parts that fit a processor's cache, with the same draws
for every coalition and every row. Where the target is a sum of one term per noise, as in linear
models, a coalition's draws are sorted once for all rows instead.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.links import from_line
from causalsys.mechanisms.residual import from_noise
from causalsys.rootcause.attribution_score import Measure, Score, Tail
from causalsys.rootcause.attribution_sweep import Cell, Plan, Sweep
from causalsys.rootcause.shapley import Design
from causalsys.scm.supports import Fraction, Positive

_CELLS = 1 << 17
"""Values of the widest variable that are computed at once: 1 MiB, which caches hold."""


@dataclass(frozen=True, eq=False)
class NoiseGame:
    """The game over the noises of rows, under one draw of the parameters.

    Attributes:
        sweep: The target and its causes.
        mechanisms: Each with one member.
        own: The rows' noises, `[row, ...]`.
        seen: The rows' target, `[row]`.
        draws: How often the noise of who is not in a coalition is drawn.
        measure: What is attributed.
        tail: Which values of the target are extreme.
        seed: Fixes the draws.
    """

    sweep: Sweep
    mechanisms: Mapping[str, Mechanism]
    own: Mapping[str, Tensor]
    seen: Tensor
    draws: int
    measure: Measure
    tail: Tail
    seed: int

    def play(self, design: Design, *, turn: int) -> tuple[Tensor, Tensor]:
        """The contributions `[player, row]`, and what they add up to `[row]`.

        Args:
            design: Which coalitions.
            turn: Which draws of the noise.
        """
        drawn = self._drawn(turn)
        score = Score.of(self.seen, self._marginal(drawn), measure=self.measure, tail=self.tail)
        worth = self._worth(design, score, drawn).reshape(-1, len(self.seen))
        values = torch.cat([score.nobody[None], worth, score.everybody[None]])
        return design.contributions(values), score.total

    @property
    def spread(self) -> float:
        """The standard deviation of the target."""
        return float(self._marginal(self._drawn(0)).std())

    def _marginal(self, drawn: Mapping[str, Tensor]) -> Tensor:
        """The target where every noise is drawn, `[draw]`."""
        nobody = self.sweep.plan(np.zeros((1, len(self.sweep.players)), bool))
        values = self._values(nobody, self.own, drawn, slice(0, 1), slice(0, self.draws))
        return values.reshape(-1)

    def _worth(self, design: Design, score: Score, drawn: Mapping[str, Tensor]) -> Tensor:
        """What each coalition but the first and the last is worth, `[coalition, row]`."""
        inner = design.coalitions[1:-1]
        if not len(inner):
            return score.seen[:0]
        terms = self._terms(drawn) if self._sums() else None
        if terms is None:
            return self._swept(self.sweep.plan(inner), score, drawn)
        base, own, anew = terms
        if design.orders is not None and design.steps is not None:
            # As the players of an order join, each moves its term from one sum to the other.
            found = score.seen.new_empty(len(inner), len(self.seen))
            total = anew.sum(0)
            for order, steps in zip(design.orders[:, :-1], design.steps[:, 1:-1], strict=True):
                sums = base + own[order].cumsum(0), total - anew[order].cumsum(0)
                found[steps - 1] = score.of_sums(*sums)
            return found
        size = max(_CELLS // self.draws, 1)
        parts = torch.from_numpy(inner).double().split(size)
        return torch.cat(
            [score.of_sums(base + inside @ own, (1 - inside) @ anew) for inside in parts]
        )

    def _swept(self, plan: Plan, score: Score, drawn: Mapping[str, Tensor]) -> Tensor:
        """The same by a sweep over all variables."""
        rows, cells = len(self.seen), max(_CELLS // plan.widest, 1)
        height = min(rows, max(cells // min(self.draws, 64), 1))
        width = min(self.draws, max(cells // height, 1))
        sums = score.seen.new_zeros(len(plan.target), rows)
        for top in range(0, rows, height):
            some = slice(top, min(top + height, rows))
            for start in range(0, self.draws, width):
                draws = slice(start, min(start + width, self.draws))
                values = self._values(plan, self.own, drawn, some, draws)
                sums[:, some] += score.summed(values, some)[plan.target]
        return score.finish(sums, self.draws)

    def _values(
        self,
        plan: Plan,
        own: Mapping[str, Tensor],
        drawn: Mapping[str, Tensor],
        rows: slice,
        draws: slice,
    ) -> Tensor:
        """The target of some rows under some draws, `[its coalition, row, draw]`."""
        height, width = rows.stop - rows.start, draws.stop - draws.start

        def valued(cell: Cell) -> Tensor:
            name = cell.node.name
            mine, anew, mechanism = own[name][rows], drawn[name][draws], self.mechanisms[name]
            if isinstance(mechanism, Additive) and type(mechanism).push is Additive.push:
                return _added(mechanism, cell, mine, anew)
            mask = cell.place.inside.reshape(-1, *[1] * (mine.dim() + 1))
            noise = torch.where(mask, mine[:, None], anew[None])
            noise = noise.reshape(len(noise), 1, height * width, *noise.shape[3:])
            value = mechanism.push(noise, cell.parents())
            return value.expand(len(noise), *value.shape[1:])

        found = self.sweep.run(plan, valued)
        return found.reshape(len(found), height, width).double()

    def _drawn(self, turn: int) -> dict[str, Tensor]:
        """Noise of every player, `[draw, ...]`; the same for every member and coalition."""
        found = {}
        for name in self.sweep.players:
            seed = zlib.crc32(f"{self.seed}/{name}/{turn}".encode())
            generator = torch.Generator().manual_seed(seed)
            found[name] = self.mechanisms[name].draw_noise((self.draws,), generator=generator)
        return found

    def _sums(self) -> bool:
        """Whether the target is a sum of one term per noise, by the shape of the mechanisms."""
        for node in self.sweep.nodes:
            if node.function is not None or self.sweep.schema.supports[node.name].size:
                return False
            if not node.parents and node.name != self.sweep.target:
                continue  # A root may be anything.
            mechanism = self.mechanisms[node.name]
            linked = isinstance(mechanism.support, Positive | Fraction)
            if not isinstance(mechanism, LinearMechanism) or mechanism.scale != "raw" or linked:
                return False
        return True

    def _terms(self, drawn: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor] | None:
        """The sum's terms: a constant, the rows' `[player, row]` and the draws' `[player, draw]`.

        A term is what the target gains when one noise leaves zero and all others stay there. That
        nothing else is gained when they leave together is tried out; if it is, there are no terms.
        """
        rows, count = len(self.seen), len(self.sweep.players)
        both = {name: torch.cat([self.own[name], drawn[name]]) for name in self.sweep.players}
        zero = {name: torch.zeros_like(each[:1]) for name, each in both.items()}
        one = np.concatenate([np.zeros((1, count), bool), np.eye(count, dtype=bool)])
        plan = self.sweep.plan(one)
        width = rows + self.draws
        values = self._values(plan, both, zero, slice(0, width), slice(0, 1))[plan.target, :, 0]
        base, terms = values[0, 0], values[1:] - values[:1]
        whole = self.sweep.plan(np.ones((1, count), bool))
        together = self._values(whole, both, zero, slice(0, width), slice(0, 1))[0, :, 0]
        off = (together - base - terms.sum(0)).abs()
        if bool((off > 1e-8 * (1 + terms.abs().sum(0))).any()):
            return None
        return base, terms[:, :rows], terms[:, rows:]


def _added(mechanism: Additive, cell: Cell, mine: Tensor, anew: Tensor) -> Tensor:
    """The values of an additive mechanism, its location being found once for in and out.

    Args:
        mechanism: The mechanism.
        cell: The variable.
        mine: The noise of who is in the coalition, `[row]`.
        anew: The noise of who is not, `[draw]`.

    Returns:
        `[its coalition, 1, row * draw]`, the draws of a row together.
    """
    place, shape = cell.place, (len(mine), len(anew))
    line = mechanism.location(cell.causes())
    # One copy of a root's location per coalition, or of the locations that its causes make.
    line = line.expand(int(place.above.max()) + 1, 1, len(mine) * len(anew))
    line = line.index_select(0, place.above).reshape(-1, *shape)
    state, out = mechanism.state, place.without
    line[:out] += from_noise(anew[None], state)
    line[out:] += from_noise(mine[None], state).reshape(-1, 1)
    value = from_line(line, support=mechanism.support, offset=state["offset"])
    return value.reshape(len(value), 1, -1)


__all__ = ["NoiseGame"]
