"""What is believed of each group's mechanism at each time, where a mechanism may switch.

The mechanism of a group is one of a few laws over the target's levels, and switches to another at
a hazard that is the same at any time: a hidden Markov model whose filter is the fixed share of
Herbster and Warmuth (Machine Learning 32, 1998), updated by each label. Where nothing was seen of a
group for long, the belief returns to what the group was in the long run. All groups of all
partitions are kept in one array, so a label is one update of one row of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.loss import Values

_PURE = 0.95
"""The share of the main level, where a mechanism has one."""
_MIXED = (0.75, 0.5, 0.25)
_SLOW = 0.005
"""By how much one label moves what a group is in the long run."""
_FORGET = 0.98
"""What is left of a partition's score after the next label."""
_SHARPNESS = 0.3
"""The power of a partition's likelihood in its weight: its labels are also the others'."""

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Filter:
    """Beliefs about the mechanisms of all groups.

    Attributes:
        laws: The chance of each level under each mechanism, `[mechanism, level]`.
        hazard: The chance of a switch per unit of time.
        now: The belief after its last label, `[partition, group, mechanism]`.
        long: The belief in the long run, of the same shape.
        since: When that last label was, `[partition, group]`.
        score: The discounted log-likelihood of each partition, `[partition]`.
    """

    laws: Values
    hazard: float
    now: Values
    long: Values
    since: Values
    score: Values

    @classmethod
    def start(
        cls, partitions: int, groups: int, share: Values, hazard: float, *, time: float = 0.0
    ) -> Filter:
        """Nothing seen: every mechanism as likely in every group.

        Args:
            partitions: How many.
            groups: The most that one of them has.
            share: Of each level among all labels, `[level]`: the law of no special mechanism.
            hazard: The chance of a switch per unit of time.
            time: Before which nothing has aged.
        """
        laws = _laws(share)
        even = np.full((partitions, groups, len(laws)), 1 / len(laws))
        since = np.full((partitions, groups), time)
        return cls(laws, hazard, even, even.copy(), since, np.zeros(partitions))

    def told(self, group: Index, time: Values, level: Index) -> Filter:
        """The beliefs after labels, taken in the order of time.

        Args:
            group: Of each row in each partition, `[row, partition]`.
            time: `[row]`.
            level: `[row]`.
        """
        now, long, since = self.now.copy(), self.long.copy(), self.since.copy()
        score, every = self.score.copy(), np.arange(len(self.score))
        for row in np.argsort(time, kind="stable"):
            mine, law = group[row], self.laws[:, level[row]]
            stays = (1 - self.hazard) ** np.maximum(time[row] - since[every, mine], 0)[:, None]
            joint = (stays * now[every, mine] + (1 - stays) * long[every, mine]) * law
            chance = joint.sum(1, keepdims=True)
            belief = joint / chance
            now[every, mine], since[every, mine] = belief, time[row]
            long[every, mine] += _SLOW * (belief - long[every, mine])
            score = _FORGET * score + np.log(chance[:, 0])
        return Filter(self.laws, self.hazard, now, long, since, score)

    @property
    def weight(self) -> Values:
        """Of each partition, by how well it foretold the labels, `[partition]`."""
        weight = np.exp(_SHARPNESS * (self.score - self.score.max()))
        found: Values = weight / weight.sum()
        return found

    def at(self, group: Index, time: Values) -> Values:
        """The belief in each row's groups at its time, `[row, partition, mechanism]`."""
        every = np.arange(len(self.score))
        return self._aged(
            self.now[every, group],
            self.long[every, group],
            time[:, None] - self.since[every, group],
        )

    def chances(self, group: Index, time: Values) -> Values:
        """The chance of each level, `[row, level]`, all partitions together."""
        found: Values = np.einsum("p,rpm,ml->rl", self.weight, self.at(group, time), self.laws)
        return found

    def everywhere(self, time: float) -> Values:
        """The belief in every group at one time, `[partition, group, mechanism]`."""
        return self._aged(self.now, self.long, time - self.since)

    def _aged(self, now: Values, long: Values, age: Values) -> Values:
        stays = (1 - self.hazard) ** np.maximum(age, 0)[..., None]
        found: Values = stays * now + (1 - stays) * long
        return found


def _laws(share: Values) -> Values:
    """One level almost always; two in some shares; or all in those they have among all labels."""
    levels = len(share)
    even = (1 - _PURE) / max(levels - 1, 1)
    pure = np.where(np.eye(levels, dtype=bool), _PURE, even)
    mixed = []
    for first in range(levels):
        for second in range(first):
            for part in _MIXED:
                law = np.full(levels, 0.02)
                law[first], law[second] = part, 1 - part
                mixed.append(law)
    laws = np.vstack([pure, *mixed, share])
    found: Values = laws / laws.sum(1, keepdims=True)
    return found


__all__ = ["Filter"]
