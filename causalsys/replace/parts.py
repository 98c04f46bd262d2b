"""A prediction in parts: baseline, context, workload, and what only both together explain.

Let the causes of the target be set by `do` to `c` (the context: what the system is in) and `w`
(the workload: the rest), and `f(c, w) = E[target | do(c, w)]`, the noise averaged out. With `c` and
`w` each drawn by itself from the model's own rows,

    baseline         E_c E_w f(c, w)
    context(c)       E_w f(c, w) - baseline
    workload(w)      E_c f(c, w) - baseline
    combination      f(c, w) - baseline - context(c) - workload(w)

This is the functional analysis of variance of `f` for two groups of inputs under a product law
(Hoeffding, 1948; Sobol, 2001, equation 4; as a diagnosis of predictors Hooker, 2004). The
combination is 0 exactly where `f` is a sum of a function of each, and the parts of a linear `f` are
`slope · (value - its mean)`. Since the groups are set by `do`, a correlation of theirs is not
shared out between them (Janzing, Minorics and Blöbaum, 2020). What of a row is not known is
averaged over its posterior: the parts add up to the predicted mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.table import Table
from causalsys.detect.loss import Values
from causalsys.engine.base import one_thread
from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.mechanisms.base import gumbel_of_normal
from causalsys.replace.belief import Belief, believe
from causalsys.replace.points import normal_points
from causalsys.replace.predictive import Predictive
from causalsys.replace.shifts import drawn
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import computed
from causalsys.scm.supports import Categorical, Support

if TYPE_CHECKING:
    import pandas as pd

_REFERENCES = 64
"""Rows of the model that stand for the law of each group."""
_POINTS = 8
"""Points of each member for the target's noise."""
_HIDDEN = 4
"""Points of each member for the hidden causes that are numbers: each costs a whole average."""
_CELLS = 4_000_000
"""Evaluations of the target's mechanism at once."""
COLUMNS = ("baseline", "context", "workload", "combination")

