"""To networkx and back. Nothing is lost: latents, supports, lags, mechanisms and functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.edges import lags_of, with_lags
from causalsys.scm.interop.imported import Imported, imported
from causalsys.scm.supports import Real, Support
from causalsys.scm.variables import Lagged

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(declaration: Declaration) -> nx.DiGraph[str]:
    """The model as a networkx graph.

    Returns:
        A graph whose nodes have the attributes `kind`, `support`, `per`, and where there is one
        `mechanism`, `function`, `arguments` (of an equation, in its order) and `initial` (of a
        state); whose edges have `lag`. See `causalsys.scm.edges` for edges with several lags.

    Example:
        >>> import causalsys as cs
        >>> class Disk(cs.SCM):
        ...     load = cs.Latent(cs.Real())
        ...     duration = cs.Observed(cs.Positive("s"), parents=[load])
        >>> graph = to_networkx(Disk.declaration)
        >>> graph.nodes["load"]["kind"], graph.edges["load", "duration"]["lag"]
        ('latent', 0)
    """
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph(name=declaration.name, doc=declaration.doc)
    for node in declaration.nodes.values():
        graph.add_node(node.name, **_attributes(node))
    for node in declaration.nodes.values():
        for parent in node.parents:
            known = graph.has_edge(parent.name, node.name)
            before = lags_of(graph[parent.name][node.name]) if known else {}
            lags = {**before, parent.lag: parent.initial}
            graph.add_edge(parent.name, node.name, **with_lags(lags))
    return graph


def from_networkx(graph: nx.DiGraph[str], support: Support | None = None) -> Imported:
    """What `causalsys.SCM.from_graph` needs to declare the model that a graph describes.

    Args:
        graph: The graph, with the attributes of `to_networkx` as far as they are known. A latent
            may also be marked `observed="no"` (dowhy) or `hidden=True` (y0).
        support: The support of nodes that name none; by default any real number.

    Raises:
        DeclarationError: An undirected graph, or an attribute that is not what its name says.
    """
    return imported(graph, support or Real())


def _attributes(node: Node) -> dict[str, Any]:
    attributes: dict[str, Any] = {"kind": node.kind, "support": node.support, "per": node.per}
    if node.mechanism is not None:
        attributes["mechanism"] = node.mechanism
    if node.function is not None:
        attributes["function"] = node.function
    if node.kind == "equation":
        attributes["arguments"] = tuple(
            Lagged(parent.name, steps=parent.lag, initial=parent.initial)
            if parent.lag
            else parent.name
            for parent in node.parents
        )
    if node.kind == "state":
        attributes["initial"] = node.initial
    return attributes
