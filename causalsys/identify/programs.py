"""The linear program of one district: all distributions over its types that give what is seen.

Types that answer alike wherever something is seen differ in what is asked only, so of each such
group one type is enough: the one that gives most, or least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalsys.identify.observed import Observed
from causalsys.identify.responses import Array, Types
from causalsys.scm.frozen import FrozenDict

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NONE: Mapping[str, int] = FrozenDict()

_RARE = 1e-6
"""What is seen less often than this weighs as much as this in a misfit."""

_FITS = 1e-7
"""Misfits below the solver's own tolerance are none."""


@dataclass(frozen=True)
class Extremes:
    """The least and the most of a quantity, the misfit, and laws over types that attain both."""

    low: float
    high: float
    misfit: float
    least: Array
    most: Array


@dataclass(frozen=True)
class Program:
    """Sums over types that are known.

    Attributes:
        types: The types.
        patterns: `[pattern, row]`: which sum each pattern enters, -1 for none that is new.
        member: `[type]`: the pattern of each type.
        sums: `[sum]`: the known sums.
        weight: `[sum]`: how often the causes of each were seen.
    """

    types: Types
    patterns: Array
    member: Array
    sums: Array
    weight: Array

    @classmethod
    def of(cls, types: Types, seen: Observed, *, fixed: Mapping[str, int] = NONE) -> Program:
        """The program of a district whose types these are.

        Args:
            types: The types.
            seen: What is observed.
            fixed: Outside causes of the district that keep these levels.
        """
        sums: list[float] = []
        weight: list[float] = []
        known: dict[object, int] = {}
        rows: list[Array] = []
        shape = [types.cards[name] for name in types.variables]
        for setting in seen.settings(types.outside):
            outside = {**setting, **fixed}
            place = np.full(shape, -1)
            for leaf in seen.leaves(frozenset(types.variables), outside):
                first = types.variables[: len(leaf.levels)]
                causes = frozenset(fixed).union(*(types.parents[n] for n in first)) & set(outside)
                key = leaf.levels, tuple((cause, outside[cause]) for cause in sorted(causes))
                if key not in known:
                    known[key] = len(sums)
                    place[leaf.levels] = len(sums)
                    sums.append(leaf.chance)
                    weight.append(max(seen.chance({c: outside[c] for c in causes}), _RARE))
            if (place >= 0).any():
                rows.append(place[tuple(types.answers(setting))].ravel())
        patterns, member = np.unique(np.stack(rows, -1), axis=0, return_inverse=True)
        return cls(types, patterns, member.ravel(), np.array(sums), np.array(weight))

    def extremes(self, wanted: Array) -> Extremes:
        """The least and the most that a quantity can be.

        Args:
            wanted: What each type adds to it.
        """
        flat = wanted.ravel()
        order = np.lexsort((flat, self.member))
        ends = np.searchsorted(self.member[order], np.arange(len(self.patterns) + 1))
        best = order[ends[:-1]], order[ends[1:] - 1]
        low, misfit = self._solved(flat[best[0]])
        high, _ = self._solved(-flat[best[1]])
        laws = [np.zeros(flat.shape), np.zeros(flat.shape)]
        for law, types, found in zip(laws, best, (low, high), strict=True):
            law[types] = np.clip(found, 0, None) / np.clip(found, 0, None).sum()
        least, most = (law.reshape(self.types.shape) for law in laws)
        return Extremes(float(flat @ laws[0]), float(flat @ laws[1]), misfit, least, most)

    def _solved(self, cost: Array) -> tuple[Array, float]:
        """The cheapest distribution over patterns, among those that fit best."""
        seen = self._matrix()
        found = _solve(cost, seen, self.sums)
        if found is not None:
            return found, 0.0
        return self._nearest(cost, seen)

    def _nearest(self, cost: Array, seen: csr_array[Any]) -> tuple[Array, float]:
        """Where nothing fits: least absolute misfit first, then cost."""
        from scipy import sparse

        count, width = seen.shape
        eye = sparse.eye_array(count)
        ones = sparse.csr_array(np.ones((1, width)))
        matrix = sparse.vstack(
            [
                sparse.hstack([seen, eye, -eye]),
                sparse.hstack([ones, sparse.csr_array((1, 2 * count))]),
            ]
        )
        sums = np.append(self.sums, 1.0)
        penalty = np.concatenate([np.zeros(width), self.weight / 2, self.weight / 2])
        first = _solve(penalty, matrix, sums)
        assert first is not None
        misfit = float(penalty @ first)
        within = sparse.csr_array(penalty[None]), np.array([misfit * (1 + 1e-6) + _FITS])
        costs = np.concatenate([cost, np.zeros(2 * count)])
        second = _solve(costs, matrix, sums, within=within)
        return (first if second is None else second)[:width], misfit

    def _matrix(self) -> csr_array[Any]:
        """Which patterns enter each sum."""
        from scipy import sparse

        pattern, row = np.nonzero(self.patterns >= 0)
        where = self.patterns[pattern, row], pattern
        shape = len(self.sums), len(self.patterns)
        return sparse.csr_array((np.ones(len(pattern)), where), shape=shape)


def _solve(
    cost: Array, matrix: Any, sums: Array, *, within: tuple[Any, Array] | None = None
) -> Array | None:
    """The cheapest non-negative point; None where there is none."""
    from scipy.optimize import linprog

    least, most = within or (None, None)
    done = linprog(
        cost, A_eq=matrix, b_eq=sums, A_ub=least, b_ub=most, bounds=(0, None), method="highs"
    )
    return None if done.x is None else np.asarray(done.x)
