"""Which variables' own mechanisms shifted, and how much of the mix each of them moved.

A variable moved if, given its logged causes, it is not as it was. The mix's part is divided by
Shapley's values over coalitions of those that moved: rows from before in which some of them follow
their mechanisms of after, each keeping its own noise, and all below them follow (Budhathoki et al.,
AISTATS 2021, for a loss).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from causalsys.audit.explain_columns import Columns, Floats, logged_causes
from causalsys.audit.explain_regression import Curve, chosen, crossed, curve, folds_of
from causalsys.rootcause.shapley import every_coalition
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    import pandas as pd

_LEVEL = 0.01
"""The chance that any variable that did not move is said to have moved."""
_MOST = 5
"""The most variables among which the mix is divided."""


@dataclass(frozen=True)
class Moved:
    """A variable whose own mechanism shifted.

    Attributes:
        name: The variable.
        chance: The p-value of its mechanism being as before.
    """

    name: str
    chance: float


def movers(
    columns: Columns,
    before: pd.DataFrame,
    after: pd.DataFrame,
    names: Sequence[str],
    random: np.random.Generator,
) -> list[Moved]:
    """Those of some variables whose mechanisms shifted, surest first."""
    tested = []
    for name in names:
        causes = [n for n in logged_causes(columns.subject, name) if n in before and n in after]
        both = [columns.features(rows, causes) for rows in (before, after)]
        values = [columns.features(rows, (name,)) for rows in (before, after)]
        each = [
            _chance(both, [value[:, at] for value in values], random)
            for at in range(values[0].shape[1])
        ]
        tested.append(Moved(name, min(1.0, len(each) * min(each, default=1.0))))
    found = [one for one in tested if one.chance < _LEVEL / max(len(tested), 1)]
    return sorted(found, key=lambda one: one.chance)


def _chance(both: list[Floats], values: list[Floats], random: np.random.Generator) -> float:
    """The p-value of a variable's mean, spread and slopes, given its causes, being as before."""
    from scipy.stats import norm

    folds = folds_of(len(values[0]), random)
    family = chosen(both[0], values[0], folds=folds, trees=False)
    own, told = crossed(both[0], values[0], both[1], folds=folds, family=family)
    left = [values[0] - own, values[1] - told]
    spread = max(float(left[0].std()), 1e-300)
    center, scale = both[0].mean(0), np.where(both[0].std(0) > 0, both[0].std(0), 1.0)
    ones = [np.column_stack([np.ones(len(x)), (x - center) / scale]) for x in both]
    statistics = []
    for at in range(ones[0].shape[1]):
        each = [
            np.clip(rest / spread, -4, 4) * x[:, at] for rest, x in zip(left, ones, strict=True)
        ]
        statistics.append(_apart(each))
    statistics.append(_apart([np.clip(rest / spread, -4, 4) ** 2 for rest in left]))
    found: Floats = 2 * norm.sf(np.abs(statistics))
    return min(1.0, len(found) * float(found.min()))


def _apart(each: list[Floats]) -> float:
    error = np.sqrt(sum(float(part.var()) / len(part) for part in each))
    return float(each[1].mean() - each[0].mean()) / max(float(error), 1e-300)


def divided(
    columns: Columns,
    before: pd.DataFrame,
    after: pd.DataFrame,
    moved: Sequence[str],
    worth: Callable[[pd.DataFrame], float],
    random: np.random.Generator,
) -> dict[str, float]:
    """What each of the moved variables gives to the mean loss.

    Args:
        columns: What the columns are.
        before: The rows before.
        after: The rows after.
        moved: The variables that moved; the first few of them play.
        worth: The mean loss under the old law of the target, of rows.
        random: Draws categories.
    """
    players = tuple(moved)[:_MOST]
    if not players:
        return {}
    game = _Game.of(columns, before, after, players)
    design = every_coalition(len(players))
    values = [
        worth(game.rows({n for n, inside in zip(players, row, strict=True) if inside}, random))
        for row in design.coalitions
    ]
    shares = design.contributions(torch.tensor(values, dtype=torch.float64))
    return dict(zip(players, shares.tolist(), strict=True))


@dataclass(frozen=True)
class _Game:
    columns: Columns
    before: pd.DataFrame
    after: pd.DataFrame
    order: tuple[str, ...]
    causes: Mapping[str, tuple[str, ...]]
    curves: Mapping[str, tuple[Curve, Curve, float]]

    @classmethod
    def of(
        cls, columns: Columns, before: pd.DataFrame, after: pd.DataFrame, players: Sequence[str]
    ) -> _Game:
        declaration = columns.subject.fitted.declaration
        below = set(players).union(*(declaration.graph.descendants(name) for name in players))
        order = tuple(
            name
            for name, node in declaration.nodes.items()
            if name in below
            and node.kind != "latent"
            and name in before
            and name != columns.subject.target
            and not columns.subject.fitted.schema.supports[name].size
        )
        causes, curves = {}, {}
        for name in order:
            found = logged_causes(columns.subject, name)
            causes[name] = tuple(n for n in found if n in before and n in after)
            if not _category(columns, name):
                curves[name] = _curves(columns, before, after, name, causes[name])
        return cls(columns, before, after, order, causes, curves)

    def rows(self, inside: set[str], random: np.random.Generator) -> pd.DataFrame:
        """Rows from before, where these variables follow their mechanisms of after."""
        found = self.before.copy()
        touched: set[str] = set()
        for name in self.order:
            if name not in inside and not touched & set(self.causes[name]):
                continue
            touched.add(name)
            if name not in self.curves:
                if name in inside:
                    drawn = random.integers(0, len(self.after), len(found))
                    found[name] = self.after[name].to_numpy()[drawn]
                continue
            old, new, factor = self.curves[name]
            own = self.columns.features(self.before, (name,))[:, 0]
            left = own - old(self.columns.features(self.before, self.causes[name]))
            there = self.columns.features(found, self.causes[name])
            value = new(there) + factor * left if name in inside else old(there) + left
            found[name] = np.exp(value) if name in self.columns.logs else value
        return found


def _category(columns: Columns, name: str) -> bool:
    return isinstance(columns.subject.fitted.schema.supports[name], Categorical)


def _curves(
    columns: Columns,
    before: pd.DataFrame,
    after: pd.DataFrame,
    name: str,
    causes: Sequence[str],
) -> tuple[Curve, Curve, float]:
    """A variable's mean by its causes, before and after, and by how much its noise widened."""
    fits, spreads = [], []
    for rows in (before, after):
        features, value = columns.features(rows, causes), columns.features(rows, (name,))[:, 0]
        family = "line" if features.shape[1] else "mean"
        fit = curve(features, value, weight=np.ones(len(value)), family=family)
        fits.append(fit)
        spreads.append(float((value - fit(features)).std()))
    return fits[0], fits[1], spreads[1] / max(spreads[0], 1e-300)


__all__ = ["Moved", "divided", "movers"]
