"""`Limits`: between what a decision must lie, by what the model says would come of it.

A limit is a quantile under `do`: of all decisions those are allowed under which the outcome, in
rows of the same context, keeps its bound with the stated probability. Rows are recorded ones, each
with its own noise under each decision (abduct, act, predict), so that the quantile is not that of
the rows in which a policy happened to decide so. Contexts are cells of what is known at the time of
the decision.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from causalsys.data.stepwise import Stepwise
from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import count, fitted_model, share
from causalsys.query.policy import Ahead, Past
from causalsys.replace.rails_base import Objection, Proposal, Rail
from causalsys.scm.supports import Categorical
from causalsys.simulate.onestep import below
from causalsys.simulate.simulate import Simulator

Act = Literal["clip", "fall back"]
_FEW = 40
"""Rows of a context below which the next coarser one answers."""


@dataclass(frozen=True)
class Limits(Rail):
    """Objects to decisions out of bounds, and clips them or has the fallback decide.

    Attributes:
        function: Returns which levels are allowed, boolean `[..., trace, level]`; or the least and
            the most that are, two tensors `[..., trace]`.
        act: What follows: "clip" takes the nearest decision that is allowed (of two the lower),
            "fall back" the fallback's, in that very step. Where nothing is allowed, the fallback
            decides.

    Raises:
        QueryError: `act` is neither.

    Example:
        >>> from causalsys.replace.rails_base import Proposal
        >>> rail = Limits("at most 2", lambda: None)
        >>> proposed = Proposal(torch.tensor([1, 5]), None, step=0)
        >>> found = rail.judge(proposed, (torch.tensor(0), torch.tensor(2)))
        >>> found.mended.tolist(), found.proposal.decision.tolist()
        ([False, True], [1, 2])
    """

    act: Act = "clip"

    def __post_init__(self) -> None:
        if self.act not in ("clip", "fall back"):
            raise QueryError("act", found=repr(self.act), mend='Give "clip" or "fall back".')

    def judge(self, proposal: Proposal, found: Any) -> Objection:
        if isinstance(found, tuple):
            return self._between(proposal, *found)
        allowed = torch.as_tensor(found)
        width = allowed.shape[-1]
        allowed = allowed.expand(*proposal.shape, width)
        none = ~allowed.any(-1)
        nearest = _nearest(allowed)
        code = proposal.decision.long().clamp(0, width - 1)
        outside = ~allowed.gather(-1, code.unsqueeze(-1))[..., 0]
        if self.act == "fall back":
            return Objection(outside, proposal, at_once=True)
        moved = torch.where(none, code, nearest.gather(-1, code.unsqueeze(-1))[..., 0])
        chances = proposal.chances
        if chances is not None and chances.shape[-1] == width:
            kept = torch.zeros_like(chances).scatter_add(-1, nearest, chances)
            chances = torch.where(none.unsqueeze(-1), chances, kept)
            moved = chances.argmax(-1)
        mended = Proposal(moved, chances, proposal.step)
        return Objection(none, mended, at_once=True, mended=outside & ~none)

    def _between(self, proposal: Proposal, low: Tensor, high: Tensor) -> Objection:
        decision = proposal.decision
        outside = (decision < low) | (decision > high)
        none = (low > high).expand(proposal.shape)
        if self.act == "fall back" or proposal.chances is not None:
            return Objection(outside, proposal, at_once=True)
        inside = decision.double().clamp(low.double(), high.double()).to(decision.dtype)
        mended = Proposal(torch.where(none, decision, inside), None, proposal.step)
        return Objection(none, mended, at_once=True, mended=outside & ~none)

    @classmethod
    def from_model(
        cls,
        fitted: Fitted,
        decision: str,
        traces: object,
        *,
        outcome: str,
        at_most: float | Callable[..., Any],
        given: Sequence[Any],
        level: float = 0.9,
        bins: int = 8,
        act: Act = "clip",
        name: str | None = None,
    ) -> Limits:
        """Limits by interventional quantiles of an outcome of the same step.

        Args:
            fitted: The model.
            decision: The decision, a category.
            traces: Recorded traces, in which decisions varied or not: each row is asked what its
                outcome would have been under each level.
            outcome: A number that the decision reaches within the step, and no state does.
            at_most: The bound: a number, or a function of what the policy may read, `[..., trace]`.
                Where no level keeps it, the level that comes nearest is allowed.
            given: The context: names, `cs.past(...)` or `cs.ahead(...)`, single numbers each.
                Several past steps count as their harmonic mean.
            level: The probability with which the bound is to be kept in the context.
            bins: Into how many bins of equal weight each number of the context is cut.
            act: "clip" or "fall back".
            name: What to call it.

        Raises:
            UnknownNameError: The model has no such variable.
            QueryError: The decision is no category, or earlier decisions reach the outcome, so
                that rows under a lasting `do` would not tell of one step; or an argument is none.
            NotIdentifiedError: Graph, shapes and data cannot carry the outcome under `do`.
        """
        levels, bins = _levels(fitted_model(fitted), decision), count(bins, "bins")
        level = share(level, "level")
        _check_outcome(fitted, decision, outcome)
        simulator = Simulator.of(fitted, traces)
        context = _Context(tuple(given))
        found = simulator.run({str(code): _always(code) for code in range(levels)})
        if outcome not in found.values:
            raise QueryError(
                outcome, found=f"a variable that {decision} does not reach", mend="Name another."
            )
        outcomes = found.values[outcome][:, 0].double()
        _seen_by(simulator, decision, context)
        order = Stepwise.of(simulator.found.table.layout).rows
        numbers = torch.cat(context.seen, 0)
        edges = [
            torch.quantile(number, torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1])
            for number in numbers.unbind(-1)
        ]
        table = _quantiles(outcomes[:, order], _cells(numbers, edges), level, bins, edges)
        allowed = _Allowed(context.given, edges, bins, table, at_most)
        return cls(name or f"{outcome} too likely above its bound", allowed, act)


class _Context:
    """What is known at the time of a decision, as one number for each part."""

    def __init__(self, given: tuple[Any, ...]) -> None:
        self.given = given
        self.seen: list[Tensor] = []

    @property
    def parameters(self) -> list[inspect.Parameter]:
        return _parameters(self.given)

    def note(self, read: dict[str, Tensor]) -> None:
        numbers = [_number(read[p.name], p.default) for p in self.parameters]
        self.seen.append(torch.stack([number[0] for number in numbers], -1))


def _parameters(given: tuple[Any, ...]) -> list[inspect.Parameter]:
    kind, found = inspect.Parameter.KEYWORD_ONLY, []
    for place, each in enumerate(given):
        looks = isinstance(each, Past | Ahead)
        label = f"context_{place}" if looks else str(each)
        default = each if looks else inspect.Parameter.empty
        found.append(inspect.Parameter(label, kind, default=default))
    return found


def _number(value: Tensor, look: Any) -> Tensor:
    """One number of what is read, `[..., trace]`: of several steps their harmonic mean.

    Steps before a trace began hold 0, and do not count.
    """
    value = value.double()
    if not isinstance(look, Past | Ahead) or look.steps == 1:
        return value
    known = value > 0
    slowness = torch.where(known, 1 / value.clamp(min=1e-12), 0.0).sum(-1)
    return torch.where(known.any(-1), known.sum(-1) / slowness.clamp(min=1e-300), 0.0)


def _seen_by(simulator: Simulator, decision: str, context: _Context) -> None:
    """The contexts of recorded rows by step, as a policy that decides as recorded sees them."""
    table = simulator.found.table
    course = Stepwise.of(table.layout).course(table.values[decision], vector=False)

    def recorded(**read: Tensor) -> Tensor:
        context.note(read)
        return course[len(context.seen) - 1]

    recorded.__signature__ = inspect.Signature(context.parameters)  # type: ignore[attr-defined]
    simulator.run({"recorded": recorded})


def _always(code: int) -> Callable[[], Tensor]:
    return lambda: torch.tensor(code)


def _cells(numbers: Tensor, edges: list[Tensor]) -> Tensor:
    """Each row's bin in each number of the context, `[row, number]`."""
    found = [
        torch.bucketize(number.contiguous(), edge, right=True)
        for number, edge in zip(numbers.unbind(-1), edges, strict=True)
    ]
    return torch.stack(found, -1)


