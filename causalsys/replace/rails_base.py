"""What a rail is, and those that need no model.

A rail's `function` reads variables as policies do, by the names of its arguments; what it gives,
`judge` turns into an objection by trace. A rail keeps no memory: hysteresis is the guard's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from causalsys.errors import InterventionError
from causalsys.query.policy import MEMORY, label_of, looks_of, policy


@dataclass(frozen=True)
class Proposal:
    """What a policy proposes in a step.

    Attributes:
        decision: The decision, `[..., trace]`; of a random policy its likeliest.
        chances: The probability of each level, `[..., trace, level]`; None of a policy that draws
            nothing.
        step: How many steps have passed before this one.
    """

    decision: Tensor
    chances: Tensor | None
    step: int

    @property
    def shape(self) -> torch.Size:
        """Samples and traces."""
        return self.decision.shape


@dataclass(frozen=True)
class Objection:
    """What a rail says to a proposal.

    Attributes:
        alarm: Where it wants the fallback, boolean, broadcastable to the decision.
        proposal: The proposal, mended where the rail mends.
        at_once: Whether the decision must not be taken where it alarms, whatever the hysteresis.
        mended: Where it has mended what it objects to, so that nobody has to take over; None of a
            rail that does not mend.
    """

    alarm: Tensor
    proposal: Proposal
    at_once: bool = False
    mended: Tensor | None = None


@dataclass(frozen=True)
class Rail:
    """What all rails have in common.

    Attributes:
        name: What counters and reports call it.
        function: Reads variables by the names of its arguments, or `cs.past` and `cs.ahead`.
    """

    name: str
    function: Callable[..., Any]

    def judge(self, proposal: Proposal, found: Any) -> Objection:
        """The objection, given what `function` found."""
        return Objection(_mask(found, self.name), proposal)


@dataclass(frozen=True, init=False)
class When(Rail):
    """A known bad slice, as a function of what the policy may read.

    Args:
        predicate: Gives a boolean tensor, `[..., trace]`.
        name: What to call it; by default as the function is called.

    Example:
        >>> rail = When(lambda buffer: buffer < 2, name="low buffer")
        >>> rail.function(torch.tensor([1.0, 3.0])).tolist()
        [True, False]
    """

    def __init__(self, predicate: Callable[..., Any], *, name: str | None = None) -> None:
        if not callable(predicate):
            raise InterventionError(
                "rails",
                found=f"a {type(predicate).__name__} as a rail",
                mend="Give a function of variables that returns where it objects.",
            )
        object.__setattr__(self, "name", name or label_of(predicate))
        object.__setattr__(self, "function", predicate)


@runtime_checkable
class Holds(Protocol):
    """A slice, or whatever else tells in which rows of a frame it holds."""

    def holds(self, rows: Any) -> Any: ...


class KnownBad(When):
    """A slice that was found in a table, as a rail.

    Args:
        found: Has `holds(rows)`, which tells of each row of a frame whether it lies within.
        columns: What each of the slice's columns is made of: a variable's name, `cs.past(...)` or
            `cs.ahead(...)` of one step; single numbers. It does not object before the past that it
            reads has come about.
        name: What to call it; by default as the slice calls itself.
    """

    after: int

    def __init__(
        self, found: Holds, *, columns: dict[str, Any] | Sequence[str], name: str | None = None
    ) -> None:
        if not isinstance(found, Holds):
            raise InterventionError(
                "rails",
                found=f"a {type(found).__name__}, which does not say in which rows it holds",
                mend="Give a slice with `holds(rows)`, or use When with a function.",
            )
        reads = dict(columns) if isinstance(columns, dict) else {each: each for each in columns}
        reader = policy(_Table(found, tuple(reads)), reads=list(reads.values()))
        super().__init__(reader, name=name or str(found))
        steps = [look.steps for look in looks_of(reader, self.name) if look.when == "past"]
        object.__setattr__(self, "after", max(steps, default=0))

    def judge(self, proposal: Proposal, found: Any) -> Objection:
        if proposal.step < self.after:
            return Objection(torch.zeros(proposal.shape, dtype=torch.bool), proposal)
        return super().judge(proposal, found)


@dataclass(frozen=True)
class _Table:
    """A slice as an estimator that predicts whether it holds."""

    found: Holds
    columns: tuple[str, ...]

    def predict(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import pandas as pd

        names = list(self.columns)
        if rows.shape[1] != len(names):
            raise InterventionError(
                "rails",
                found=f"{rows.shape[1]} numbers for the columns {', '.join(names)}",
                mend="Give one column for each: vectors and several steps need a function.",
            )
        frame = pd.DataFrame(rows, columns=names)
        return np.array(self.found.holds(frame), dtype=bool)


@dataclass(frozen=True, init=False)
class Uncertain(Rail):
    """The policy does not know what to do.

    Args:
        most: Above this it is uncertain: entropy as a share of the greatest there can be (0 where
            one level is certain, 1 where all are alike), of a policy that returns a
            `Categorical`; with `ensemble`, the share of its members that decide otherwise than the
            policy.
        ensemble: Policies that were trained alike, from other seeds (Lakshminarayanan, Pritzel and
            Blundell, NeurIPS 2017).
        name: What to call it.
    """

    most: float = 0.5
    ensemble: tuple[Callable[..., Any], ...] = field(default=())

    def __init__(
        self,
        *,
        most: float = 0.5,
        ensemble: Sequence[Callable[..., Any]] = (),
        name: str = "uncertain",
    ) -> None:
        number = isinstance(most, int | float) and not isinstance(most, bool)
        if not number or not 0 <= most <= 1:
            raise InterventionError("most", found=f"{most!r}", mend="Give a share, from 0 to 1.")
        if not isinstance(ensemble, Sequence) or not all(callable(each) for each in ensemble):
            raise InterventionError(
                "ensemble", found=repr(ensemble), mend="Give a list of policies, each a function."
            )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "most", most)
        object.__setattr__(self, "ensemble", tuple(ensemble))
        object.__setattr__(self, "function", _Members(self.ensemble))

    def judge(self, proposal: Proposal, found: Any) -> Objection:
        if self.ensemble:
            other = [plain(each, proposal.step).decision != proposal.decision for each in found]
            share = torch.stack([each.double() for each in other]).mean(0)
            return Objection(share > self.most, proposal)
        if proposal.chances is None:
            raise InterventionError(
                self.name,
                found="a policy that returns decisions, of which no entropy can be had",
                mend="Return a torch Categorical, or give an ensemble.",
            )
        chances = proposal.chances.double()
        entropy = -torch.xlogy(chances, chances).sum(-1) / max(np.log(chances.shape[-1]), 1e-12)
        return Objection(entropy > self.most, proposal)


class _Members:
    """The decisions of several policies that keep no memory."""

    def __init__(self, members: Sequence[Callable[..., Any]]) -> None:
        from causalsys.replace.guarded_reads import readers, signature_of

        self.readers = readers(members)
        if any(reader.stateful for reader in self.readers):
            raise InterventionError(
                "ensemble", found="a policy with a memory", mend="Give policies without one."
            )
        whole = signature_of(self.readers)
        given = [p for p in whole.parameters.values() if p.name != MEMORY]
        self.__signature__ = whole.replace(parameters=given)

    def __call__(self, **given: Any) -> list[Any]:
        return [reader(given)[0] for reader in self.readers]


def plain(found: Any, step: int) -> Proposal:
    """What a policy returned, as a proposal.

    Raises:
        InterventionError: It is a distribution over something else than levels, or no numbers.
    """
    if isinstance(found, torch.distributions.Categorical):
        return Proposal(found.probs.argmax(-1), found.probs, step)
    if isinstance(found, torch.distributions.Distribution):
        raise InterventionError(
            "policy",
            found=f"a {type(found).__name__}, which a guard cannot weigh",
            mend="Return decisions, or a torch Categorical.",
        )
    try:
        return Proposal(torch.as_tensor(found), None, step)
    except (TypeError, ValueError, RuntimeError):
        raise InterventionError(
            "policy", found=f"a {type(found).__name__}", mend="Return a tensor."
        ) from None


def as_rail(given: Any) -> Rail:
    """A rail, or a function of variables as one.

    Raises:
        InterventionError: It is neither, or keeps a memory.
    """
    rail = given if isinstance(given, Rail) else When(given)
    if any(look.when == MEMORY for look in looks_of(rail.function, rail.name)):
        raise InterventionError(
            rail.name,
            found="a rail with a memory",
            mend="Read the past by cs.past(...); how long to hold is said by `hold`.",
        )
    return rail


def _mask(found: Any, name: str) -> Tensor:
    try:
        mask = torch.as_tensor(found)
    except (TypeError, ValueError, RuntimeError):
        raise InterventionError(
            name,
            found=f"a rail that returned a {type(found).__name__}",
            mend="Return where it objects, as booleans.",
        ) from None
    if mask.dtype is torch.bool:
        return mask
    if bool(((mask == 0) | (mask == 1)).all()):
        return mask.bool()
    raise InterventionError(
        name, found="a rail that returned numbers", mend="Return where it objects, as booleans."
    )


__all__ = [
    "Holds",
    "KnownBad",
    "Objection",
    "Proposal",
    "Rail",
    "Uncertain",
    "When",
    "as_rail",
    "plain",
]
