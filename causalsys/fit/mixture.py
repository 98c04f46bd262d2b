"""Districts of one categorical latent and its children: exact expectation-maximisation.

Given the other parents, the children are a mixture of regressions (and of frequencies), whose
likelihood is exact and whose updates have a closed form (Dempster, Laird and Rubin, JRSS B 1977).
It has many optima, so each restart is the best of several short runs from k-means++ centres
(Biernacki, Celeux and Govaert, CSDA 2003), then moved by swaps of classes, and run on until nothing
more is gained. All members go on from the best restart, so that they mean the same by a level;
level 0 is the most frequent one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.gaussian import Maximum
from causalsys.fit.joint import Scope
from causalsys.fit.mixture_children import Child, Parameters, child_of
from causalsys.fit.mixture_start import first_levels
from causalsys.fit.mixture_swap import swapped
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.by_level import Lines
from causalsys.mechanisms.categorical import GumbelMaxMechanism
from causalsys.mechanisms.table import TableMechanism
from causalsys.scm.supports import Categorical

_RESTARTS = 8
_SHORT, _EACH = 30, 4
"""Steps of a short run, and the short runs of which a restart is the best."""
_ROUNDS, _SWAPS, _BRIEF, _IDLE = 12, 4, 12, 6
"""Rounds of swaps, swaps of a round, the steps that follow each, and rounds in vain to stop at."""
_FEW, _MOST = 2, 6
"""Fewer restarts than the second that agree are told, fewer than the first warned of."""
_STEPS = 2000
_GAIN = 1e-5
"""Nats in all that a step must gain, for another to follow."""
_SAME = 2.0
"""Nats in all within which restarts found the same optimum."""
_ENOUGH, _MANY = 5_000, 20_000
"""Rows that suffice for short runs, and to tell optima apart; all rows then say where it lies."""
_BETTER = 0.02
"""Nats per row by which a new search must beat the last fit's optimum to replace it."""
_PSEUDO = 1.0
"""Rows added to a level's, so that none is lost for good."""


@dataclass(frozen=True)
class State:
    """Parameters of all members: log shares `[member, level]`, and those of each child."""

    share: Tensor
    children: tuple[Parameters, ...]

    def take(self, index: Tensor) -> State:
        """These members' parameters."""
        return State(self.share[index], tuple(_taken(each, index) for each in self.children))

    def levels(self, order: Tensor) -> State:
        """The same mixture with its levels in another order."""
        return State(self.share[:, order], tuple(_reordered(e, order) for e in self.children))