def _quantiles(
    outcomes: Tensor, cells: Tensor, level: float, bins: int, edges: list[Tensor]
) -> Tensor:
    """The outcome's quantile by level and context, `[level, bins, ..., bins]`.

    A context with few rows has the quantile of the context without its last number.
    """
    table = torch.quantile(outcomes, level, dim=-1)
    for depth in range(1, len(edges) + 1):
        flat = torch.zeros(len(cells), dtype=torch.int64)
        for place in range(depth):
            flat = flat * bins + cells[:, place]
        table = table.unsqueeze(-1).expand(*table.shape, bins).reshape(len(outcomes), -1).clone()
        for cell in flat.unique().tolist():
            inside = flat == cell
            if int(inside.sum()) >= _FEW:
                table[:, cell] = torch.quantile(outcomes[:, inside], level, dim=-1)
    return table.reshape(len(outcomes), *[bins] * len(edges))


class _Allowed:
    """Which levels keep the bound in a step's context."""

    def __init__(
        self, given: tuple[Any, ...], edges: list[Tensor], bins: int, table: Tensor, bound: Any
    ) -> None:
        from causalsys.replace.guarded_reads import readers, signature_of

        self.parameters, self.edges, self.bins, self.table = _parameters(given), edges, bins, table

        def context(**read: Tensor) -> Tensor:
            numbers = [_number(read[p.name], p.default) for p in self.parameters]
            return torch.stack(torch.broadcast_tensors(*numbers), -1)

        context.__signature__ = inspect.Signature(self.parameters)  # type: ignore[attr-defined]
        limit = bound if callable(bound) else (lambda: torch.tensor(float(bound)))
        self.readers = readers([context, limit])
        whole = signature_of(self.readers)
        kept = [p for p in whole.parameters.values() if p.name != "memory"]
        self.__signature__ = whole.replace(parameters=kept)
        self.__name__ = "allowed"

    def __call__(self, **read: Tensor) -> Tensor:
        numbers, bound = (reader(read)[0] for reader in self.readers)
        lead = numbers.shape[:-1]
        cells = _cells(numbers.reshape(-1, numbers.shape[-1]), self.edges)
        flat = torch.zeros(len(cells), dtype=torch.int64)
        for column in cells.unbind(-1):
            flat = flat * self.bins + column
        quantile = self.table.flatten(1)[:, flat].T.reshape(*lead, len(self.table))
        bound = torch.as_tensor(bound).double().unsqueeze(-1)
        # Where no level keeps the bound, that which comes nearest is still allowed.
        return quantile <= torch.maximum(bound, quantile.amin(-1, keepdim=True))


