"""A predictor whose mechanism may switch for one hidden group at a time, kept up by few labels.

The hidden class of a row acts on its inputs and on its target. The inputs show the class, as far as
they can: rows that they do not tell apart are a group (`switching_groups.py`). The target follows
its group's mechanism, which may switch at any time (`switching_filter.py`). The target's values
cluster around a few levels (`switching_levels.py`), and a prediction is the point of least
expected loss. What a label would be worth follows from the same belief.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalsys.detect.loss import Loss, Values
from causalsys.replace.switching_filter import Filter, Index
from causalsys.replace.switching_groups import Groups, grow
from causalsys.replace.switching_levels import Levels, levels_of


@dataclass(frozen=True)
class Labelled:
    """Rows whose target is known.

    Attributes:
        inputs: `[row, input]`.
        truth: The target, `[row]`.
        time: When each row was, in units of time, `[row]`.
        stands: For how many rows of its time each one stands, `[row]`: a label bought among
            twenty-five rows stands for more than one of a period that is labelled throughout.
    """

    inputs: Values
    truth: Values
    time: Values
    stands: Values

    def __len__(self) -> int:
        return len(self.truth)

    def with_(self, other: Labelled) -> Labelled:
        """These and others."""
        mine = (self.inputs, self.truth, self.time, self.stands)
        theirs = (other.inputs, other.truth, other.time, other.stands)
        return Labelled(*(np.concatenate(both) for both in zip(mine, theirs, strict=True)))


@dataclass(frozen=True)
class Ways:
    """How a switching predictor is built.

    Attributes:
        hazard: The chance that a group's mechanism switches in one unit of time.
        memory: In how many units of time a row's weight falls to 1/e, when groups are formed.
        partitions: How many ways of grouping rows are averaged.
        groups: The most groups that each has.
        likeness: How much the inputs count beside the target, when groups are formed.
        seed: Fixes the groups.
    """

    hazard: float = 0.01
    memory: float = 120.0
    partitions: int = 100
    groups: int = 24
    likeness: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Switching:
    """A predictor whose mechanism may switch, by group.

    Attributes:
        levels: Of the target.
        groups: The partitions.
        belief: What is believed of each group's mechanism.
    """

    levels: Levels
    groups: Groups
    belief: Filter

    def predict(self, inputs: Values, time: Values) -> Values:
        """The points of least expected loss, `[row]`, in the target's unit.

        Args:
            inputs: `[row, input]`.
            time: When each row is, in units of time, `[row]`; not before the labels.
        """
        return self.levels.best(self.chances(inputs, time))

    def chances(self, inputs: Values, time: Values) -> Values:
        """The chance of each level, `[row, level]`."""
        return self.belief.chances(self.groups.of(inputs), time)

    def told(self, group: Index, truth: Values, time: Values) -> Switching:
        """The predictor after more labels; groups and levels stay.

        Args:
            group: Of each row in each partition, `[row, partition]`: `groups.of(inputs)`.
            truth: The target, `[row]`.
            time: `[row]`.
        """
        return replace(self, belief=self.belief.told(group, time, self.levels.of(truth)))

    def worth(self, candidates: Index, reference: Index, time: float) -> Values:
        """By how much one label lowers the mean loss of the rows to come, `[candidate]`.

        The expected error reduction of Roy and McCallum (ICML 2001), exact within a group: over
        the levels that the label may show, the risk after it, against the risk now.

        Args:
            candidates: Groups of the rows of which one would be labelled,
                `[candidate, partition]`.
            reference: Groups of rows such as will be predicted, `[row, partition]`.
            time: When the label would be bought.
        """
        gain = self._gain(time) * self._share(reference)
        found: Values = gain[np.arange(len(gain)), candidates] @ self.belief.weight
        return found

    def _gain(self, time: float) -> Values:
        belief, laws = self.belief.everywhere(time), self.belief.laws
        chance = belief @ laws
        gain: Values = self.levels.risk(chance)
        for level in range(self.levels.count):
            after = belief * laws[:, level] / chance[..., level, None]
            gain = gain - chance[..., level] * self.levels.risk(after @ laws)
        return gain

    def _share(self, group: Index) -> Values:
        """The share of the rows that is in each group, `[partition, group]`."""
        partitions = group.shape[1]
        flat = group + np.arange(partitions) * self.groups.most
        count = np.bincount(flat.ravel(), minlength=partitions * self.groups.most)
        share: Values = count.reshape(partitions, -1) / max(len(group), 1)
        return share


def switching(
    rows: Labelled,
    loss: Loss,
    *,
    ways: Ways,
    time: float | None = None,
    shown: int | None = None,
) -> Switching:
    """A predictor whose groups and levels come from labelled rows, and which was told nothing yet.

    Args:
        rows: In any order.
        loss: What predictions are optimal for.
        ways: How it is built.
        time: The present, for the weight of the rows when groups are formed.
        shown: How many of the inputs, from the first, the hidden class acts on; all by default.
    """
    levels = levels_of(rows.truth, loss)
    line = np.log(rows.truth) if levels.logs else rows.truth
    now = rows.time.max() if time is None else time
    weight = rows.stands * (np.exp(-np.maximum(now - rows.time, 0) / ways.memory) + 0.05)
    groups = grow(
        rows.inputs,
        line,
        weight,
        partitions=ways.partitions,
        groups=ways.groups,
        shown=rows.inputs.shape[1] if shown is None else shown,
        likeness=ways.likeness,
        seed=ways.seed,
    )
    level = levels.of(rows.truth)
    share = (np.bincount(level, minlength=levels.count) + 1.0) / (len(level) + levels.count)
    belief = Filter.start(
        ways.partitions, groups.most, share, ways.hazard, time=float(rows.time.min())
    )
    return Switching(levels, groups, belief)


__all__ = ["Labelled", "Switching", "Ways", "switching"]
