"""A low-rank variable's data, laid out by steps; its parameters, as one row of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from causalsys.fit.lasting.course import Course
from causalsys.mechanisms.base import Parents
from causalsys.mechanisms.draws import some_traces
from causalsys.mechanisms.features import columns
from causalsys.mechanisms.low_rank import LowRankMechanism

_KEEPS = 0.9999
"""No component lasts longer than that: its share of variance must be new in some step."""
_LEAST = 1e-3
"""The least noise, as a share of the values' own spread."""


@dataclass(frozen=True)
class Series:
    """What a low-rank variable shows, step by step.

    Attributes:
        line: Its values on the link's scale, standardised, `[step, trace]`.
        action: The number of the action, `[step, trace]`.
        columns: The other parents, standardised, `[step, column, trace]`.
        live: 1 where there is a value, `[step, trace]`.
    """

    line: Tensor
    action: Tensor
    columns: Tensor
    live: Tensor

    @classmethod
    def of(
        cls,
        mechanism: LowRankMechanism,
        value: Tensor,
        parents: Parents,
        *,
        course: Course,
        known: Tensor | None = None,
    ) -> Series:
        """The series of some rows.

        Args:
            mechanism: Started.
            value: `[1, row]`.
            parents: The known ones, `[1, row]`.
            course: How rows go on in time.
            known: Where value and parents are known, `[row]`; None where they are everywhere.
        """
        center, spread = units(mechanism)
        line = (mechanism.line(value)[0].to(torch.float64) - center) / spread
        action = mechanism.action(parents)[0].expand(len(line))
        full = columns(
            parents, parents=mechanism.others, scale=mechanism.scale, state=mechanism.state
        )
        grid = line.new_zeros((0, len(line))) if full is None else full[0].mT.to(torch.float64)
        live = course.live if known is None else course.live & course.grid(known)
        return cls(
            torch.where(live, course.grid(line), 0.0),
            course.grid(action),
            course.grid(grid) * live.unsqueeze(1),
            live.to(torch.float64),
        )

    @property
    def traces(self) -> int:
        """How many traces there are."""
        return self.line.shape[1]

    def take(self, traces: Tensor) -> Series:
        """The series of these traces."""
        parts = (self.line, self.action, self.columns, self.live)
        return Series(*(part.index_select(-1, traces) for part in parts))

    def some(
        self, weight: Tensor, *, rows: int, generator: torch.Generator, slack: float = 1.0
    ) -> tuple[Series, Tensor]:
        """Whole traces with so many rows, and their weights; all of them if they are few.

        Args:
            weight: `[member, trace]`.
            rows: How many rows are enough.
            generator: Fixes which traces.
            slack: Up to how many times as many rows all traces are kept.
        """
        lengths = self.live.sum(0)
        if float(lengths.sum()) <= slack * rows:
            return self, weight
        chosen = some_traces(lengths, rows, generator=generator)
        return self.take(chosen), weight[:, chosen]

    def less(self, line: Tensor) -> Series:
        """The same with other values."""
        return replace(self, line=line)


@dataclass(frozen=True)
class System:
    """The parameters of a state-space model, in units of the standardised series.

    Attributes:
        constant: `[member, action]`.
        loading: `[member, component, action]`.
        weight: `[member, column]`.
        keeps: Each component's persistence, `[member, component]`.
        noise: The variance of the noise, `[member]`.
    """

    constant: Tensor
    loading: Tensor
    weight: Tensor
    keeps: Tensor
    noise: Tensor

    def members(self, index: Tensor) -> System:
        """The system of these members."""
        parts = (self.constant, self.loading, self.weight, self.keeps, self.noise)
        return System(*(part.index_select(0, index) for part in parts))

    def loadings(self, series: Series) -> Tensor:
        """The loading of every value, `[step, component, member, trace]`."""
        flat = self.loading.transpose(0, 1)[..., series.action.flatten()]
        return flat.unflatten(-1, series.action.shape).permute(2, 0, 1, 3).contiguous()

    def errors(self, series: Series) -> Tensor:
        """The values less what is known of them, `[step, member, trace]`."""
        known = self.constant[:, series.action].transpose(0, 1)
        if series.columns.shape[1]:
            known = known + torch.einsum("mp,tpn->tmn", self.weight, series.columns)
        return (series.line.unsqueeze(1) - known) * series.live.unsqueeze(1)