def _nearest(allowed: Tensor) -> Tensor:
    """For each level the nearest that is allowed, of two the lower; 0 where none is."""
    width = allowed.shape[-1]
    codes = torch.arange(width, device=allowed.device)
    # A step up counts a little more than a step down, so that of two as near the lower is taken.
    apart = (codes - codes[:, None]).double()
    apart = torch.where(apart > 0, apart + 0.5, -apart)
    cost = torch.where(allowed.unsqueeze(-2), apart, torch.inf)
    return cost.argmin(-1)


def _levels(fitted: Fitted, decision: str) -> int:
    node = fitted.node(decision)
    support = fitted.schema.supports[node.name]
    if node.kind != "decision" or not isinstance(support, Categorical) or support.size:
        raise QueryError(
            decision,
            found="no decision among levels",
            mend="Name one, or give Limits a function that returns the least and the most.",
        )
    return support.cardinality


def _check_outcome(fitted: Fitted, decision: str, outcome: str) -> None:
    """Refuse an outcome that depends on earlier decisions by another way than this one."""
    declaration = fitted.declaration
    later, todo = below(declaration, [decision]), [fitted.node(outcome).name]
    seen: set[str] = set()
    while todo:
        node = declaration.nodes[todo.pop()]
        if node.name in seen or node.name == decision:
            continue
        seen.add(node.name)
        for parent in node.parents:
            carried = parent.lag or declaration.nodes[parent.name].kind == "state"
            if carried and (parent.name in later or parent.name == decision):
                raise QueryError(
                    outcome,
                    found=f"an outcome that depends on {parent.name}, which earlier decisions "
                    "change",
                    mend="Name an outcome of the step itself, and let the bound, `at_most`, be a "
                    f"function of {parent.name}.",
                )
            todo.append(parent.name)


__all__ = ["Limits"]
