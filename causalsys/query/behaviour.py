"""The luck behind recorded random choices, where the policy that made them is known.

A random policy's choice is a function of its distribution and of its luck (`chance.py`). Where the
distribution is known, too, the choice tells something of the luck: the posterior of the noises of
Gumbel-max given which was the greatest (Maddison, Tarlow and Minka, NeurIPS 2014), or the place of
a number in its distribution. Under that luck the recorded policy makes the recorded choices, and
another one differs from them only as far as it is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution

from causalsys.errors import InterventionError
from causalsys.query.chance import race_of
from causalsys.query.intervention import Intervention
from causalsys.query.rolled import Act
from causalsys.scm.declaration import Node

if TYPE_CHECKING:
    from causalsys.query.rollout import Rollout


@dataclass(frozen=True)
class Behaviour:
    """The policies that made a recorded decision.

    Attributes:
        decision: The decision.
        arm: The variable that says which policy was live.
        policies: The policy of each of the arm's codes; of an arm that is left out, nothing is
            known.
    """

    decision: str
    arm: str
    policies: Mapping[int, Intervention]

    @property
    def reads(self) -> frozenset[str]:
        """What the policies look at."""
        return frozenset(name for each in self.policies.values() for name in each.reads)

    @property
    def reads_now(self) -> frozenset[str]:
        """Those of them at which they look as they are in the same step."""
        return frozenset(name for each in self.policies.values() for name in each.reads_now)


class Record:
    """What the recorded choices of a roll-out's decision tell of its luck, step by step."""

    def __init__(self, roll: Rollout, node: Node, behaviour: Behaviour, world: int) -> None:
        self.roll, self.node = roll, node
        arms = roll.plan.factual[behaviour.arm][0][roll.steps.starts]
        self.tellers = [
            _Teller(self, node, world, does, (arms == code).nonzero()[:, 0])
            for code, does in sorted(behaviour.policies.items())
        ]
        self.found: Tensor | None = None

    def tell(self) -> Tensor | None:
        """The luck of this step as far as it is told, and drawn beyond that; None where none is.

        Races `[sample, trace, level]`, or uniform numbers `[sample, trace]`.
        """
        self.found = None
        for teller in self.tellers:
            if len(teller.at):
                teller(lambda: self.roll.as_it_was(self.node.name)[self.roll.step])
        return self.found

    def narrow(self, live: int) -> None:
        """Only the first `live` traces go on."""
        for teller in self.tellers:
            teller.narrow(live)


class _Teller(Act):
    """One arm's policy, asked in its own traces, as they were, what it might have chosen."""

    def __init__(
        self, record: Record, node: Node, world: int, does: Intervention, at: Tensor
    ) -> None:
        super().__init__(record.roll, node, world, does)
        self.record, self.at = record, at

    @property
    def live(self) -> int:
        return len(self.at)

    def narrow(self, live: int) -> None:
        """Only the first `live` traces of all go on."""
        was = len(self.at)
        self.at = self.at[self.at < live]
        self.forget(was, len(self.at))

    def of_traces(self, value: Tensor) -> Tensor:
        return value.index_select(1, self.at)

    def rows(self) -> Tensor:
        return self.roll.rows[self.at]

    def told_at(self, trace: int) -> str:
        return super().told_at(int(self.at[trace]))

    def draw(self, distribution: Any) -> Tensor:
        """The recorded choices; the luck that gives them is kept."""
        roll = self.roll
        recorded = roll.as_it_was(self.node.name)[roll.step][0]
        recorded = self.of_traces(recorded).expand(roll.samples, -1)
        luck = roll.luck(self.node.name)
        record = self.record
        if isinstance(distribution, Categorical):
            width = int(distribution.param_shape[-1])
            fresh = race_of(luck.uniform(roll.step, roll.live, width=width))
            posterior = self._race(distribution.probs, recorded, self.of_traces(fresh))
        else:
            fresh = luck.uniform(roll.step, roll.live, width=1)[..., 0]
            posterior = self._uniform(distribution, recorded, self.of_traces(fresh))
        if record.found is None or record.found.shape != fresh.shape:
            record.found = fresh
        record.found.index_copy_(1, self.at, posterior)
        return recorded

    def _race(self, chances: Tensor, recorded: Tensor, fresh: Tensor) -> Tensor:
        """The clocks of all levels, given which rang first.

        The first rings after a standard exponential time, whichever it is; after that the others
        start afresh.
        """
        chances = chances.double().expand(fresh.shape)
        chosen = recorded.long().unsqueeze(-1)
        self._possible(chances.gather(-1, chosen)[..., 0] > 0)
        first = fresh.gather(-1, chosen)
        return (chances * first + fresh).scatter(-1, chosen, chances.gather(-1, chosen) * first)

    def _uniform(self, distribution: Distribution, recorded: Tensor, fresh: Tensor) -> Tensor:
        """The place of a recorded number in its distribution."""
        if isinstance(distribution, Bernoulli):
            chance = distribution.probs.double().expand(fresh.shape)
            yes = recorded > 0
            self._possible(torch.where(yes, chance, 1 - chance) > 0)
            return torch.where(yes, chance * fresh, chance + (1 - chance) * fresh)
        try:
            place = distribution.cdf(recorded.to(fresh.dtype)).double().expand(fresh.shape)
        except NotImplementedError:
            return fresh
        return place.clamp(2.0**-53, 1 - 2.0**-53)

    def _possible(self, may: Tensor) -> None:
        if bool(may.all()):
            return
        trace = int((~may).nonzero()[0, 1])
        raise InterventionError(
            self.node.name,
            found=f"a recorded choice {self.told_at(trace)} that {self.title} never makes",
            mend="Give the policy that made it, or leave the arm out of `behaviour`.",
        )


__all__ = ["Behaviour", "Record"]
