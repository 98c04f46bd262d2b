"""Log densities of the observed inputs under each state that the latents may be in.

The states of categorical latents are all combinations of their levels, and everything is exact.
Continuous latents are put on a grid of their noises, or, where there are more than two, on draws of
them, the same for every row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.district import scope_nodes
from causalsys.fit.fitted import Fitted
from causalsys.fit.joint import Scope
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.blocks import Block
from causalsys.scm.declaration import Node
from causalsys.scm.specs import Logged
from causalsys.scm.supports import Categorical

_REACH = 6.0
_LINE, _PLANE, _DRAWS = 401, 41, 1024
"""Points of a grid for one latent, of each side for two, and draws for more."""


@dataclass(frozen=True)
class States:
    """The states of one district's latents, and the inputs that tell of them.

    Attributes:
        mechanisms: Of the nodes, with the parameters of member 0.
        nodes: The latents, the equations over them and the inputs, in causal order.
        inputs: The inputs among them.
        latents: The latents among them.
        codes: Of the categorical latents, `[state]`.
        noises: Of the continuous ones, `[state, ...]`.
        share: The logarithm of how much of the continuous noises a state stands for, `[state]`.
    """

    mechanisms: Mapping[str, Mechanism]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    latents: tuple[str, ...]
    codes: Mapping[str, Tensor]
    noises: Mapping[str, Tensor]
    share: Tensor

    @property
    def classes(self) -> bool:
        """Whether all latents are categorical."""
        return not self.noises

    def read(self, table: Table) -> Reading:
        """What a table's rows say of each state."""
        scope = Scope.of(table, self.mechanisms, nodes=self.nodes)
        values: dict[str, Tensor] = {}
        prior = self.share.reshape(-1, 1).expand(-1, table.rows)
        found: list[Tensor] = []
        for node in self.nodes:
            parents = scope.parents(node, values)
            if node.function is not None:
                values[node.name] = scope.compute(node, parents)
                continue
            mechanism = self.mechanisms[node.name]
            if node.name in self.codes:
                values[node.name] = self.codes[node.name].reshape(-1, 1, 1)
                prior = prior + mechanism.log_prob(values[node.name], parents).squeeze(-2)
            elif node.name in self.noises:
                noise = self.noises[node.name]
                shape = (len(noise), 1, 1, *noise.shape[1:])
                values[node.name] = mechanism.push(noise.reshape(shape), parents)
            else:
                density = mechanism.log_prob(scope.known[node.name], parents).squeeze(-2)
                known = table.complete(node)
                density = density if known is None else density * known
                found.append(density.expand(len(self.share), table.rows))
        return Reading(prior, torch.stack(found), {name: values[name] for name in self.latents})

    def imagined(self, table: Table, *, generator: torch.Generator) -> Tensor:
        """The log density of inputs drawn in each state given the rows' other variables.

        Returns:
            `[state, row]`, added up over the inputs.
        """
        scope = Scope.of(table, self.mechanisms, nodes=self.nodes)
        values: dict[str, Tensor] = {}
        total = torch.zeros(len(self.share), table.rows, dtype=torch.float64)
        for node in self.nodes:
            parents = scope.parents(node, values)
            if node.function is not None:
                values[node.name] = scope.compute(node, parents)
            elif node.name in self.codes:
                values[node.name] = self.codes[node.name].reshape(-1, 1, 1)
            else:
                mechanism = self.mechanisms[node.name]
                shape = (len(self.share), 1, table.rows)
                noise = mechanism.draw_noise(shape, generator=generator)
                drawn = mechanism.push(noise, parents)
                total = total + mechanism.log_prob(drawn, parents).squeeze(-2)
        return total


@dataclass(frozen=True)
class Reading:
    """What rows say of each state.

    Attributes:
        prior: The log probability of each state, `[state, row]`.
        density: The log density of each input in each state, `[input, state, row]`.
        values: Of each latent in each state, `[state, 1, 1 or row, ...]`.
    """

    prior: Tensor
    density: Tensor
    values: Mapping[str, Tensor]

    @property
    def total(self) -> Tensor:
        """The log density of the inputs, the latents integrated out, `[row]`."""
        return torch.logsumexp(self.prior + self.density.sum(0), 0)


