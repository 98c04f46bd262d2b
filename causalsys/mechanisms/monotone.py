"""An own monotone map of one normal noise for each combination of discrete parents: bijective.

`noise = spline_k((link(value) - location_k - w · x) / (scale_k exp(v · x)))`, where `k` is the
combination of discrete parents and `x` the columns of the others, which only shift and stretch.
The splines are rational-quadratic (Durkan, Bekasov, Murray and Papamakarios, NeurIPS 2019); as
they are free, no two actions need be alike up to a factor, as they must in a low-rank mechanism.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.base import Mechanism, Parents, Sample
from causalsys.mechanisms.features import columns, start_columns
from causalsys.mechanisms.links import from_line, log_slope, offset_of, to_line
from causalsys.mechanisms.monotone_start import cell_maps
from causalsys.mechanisms.rational_quadratic import Spline
from causalsys.mechanisms.training import Training, improve
from causalsys.scm.supports import Categorical, Support

_LOG_2PI = math.log(2 * math.pi)
_LOG_RANGE = 7.0
_LEAST_ROWS = 10


@dataclass(frozen=True)
class MonotoneMechanism(Mechanism):
    """The maps, as tables with a row for each combination of discrete parents.

    The value determines the noise, so unit-level counterfactuals are identified (Nasr-Esfahany,
    Alizadeh and Shah, ICML 2023). Without continuous parents the fit is by quantiles, in closed
    form. A combination that the data do not have takes the map of all rows together.
    """

    @property
    def cells(self) -> int:
        """How many combinations of discrete parents there are."""
        return math.prod(self._sizes.values())

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        others = self._others
        seen = {key: value for key, value in sample.parents.items() if key in others}
        state = start_columns(seen, parents=others, scale="both", weight=sample.weight)
        state["offset"] = offset_of(sample.value.flatten())
        line = to_line(sample.value, support=self.support, offset=state["offset"])
        spread = line.std(unbiased=False)
        state["line.center"] = line.mean().reshape(1, 1)
        state["line.spread"] = torch.where(spread > 0, spread, torch.ones_like(spread)).reshape(
            1, 1
        )
        scaled = (line - state["line.center"]) / state["line.spread"]
        if others:
            weight = self._start_weight(seen, scaled, sample, state=state, generator=generator)
            state["weight"] = weight
            if len(seen) == len(others):
                design = columns(seen, parents=others, scale="both", state=state)
                assert design is not None
                scaled = scaled - (design @ weight[..., :1]).squeeze(-1)
        place = self._place(sample.parents, like=sample.value)
        maps = cell_maps(scaled, sample.weight, place=place, cells=self.cells, bins=self.spec.knots)
        return self.with_state(state | maps)

    def _start_weight(
        self,
        seen: Parents,
        scaled: Tensor,
        sample: Sample,
        *,
        state: Mapping[str, Tensor],
        generator: torch.Generator,
    ) -> Tensor:
        """How the columns of other parents shift and stretch at first, `[member, column, 2]`."""
        members, width = sample.members, state["center"].shape[-1]
        weight = scaled.new_zeros(members, width, 2)
        if len(seen) < len(self._others):
            # A latent parent: start from random slopes, or all restarts would be alike.
            draws = torch.randn(members, width, generator=generator, dtype=weight.dtype)
            weight[..., 0] = 0.5 * draws
            return weight
        design = columns(seen, parents=self._others, scale="both", state=state)
        assert design is not None
        weight[..., 0] = _shifts(scaled[0], design[0], sample.weight[0])
        return weight

    def fit(self, sample: Sample, *, training: Training) -> Self:
        if sample.rows < _LEAST_ROWS:
            raise FitError(
                "Monotone",
                found=f"{sample.rows} rows to find a map's quantiles in",
                mend=f"Give at least {_LEAST_ROWS}, or use cs.Linear().",
            )
        started = self.start(sample, generator=training.generator())
        return improve(started, sample, training=training) if self._others else started

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        location, log_scale, spline = self._map(parents, like=value)
        line = to_line(value, support=self.support, offset=self.state["offset"])
        noise, slope = spline.forward((line - location) * torch.exp(-log_scale))
        link = log_slope(value, support=self.support, offset=self.state["offset"])
        return -0.5 * (noise**2 + _LOG_2PI) + slope - log_scale + link

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        location, log_scale, spline = self._map(parents, like=value)
        line = to_line(value, support=self.support, offset=self.state["offset"])
        return spline.forward((line - location) * torch.exp(-log_scale))[0]

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        location, log_scale, spline = self._map(parents, like=noise)
        line = location + torch.exp(log_scale) * spline.inverse(noise)
        return from_line(line, support=self.support, offset=self.state["offset"])

    def _map(self, parents: Parents, *, like: Tensor) -> tuple[Tensor, Tensor, Spline]:
        """Location and log scale on the line, and the spline, of each row."""
        place = self._place(parents, like=like)
        spline = Spline.of(self._shapes(), bins=self.spec.knots)
        spline = Spline(
            *(
                _look_up(table, place)
                for table in (spline.width, spline.height, spline.right, spline.top, spline.slope)
            )
        )
        location = _look_up(self.state["location"].unsqueeze(0), place)[0]
        log_scale = _look_up(self.state["log_scale"].unsqueeze(0), place)[0]
        if "weight" in self.state:
            design = columns(parents, parents=self._others, scale="both", state=self.state)
            assert design is not None
            moved = (design @ self.state["weight"]).movedim(-1, 0)
            location = location + moved[0]
            log_scale = log_scale + _LOG_RANGE * torch.tanh(moved[1] / _LOG_RANGE)
        center, spread = self.state["line.center"], self.state["line.spread"]
        return center + spread * location, spread.log() + log_scale, spline

    def _shapes(self) -> Tensor:
        """The splines' parameters, `[parameter, member, combination]`."""
        shape = self.state["shape"].unsqueeze(-2) + self.state["bend"]
        return shape.movedim(-1, 0)

    @property
    def _sizes(self) -> dict[str, int]:
        return {
            key: support.cardinality
            for key, support in self.parents.items()
            if isinstance(support, Categorical) and not support.size
        }

    @property
    def _others(self) -> Mapping[str, Support]:
        """The parents that only shift and stretch."""
        return {key: support for key, support in self.parents.items() if key not in self._sizes}

    def _place(self, parents: Parents, *, like: Tensor) -> Tensor:
        """The number of each row's combination of discrete parents, `[..., member or 1, row]`."""
        place = torch.zeros(like.shape[-2:], dtype=torch.int64, device=like.device)[:1]
        for key, size in self._sizes.items():
            place = place * size + parents[key].long()
        return place


def _look_up(table: Tensor, place: Tensor) -> Tensor:
    """Entries of `[knot, member, combination]` at `[..., row]`, `[knot, ..., member, row]`."""
    members = max(table.shape[1], place.shape[-2])
    lead = place.shape[:-2]
    place = place.expand(*lead, members, place.shape[-1])
    if table.shape[-1] == 1:
        return table.reshape(table.shape[0], *(1,) * len(lead), table.shape[1], 1)
    table = table.reshape(table.shape[0], *(1,) * len(lead), *table.shape[1:])
    table = table.expand(-1, *lead, members, -1)
    return table.gather(-1, place.expand(table.shape[0], *place.shape))


def _shifts(line: Tensor, design: Tensor, weight: Tensor) -> Tensor:
    """How a value moves with standardised columns, by ridge regression, `[column]`."""
    counted = design * weight.unsqueeze(-1)
    gram = counted.mT @ design + torch.eye(design.shape[-1], dtype=design.dtype)
    return torch.linalg.solve(gram, counted.mT @ (line - line.mean()))
