"""Which layer a variable is drawn in, and in which order: the combinatorial half of the layout.

The layered drawing of Sugiyama, Tagawa and Toda (1981): causes in earlier layers than their
effects, a bend in every layer that a line passes, and sweeps that put each layer's items at the
mean place of their neighbours.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from causalsys.scm.graph import Graph

_SWEEPS = 12


class Bend(NamedTuple):
    """The place where a line passes a layer between those of its ends."""

    link: int
    layer: int


Item = str | Bend


@dataclass(frozen=True)
class Link:
    """One line to draw.

    Attributes:
        cause: Where it starts.
        effect: Where its arrow points.
        lags: How many steps later the effect comes; (0,) within a step.
    """

    cause: str
    effect: str
    lags: tuple[int, ...]

    @property
    def lagged(self) -> bool:
        """Whether the cause acts from an earlier step."""
        return self.lags != (0,)

    @property
    def label(self) -> str:
        """The steps, counted back from the effect: "-1"; empty within a step."""
        return ", ".join(f"-{lag}" for lag in self.lags) if self.lagged else ""


@dataclass(frozen=True)
class Layers:
    """A drawing without coordinates.

    Attributes:
        layers: Variables and bends of each layer, in their order.
        links: The lines.
        chains: What each line passes, from its earliest layer to its latest; the two ends alone
            for a line inside one layer.
    """

    layers: tuple[tuple[Item, ...], ...]
    links: tuple[Link, ...]
    chains: tuple[tuple[Item, ...], ...]


def layered(graph: Graph) -> Layers:
    """Assign layers and orders, the same ones every time."""
    rank = _ranks(graph)
    links = _links(graph)
    chains = tuple(_chain(index, link, rank) for index, link in enumerate(links))
    layers: list[list[Item]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for name in graph.order:
        layers[rank[name]].append(name)
    for chain in chains:
        for bend in chain[1:-1]:
            if isinstance(bend, Bend):
                layers[bend.layer].append(bend)
    return Layers(_uncrossed(layers, chains, rank), links, chains)


def _ranks(graph: Graph) -> dict[str, int]:
    """Longest path from a root; then whatever has more effects than causes moves up to them."""
    causes = {name: graph.parents(name) for name in graph.order}
    effects = {name: graph.children(name) for name in graph.order}
    rank: dict[str, int] = {}
    for name in graph.order:
        rank[name] = max((rank[cause] + 1 for cause in causes[name]), default=0)
    for name in reversed(graph.order):
        if len(effects[name]) > len(causes[name]):
            rank[name] = min(rank[effect] for effect in effects[name]) - 1
    return rank


def _links(graph: Graph) -> tuple[Link, ...]:
    within: dict[tuple[str, str], tuple[int, ...]] = {}
    lagged: dict[tuple[str, str], tuple[int, ...]] = {}
    for edge in graph.edges:
        group = lagged if edge.lag else within
        pair = (edge.cause, edge.effect)
        group[pair] = tuple(sorted({*group.get(pair, ()), edge.lag}))
    return tuple(Link(*pair, lags) for group in (within, lagged) for pair, lags in group.items())


def _chain(index: int, link: Link, rank: Mapping[str, int]) -> tuple[Item, ...]:
    first, last = sorted((link.cause, link.effect), key=lambda name: rank[name])
    bends = (Bend(index, layer) for layer in range(rank[first] + 1, rank[last]))
    return (first, *bends, last)


def _uncrossed(
    layers: list[list[Item]], chains: Iterable[tuple[Item, ...]], rank: Mapping[str, int]
) -> tuple[tuple[Item, ...], ...]:
    earlier, later = neighbours(chains, rank)
    best = [list(layer) for layer in layers]
    fewest = _crossings(best, later)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            _sort_by_mean(layer, earlier if forward else later, layers=layers, rank=rank)
        count = _crossings(layers, later)
        if count < fewest:
            best, fewest = [list(layer) for layer in layers], count
    return tuple(map(tuple, best))


def neighbours(
    chains: Iterable[tuple[Item, ...]], rank: Mapping[str, int]
) -> tuple[dict[Item, list[Item]], dict[Item, list[Item]]]:
    """What each item is linked to in the layer before its own, and in the layer after."""
    earlier: dict[Item, list[Item]] = {}
    later: dict[Item, list[Item]] = {}
    for chain in chains:
        for a, b in pairwise(chain):
            if layer_of(a, rank) < layer_of(b, rank):
                later.setdefault(a, []).append(b)
                earlier.setdefault(b, []).append(a)
    return earlier, later


def layer_of(item: Item, rank: Mapping[str, int]) -> int:
    """The layer that an item is in."""
    return item.layer if isinstance(item, Bend) else rank[item]


def _sort_by_mean(
    layer: list[Item],
    linked: Mapping[Item, Sequence[Item]],
    *,
    layers: Sequence[Sequence[Item]],
    rank: Mapping[str, int],
) -> None:
    """Order a layer by the mean relative place of each item's neighbours; the rest stay put."""
    beside = {layer_of(other, rank) for item in layer for other in linked.get(item, ())}
    place = {
        item: (i + 0.5) / len(layers[side])
        for side in beside
        for i, item in enumerate(layers[side])
    }
    mean: dict[Item, float] = {}
    for i, item in enumerate(layer):
        others = [place[other] for other in linked.get(item, ())]
        mean[item] = sum(others) / len(others) if others else (i + 0.5) / len(layer)
    layer.sort(key=mean.__getitem__)


def _crossings(layers: Sequence[Sequence[Item]], later: Mapping[Item, Sequence[Item]]) -> int:
    """How many lines cross: inversions among the lines' ends (Barth, Jünger and Mutzel, 2002)."""
    total = 0
    for layer, following in pairwise(layers):
        place = {item: i for i, item in enumerate(following)}
        seen: list[int] = []
        for item in layer:
            ends = sorted(place[other] for other in later.get(item, ()))
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
