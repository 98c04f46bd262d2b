"""Brute force: is a question settled by the observed distribution, in discrete models of a graph?

A variable's mechanism is a random choice among all functions of its parents (its response type:
Balke and Pearl, 1994), and latents tie the choices of siblings. If the question can move while the
observed distribution stays, its gradient leaves the span of the distribution's own gradients; if
it stays inside at random points, the question is a function of the distribution there. Nothing
here knows districts' factors, worlds' terms or do-calculus.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from math import prod

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from causalsys.identify.ancestral import Event
from causalsys.identify.mixed import Mixed
from causalsys.scm.frozen import FrozenDict

Question = tuple[Collection[Event], Collection[Event]]
"""Outcome and evidence; values and settings are labels, "0" and "1" and so on."""


class ResponseTypes:
    """All worlds of a graph's discrete models, for every combination of response types.

    Args:
        graph: Four variables or so: the combinations are counted out.
        seed: Of the points.
        classes: How many values each latent has.
        values: How many values a variable has, where not two.
    """

    def __init__(
        self,
        graph: Mixed,
        *,
        seed: int = 0,
        classes: int = 4,
        values: Mapping[str, int] = FrozenDict(),
    ) -> None:
        self.graph = graph
        self._values = {name: values.get(name, 2) for name in graph.nodes}
        self._classes = classes
        self._rng = np.random.default_rng(seed)
        ties = nx.Graph([(a, b) for a, others in graph.siblings.items() for b in others])
        self._latents = sorted(sorted(clique) for clique in nx.find_cliques(ties))
        sizes = [self._values[n] ** self._settings(n) for n in graph.nodes if n not in graph.known]
        if prod(sizes) > 2**20:
            raise ValueError(f"{prod(sizes)} combinations of functions are too many to count out")
        self._types = {name: self._functions(name) for name in graph.nodes}
        self._factual = self._index(self.world({}))

    def _settings(self, name: str) -> int:
        return prod(self._values[parent] for parent in self.graph.parents[name])

    def _functions(self, name: str) -> np.ndarray:
        """The functions open to a variable, [type, setting of its parents].

        A known one is the sum of its parents, so that each of them moves it.
        """
        settings = self._settings(name)
        if name in self.graph.known:
            sizes = [self._values[parent] for parent in sorted(self.graph.parents[name])]
            inputs = np.indices(sizes).reshape(len(sizes), settings)
            return inputs.sum(0, keepdims=True) % self._values[name]
        return np.array(list(product(range(self._values[name]), repeat=settings)))

    def world(self, do: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Every variable's value in one world, for all combinations of types."""
        values: dict[str, np.ndarray] = {}
        rank = len(self.graph.nodes)
        for axis, name in enumerate(self.graph.nodes):
            if name in do:
                values[name] = np.full((1,) * rank, int(do[name]))
                continue
            setting = np.zeros((1,) * rank, dtype=int)
            for parent in sorted(self.graph.parents[name]):
                setting = self._values[parent] * setting + values[parent]
            shape = [1] * rank
            shape[axis] = -1
            types = np.arange(len(self._types[name])).reshape(shape)
            values[name] = self._types[name][types, setting]
        return values

    def _index(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        index = np.zeros(self._shape, dtype=int)
        for name in self.graph.nodes:
            index = self._values[name] * index + values[name]
        return index.ravel()

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(len(self._types[name]) for name in self.graph.nodes)

    def _holds(self, events: Collection[Event]) -> Tensor:
        holds = np.ones(self._shape, dtype=bool)
        for event in events:
            holds = holds & (self.world(event.do)[event.variable] == int(event.value or 0))
        return torch.from_numpy(holds.ravel().astype(float))

    def _point(self) -> tuple[list[Tensor], Tensor]:
        """A random model: its parameters, and the probability of every combination of types."""
        letters = {name: chr(97 + i) for i, name in enumerate(self.graph.nodes)}
        parameters: list[Tensor] = []

        def chances(*shape: int) -> Tensor:
            logits = torch.from_numpy(self._rng.normal(size=shape))
            parameters.append(logits.requires_grad_())
            return parameters[-1].softmax(-1)

        terms: list[Tensor] = []
        subscripts: list[str] = []
        for number in range(len(self._latents)):
            subscripts.append(chr(65 + number))
            terms.append(chances(self._classes))
        for name in self.graph.nodes:
            mine = [i for i, clique in enumerate(self._latents) if name in clique]
            subscripts.append("".join(chr(65 + i) for i in mine) + letters[name])
            terms.append(chances(*[self._classes] * len(mine), len(self._types[name])))
        joint = torch.einsum(f"{','.join(subscripts)}->{''.join(letters.values())}", *terms)
        return parameters, joint.ravel()

    def distances(self, questions: Sequence[Question], *, points: int = 3) -> np.ndarray:
        """How far each question's gradient leaves the span of the observed ones, 0 to 1.

        Args:
            questions: Outcomes and evidence.
            points: At how many random models; the largest distance counts.

        Returns:
            [question], NaN where the evidence has no probability.
        """
        masks = [(self._holds([*a, *b]), self._holds(b)) for a, b in questions]
        worst = np.zeros(len(questions))
        for _ in range(points):
            parameters, joint = self._point()
            observed = torch.zeros(prod(self._values.values()), dtype=torch.float64)
            observed = observed.index_add(0, torch.from_numpy(self._factual), joint)
            span = np.stack([_gradient(cell, parameters) for cell in observed])
            basis = np.linalg.svd(span, full_matrices=False)
            rows = basis.Vh[1e-9 * basis.S[0] < basis.S]
            for number, (both, given) in enumerate(masks):
                if not given.any():
                    worst[number] = np.nan
                    continue
                slope = _gradient((joint * both).sum() / (joint * given).sum(), parameters)
                length = np.linalg.norm(slope)
                if length > 1e-10:
                    outside = slope - rows.T @ (rows @ slope)
                    worst[number] = max(worst[number], np.linalg.norm(outside) / length)
        return worst


def _gradient(value: Tensor, parameters: list[Tensor]) -> np.ndarray:
    slopes = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    pairs = zip(slopes, parameters, strict=True)
    flat = [torch.zeros_like(p) if slope is None else slope for slope, p in pairs]
    return torch.cat([part.ravel() for part in flat]).numpy()
