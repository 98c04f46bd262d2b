"""The game over interventions: `v(S) = E[f(X) | do(X_S = x_S)]` (Jung et al., ICML 2022, eq. 4).

Whom a coalition does not set follows from its causes and its own noise, drawn from the model and
not abducted from the row: the value is that of a population, as in causal Shapley values (Heskes,
Sijben, Bucur and Claassen, NeurIPS 2020, eq. 3). All coalitions and rows share their draws.

Draws are Latin hypercubes (McKay, Beckman and Conover, 1979): each noise is stratified, which
takes the whole error of a sum of one term per noise away but for the strata's width (Stein, 1987).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.audit.attribute_outcome import Outcome
from causalsys.audit.attribute_plan import Plan, Worlds
from causalsys.mechanisms.base import Mechanism, gumbel_of_normal
from causalsys.rootcause.shapley import Design

_CELLS = 1 << 18
"""Readings that are predicted at once: 2 MiB per column."""


@dataclass(frozen=True, eq=False)
class DoGame:
    """The game over interventions on some rows.

    Attributes:
        worlds: What the outcome follows from.
        outcome: The prediction or the error.
        mechanisms: Each with one member.
        own: The rows' values of the players, `[row, ...]`.
        whole: The outcome of the rows as they are, `[row]`: what everybody is worth.
        draws: How often the noises are drawn.
        seed: Fixes them.
    """

    worlds: Worlds
    outcome: Outcome
    mechanisms: Mapping[str, Mechanism]
    own: Mapping[str, Tensor]
    whole: NDArray[np.float64]
    draws: int
    seed: int

    def play(self, design: Design, *, turn: int) -> tuple[Tensor, float]:
        """The contributions `[player, row]`, and what nobody is worth.

        Args:
            design: Which coalitions.
            turn: Which draws of the noise.
        """
        drawn = self._drawn(turn)
        first = {name: value[:1] for name, value in self.own.items()}
        nobody = self.worlds.plan(design.coalitions[:1])
        base = float(self._worth(nobody, first, drawn, rows=1)[0, 0])
        values = torch.empty(len(design.coalitions), len(self.whole), dtype=torch.float64)
        values[0], values[-1] = base, torch.from_numpy(self.whole)
        inner = design.coalitions[1:-1]
        if len(inner):
            plan = self.worlds.plan(inner)
            height = max(_CELLS // (plan.widest * self.draws), 1)
            for start in range(0, len(self.whole), height):
                some = {name: value[start : start + height] for name, value in self.own.items()}
                rows = min(height, len(self.whole) - start)
                found = self._worth(plan, some, drawn, rows=rows)
                values[1:-1, start : start + height] = found[plan.reading]
        return design.contributions(values), base

    def _worth(
        self, plan: Plan, own: Mapping[str, Tensor], drawn: Mapping[str, Tensor], *, rows: int
    ) -> Tensor:
        """The mean outcome of each reading, `[reading, row]`."""
        values = self.worlds.run(plan, self.mechanisms, own=own, drawn=drawn)
        columns = {
            name: value.index_select(0, plan.read[name]).reshape(-1).numpy()
            for name, value in values.items()
        }
        found = torch.tensor(self.outcome(columns))
        return found.reshape(-1, rows, self.draws).mean(-1)

    def _drawn(self, turn: int) -> dict[str, Tensor]:
        """Noise of every learned variable, `[draw, ...]`, stratified."""
        found = {}
        for node in self.worlds.nodes:
            if not node.learned:
                continue
            seed = zlib.crc32(f"{self.seed}/{node.name}/{turn}".encode())
            mechanism, random = self.mechanisms[node.name], np.random.default_rng(seed)
            # A recorded choice whose rule is not known has no law to draw from, and says so.
            mechanism.draw_noise((1,), generator=torch.Generator().manual_seed(0))
            shape = (self.draws, *mechanism.noise_shape)
            strata = random.permuted(
                np.arange(self.draws).repeat(int(np.prod(shape[1:]))).reshape(shape), axis=0
            )
            inside = (strata + random.uniform(1e-9, 1 - 1e-9, shape)) / self.draws
            normal = torch.special.ndtri(torch.from_numpy(inside))
            found[node.name] = normal if mechanism.noise == "normal" else gumbel_of_normal(normal)
        return found


__all__ = ["DoGame"]