@dataclass(frozen=True)
class Mixture:
    """A district as a mixture.

    Attributes:
        latent: The latent's name.
        rows: How many rows there are.
        own: Whether each member has data of its own (imputed cells).
        started: Its mechanism, started.
        children: What hangs on it.
    """

    latent: str
    rows: int
    own: bool
    started: GumbelMaxMechanism
    children: tuple[Child, ...]

    @classmethod
    def of(cls, scope: Scope, weight: Tensor) -> Mixture | None:
        """The mixture of a scope with started mechanisms; None where it is none."""
        latents = [node for node in scope.nodes if node.name not in scope.known]
        if len(latents) != 1 or latents[0].kind != "latent" or latents[0].per == "trace":
            return None
        latent = latents[0]
        started, support = scope.mechanisms.get(latent.name), scope.schema.supports[latent.name]
        whole = isinstance(support, Categorical) and not support.size and not latent.parents
        if not whole or not isinstance(started, GumbelMaxMechanism) or scope.gaps:
            return None
        children = []
        for node in scope.nodes:
            if node is latent:
                continue
            keys = [ref.key for ref in node.parents if ref.name == latent.name]
            child = child_of(node, latent.name, scope, weight) if keys == [latent.name] else None
            if child is None:
                return None
            children.append(child)
        own = any(len(value) > 1 for value in scope.known.values())
        return cls(latent.name, scope.rows, own, started, tuple(children))

    @property
    def levels(self) -> int:
        """How many classes there are."""
        return self.started.noise_shape[0]

    def take(self, rows: Tensor) -> Mixture:
        """The mixture over these rows of the first data set."""
        children = tuple(child.take(rows) for child in self.children)
        return Mixture(self.latent, len(rows), False, self.started, children)

    def step(self, weight: Tensor, of_levels: Tensor, before: State | None = None) -> State:
        """The parameters that the rows' levels `[member, level, row]` call for."""
        weighted = weight.unsqueeze(1) * of_levels
        counts = weighted.sum(-1) + _PSEUDO
        olds = before.children if before else [c.pooled(len(weight)) for c in self.children]
        updated = tuple(
            child.updated(old, weighted) for child, old in zip(self.children, olds, strict=True)
        )
        return State((counts / counts.sum(-1, keepdim=True)).log(), updated)

    def joint(self, state: State) -> Tensor:
        """The log joint of each row and level, up to a constant per row, `[member, level, row]`."""
        total = state.share.unsqueeze(-1).repeat(1, 1, self.rows)
        for child, parameters in zip(self.children, state.children, strict=True):
            child.add_log_density(total, parameters)
        return total

    def log_prior(self, state: State) -> Tensor:
        """What the weak priors add, `[member]`."""
        total = _PSEUDO * state.share.sum(-1)
        for child, parameters in zip(self.children, state.children, strict=True):
            total = total + child.log_prior(parameters)
        return total

    def climb(self, state: State, weight: Tensor, *, steps: int) -> tuple[State, Tensor, Tensor]:
        """Steps until nothing more is gained: the parameters, their objective, who has ended."""
        members = len(weight)
        score = torch.full((members,), -torch.inf, dtype=weight.dtype)
        going, found = torch.arange(members), state
        ended = torch.zeros(members, dtype=torch.bool)
        for _ in range(steps):
            joint = self.joint(state)
            evidence = torch.logsumexp(joint, 1)
            now = (weight[going] * evidence).sum(-1) + self.log_prior(state)
            still = ~(now - score[going] < _GAIN)
            score[going] = now
            found = _put(found, going, state)
            ended[going[~still]] = True
            if not bool(still.any()):
                break
            # Members with data of their own stay side by side.
            kept = torch.arange(members) if self.own else still.nonzero()[:, 0]
            going = going[kept]
            state, joint, evidence = state.take(kept), joint[kept], evidence[kept]
            state = self.step(weight[going], (joint - evidence.unsqueeze(1)).exp(), state)
        return found, score, ended

    def mechanisms(self, state: State) -> dict[str, Mechanism]:
        """The mechanisms with these parameters."""
        found = {
            child.name: child.mechanism(parameters)
            for child, parameters in zip(self.children, state.children, strict=True)
        }
        share, old = state.share.unsqueeze(1), self.started.state
        if isinstance(self.started, TableMechanism):
            return {self.latent: self.started.with_state({"table": share}), **found}
        return {self.latent: self.started.with_state({**old, "net.constant": share}), **found}

    def state(self, mechanisms: Mapping[str, Mechanism]) -> State:
        """The parameters of mechanisms that were fitted before."""
        own = mechanisms[self.latent].state
        share = own["table"] if "table" in own else own["net.constant"]
        return State(
            torch.log_softmax(share[:, 0], -1),
            tuple(child.parameters(mechanisms[child.name]) for child in self.children),
        )


def maximise_mixture(
    mixture: Mixture,
    *,
    weight: Tensor,
    generator: torch.Generator,
    before: Mapping[str, Mechanism] | None = None,
) -> Maximum:
    """Fit a mixture by its exact likelihood.

    Args:
        mixture: The district.
        weight: `[member, row]`.
        generator: Fixes the starts.
        before: Its mechanisms as they were fitted last; their optimum is kept, and what its levels
            mean, unless a new search finds a much better one.
    """
    first = mixture.take(torch.arange(mixture.rows))
    best, agreeing = _search(first, weight[:1], generator)
    best, score, _ = first.climb(best, weight[:1], steps=_STEPS)
    best = best.levels(best.share[0].argsort(descending=True, stable=True))
    if before is not None:
        old = mixture.state(before).take(torch.zeros(1, dtype=torch.int64))
        again, kept, _ = first.climb(old, weight[:1], steps=_STEPS)
        if float(score - kept) < _BETTER * float(weight[0].sum()):
            best = again
        else:
            best = best.levels(_alike(first, best, old, weight[0]))
    start = best.take(torch.zeros(len(weight), dtype=torch.int64))
    state, _, ended = mixture.climb(start, weight, steps=_STEPS)
    mechanisms = mixture.mechanisms(state)
    if _FEW <= agreeing < _MOST:
        # With fewer, the district's own report warns.
        told = f"only {agreeing} of {_RESTARTS} restarts ended within {_SAME:g} nats of the best "
        note = f"{told}optimum: other classes fit nearly as well"
        mechanisms[mixture.latent] = mechanisms[mixture.latent].noted(note)
    return Maximum(mechanisms, agreeing, _RESTARTS, bool(ended.all()))


