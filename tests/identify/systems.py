"""Random systems of categories by brute force: every combination of response functions, in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalsys.identify.mixed import Mixed
from causalsys.identify.unfold import Event

Function = tuple[int, ...]
"""A level for each combination of the causes' levels, the causes being sorted by name."""


@dataclass(frozen=True)
class System:
    """For each district: the combinations of functions that its latents may choose, and how often.

    Attributes:
        graph: The graph.
        cards: How many levels each variable has.
        choices: For each district, pairs (chance, function of each variable).
    """

    graph: Mixed
    cards: Mapping[str, int]
    choices: Mapping[frozenset[str], Sequence[tuple[float, Mapping[str, Function]]]]

    def joint(self) -> NDArray[Any]:
        found = np.zeros([self.cards[name] for name in self.graph.nodes])
        for chance, functions in self.units():
            values = self.run(functions, {})
            found[tuple(values[name] for name in self.graph.nodes)] += chance
        return found

    def probability(self, events: Sequence[Event]) -> float:
        total = 0.0
        for chance, functions in self.units():
            worlds = {frozenset(e.do.items()): self.run(functions, e.do) for e in events}
            if all(worlds[frozenset(e.do.items())][e.variable] == e.level for e in events):
                total += chance
        return total

    def units(self) -> list[tuple[float, dict[str, Function]]]:
        found = []
        for combination in product(*self.choices.values()):
            functions: dict[str, Function] = {}
            for _, mine in combination:
                functions |= mine
            found.append((float(np.prod([chance for chance, _ in combination])), functions))
        return found

    def run(self, functions: Mapping[str, Function], do: Mapping[str, int]) -> dict[str, int]:
        values: dict[str, int] = {}
        for name in self.graph.nodes:
            place = 0
            for cause in sorted(self.graph.parents[name]):
                place = place * self.cards[cause] + values[cause]
            values[name] = do[name] if name in do else functions[name][place]
        return values


def random_graph(rng: np.random.Generator, *, size: int, largest: int = 2) -> Mixed:
    """A graph with districts of at most `largest` variables, each of them a clique."""
    names = "abcdefg"[:size]
    directed = [
        (one, other)
        for i, one in enumerate(names)
        for other in names[i + 1 :]
        if rng.random() < 0.5
    ]
    shuffled = [str(name) for name in rng.permutation(list(names))]
    ties: list[tuple[str, str]] = []
    while shuffled:
        group, shuffled = shuffled[: (many := int(rng.integers(1, largest + 1)))], shuffled[many:]
        ties += [(one, other) for one in group for other in group if one < other]
    return Mixed.of(names, directed=directed, bidirected=ties)


def random_system(
    rng: np.random.Generator, graph: Mixed, cards: Mapping[str, int], *, choices: int = 5
) -> System:
    """A system whose districts choose among a few combinations, so that some cells are empty."""
    found = {}
    for district in graph.districts():
        chances = rng.dirichlet(np.ones(choices))
        found[district] = [
            (
                float(chance),
                {
                    name: tuple(
                        int(level)
                        for level in rng.integers(cards[name], size=inputs(graph, cards, name))
                    )
                    for name in sorted(district)
                },
            )
            for chance in chances
        ]
    return System(graph, cards, found)


def inputs(graph: Mixed, cards: Mapping[str, int], name: str) -> int:
    return int(np.prod([cards[cause] for cause in graph.parents[name]], dtype=int))


def random_events(
    rng: np.random.Generator, graph: Mixed, cards: Mapping[str, int], *, worlds: int
) -> list[Event]:
    """An event under each of some random interventions on one variable."""
    found = []
    for _ in range(worlds):
        outcome, cause = (str(name) for name in rng.choice(list(graph.nodes), 2, replace=False))
        do = {cause: int(rng.integers(cards[cause]))}
        found.append(Event(outcome, int(rng.integers(cards[outcome])), do))
    return found
