"""Linear mechanisms whose noise scale, or whole line, is each level's own of a categorical parent.

`link(value) = constant[k] + slope[k] · columns + scale[k] · noise`, `k` being the level. A variance
that depends on a cause is heteroscedasticity that the model knows: the value still determines the
noise, and a counterfactual under another level keeps the noise, not the residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Mechanism, Parents, Sample
from causalsys.mechanisms.by_level import Lines, Sharing, cross_moments
from causalsys.mechanisms.features import Scale, columns, start_columns
from causalsys.mechanisms.links import from_line, log_slope, offset_of
from causalsys.mechanisms.residual import log_density
from causalsys.mechanisms.training import Training
from causalsys.scm.supports import Categorical, Positive, Support

_SWEEPS = 30
"""Lines given scales, scales given lines: their likelihood is flat well before."""


@dataclass(frozen=True)
class LevelledMechanism(Additive):
    """A line and a noise scale by level, of weighted least squares.

    The state has `constant` and `log_scale` `[member, level]`, and `slope`
    `[member, 1 or level, column]` of the standardised columns of the other parents.
    """

    @property
    def scale(self) -> Scale:
        return "log" if self.spec.link == "log" else "raw"

    @property
    def level(self) -> str:
        """The key of the parent whose levels they are."""
        return str(self.spec.level)

    @property
    def levels(self) -> int:
        """How many levels it has."""
        support = self.parents[self.level]
        assert isinstance(support, Categorical)
        return support.cardinality

    @property
    def others(self) -> dict[str, Support]:
        """The other parents."""
        return {key: support for key, support in self.parents.items() if key != self.level}

    def location(self, parents: Parents) -> Tensor:
        codes = parents[self.level]
        total = _by_code(self.state["constant"], codes)
        design = self.columns(parents)
        if design is None:
            return total
        slope = self.state["slope"]
        if slope.shape[1] == 1:
            return total + (design @ slope.mT).squeeze(-1)
        for place in range(slope.shape[-1]):
            total = total + _by_code(slope[..., place], codes) * design[..., place]
        return total

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        residual = self.line(value) - self.location(parents)
        slope = log_slope(value, support=self.support, offset=self.state["offset"])
        return log_density(residual, {"log_scale": self._log_scale(parents)}) + slope

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return (self.line(value) - self.location(parents)) / self._log_scale(parents).exp()

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        line = self.location(parents) + noise * self._log_scale(parents).exp()
        return from_line(line, support=self.support, offset=self.state["offset"])

    def carry(
        self,
        value: Tensor,
        parents: Parents,
        changed: Parents,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        # Another level has another scale, so that the residual of the same noise differs.
        if self.level in changed:
            return Mechanism.carry(self, value, parents, changed, generator=generator)
        return super().carry(value, parents, changed, generator=generator)

    def columns(self, parents: Parents) -> Tensor | None:
        """The standardised columns of the other parents; None without any."""
        return columns(parents, parents=self.others, scale=self.scale, state=self.state)

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        state = start_columns(
            {key: value for key, value in sample.parents.items() if key != self.level},
            parents=self.others,
            scale=self.scale,
            weight=sample.weight,
        )
        value = sample.value.flatten()
        positive = isinstance(self.support, Positive)
        state["offset"] = offset_of(value) if positive else value.new_zeros(1)
        line = self.with_state(state).line(sample.value)
        spread = line.std(unbiased=False).clamp(min=1e-9) if line.numel() > 1 else line.new_ones(())
        shape, width = (sample.members, self.levels), state["center"].shape[-1]
        own = self.levels if self.spec.by else 1
        # Unlike on purpose: where the level is a latent, alike starts would stay alike.
        draws = torch.randn(*shape, generator=generator, dtype=line.dtype)
        slope = torch.randn(sample.members, own, width, generator=generator, dtype=line.dtype)
        state["constant"] = line.mean() + 0.5 * spread * draws
        state["slope"] = 0.5 * spread * slope
        state["log_scale"] = spread.log().expand(shape).clone()
        return self.with_state(state)

    def fit(self, sample: Sample, *, training: Training) -> Self:
        started = self.start(sample, generator=training.generator())
        codes = sample.parents[self.level]
        width = started.state["center"].shape[-1]
        if sample.rows < width + self.levels + 2:
            raise FitError(
                "Linear",
                found=f"{sample.rows} rows for {width} columns and {self.levels} levels",
                mend=f"Give at least {width + self.levels + 2} rows, or fewer parents.",
            )
        line, design = started.line(sample.value), started.columns(sample.parents)
        table, center, spread = line_table(line, design)
        whole = cross_moments(table[:1], sample.weight[:1].unsqueeze(1))[:, 0]
        sharing = Sharing.of(whole, slopes=not self.spec.by, scale=False)
        at = torch.arange(self.levels).reshape(1, -1, 1) == codes.unsqueeze(1)
        moments = cross_moments(table, sample.weight.unsqueeze(1) * at)
        lines = sharing.lines(sample.members, self.levels)
        for _ in range(_SWEEPS):
            lines = sharing.sweep(moments, lines)
        fitted = started.with_lines(lines, center=center, spread=spread)
        unseen = [str(k) for k in range(self.levels) if not bool(at[:, k].any())]
        if unseen:
            return fitted.noted(
                f"no row has the level {', '.join(unseen)} of {self.level}: taken like all others"
            )
        return fitted

    def with_lines(self, lines: Lines, *, center: Tensor, spread: Tensor) -> Self:
        """The mechanism with lines in standard units as its parameters."""
        own = lines.coefficients if self.spec.by else lines.coefficients[:, :1]
        return self.with_state(
            {
                **self.state,
                "constant": center + spread * lines.coefficients[..., 0],
                "slope": spread * own[..., 1:],
                "log_scale": 0.5 * lines.variance.log() + spread.log(),
            }
        )

    def _log_scale(self, parents: Parents) -> Tensor:
        return _by_code(self.state["log_scale"], parents[self.level])


def line_table(line: Tensor, design: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Ones, columns and a standardised line `[1 or member, row, 2 + column]`; centre, spread."""
    center = line[0].mean()
    spread = line[0].std(unbiased=False).clamp(min=1e-9 * (1 + float(center.abs())))
    standard = ((line - center) / spread).unsqueeze(-1)
    parts = [torch.ones_like(standard), *([] if design is None else [design]), standard]
    lead = max(map(len, parts))
    return torch.cat([part.expand(lead, *part.shape[1:]) for part in parts], -1), center, spread


def _by_code(table: Tensor, codes: Tensor) -> Tensor:
    """What `table` `[member, level]` has for each code, `[..., sample, row]`."""
    lead, members = codes.shape[:-2], max(codes.shape[-2], len(table))
    places = codes.long().expand(*lead, members, codes.shape[-1])
    return table.expand(*lead, members, table.shape[-1]).gather(-1, places)
