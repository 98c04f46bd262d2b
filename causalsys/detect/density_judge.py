"""How unusual rows are, in their inputs and in the state of the latents behind them.

The input's score is the log density of the observed inputs, the latents integrated out. The
state's is the smaller of two ranks: how rarely normal rows are in the states that the row is
probably in, and how well the state that explains the row best does explain it, among inputs drawn
from that state (of continuous latents: among normal rows). An input beyond all that normal rows
showed, and that the state told by the others does not explain, is left out of the state's score,
so that one broken sensor is not taken for another kind of host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.levels import written
from causalsys.data.table import Table
from causalsys.detect.density_states import Reading, States, beyond, states_of
from causalsys.detect.loss import Values
from causalsys.detect.unusual import Flags
from causalsys.fit.fitted import Fitted
from causalsys.scm.blocks import blocks
from causalsys.scm.specs import Logged
from causalsys.scm.supports import Categorical

_CHUNK = 2_000_000
"""Numbers of one pass: states times rows times inputs."""
_IMAGINED = 400
"""Rows of which inputs are imagined in each state."""
_FEW = 0.01

Told = dict[str, NDArray[np.object_] | Values]


@dataclass(frozen=True)
class Scores:
    """Of each row: large is unusual."""

    input: Values
    latent: Values
    beyond: Mapping[str, Flags]
    states: Told


@dataclass(frozen=True)
class District:
    """The states of a district, and what reference rows say of them.

    Attributes:
        states: The states.
        usual: How much of the reference rows is in each, `[state]`.
        middle: The expected log density of each input in each state, `[input, state]`.
        explained: Sorted log densities of what each state explains, `[state or 1, row]`.
        center: The mean of the reference rows' posterior means, `[noise]`.
        root: Of their covariance, `[noise, noise]`.
        least: By input, the log density given the others below which few reference rows are.
    """

    states: States
    usual: Tensor
    middle: Tensor
    explained: Tensor
    center: Tensor
    root: Tensor
    least: Tensor

    @classmethod
    def of(cls, states: States, reference: Table, *, seed: int) -> District:
        generator = torch.Generator().manual_seed(seed)
        reading = _read_in_chunks(states, reference)
        share = torch.softmax(reading.prior + reading.density.sum(0), 0)
        usual = share.mean(-1)
        middle = (reading.density * share).sum(-1) / share.sum(-1).clamp(min=1e-12)
        if states.classes:
            few = reference.take(torch.arange(min(reference.rows, _IMAGINED)))
            explained = states.imagined(few, generator=generator)
        else:
            explained = (share * reading.density.sum(0)).sum(0, keepdim=True)
        mean = _means(states, share)
        center = mean.mean(0)
        gap = mean - center
        cover = gap.mT @ gap / len(mean) + 1e-9 * torch.eye(mean.shape[1], dtype=mean.dtype)
        root = torch.linalg.cholesky(cover)
        ordered = explained.sort(-1).values.contiguous()
        each = range(len(states.inputs))
        alone = torch.stack([_given_others(reading, place) for place in each])
        least = alone.quantile(_FEW, dim=-1)
        return cls(states, usual, middle, ordered, center, root, least)

    def broken(self, reading: Reading, out: Tensor) -> Tensor:
        """Of inputs beyond all that was seen, those that the others do not explain.

        Args:
            reading: Of the rows.
            out: Which inputs are beyond, `[input, row]`.
        """
        found = out.clone()
        for place in out.any(-1).nonzero()[:, 0].tolist():
            found[place] &= _given_others(reading, place) < self.least[place]
        return found

    def rarity(self, reading: Reading, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How rare the state is, how little it explains (small is unusual), and its posterior.

        Args:
            reading: Of the rows.
            out: Which inputs are left out, `[input, row]`.
        """
        absent = out.unsqueeze(1)
        density = torch.where(absent, torch.zeros_like(reading.density), reading.density)
        share = torch.softmax(reading.prior + density.sum(0), 0)
        # In place of what is left out, what the state's own rows have on average.
        fair = torch.where(absent, self.middle.unsqueeze(-1), reading.density).sum(0)
        if self.states.classes:
            often = (share * self.usual.unsqueeze(-1)).sum(0)
        else:
            fair = (share * fair).sum(0, keepdim=True)
            gap = (_means(self.states, share) - self.center).mT
            often = -(torch.linalg.solve_triangular(self.root, gap, upper=False) ** 2).sum(0)
        below = torch.searchsorted(self.explained, fair.contiguous(), right=True)
        chance = (1 + below).double() / (1 + self.explained.shape[-1])
        return often, chance.amax(0), share


