"""What judges the verdicts: discrete models counted out by hand, pairs of models, and y0."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from hypothesis import strategies as st

from causalsys.identify.mixed import Mixed

LETTERS = "abcdefgh"


@st.composite
def graphs(draw: st.DrawFn, *, largest: int = 6, ties: int = 5, equations: int = 0) -> Mixed:
    """An acyclic directed mixed graph; so many latents at most, and known equations."""
    names = LETTERS[: draw(st.integers(2, largest))]
    pairs = list(itertools.combinations(names, 2))
    directed = [pair for pair in pairs if draw(st.booleans())]
    children = sorted({effect for _, effect in directed})
    some = st.lists(st.sampled_from(children or [""]), unique=True, max_size=equations)
    known = set(draw(some)) if equations and children else set()
    noisy = [pair for pair in pairs if not known.intersection(pair)]
    tied = draw(st.lists(st.sampled_from(noisy or [()]), unique=True, max_size=ties))
    return Mixed.of(names, directed=directed, bidirected=filter(None, tied), known=known)


@dataclass(frozen=True)
class Question:
    """P(outcome | do(do), given)."""

    outcome: tuple[str, ...]
    do: tuple[str, ...]
    given: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """As arguments."""
        return {"outcome": self.outcome, "do": self.do, "given": self.given}


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    given: int = 0,
    largest: int = 6,
    ties: int = 5,
    equations: int = 0,
) -> tuple[Mixed, Question]:
    """A graph and a question about it; at most so many variables are given."""
    graph = draw(graphs(largest=largest, ties=ties, equations=equations))
    # Most often something early is done and something late asked, or there is no effect.
    nodes = list(graph.nodes) if draw(st.integers(0, 3)) else draw(st.permutations(graph.nodes))
    asked = draw(st.integers(1, min(2, len(nodes) - 1)))
    held = draw(st.integers(1, min(2, len(nodes) - asked)))
    rest = draw(st.permutations(nodes[held : len(nodes) - asked]))
    seen = draw(st.integers(0, min(given, len(rest))))
    return graph, Question(tuple(nodes[-asked:]), tuple(nodes[:held]), tuple(rest[:seen]))


def latent_pairs(graph: Mixed) -> list[tuple[str, str]]:
    """One pair for each two-headed edge."""
    return [(a, b) for a in graph.nodes for b in sorted(graph.siblings[a]) if a < b]


@dataclass(frozen=True)
class Discrete:
    """A model with binary variables and one latent with `levels` to each two-headed edge.

    Its parameters are logits; every distribution is an array with one axis of two to a variable.
    A known equation is the parity of its parents.
    """

    graph: Mixed
    levels: int = 2

    @property
    def axes(self) -> list[Any]:
        return [*self.graph.nodes, *latent_pairs(self.graph)]

    def _shape(self, name: str) -> tuple[int, ...]:
        parents = self.graph.parents[name]
        shape = [2 if n in parents else 1 for n in self.graph.nodes]
        return (*shape, *(self.levels if name in p else 1 for p in latent_pairs(self.graph)))

    @property
    def size(self) -> int:
        """How many parameters it has."""
        own = sum(int(np.prod(self._shape(name))) for name in self.graph.nodes)
        return own + len(latent_pairs(self.graph)) * (self.levels - 1)

    def draw(self, seed: int) -> torch.Tensor:
        """Random parameters."""
        generator = torch.Generator().manual_seed(seed)
        return 1.5 * torch.randn(self.size, generator=generator, dtype=torch.float64)

    def distribution(self, logits: torch.Tensor, do: Collection[str] = ()) -> torch.Tensor:
        """P(all | do), with an axis to each variable; those of `do` are what it is held at."""
        nodes, pairs = self.graph.nodes, latent_pairs(self.graph)
        joint = torch.ones([1] * len(self.axes), dtype=torch.float64)
        at = 0
        for i, name in enumerate(nodes):
            shape = self._shape(name)
            count = int(np.prod(shape))
            one = torch.sigmoid(logits[at : at + count]).reshape(shape)
            at += count
            if name in do:
                continue
            if name in self.graph.known:
                one = self._parity(name)
            joint = joint * torch.cat([1 - one, one], dim=i)
        for k, _ in enumerate(pairs):
            free = torch.cat([logits[at : at + self.levels - 1], torch.zeros(1).double()])
            at += self.levels - 1
            shape = [1] * len(self.axes)
            shape[len(nodes) + k] = self.levels
            joint = joint * torch.softmax(free, dim=0).reshape(shape)
        if pairs:
            joint = joint.sum(dim=tuple(range(len(nodes), len(self.axes))))
        return joint.expand([2] * len(nodes))

    def effect(
        self,
        logits: torch.Tensor,
        *,
        outcome: Collection[str],
        do: Collection[str],
        given: Collection[str] = (),
    ) -> torch.Tensor:
        """P(outcome | do, given), with axes of length one where nothing is free."""
        part = self._marginal(self.distribution(logits, do), {*outcome, *do, *given})
        below = self._marginal(part, {*do, *given}) if given else torch.ones(1)
        # What never happens has no distribution: zero, as in formulas.
        return torch.where(below > 0, part / torch.where(below > 0, below, 1), 0)

    def _parity(self, name: str) -> torch.Tensor:
        total = torch.zeros([1] * len(self.axes), dtype=torch.float64)
        for i, other in enumerate(self.graph.nodes):
            if other in self.graph.parents[name]:
                shape = [2 if i == k else 1 for k in range(len(self.axes))]
                total = total + torch.arange(2).reshape(shape)
        return total % 2

    def _marginal(self, table: torch.Tensor, kept: set[str]) -> torch.Tensor:
        gone = tuple(i for i, name in enumerate(self.graph.nodes) if name not in kept)
        return table.sum(dim=gone, keepdim=True) if gone else table


def disagreement(
    graph: Mixed,
    *,
    outcome: Collection[str],
    do: Collection[str],
    given: Collection[str] = (),
    levels: Sequence[int] = (2, 3, 4),
    seed: int = 0,
) -> float:
    """How far two models, found here, differ in the effect while all observed is the same.

    From a random model we walk along the curve of models that agree on everything observed, in the
    direction in which the effect moves. Zero where the effect moves in no such direction: where
    it is identified, at least near that model.
    """
    for count in levels:
        model = Discrete(graph, count)
        start = model.draw(seed)

        def seen(logits: torch.Tensor, model: Discrete = model) -> torch.Tensor:
            return model.distribution(logits).flatten()

        def asked(logits: torch.Tensor, model: Discrete = model) -> torch.Tensor:
            return model.effect(logits, outcome=outcome, do=do, given=given).flatten()

        away = _direction(seen, asked, start)
        if away is not None:
            other = _back(seen, start + 0.3 * away, target=seen(start))
            assert (seen(other) - seen(start)).abs().max() < 1e-12
            return float((asked(other) - asked(start)).abs().max())
    return 0.0


def _jacobian(function: Any, at: torch.Tensor) -> torch.Tensor:
    return torch.autograd.functional.jacobian(function, at, vectorize=True)


def _direction(seen: Any, asked: Any, at: torch.Tensor) -> torch.Tensor | None:
    """Where to go so that what is asked moves most, and what is seen does not."""
    _, values, rows = torch.linalg.svd(_jacobian(seen, at), full_matrices=True)
    rank = int((values > 1e-10 * values[0]).sum())
    still = rows[rank:]
    _, moved, ways = torch.linalg.svd(_jacobian(asked, at) @ still.T, full_matrices=False)
    if not len(moved) or moved[0] < 1e-7:
        return None
    return ways[0] @ still


def _back(seen: Any, at: torch.Tensor, *, target: torch.Tensor) -> torch.Tensor:
    """The nearest model, about, that agrees with `target`: Newton's method."""
    for _ in range(50):
        gap = seen(at) - target
        if gap.abs().max() < 1e-14:
            break
        at = at - torch.linalg.pinv(_jacobian(seen, at), rtol=1e-9) @ gap
    return at