def _search(mixture: Mixture, weight: Tensor, generator: torch.Generator) -> tuple[State, int]:
    """The best restart, and how many found the same optimum."""
    order = torch.randperm(weight.shape[1], generator=generator)
    few = order[:_ENOUGH].sort().values
    some, own = mixture.take(few), weight[:, few]
    features = torch.cat([child.features() for child in some.children], -1)
    starts = []
    for _ in range(_RESTARTS):
        levels = first_levels(
            features, own[0], levels=mixture.levels, attempts=_EACH, generator=generator
        )
        wide = own.expand(_EACH, -1)
        short, score, _ = some.climb(some.step(wide, levels), wide, steps=_SHORT)
        starts.append(short.take(score.argmax().reshape(1)))
    state = _joined(starts)
    if mixture.levels > 1:
        state = _improved(some, state, own, features, generator)
    many = order[:_MANY].sort().values
    some, wide = mixture.take(many), weight[:, many].expand(_RESTARTS, -1)
    state, score, _ = some.climb(state, wide, steps=_STEPS)
    return state.take(score.argmax().reshape(1)), int((score >= score.max() - _SAME).sum())


def _improved(
    mixture: Mixture, state: State, weight: Tensor, features: Tensor, generator: torch.Generator
) -> State:
    """Each restart after rounds of swaps: the best of what a round tried, and of what was."""
    state, best, _ = mixture.climb(state, weight.expand(_RESTARTS, -1), steps=_SHORT)
    wide = weight.expand(_RESTARTS * _SWAPS, -1)
    idle = 0
    for _ in range(_ROUNDS):
        many = state.take(torch.arange(_RESTARTS).repeat_interleave(_SWAPS))
        levels = swapped(mixture.joint(many), features, generator=generator)
        tried, score, _ = mixture.climb(mixture.step(wide, levels, many), wide, steps=_BRIEF)
        top = score.reshape(_RESTARTS, _SWAPS).max(-1)
        better = (top.values > best).nonzero()[:, 0]
        if len(better):
            state = _put(state, better, tried.take(better * _SWAPS + top.indices[better]))
        idle = 0 if bool((top.values > best + _SAME).any()) else idle + 1
        best = torch.maximum(best, top.values)
        if idle == _IDLE:
            break
    return state


def _alike(mixture: Mixture, new: State, old: State, weight: Tensor) -> Tensor:
    """The order of the new levels in which they share most rows with the old ones."""
    from scipy.optimize import linear_sum_assignment

    first, second = (torch.softmax(mixture.joint(each)[0], 0) for each in (old, new))
    shared = (first * weight) @ second.mT
    return torch.as_tensor(linear_sum_assignment(-shared.numpy())[1])


def _taken(parameters: Parameters, index: Tensor) -> Parameters:
    return parameters.take(index) if isinstance(parameters, Lines) else parameters[index]


def _reordered(parameters: Parameters, order: Tensor) -> Parameters:
    if isinstance(parameters, Lines):
        return Lines(parameters.coefficients[:, order], parameters.variance[:, order])
    return parameters[:, order]


def _joined(states: list[State]) -> State:
    children: list[Parameters] = []
    for each in zip(*(state.children for state in states), strict=True):
        lines = [one for one in each if isinstance(one, Lines)]
        tables = [one for one in each if isinstance(one, Tensor)]
        children.append(
            Lines(
                torch.cat([one.coefficients for one in lines]),
                torch.cat([one.variance for one in lines]),
            )
            if lines
            else torch.cat(tables)
        )
    return State(torch.cat([state.share for state in states]), tuple(children))


def _put(whole: State, index: Tensor, part: State) -> State:
    """`whole` with the members `index` replaced by those of `part`."""
    if len(index) == len(whole.share):
        return part

    def put(old: Tensor, new: Tensor) -> Tensor:
        return old.index_copy(0, index, new)

    children: list[Parameters] = []
    for old, new in zip(whole.children, part.children, strict=True):
        if isinstance(old, Lines) and isinstance(new, Lines):
            lines = (put(old.coefficients, new.coefficients), put(old.variance, new.variance))
            children.append(Lines(*lines))
        elif isinstance(old, Tensor) and isinstance(new, Tensor):
            children.append(put(old, new))
    return State(put(whole.share, part.share), tuple(children))
