"""Traces as diagnostics look at them: noises, actions and arms, by trace and step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from causalsys.fit.abduct import Abducted
from causalsys.fit.fitted import Fitted
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical

Values = NDArray[np.float64]
_NUDGE = 1e-2
_LONGEST = 400


@dataclass(frozen=True)
class Seen:
    """What traces show of one lasting variable.

    Attributes:
        variable: Its name.
        constraint: What identifies its mechanism.
        action: The discrete decision among its causes; None where there is none.
        levels: The values of the action.
        arms: The arms' names; empty without an arm.
        arm: The code of each trace's arm, `[trace]`.
        trace: The number of each row's trace, `[row]`.
        taken: Each row's action as a code, `[row]`.
        noise: The variable's noise, `[row]`.
        slope: By how much the value moves with the noise, on its own scale, `[row]`.
    """

    variable: str
    constraint: str
    action: str | None
    levels: tuple[Any, ...]
    arms: tuple[Any, ...]
    arm: NDArray[np.int64]
    trace: NDArray[np.int64]
    taken: NDArray[np.int64]
    noise: Values
    slope: Values

    @property
    def traces(self) -> int:
        """How many traces there are."""
        return int(self.trace[-1]) + 1

    @property
    def switched(self) -> Values:
        """The share of steps in which a trace's action differs from the step before, `[trace]`."""
        follows = np.diff(self.trace) == 0
        changed = follows & (np.diff(self.taken) != 0)
        found = np.bincount(self.trace[1:], changed, self.traces)
        return found / np.bincount(self.trace[1:], follows, self.traces).clip(1)

    @property
    def trace_means(self) -> Values:
        """The mean noise of each trace, `[trace]`."""
        return np.bincount(self.trace, self.noise) / np.bincount(self.trace)

    def shares(self) -> Values:
        """The share of each action in each arm, `[arm, action]`."""
        count = np.zeros((len(self.arms), len(self.levels)))
        np.add.at(count, (self.arm[self.trace], self.taken), 1)
        return count / count.sum(axis=1, keepdims=True).clip(1)

    def used(self) -> Values:
        """Which trace has which action at all, `[trace, action]`."""
        found = np.zeros((self.traces, len(self.levels)))
        found[self.trace, self.taken] = 1
        return found

    def regimes(self, traces: NDArray[np.bool_]) -> float:
        """Independent states of the noise in these traces.

        Steps divided by the integrated autocorrelation time, which is summed until the
        autocorrelation first falls below a tenth (after Geyer, 1992).
        """
        noise = self.noise - self.noise.mean()
        inside = traces[self.trace]
        total = float((noise[inside] ** 2).mean())
        time, count = 1.0, int(inside.sum())
        for lag in range(1, min(_LONGEST, count)):
            pairs = inside[lag:] & (self.trace[lag:] == self.trace[:-lag])
            if not pairs.any():
                break
            correlation = float((noise[lag:] * noise[:-lag])[pairs].mean()) / max(total, 1e-12)
            if correlation < 0.1:
                break
            time += 2 * correlation
        return max(count / time, 1.0)

    def spread(self, fitted: Fitted) -> Values:
        """How far members are apart in the value of each action, the noise of an anchor held.

        The anchor is the action taken most often: what is known is how others compare with it.

        Returns:
            `[action]`, relative standard deviations.
        """
        mechanism = fitted.mechanisms[self.variable]
        codes = torch.arange(len(self.levels))
        anchor = int(np.bincount(self.taken, minlength=len(self.levels)).argmax())
        others = [key for key in mechanism.parents if key != self.action]
        if others or self.action is None:
            return np.zeros(len(self.levels))
        with torch.no_grad():
            middle = mechanism.push(
                torch.zeros(fitted.members, len(codes), dtype=torch.float64),
                {self.action: codes[None]},
            )
            same = middle[:1, anchor : anchor + 1].expand(fitted.members, 1)
            noise = mechanism.pull(same, {self.action: codes[None, anchor : anchor + 1]})
            value = mechanism.push(noise.expand(-1, len(codes)), {self.action: codes[None]})
        found: Values = (value.std(0) / value.mean(0).abs().clamp(min=1e-12)).numpy()
        return found


def seen_of(node: Node, fitted: Fitted, found: Abducted, *, constraint: str) -> Seen:
    """Look at the recorded traces of one lasting variable."""
    table, supports = found.table, fitted.schema.supports
    parents = {ref.key: table.value_of(ref) for ref in node.parents}
    mechanism = found.mechanisms[node.name]
    actions = [
        ref.name
        for ref in node.parents
        if isinstance(supports[ref.name], Categorical) and not supports[ref.name].size
    ]
    arms = [n for n in fitted.declaration.nodes.values() if n.kind == "arm"]
    with torch.no_grad():
        noise = found.noise_of(node, slice(0, table.rows))[0]
        moved = [mechanism.push((noise + by)[None], parents)[0] for by in (-_NUDGE, _NUDGE)]
    slope = ((moved[1] - moved[0]).abs() / (2 * _NUDGE * _scale(moved[0]))).numpy()
    action = actions[0] if actions else None
    codes = table.values[action][0] if action else torch.zeros(table.rows, dtype=torch.int64)
    arm, names = torch.zeros(table.layout.traces, dtype=torch.int64), ()
    if arms and arms[0].name in table.values:
        arm = table.values[arms[0].name][0][table.layout.first_rows]
        names = tuple(_levels(supports[arms[0].name]))
    return Seen(
        node.name,
        constraint,
        action,
        tuple(_levels(supports[action])) if action else (),
        names,
        arm.numpy().astype(np.int64),
        table.layout.trace.numpy(),
        codes.numpy().astype(np.int64),
        noise.numpy(),
        slope,
    )


def _scale(value: torch.Tensor) -> torch.Tensor:
    """Values on their own scale: a change of one per cent counts alike for small and large."""
    return value.abs().clamp(min=float(value.abs().median()) * 1e-3 + 1e-12)


def _levels(support: Any) -> tuple[Any, ...]:
    return tuple(support.levels) if support.levels else (False, True)
