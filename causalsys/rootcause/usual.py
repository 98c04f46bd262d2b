"""What each variable usually is, and what its mechanism leaves unexplained in normal rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.fitted import Fitted
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import computed
from causalsys.scm.supports import Boolean, Categorical


@dataclass(frozen=True)
class Usual:
    """A variable in the normal period.

    Attributes:
        value: Its usual value: the median, or the most frequent level.
        residual: What the mechanism left unexplained in each normal row, about its median, `[row]`.
        deviation: How far it was from its usual value in each normal row, `[row]`.
    """

    value: Tensor
    residual: Tensor
    deviation: Tensor


def numbers(values: Tensor, usual: Tensor | None, support: object) -> Tensor:
    """Values as numbers: a category is 1 where it has another level than the usual one."""
    if isinstance(support, Categorical):
        assert usual is not None
        return (values != usual).to(torch.float64)
    return values.to(torch.float64)


def usual_value(values: Tensor, known: Tensor, support: object) -> Tensor:
    """The median of the known values, or their most frequent level; a scalar."""
    some = values[known]
    if isinstance(support, Categorical):
        return some.mode().values
    if isinstance(support, Boolean):
        return some.to(torch.float64).mean().round().to(values.dtype)
    return some.median()


class Model:
    """The fitted mechanisms as functions of their parents' values.

    Args:
        fitted: The model.
        usual: Each variable's usual value; latents are at the middle of their prior.
    """

    def __init__(self, fitted: Fitted, usual: Mapping[str, Tensor]) -> None:
        self.fitted = fitted
        self.usual = usual

    def middle(self, name: str) -> Tensor:
        """A variable's usual value, a scalar; the middle of its prior for one that was not seen."""
        kind = torch.int64 if self.fitted.schema.supports[name].discrete else torch.float64
        return self.usual.get(name, torch.zeros((), dtype=kind))

    def expected(
        self, node: Node, parents: Mapping[str, Tensor], *, members: slice | None = None
    ) -> Tensor:
        """What the mechanism makes of its parents, its noise at its middle.

        Args:
            node: The variable.
            parents: Values by key, `[..., 1, row]`.
            members: Which members answer; by default all of them.

        Returns:
            `[..., member, row]`, numbers as in `numbers`.
        """
        support = self.fitted.schema.supports[node.name]
        if node.function is not None:
            value = computed(
                node,
                [parents[ref.key] for ref in node.parents],
                supports=self.fitted.schema.supports,
            )
            return numbers(value, self.usual.get(node.name), support)
        mechanism = self.fitted.mechanism(node.name)
        if members is not None:
            mechanism = mechanism.members(torch.arange(self.fitted.members)[members])
        rows = max((p.shape[-1] for p in parents.values()), default=1)
        if isinstance(support, Boolean | Categorical):
            return self._chance(mechanism, node, parents, rows)
        noise = torch.zeros(*_lead(parents), 1, rows, *mechanism.noise_shape, dtype=torch.float64)
        return mechanism.push(noise, parents).to(torch.float64)

    def _chance(
        self, mechanism: Mechanism, node: Node, parents: Mapping[str, Tensor], rows: int
    ) -> Tensor:
        """The probability of true, or of another level than the usual one."""
        support = self.fitted.schema.supports[node.name]
        usual = self.usual[node.name] if isinstance(support, Categorical) else torch.tensor(True)
        value = usual.expand(*_lead(parents), 1, rows)
        chance = mechanism.log_prob(value, parents).exp()
        return 1 - chance if isinstance(support, Categorical) else chance


def _lead(parents: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The axes before `[member, row]`."""
    return max((tuple(p.shape[:-2]) for p in parents.values()), key=len, default=())


def usual_of(fitted: Fitted, normal: Table) -> dict[str, Usual]:
    """Every observed variable in the normal period."""
    supports = fitted.schema.supports
    nodes = fitted.declaration.nodes
    everywhere = torch.ones(normal.rows, dtype=torch.bool)
    known = {name: ~normal.missing.get(name, ~everywhere) for name in nodes}
    values = {
        name: usual_value(normal.values[name][0], known[name], supports[name])
        for name in nodes
        if name in normal.values and bool(known[name].any())
    }
    model = Model(fitted, values)
    found: dict[str, Usual] = {}
    for name, value in values.items():
        node = nodes[name]
        line = numbers(normal.values[name][0], value, supports[name])
        middle = numbers(value, value, supports[name])
        parents = {
            ref.key: _filled(normal.values.get(ref.name), known[ref.name], model.middle(ref.name))
            for ref in node.parents
        }
        made = model.expected(node, parents, members=slice(0, 1))[0].expand(normal.rows)
        residual = line - made
        all_known = known[name].clone()
        for ref in node.parents:
            all_known &= known[ref.name]
        if not bool(all_known.any()):
            all_known = known[name]
        found[name] = Usual(
            value,
            (residual - residual[all_known].median())[all_known],
            (line - middle)[known[name]],
        )
    return found


def _filled(values: Tensor | None, known: Tensor, middle: Tensor) -> Tensor:
    """A parent's values `[1, row]`, the usual one where it is not known."""
    usual = middle.expand(1, len(known))
    return usual if values is None else torch.where(known, values[:1], usual)


__all__ = ["Model", "Usual", "numbers", "usual_of"]