Settings = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Surface:
    """`f`: the target's mean when its causes are set.

    Attributes:
        fitted: The model.
        target: The target.
        context: Those of its causes that are context.
        workload: The others.
        noise: Points of the target's noise, `[sample, 1, ...]`.
        index: The member of each, `[sample]`.
    """

    fitted: Fitted
    target: str
    context: tuple[str, ...]
    workload: tuple[str, ...]
    noise: Tensor
    index: Tensor

    @property
    def causes(self) -> tuple[str, ...]:
        """All causes, both groups."""
        return (*self.context, *self.workload)

    def mean(self, settings: Settings) -> Values:
        """The target's mean at some settings of all causes, `[setting]`."""
        count = len(next(iter(settings.values()))) if settings else 1
        step = max(1, _CELLS // len(self.index))
        found = [
            self._some({k: v[i : i + step] for k, v in settings.items()}, min(step, count - i))
            for i in range(0, count, step)
        ]
        return np.concatenate(found)

    def _some(self, settings: Settings, count: int) -> Values:
        supports = self.fitted.schema.supports
        values: dict[str, Tensor] = {}
        for name, column in settings.items():
            tensor = torch.from_numpy(np.ascontiguousarray(column)).unsqueeze(0)
            values[name] = (
                tensor.long() if supports[name].discrete and _coded(supports[name]) else tensor
            )
        mechanism = self.fitted.mechanisms[self.target].members(self.index)
        node = self.fitted.declaration.nodes[self.target]
        parents = {ref.key: self._value(ref.name, values) for ref in node.parents}
        noise = self.noise.expand(len(self.index), count, *mechanism.noise_shape)
        found: Values = mechanism.push(noise, parents).mean(0).expand(count).double().numpy()
        return found

    def _value(self, name: str, values: dict[str, Tensor]) -> Tensor:
        """A parent's value: set, or by its equation over what is set."""
        if name not in values:
            node = self.fitted.declaration.nodes[name]
            values[name] = computed(
                node,
                [self._value(ref.name, values) for ref in node.parents],
                supports=self.fitted.schema.supports,
            )
        return values[name]


def _coded(support: Support) -> bool:
    return isinstance(support, Categorical)


def surface_of(fitted: Fitted, target: str, context: Sequence[str] | None) -> Surface:
    """The target's mean as a function of context and workload.

    Raises:
        UnknownNameError: A context variable is not in the model.
        QueryError: One is the target, or an effect of it, or no direct cause; or the target has a
            vector among its causes.
    """
    causes = _set_causes(fitted, target)
    latents = set(fitted.declaration.graph.latents)
    chosen = latents if context is None else _checked(fitted, target, context, causes)
    mechanism = fitted.mechanisms[target]
    width = int(np.prod(mechanism.noise_shape, dtype=int))
    points = normal_points(fitted.members, _POINTS, width)
    noise = points.reshape(-1, 1, *mechanism.noise_shape)
    return Surface(
        fitted,
        target,
        tuple(name for name in causes if name in chosen),
        tuple(name for name in causes if name not in chosen),
        gumbel_of_normal(noise) if mechanism.noise == "gumbel" else noise,
        torch.arange(fitted.members).repeat_interleave(_POINTS),
    )


def _checked(
    fitted: Fitted, target: str, context: Sequence[str], causes: Sequence[str]
) -> set[str]:
    if isinstance(context, str):
        raise QueryError("context", found=repr(context), mend=f"Give a list: [{context!r}].")
    below = fitted.declaration.graph.descendants(target) | {target}
    names = {fitted.node(name).name for name in context}
    if wrong := sorted(names & below):
        raise QueryError(
            wrong[0],
            found="the target, or an effect of it, as context",
            mend="Name causes of the target.",
        )
    if idle := sorted(names.difference(causes)):
        raise QueryError(
            idle[0],
            found=f"context that acts on {target} through others, or not at all",
            mend=f"Name direct causes: {', '.join(causes)}.",
        )
    return names


def _set_causes(fitted: Fitted, target: str) -> list[str]:
    """What `do` sets: the target's parents, and of an equation among them its parents."""
    nodes = fitted.declaration.nodes
    found: list[str] = []
    waiting = [nodes[ref.name] for ref in nodes[target].parents]
    while waiting:
        node: Node = waiting.pop(0)
        if node.function is not None:
            waiting += [nodes[ref.name] for ref in node.parents]
        elif node.name not in found:
            if fitted.schema.supports[node.name].size:
                raise QueryError(
                    node.name,
                    found="a vector among the causes of the target",
                    mend="Declare its components as variables of their own.",
                )
            found.append(node.name)
    return found


@one_thread()
def parts_of(
    fitted: Fitted,
    target: str,
    tables: Sequence[tuple[NDArray[np.int64], Table]],
    *,
    context: Sequence[str] | None,
    index: pd.Index[Any],
    seed: int,
) -> pd.DataFrame:
    """The parts of each row's predicted mean; see the module.

    Args:
        fitted: The model.
        target: The target.
        tables: The rows in groups that know the same columns, with their positions.
        context: The names that count as context; by default all latents.
        index: The rows' labels.
        seed: Fixes the rows that stand for each group's law.
    """
    import pandas as pd

    surface = surface_of(fitted, target, context)
    reference = _references(surface, seed)
    base = float(_average(surface, reference, reference, of="context").mean())
    found = np.empty((len(index), len(COLUMNS)))
    for at, table in tables:
        continuous = any(
            name not in table.values and not _coded(fitted.schema.supports[name])
            for name in surface.causes
        )
        belief = believe(fitted, table, about=[target])
        total = Predictive.of(belief, target).mean
        if continuous:
            belief = believe(fitted, table, about=[target], points=_HIDDEN)
        own = _expected(surface, belief, reference, of="context") - base
        work = _expected(surface, belief, reference, of="workload") - base
        found[at] = np.stack([np.full(len(at), base), own, work, total - base - own - work], 1)
    return pd.DataFrame(found, columns=list(COLUMNS), index=index)


def _references(surface: Surface, seed: int) -> Settings:
    """Rows that the model draws, for all causes, `[reference]`."""
    values = drawn(surface.fitted, _REFERENCES, do={}, seed=seed)
    return {name: values[name].double().numpy() for name in surface.causes}


def _expected(surface: Surface, belief: Belief, reference: Settings, *, of: str) -> Values:
    """The average of `f` with one group as a row has it, over what is not known of it, `[row]`."""
    names = surface.context if of == "context" else surface.workload
    table, values = belief.table, belief.values
    weight = belief.sample_weight
    given = {n: table.values[n] if n in table.values else values[n] for n in names}
    shape = torch.broadcast_shapes(*(v.shape for v in given.values()), (1, 1, table.rows))
    settings = {n: v.double().expand(shape).reshape(-1).numpy() for n, v in given.items()}
    averaged = torch.from_numpy(_average(surface, settings, reference, of=of))
    if not names:
        averaged = averaged.expand(table.rows)
    each = averaged.reshape(shape if names else (1, 1, table.rows))
    weight = weight if shape[0] > 1 else weight.sum(0, keepdim=True)
    weight = weight if shape[1] > 1 else weight.sum(1, keepdim=True)
    found: Values = (each * weight).sum((0, 1)).numpy()
    return found


def _average(surface: Surface, settings: Settings, reference: Settings, *, of: str) -> Values:
    """`f` with one group as in `settings`, averaged over the other group's law, `[setting]`."""
    own, other = (
        (surface.context, surface.workload)
        if of == "context"
        else (surface.workload, surface.context)
    )
    here, back, _ = _distinct({n: settings[n] for n in own})
    there, _, share = _distinct({n: reference[n] for n in other})
    left, right = max(len(here), 1), max(len(there), 1)
    grid = {n: np.repeat(here[:, i], right) for i, n in enumerate(own)}
    grid |= {n: np.tile(there[:, i], left) for i, n in enumerate(other)}
    value = surface.mean(grid) if grid else surface.mean({})
    averaged = value.reshape(left, right) @ share
    found: Values = averaged[back] if own else averaged
    return found


def _distinct(settings: Settings) -> tuple[NDArray[np.float64], NDArray[np.int64], Values]:
    """The settings that differ, `[distinct, variable]`; where each is; and their shares."""
    if not settings:
        return np.empty((1, 0)), np.zeros(1, dtype=np.int64), np.ones(1)
    rows = np.stack(list(settings.values()), 1)
    found, back, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return found, back.ravel(), counts / counts.sum()


__all__ = ["COLUMNS", "Surface", "parts_of", "surface_of"]
