"""`Guarded`: a policy under watch, with a well-studied one to fall back to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical as Draw

from causalsys.errors import CausalSysError, InterventionError, brief
from causalsys.query.policy import label_of
from causalsys.replace.guarded_counters import FAILED, Counters
from causalsys.replace.guarded_hold import Held, Hold
from causalsys.replace.guarded_reads import Reader, readers, signature_of
from causalsys.replace.rails_base import Objection, Proposal, Rail, as_rail, plain
from causalsys.scm.supports import Support


class Guarded:
    """A policy, and a well-studied heuristic that decides in its place where a rail says so.

    It is itself a policy, for `do`, `cs.simulate` and wherever else one may stand; what it reads is
    what its parts read. The policy is asked at every step, also while the fallback decides, so that
    the rails see when it is well again. A policy that raises, or whose decision is not finite,
    of the wrong shape or outside the support, is a rail of its own ("policy failed").

    Args:
        policy: The policy under watch: a function of variables, or what `cs.policy` makes. It may
            return a torch `Categorical`, and may have a memory.
        fallback: The heuristic, likewise. What it raises is raised, and what it decides must be
            finite and in the support: below it there is nothing.
        rails: Rails, or functions of variables that return where they object.
        hold: The hysteresis; by default one alarm takes over, for 5 steps at least, until 3 in a
            row were without one.
        support: What a decision may be; without it, any finite number.

    Attributes:
        counters: What it did so far, in this process: workers of `cs.Cores()` count for themselves.

    Raises:
        InterventionError: A part is no policy, two rails have the same name, or arguments cannot
            be read.

    Example:
        >>> eager = lambda buffer: torch.full_like(buffer, 5)
        >>> careful = lambda buffer: buffer.clamp(max=2)
        >>> guarded = Guarded(eager, careful, rails=[lambda buffer: buffer < 3])
        >>> decisions, _ = guarded(buffer=torch.tensor([1.0, 4.0]))
        >>> decisions.tolist(), guarded.counters.fallback
        ([1.0, 5.0], 1)

    Source:
        Simplex architectures: Sha, "Using simplicity to control complexity", IEEE Software 2001;
        for learned policies of networks, Mao et al., "Real-world video adaptation with
        reinforcement learning", 2020, and Rotman, Schapira and Tamar, "Online safety assurance for
        learning-augmented systems", HotNets 2020.
    """

    def __init__(
        self,
        policy: Callable[..., Any],
        fallback: Callable[..., Any],
        *,
        rails: Sequence[Any] = (),
        hold: Hold | None = None,
        support: Support | None = None,
    ) -> None:
        for name, part in (("policy", policy), ("fallback", fallback)):
            if not callable(part):
                raise InterventionError(
                    name, found=f"a {type(part).__name__}", mend="Give a function of variables."
                )
        if isinstance(rails, str) or not isinstance(rails, Sequence):
            raise InterventionError(
                "rails", found=f"a {type(rails).__name__}", mend="Give a list of rails."
            )
        if support is not None and not isinstance(support, Support):
            raise InterventionError(
                "support", found=f"a {type(support).__name__}", mend="Give one, as cs.Positive()."
            )
        if hold is not None and not isinstance(hold, Hold):
            raise InterventionError(
                "hold", found=f"a {type(hold).__name__}", mend="Give a Hold(...)."
            )
        self.policy, self.fallback, self.support = policy, fallback, support
        self.rails = tuple(as_rail(each) for each in rails)
        self.hold = Hold() if hold is None else hold
        names = [FAILED, *(rail.name for rail in self.rails)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InterventionError(
                "rails", found=f"two rails named {twice[0]!r}", mend="Give each a name: name=..."
            )
        parts = readers([policy, fallback, *(rail.function for rail in self.rails)])
        self._policy, self._fallback, *self._watches = parts
        self.__signature__ = signature_of(parts)
        self.__name__ = f"guarded {label_of(policy)}"
        self.reset()

    @property
    def counters(self) -> Counters:
        """What it did since it was made, or since `reset`."""
        return self._counters

    def reset(self) -> None:
        """Count anew."""
        self._counters = Counters(rails=dict.fromkeys([r.name for r in self.rails] + [FAILED], 0))

    def fresh(self) -> Guarded:
        """The same guard, with counters of its own."""
        return Guarded(
            self.policy, self.fallback, rails=self.rails, hold=self.hold, support=self.support
        )

    def __call__(self, *, memory: Any = None, **given: Any) -> tuple[Any, dict[str, Any]]:
        """The decisions of a step, `[..., trace]`, and the memory for the next."""
        start = {"step": 0, "held": None, "policy": None, "fallback": None}
        was: dict[str, Any] = start if memory is None else memory
        safe, kept = self._fallback(given, was["fallback"])
        instead = plain(safe, was["step"])
        if bool(self._outside(instead.decision).any()):
            raise InterventionError(
                label_of(self.fallback),
                found="a fallback whose decision is not finite, or outside the support",
                mend="Mend it: below it there is nothing.",
            )
        proposal, remembered, failed, told = self._asked(given, was, instead)
        alarm, at_once, mended = failed, failed, torch.zeros_like(failed)
        rails = {FAILED: int(failed.sum())}
        for rail, watch in zip(self.rails, self._watches, strict=True):
            found = _judged(rail, proposal, watch, given)
            here, proposal = found.alarm.expand(proposal.shape), found.proposal
            alarm = alarm | here
            at_once = at_once | here if found.at_once else at_once
            if found.mended is not None:
                mended, here = mended | found.mended, here | found.mended
            rails[rail.name] = int(here.sum())
        held = self.hold.step(was["held"], alarm)
        takes = held.active | at_once
        self._count(held, takes, mended & ~takes, rails=rails, told=told)
        return _either(takes, instead, proposal), {
            "step": was["step"] + 1,
            "held": held,
            "policy": remembered,
            "fallback": kept,
        }

    def _asked(
        self, given: dict[str, Any], was: dict[str, Any], instead: Proposal
    ) -> tuple[Proposal, Any, Tensor, str]:
        """What the policy proposes, its memory, where it failed, and what it raised.

        Where it failed the fallback's decision stands in, so that rails have something to judge.
        """
        shape = self._shape(given, instead)
        safe = Proposal(instead.decision.expand(shape), None, was["step"])
        try:
            found, remembered = self._policy(given, was["policy"])
            proposal = plain(found, was["step"])
            decision = proposal.decision.expand(shape)
        except Exception as error:  # noqa: BLE001 - a guard is there for what nobody thought of
            return safe, was["policy"], torch.ones(shape, dtype=torch.bool), brief(error)
        failed = self._outside(decision)
        chances = proposal.chances
        if chances is not None:
            chances = chances.expand(*shape, chances.shape[-1])
            failed = failed | ~torch.isfinite(chances).all(-1)
        decision = torch.where(failed, safe.decision, decision)
        told = "a decision outside its support" if bool(failed.any()) else ""
        return Proposal(decision, chances, was["step"]), remembered, failed, told

    def _shape(self, given: dict[str, Any], instead: Proposal) -> torch.Size:
        """Samples and traces: those of the fallback's decisions, and of scalars that are read."""
        if instead.decision.dim():
            return instead.decision.shape
        shapes = [value.shape for value in given.values() if isinstance(value, Tensor)]
        return min(shapes, key=len) if shapes else instead.decision.shape

    def _outside(self, decision: Tensor) -> Tensor:
        number = decision.detach().double()
        wrong = ~torch.isfinite(number)
        if self.support is not None:
            from causalsys.scm.supports import Categorical

            if isinstance(self.support, Categorical):
                levels = self.support.cardinality
                return wrong | (number < 0) | (number >= levels) | (number != number.round())
            inside = torch.where(wrong, 0.0, number).numpy()
            wrong = wrong | torch.from_numpy(self.support.outside(inside))
        return wrong

    def _count(
        self, held: Held, takes: Tensor, clipped: Tensor, *, rails: dict[str, int], told: str
    ) -> None:
        self._counters = self._counters.plus(
            Counters(
                takes.numel(),
                int(takes.sum()),
                int(clipped.sum()),
                int(held.tripped.sum()),
                rails,
                told,
            )
        )

    def __repr__(self) -> str:
        watched = ", ".join(rail.name for rail in self.rails) or "no rails but its failure"
        return (
            f"<Guarded {label_of(self.policy)}, falling back to {label_of(self.fallback)}: "
            f"{watched}>"
        )


