"""Mixed graphs against networkx, with every two-headed edge as a latent."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from causalsys.identify.mixed import Mixed
from tests.identify.oracles import graphs, latent_pairs


def _with_latents(graph: Mixed) -> nx.DiGraph:
    whole = nx.DiGraph([(cause, name) for name in graph.nodes for cause in graph.parents[name]])
    whole.add_nodes_from(graph.nodes)
    for pair in latent_pairs(graph):
        whole.add_edges_from((pair, name) for name in pair)
    return whole


@given(graphs(largest=6, ties=8), st.data())
def test_m_separation_is_d_separation_with_latents(graph: Mixed, data: st.DataObject) -> None:
    part = st.sampled_from(["one", "other", "given", "rest"])
    parts = {name: data.draw(part) for name in graph.nodes}
    parts[graph.nodes[0]], parts[graph.nodes[-1]] = "one", "other"
    one, other, known = (
        {name for name in graph.nodes if parts[name] == which}
        for which in ("one", "other", "given")
    )
    expected = nx.is_d_separator(_with_latents(graph), one, other, known)
    assert graph.m_separated(one, other, given=known) == expected
    assert graph.m_separated(other, one, given=known) == expected


@given(graphs())
def test_ancestors_and_descendants(graph: Mixed) -> None:
    whole = _with_latents(graph)
    for name in graph.nodes:
        observed = {n for n in nx.ancestors(whole, name) if n in graph.parents}
        assert graph.ancestors([name]) == observed | {name}
        assert graph.descendants([name]) == nx.descendants(whole, name) | {name}


def test_cutting_arrows() -> None:
    graph = Mixed.of("xyz", directed=["xy", "yz"], bidirected=["xy", "yz"], known="z")
    held = graph.without_into("y")
    assert held.parents["y"] == frozenset()
    assert held.siblings == {"x": frozenset(), "y": frozenset(), "z": frozenset()}
    idle = graph.without_out_of("y")
    assert idle.parents["z"] == frozenset()
    assert idle.siblings == graph.siblings
    assert graph.keep("xz").nodes == ("x", "z")
    assert graph.districts() == (frozenset("xyz"),)