@dataclass(frozen=True)
class Judge:
    """Scores rows by what reference rows are like."""

    fitted: Fitted
    names: tuple[str, ...]
    districts: tuple[District, ...]
    ranges: Mapping[str, tuple[Tensor, Tensor]]
    often: tuple[Values, ...]

    @classmethod
    def of(cls, fitted: Fitted, reference: Table, names: Sequence[str], *, seed: int) -> Judge:
        found = [
            states_of(block, fitted, reference, inputs=names, seed=seed)
            for block in blocks(fitted.declaration)
            if block.latents
        ]
        districts = tuple(District.of(s, reference, seed=seed) for s in found if s is not None)
        ranges = {}
        for name in names:
            value, gone = reference.values[name][0], reference.missing.get(name)
            seen = value if gone is None else value[~gone]
            if len(seen):
                ranges[name] = (seen.amin(0), seen.amax(0))
        judge = cls(fitted, tuple(names), districts, ranges, ())
        often = tuple(np.sort(each) for each in judge._read(reference)[1])
        return replace(judge, often=often)

    def scores(self, table: Table) -> Scores:
        """The scores of a table's rows."""
        total, often, explained, states, outside = self._read(table)
        worst = np.ones(table.rows)
        for mine, known, chance in zip(often, self.often, explained, strict=True):
            # Relative tolerance: rows of one class have one rarity, up to rounding.
            rank = np.searchsorted(known, mine + 1e-9 * (1 + np.abs(mine)), side="right")
            worst = np.minimum(worst, np.minimum((1 + rank) / (1 + len(known)), chance))
        return Scores(-total, -worst, outside, states)

    def _read(
        self, table: Table
    ) -> tuple[
        Values,
        list[Values],
        list[Values],
        Told,
        dict[str, Flags],
    ]:
        outside = {}
        for name, (low, high) in self.ranges.items():
            flags = beyond(table.values[name], low, high)
            gone = table.missing.get(name)
            outside[name] = flags if gone is None else flags & ~gone.numpy()
        total = torch.zeros(table.rows, dtype=torch.float64)
        often, explained = [], []
        states: Told = {}
        for district in self.districts:
            reading = _read_in_chunks(district.states, table)
            total = total + reading.total
            none = np.zeros(table.rows, dtype=bool)
            out = np.stack([outside.get(name, none) for name in district.states.inputs])
            left = district.broken(reading, torch.as_tensor(out))
            rare, chance, share = district.rarity(reading, left)
            often.append(rare.numpy())
            explained.append(chance.numpy())
            states |= self._told(district.states, reading, share)
        return (total + self._alone(table)).numpy(), often, explained, states, outside

    def _alone(self, table: Table) -> Tensor:
        """The log density of the inputs that no latent acts on."""
        tied = {name for district in self.districts for name in district.states.inputs}
        total = torch.zeros(table.rows, dtype=torch.float64)
        first = torch.zeros(1, dtype=torch.int64)
        for name in self.names:
            node = self.fitted.node(name)
            parents = table.parents_of(node)
            absent = isinstance(node.mechanism, Logged) or len(parents) < len(node.parents)
            if name in tied or absent:
                continue
            mechanism = self.fitted.mechanisms[name].members(first)
            density = mechanism.log_prob(table.values[name], parents)[0]
            known = table.complete(node)
            total = total + (density if known is None else density * known)
        return total

    def _told(self, states: States, reading: Reading, share: Tensor) -> Told:
        """The most probable level, or the posterior mean, of each latent."""
        found: Told = {}
        for name in states.latents:
            support, value = self.fitted.schema.supports[name], reading.values[name].squeeze(1)
            if isinstance(support, Categorical):
                hits = torch.zeros(support.cardinality, share.shape[1], dtype=share.dtype)
                hits.index_add_(0, states.codes[name], share)
                found[name] = written(hits.argmax(0).numpy(), support)
            elif value.dim() == 2:
                found[name] = (share * value).sum(0).numpy()
        return found


def _given_others(reading: Reading, place: int) -> Tensor:
    """The log density of an input given the other inputs, `[row]`."""
    total = reading.prior + reading.density.sum(0)
    without = torch.logsumexp(total - reading.density[place], 0)
    return torch.logsumexp(total, 0) - without


def _means(states: States, share: Tensor) -> Tensor:
    """The posterior means of the continuous latents' noises, `[row, noise]`."""
    parts = [share.mT @ noise.reshape(len(noise), -1) for noise in states.noises.values()]
    return torch.cat(parts, -1) if parts else share.new_zeros(share.shape[1], 1)


def _read_in_chunks(states: States, table: Table) -> Reading:
    """What the rows say of each state, some rows at a time."""
    size = max(_CHUNK // (len(states.share) * len(states.inputs)), 1)
    parts = [states.read(table.take(rows)) for rows in torch.arange(table.rows).split(size)]
    values = {
        name: value if value.shape[2] == 1 else torch.cat([part.values[name] for part in parts], 2)
        for name, value in parts[0].values.items()
    }
    return Reading(
        torch.cat([part.prior for part in parts], -1),
        torch.cat([part.density for part in parts], -1),
        values,
    )


__all__ = ["Judge", "Scores"]