def _judged(rail: Rail, proposal: Proposal, watch: Reader, given: dict[str, Any]) -> Objection:
    """What a rail says; one that breaks is named, and stops what it was to watch."""
    try:
        found = rail.judge(proposal, watch(given)[0])
        found.alarm.expand(proposal.shape)
    except CausalSysError:
        raise
    except Exception as error:
        raise InterventionError(
            rail.name,
            found=f"a rail that raises {type(error).__name__}: {brief(error)}",
            mend="Mend it: it must return one boolean for each decision.",
        ) from error
    return found


def _either(takes: Tensor, instead: Proposal, proposal: Proposal) -> Any:
    """The fallback's decision where it takes over, else the policy's; a draw if either draws."""
    first, second = instead.decision, proposal.decision
    widths = [p.chances.shape[-1] for p in (instead, proposal) if p.chances is not None]
    if not widths:
        kind = torch.promote_types(first.dtype, second.dtype)
        return torch.where(takes, first.to(kind), second.to(kind))
    width = max(widths)
    safe, own = _chances(instead, width), _chances(proposal, width)
    probs = torch.where(takes.unsqueeze(-1), safe, own)
    return Draw(probs=probs, validate_args=False)


def _chances(proposal: Proposal, width: int) -> Tensor:
    if proposal.chances is None:
        return torch.nn.functional.one_hot(proposal.decision.long(), width).double()
    missing = width - proposal.chances.shape[-1]
    return torch.nn.functional.pad(proposal.chances.double(), (0, missing))


__all__ = ["Guarded"]
