"""Order, reach and parts against networkx, which knows them too."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalsys.scm.order import causal_order, parts, reached, some_cycle

names = st.sampled_from("abcdefg")
edges = st.lists(st.tuples(names, names), max_size=12)


def causes_of(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in "gfedcba"}
    for cause, effect in pairs:
        found[effect].append(cause)
    return found


@given(edges)
def test_an_order_or_a_cycle(pairs: list[tuple[str, str]]) -> None:
    causes = causes_of(pairs)
    graph = nx.DiGraph(pairs)
    graph.add_nodes_from(causes)
    order = causal_order(causes)
    if nx.is_directed_acyclic_graph(graph):
        assert order == list(nx.lexicographical_topological_sort(graph))
        return
    assert order is None
    cycle = some_cycle(causes)
    assert cycle[0] == min(cycle)
    assert all(graph.has_edge(a, b) for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True))


@given(edges, st.lists(names))
def test_reach(pairs: list[tuple[str, str]], sources: list[str]) -> None:
    effects: dict[str, list[str]] = {}
    for cause, effect in pairs:
        effects.setdefault(cause, []).append(effect)
    graph = nx.DiGraph(pairs)
    graph.add_nodes_from("abcdefg")
    expected = set(sources).union(*(nx.descendants(graph, source) for source in sources))
    assert reached(sources, effects) == expected


@given(edges)
def test_parts(pairs: list[tuple[str, str]]) -> None:
    graph = nx.Graph(pairs)
    graph.add_nodes_from("abcdefg")
    found = parts("abcdefg", pairs)
    assert sorted(map(set, found), key=min) == sorted(nx.connected_components(graph), key=min)
    assert found == sorted(found, key=lambda part: part[0])
    assert all(part == sorted(part) for part in found)


@pytest.mark.parametrize("long", [3, 2000])
def test_a_long_chain_is_no_deeper_than_memory(long: int) -> None:
    chain = [f"x{i:04}" for i in range(long)]
    causes = {name: chain[max(i - 1, 0) : i] for i, name in enumerate(chain)}
    assert causal_order(causes) == chain
    assert parts(chain, list(itertools.pairwise(chain))) == [chain]