@dataclass(frozen=True)
class Shape:
    """How many parameters there are of which kind.

    Attributes:
        actions: How many actions.
        components: How many components.
        columns: How many other columns.
        alike: Whether each component weighs alike in all actions: they are then the courses of
            one latent, which may last in several ways at once.
    """

    actions: int
    components: int
    columns: int
    alike: bool = False

    @property
    def _sizes(self) -> list[int]:
        wide = self.components * (1 if self.alike else self.actions)
        return [self.actions, wide, self.columns, self.components, 1]

    def system(self, points: Tensor) -> System:
        """The parameters of points, `[member, parameter]`."""
        constant, loading, weight, keeps, noise = points.split(self._sizes, -1)
        loading = loading.unflatten(-1, (self.components, -1))
        return System(
            constant,
            loading.expand(-1, -1, self.actions),
            weight,
            _KEEPS * torch.sigmoid(keeps),
            _LEAST**2 + (2 * noise[:, 0]).exp(),
        )

    def points(self, system: System) -> Tensor:
        """The inverse."""
        share = (system.keeps / _KEEPS).clamp(1e-4, 1 - 1e-4)
        noise = 0.5 * (system.noise - _LEAST**2).clamp(min=1e-12).log()
        loading = system.loading[..., :1] if self.alike else system.loading
        parts = [system.constant, loading.flatten(1), system.weight, torch.logit(share)]
        return torch.cat([*parts, noise.unsqueeze(-1)], -1)

    def slopes(self, points: Tensor, of: System) -> Tensor:
        """Derivatives by the system's parameters as derivatives by the points'."""
        free = points.split(self._sizes, -1)
        share = torch.sigmoid(free[3])
        parts = [
            of.constant,
            of.loading.sum(-1) if self.alike else of.loading.flatten(1),
            of.weight,
            _KEEPS * share * (1 - share) * of.keeps,
        ]
        return torch.cat([*parts, 2 * (2 * free[4]).exp() * of.noise.unsqueeze(-1)], -1)


def units(mechanism: LowRankMechanism) -> tuple[float, float]:
    """Where the values lie on the link's scale, and how far they spread: as `start` left it."""
    return float(mechanism.state["line.center"]), float(mechanism.state["line.spread"])


def fitted_state(mechanism: LowRankMechanism, system: System) -> dict[str, Tensor]:
    """The state of the mechanism with these parameters, in the values' own units."""
    center, spread = units(mechanism)
    by = mechanism.state["spread"][0, 0]
    weight = spread * system.weight / by
    shift = (weight * mechanism.state["center"][0, 0]).sum(-1, keepdim=True)
    return {
        **mechanism.state,
        "constant": center + spread * system.constant - shift,
        "loading": spread * system.loading.mT,
        "weight": weight,
        "log_scale": (spread * system.noise.sqrt()).log().unsqueeze(-1),
    }


def system_of(mechanism: LowRankMechanism, keeps: Tensor) -> System:
    """The parameters of a fitted mechanism, for series in its units; the inverse."""
    center, spread = units(mechanism)
    state = mechanism.state
    by, mid = state["spread"][0, 0], state["center"][0, 0]
    shift = (state["weight"] * mid).sum(-1, keepdim=True)
    return System(
        (state["constant"] + shift - center) / spread,
        state["loading"].mT / spread,
        state["weight"] * by / spread,
        keeps,
        ((state["log_scale"].exp() / spread) ** 2)[:, 0],
    )
