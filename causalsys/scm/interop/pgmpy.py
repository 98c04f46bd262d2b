"""To pgmpy and back. pgmpy is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from causalsys.errors import DeclarationError
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.interop.imported import Imported, imported
from causalsys.scm.interop.networkx import to_networkx
from causalsys.scm.interop.static import refuse_lags
from causalsys.scm.supports import Boolean, Categorical, Real, Support

if TYPE_CHECKING:
    from pgmpy.base import DAG


def to_pgmpy(declaration: Declaration) -> DAG:
    """The model's graph as pgmpy has it, its latents declared as such.

    pgmpy's node attributes keep kinds and supports, but its `copy` drops all but the latents.

    Returns:
        A `DiscreteBayesianNetwork` where every variable is categorical with known levels, else a
        `DAG`; without distributions, since nothing is fitted.

    Raises:
        DeclarationError: The model has lags, which a pgmpy DAG has not.
    """
    from pgmpy.base import DAG
    from pgmpy.models import DiscreteBayesianNetwork

    refuse_lags(declaration, "a pgmpy DAG")
    family = DiscreteBayesianNetwork if all(map(_finite, declaration.nodes.values())) else DAG
    model = family()
    source = to_networkx(declaration)
    model.add_nodes_from(source)
    model.add_edges_from(source.edges)
    for name, attributes in source.nodes(data=True):
        model.nodes[name].update(attributes)
    model.latents = set(declaration.graph.latents)
    return model


def from_pgmpy(model: DAG, support: Support | None = None) -> Imported:
    """What `causalsys.SCM.from_graph` needs to declare the model that a pgmpy DAG describes.

    Args:
        model: A `DAG` or a network. Its latents stay latents; the levels of a categorical
            variable are the state names in its distributions. Their numbers are not read: the
            mechanisms are fitted anew.
        support: The support of variables without state names; by default any real number.

    Raises:
        DeclarationError: It is no DAG, it is a dynamic network, or its states are no levels.
    """
    import networkx as nx
    from pgmpy.base import DAG
    from pgmpy.models import DynamicBayesianNetwork

    if not isinstance(model, DAG) or isinstance(model, DynamicBayesianNetwork):
        raise DeclarationError(
            "model",
            found=f"a {type(model).__name__}",
            mend="Give a pgmpy DAG or network; describe steps by a networkx graph with lags.",
        )
    states = _states(model)
    source: nx.DiGraph[str] = nx.DiGraph()
    for name, data in model.nodes(data=True):
        levels = {"support": _levels(name, states[name])} if name in states else {}
        source.add_node(name, **{**levels, **data})
    source.add_edges_from(model.edges)
    for name in model.latents:
        source.nodes[name].setdefault("kind", "latent")
    return imported(source, support or Real())


def _finite(node: Node) -> bool:
    return isinstance(node.support, Categorical) and bool(node.support.levels)


def _states(model: DAG) -> dict[str, Sequence[Any]]:
    """The state names of each variable that has a distribution over states."""
    found: dict[str, Sequence[Any]] = {}
    for distribution in getattr(model, "cpds", ()):
        found |= getattr(distribution, "state_names", None) or {}
    return found


def _levels(name: str, states: Sequence[Any]) -> Categorical:
    levels = [state.item() if hasattr(state, "item") else state for state in states]
    if levels == [False, True] and all(isinstance(level, bool) for level in levels):
        return Boolean()
    try:
        return Categorical(levels)
    except DeclarationError as error:
        raise DeclarationError(name, found=error.found, mend=error.mend) from None