def by_y0(
    graph: Mixed,
    *,
    outcome: Collection[str],
    do: Collection[str],
    given: Collection[str] = (),
) -> bool:
    """Whether y0's ID, or IDC, identifies it.

    Two faults of y0 0.2.11 are mended here: cutting arrows loses nodes, and its m-separation takes
    no notice of colliders at two-headed edges. networkx decides the latter.
    """
    from y0.algorithm.identify import id_c, identify_outcomes
    from y0.dsl import Variable
    from y0.graph import NxMixedGraph

    directed = [(cause, name) for name in graph.nodes for cause in sorted(graph.parents[name])]
    drawn = NxMixedGraph.from_str_edges(
        nodes=graph.nodes, directed=directed, undirected=latent_pairs(graph)
    )
    with (
        patch.object(NxMixedGraph, "remove_in_edges", _cut_and_kept),
        patch.object(id_c, "are_d_separated", _separated),
    ):
        found = identify_outcomes(
            drawn,
            outcomes={Variable(name) for name in outcome},
            treatments={Variable(name) for name in do},
            conditions={Variable(name) for name in given} or None,
        )
    return found is not None


def _cut_and_kept(graph: Any, vertices: Any) -> Any:
    """y0's own, but with the nodes that are left without edges."""
    names = {vertices} if not isinstance(vertices, Collection) else set(vertices)
    return graph.from_edges(
        nodes=graph.nodes(),
        directed=[(u, v) for u, v in graph.directed.edges() if v not in names],
        undirected=[e for e in graph.undirected.edges() if not names.intersection(e)],
    )


def _separated(graph: Any, one: Any, other: Any, *, conditions: Any) -> bool:
    """m-separation in a graph of y0's, with its two-headed edges as latents."""
    import networkx as nx

    whole = nx.DiGraph(graph.directed.edges())
    whole.add_nodes_from(graph.nodes())
    for latent, pair in enumerate(graph.undirected.edges()):
        whole.add_edges_from((latent, name) for name in pair)
    return bool(nx.is_d_separator(whole, {one}, {other}, set(conditions)))