def states_of(
    block: Block, fitted: Fitted, table: Table, *, inputs: Sequence[str], seed: int
) -> States | None:
    """The states of a block's latents as far as inputs tell of them; None if they do not."""
    nodes = [n for n in scope_nodes(block, table) if n.kind == "latent" or n.function is not None]
    logged = [fitted.node(name) for name in block.variables if name in inputs]
    told = {*table.values, *(node.name for node in nodes)}
    logged = [
        node
        for node in logged
        if not isinstance(node.mechanism, Logged) and all(p.name in told for p in node.parents)
    ]
    used = _above(logged, nodes)
    if any(p.name not in told for n in nodes if n.name in used for p in n.parents):
        return None
    latents = tuple(n.name for n in nodes if n.kind == "latent" and n.name in used)
    if not logged or not latents:
        return None
    names = used | {node.name for node in logged}
    ordered = tuple(n for n in fitted.declaration.nodes.values() if n.name in names)
    first = torch.zeros(1, dtype=torch.int64)
    mechanisms = {n.name: fitted.mechanisms[n.name].members(first) for n in ordered if n.learned}
    supports = fitted.schema.supports
    levels = {
        name: supports[name].cardinality  # type: ignore[attr-defined]
        for name in latents
        if isinstance(supports[name], Categorical)
    }
    shapes = {name: mechanisms[name].noise_shape for name in latents if name not in levels}
    codes, noises, share = _grid(levels, shapes, seed=seed)
    own = tuple(node.name for node in ordered if node in logged)
    return States(mechanisms, ordered, own, latents, codes, noises, share)


def _above(logged: Sequence[Node], nodes: Sequence[Node]) -> set[str]:
    """The latents and equations that act on some variables."""
    hidden = {node.name: node for node in nodes}
    used: set[str] = set()
    front = list(logged)
    while front:
        for parent in front.pop().parents:
            if parent.name in hidden and parent.name not in used:
                used.add(parent.name)
                front.append(hidden[parent.name])
    return used


def _grid(
    levels: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]], *, seed: int
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Codes and noises of the states, `[state, ...]`, and the log share of each."""
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    points, share = _points(sum(sizes.values()), seed=seed)
    grids = torch.meshgrid(
        torch.arange(len(share)), *(torch.arange(k) for k in levels.values()), indexing="ij"
    )
    which, *codes = (grid.flatten() for grid in grids)
    noises, end = {}, 0
    for name, shape in shapes.items():
        part = points[which, end : end + sizes[name]]
        end += sizes[name]
        noises[name] = part.reshape(len(which), *shape)
    return dict(zip(levels, codes, strict=True)), noises, share[which]


def _points(width: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Standard normal noises `[point, width]`, and the log share of each."""
    if width == 0:
        return torch.zeros(1, 0, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    if width > 2:
        generator = torch.Generator().manual_seed(seed)
        draws = torch.randn(_DRAWS, width, generator=generator, dtype=torch.float64)
        return draws, torch.full((_DRAWS,), -math.log(_DRAWS), dtype=torch.float64)
    line = torch.linspace(-_REACH, _REACH, _LINE if width == 1 else _PLANE, dtype=torch.float64)
    points = torch.cartesian_prod(*[line] * width).reshape(-1, width)
    return points, torch.log_softmax(-0.5 * (points**2).sum(-1), 0)


def beyond(value: Tensor, low: Tensor, high: Tensor) -> np.ndarray:
    """Whether values lie outside a range, `[row]`; vectors by any component."""
    out = (value[0] < low) | (value[0] > high)
    found: np.ndarray = (out.any(-1) if out.dim() > 1 else out).numpy()
    return found


__all__ = ["Reading", "States", "beyond", "states_of"]
