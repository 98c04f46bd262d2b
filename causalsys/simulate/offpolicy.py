"""Off-policy estimates: what traces of other policies say of one, without a simulator.

Where the recorded policies are known as functions that return distributions, a trace of another
arm counts as often as it would have occurred under the target policy (Precup, Sutton and Singh,
ICML 2000). A step's weight is the product, up to that step, of the probabilities of what was chosen
under the target, over their mean under the recorded policies: the arms together are one mixture
(the balance heuristic; Veach and Guibas, 1995), so that an arm that never does what the target does
harms nobody. Weights are normalised at each step, which is consistent, and much calmer than what is
unbiased (`ips`).

The doubly robust estimate (Jiang and Li, ICML 2016) takes away what a model foresees of the step at
hand: the mean of `w_t (r_t - q_t(a_t)) + w_{t-1} E_{a~target} q_t(a)`, where `q_t(a)` is the
outcome under each action by the simulator's mechanisms at the recorded state, its noise forecast
from the past. It is right if the policies are, whatever the model; a good model makes it calmer.
The model foresees one step here, not the rest of the trace.

Both die of long traces: the weights' spread grows with every choice. The effective number of
traces, `(Σw)²/Σw²`, says so, and below ten nothing is told. Nor is anything where weights do not
average to about one: then some of what the target would do was never recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Categorical, Distribution

from causalsys.data.table import Layout
from causalsys.query.draws import Estimate
from causalsys.query.policy import looks_of
from causalsys.scm.supports import Boolean
from causalsys.scm.supports import Categorical as Levels

Values = NDArray[np.float64]

_LEAST = 10.0
"""Effective traces below which nothing is told."""
_MISSED = 0.3
"""How far the mean weight may be from one, in logarithms. Where a policy's own choices were never
recorded in some traces, the rest follow it well, and are the wrong ones."""
_DRAWS = 400


@dataclass(frozen=True)
class OffPolicy:
    """An off-policy estimate, or why there is none.

    Attributes:
        estimator: "ips" or "doubly robust".
        metric: What was estimated: a mean over rows.
        estimate: With its interval over traces drawn anew; None where it is refused.
        effective: The effective number of traces at the step that has the fewest.
        refused: Why there is no estimate.
    """

    estimator: str
    metric: str
    estimate: Estimate | None
    effective: float
    refused: str = ""

    def __str__(self) -> str:
        if self.estimate is None:
            return f"{self.estimator} of {self.metric}: refused, {self.refused}"
        return f"{self.estimator} of {self.metric}: {self.estimate} ({self.effective:.0f} traces)"


@dataclass(frozen=True)
class Weights:
    """How often each step would have occurred under the target policy.

    Attributes:
        step: The weight of each row with its own choice, `[row]`.
        before: The same without it, `[row]`.
        layout: The rows' traces.
    """

    step: Values
    before: Values
    layout: Layout

    @classmethod
    def of(cls, target: Values, recorded: Values, shares: Values, layout: Layout) -> Weights:
        """Weights from the probabilities of what was chosen.

        Args:
            target: Under the target policy, `[row]`.
            recorded: Under each recorded policy, `[policy, row]`.
            shares: The share of traces that each of them was live in, `[policy]`.
            layout: The rows' traces.
        """
        with np.errstate(divide="ignore"):
            logs = np.log(np.concatenate([target[None], recorded]))
            spread = np.log(shares)[:, None]
        path = np.stack([_running(each, layout) for each in logs])
        below = np.logaddexp.reduce(path[1:] + spread, axis=0)
        with np.errstate(invalid="ignore"):
            step = np.nan_to_num(np.exp(path[0] - below), nan=0.0)
        position = layout.position.numpy()
        before = np.where(position == 0, 1.0, np.concatenate([[1.0], step[:-1]]))
        return cls(step, before, layout)

    def effective(self) -> Values:
        """The effective number of traces at each step, `[step]`."""
        position = self.layout.position.numpy()
        whole = np.bincount(position, self.step)
        return whole**2 / np.maximum(np.bincount(position, self.step**2), 1e-300)

    def mean(
        self,
        reward: Values,
        *,
        foreseen: tuple[Values, Values] | None = None,
        level: float = 0.9,
        seed: int = 0,
    ) -> Estimate:
        """The mean of rows under the target policy.

        Args:
            reward: `[row]`.
            foreseen: By a model, the reward of what was chosen, and its mean over what the target
                policy would choose, `[row]` each: then the estimate is doubly robust.
            level: Of the interval.
            seed: Fixes the traces that are drawn anew.
        """
        taken, wanted = foreseen or (np.zeros_like(reward), np.zeros_like(reward))
        step, before = self._grid(self.step), self._grid(self.before)
        part, rest = self._grid(self.step * (reward - taken)), self._grid(self.before * wanted)
        live = self._grid(np.ones_like(reward))
        rng = np.random.default_rng(seed)
        drawn = rng.exponential(size=(1 + _DRAWS, self.layout.traces))
        drawn[0] = 1

        def normal(of: Values, by: Values) -> Values:
            return np.asarray((drawn @ of) / np.maximum(drawn @ by, 1e-300))

        each = normal(part, step) + normal(rest, before)
        count = drawn @ live
        found = (each * count).sum(1) / count.sum(1)
        low, high = np.quantile(found[1:], [(1 - level) / 2, (1 + level) / 2])
        return Estimate(float(found[0]), float(low), float(high), level)

    def mass(self) -> Values:
        """The mean weight at each step, `[step]`: one, but for chance, where nothing is missing."""
        position = self.layout.position.numpy()
        return np.asarray(np.bincount(position, self.step) / np.bincount(position))

    def refusal(self) -> str:
        """Why nothing can be told; empty where something can."""
        found, mass = self.effective(), self.mass()
        short = np.flatnonzero(found < _LEAST)
        if not len(short):
            away = np.flatnonzero(np.abs(np.log(np.maximum(mass, 1e-9))) > _MISSED)
            if not len(away):
                return ""
            return (
                f"the recorded choices do not cover its own: at step {away[0]} their weights add "
                f"up to {mass[away[0]]:.0%} of the traces, not to all"
            )
        if found[short[0]] == 0:
            return f"there is no overlap: no trace follows the policy beyond step {short[0]}"
        return (
            f"there is too little overlap: from step {short[0]} on fewer than {_LEAST:.0f} traces' "
            "worth follow the policy"
        )

    def _grid(self, values: Values) -> Values:
        grid = np.zeros((self.layout.traces, self.layout.steps))
        grid[self.layout.trace.numpy(), self.layout.position.numpy()] = values
        return grid


def _running(logs: Values, layout: Layout) -> Values:
    """Sums from the beginning of each trace; once a choice is impossible, all that follow are."""
    gone = np.isneginf(logs)
    total = np.cumsum(np.where(gone, 0.0, logs))
    lost = np.cumsum(gone)
    first = layout.first_rows.numpy()[layout.trace.numpy()]
    start = np.where(first > 0, total[first - 1], 0.0)
    kept = lost == np.where(first > 0, lost[first - 1], 0)
    return np.where(kept, total - start, -np.inf)


def probabilities(
    policy: Any, known: Callable[[str], Tensor], layout: Layout, *, name: str, support: Levels
) -> Values | str:
    """What a policy would choose at each recorded step, `[row, level]`.

    Args:
        policy: The policy: a level's place, or a function as for `cs.simulate`.
        known: The recorded values of a variable, `[row]` (vectors `[row, size]`).
        layout: The rows' traces.
        name: The decision.
        support: Its support.

    Returns:
        The probabilities; or in words why they cannot be told.
    """
    count, rows = support.cardinality, len(layout.trace)
    if isinstance(policy, Mapping):
        return "it decides several variables"
    if isinstance(policy, Distribution):
        return _spread(policy, count, rows, support)
    if not callable(policy):
        levels = list(support.levels or ())
        if not isinstance(policy, str | int | bool) or policy not in levels:
            return "it is given row by row"
        return np.tile(np.eye(count)[levels.index(policy)], (rows, 1))
    places: list[Tensor] = []
    named: dict[str, Tensor] = {}
    for look in looks_of(policy, name):
        if look.when == "memory":
            return "it has a memory of its own"
        value = known(look.name)
        if look.when != "now":
            value = _moved(value, layout, look.steps, ahead=look.when == "ahead")
        value = value.unsqueeze(0)
        if look.positional:
            places.append(value)
        else:
            named[look.argument] = value
    found = policy(*places, **named)
    if isinstance(found, Distribution):
        return _spread(found, count, rows, support)
    codes = torch.as_tensor(found).long().expand(1, rows)[0]
    return np.asarray(torch.nn.functional.one_hot(codes, count).double().numpy())


def _spread(found: Distribution, count: int, rows: int, support: Levels) -> Values | str:
    """A distribution's probabilities, `[row, level]`."""
    if isinstance(found, Categorical):
        return np.asarray(found.probs.double().expand(1, rows, count)[0].numpy())
    if not isinstance(support, Boolean):
        return f"it returns a {type(found).__name__}, not a Categorical"
    chance = found.mean.double().expand(1, rows)[0].numpy()
    return np.stack([1 - chance, chance], -1)


def _moved(value: Tensor, layout: Layout, steps: int, *, ahead: bool) -> Tensor:
    """The values of steps before each row or from it on, `[row, step]`; one alone without axis."""
    rows = torch.arange(len(layout.trace))
    ends = torch.cat([layout.first_rows[1:], torch.tensor([len(rows)])])[layout.trace] - 1
    found = []
    for shift in range(steps) if ahead else range(steps, 0, -1):
        if ahead:
            found.append(value[torch.minimum(rows + shift, ends)])
        else:
            found.append(layout.earlier(value, shift, initial=0, row_axis=0))
    return found[0] if steps == 1 else torch.stack(found, 1)


__all__ = ["OffPolicy", "Weights", "probabilities"]
