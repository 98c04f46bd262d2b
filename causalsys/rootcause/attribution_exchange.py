"""The game over mechanisms: a coalition's variables have those of the new period.

All coalitions share their draws of the noise, so that what differs between them is the mechanisms.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from causalsys.fit.fitted import Fitted
from causalsys.rootcause.attribution_functional import Functional
from causalsys.rootcause.attribution_sweep import Cell, Plan, Sweep
from causalsys.rootcause.shapley import Design

_CELLS = 1 << 22
"""Values of the widest variable that are computed at once."""


@dataclass(frozen=True, eq=False)
class MechanismGame:
    """The game over mechanisms: a coalition's variables have those of the new period.

    Attributes:
        sweep: The target and its causes.
        old: The model of the old period.
        new: The model of the new period.
        players: The variables whose mechanisms are exchanged.
        functional: What of the target's distribution a coalition is worth.
        draws: How many draws.
        seed: Fixes them.
    """

    sweep: Sweep
    old: Fitted
    new: Fitted
    players: tuple[str, ...]
    functional: Functional
    draws: int
    seed: int

    def play(self, design: Design, *, turn: int, members: Tensor) -> tuple[Tensor, Tensor]:
        """ShapleyValues `[player, member]` and the whole change `[member]`.

        Args:
            design: Which coalitions.
            turn: Which draws of the noise; the same for all coalitions and members.
            members: Which members of the old model; `_others` says which of the new one.
        """
        noise = self._noise(f"{turn}")
        columns = [self.sweep.players.index(name) for name in self.players]
        full = np.zeros((len(design.coalitions), len(self.sweep.players)), bool)
        full[:, columns] = design.coalitions
        plan = self.sweep.plan(full)
        nobody = self.sweep.plan(full[:1])
        # A divergence is between independent draws; other measures share the noise.
        before = self._noise(f"{turn}/before") if self.functional.divergence else noise
        worth = []
        size = max(_CELLS // (plan.widest * self.draws), 1)
        for some in members.split(size):
            old = self._values(nobody, before, some)[0]
            values = self._values(plan, noise, some)
            worth.append(self.functional(values, old)[plan.target])
        together = torch.cat(worth, 1)
        together[0] = 0
        return design.contributions(together), together[-1]

    def marginal(self, fitted: Fitted) -> Tensor:
        """The target's draws by the best estimate of one model, `[draw]`."""
        game = replace(self, old=fitted, players=())
        plan = self.sweep.plan(np.zeros((1, len(self.sweep.players)), bool))
        return game._values(plan, self._noise("0"), torch.tensor([0]))[0, 0]

    def _noise(self, label: str) -> dict[str, Tensor]:
        found = {}
        for name in self.sweep.players:
            seed = zlib.crc32(f"{self.seed}/{name}/{label}".encode())
            generator = torch.Generator().manual_seed(seed)
            mechanism = self.old.mechanisms[name]
            found[name] = mechanism.draw_noise((1, 1, self.draws), generator=generator)
        return found

    def _others(self, members: Tensor) -> Tensor:
        """Which members of the new model go with these of the old: estimates, and others apart.

        Two fits of one seed draw their members by the same numbers, so that members of the same
        place err alike, and their difference would seem to be sure.
        """
        count = self.old.members - 1
        return torch.where(members == 0, 0, 1 + members % max(count, 1))

    def _values(self, plan: Plan, noise: Mapping[str, Tensor], members: Tensor) -> Tensor:
        """The target, `[its coalition, member, draw]`."""
        old = {n: self.old.mechanisms[n].members(members) for n in self.sweep.players}
        others = self._others(members)
        new = {n: self.new.mechanisms[n].members(others) for n in self.players}

        def valued(cell: Cell) -> Tensor:
            name, out = cell.node.name, cell.place.without
            parts = []
            for mechanism, some in ((old[name], slice(0, out)), (new.get(name), slice(out, None))):
                count = len(cell.place.inside[some])
                if mechanism is not None and count:
                    eps = noise[name].expand(count, len(members), *noise[name].shape[2:])
                    value = mechanism.push(eps, cell.parents(some))
                    parts.append(value.expand(*eps.shape[:3], *value.shape[3:]))
            return torch.cat(parts)

        values = self.sweep.run(plan, valued)
        return values.expand(len(values), len(members), self.draws).double()


__all__ = ["MechanismGame"]
