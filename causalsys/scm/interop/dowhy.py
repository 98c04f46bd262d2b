"""To dowhy and back. dowhy is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalsys.errors import DeclarationError
from causalsys.scm.declaration import Declaration
from causalsys.scm.interop.imported import Imported, imported
from causalsys.scm.interop.networkx import to_networkx
from causalsys.scm.interop.static import refuse_lags
from causalsys.scm.supports import Real, Support

if TYPE_CHECKING:
    import networkx as nx
    from dowhy.gcm import StructuralCausalModel


def to_dowhy(declaration: Declaration) -> nx.DiGraph[str]:
    """The graph for `dowhy.CausalModel(data, ..., graph=...)` and dowhy's identification.

    Returns:
        The graph of `to_networkx`, with latents marked `observed="no"`, as dowhy marks them.
        dowhy's functions of identification also want the names that are observed:
        `declaration.graph.observed`.

    Raises:
        DeclarationError: The model has lags, which dowhy's graphs have not.
    """
    refuse_lags(declaration, "dowhy")
    graph = to_networkx(declaration)
    for name in graph:
        graph.nodes[name]["observed"] = "no" if name in declaration.graph.latents else "yes"
    return graph


def to_gcm(declaration: Declaration) -> StructuralCausalModel:
    """The model for `dowhy.gcm`, without mechanisms: `gcm.auto` assigns those.

    Raises:
        DeclarationError: The model has lags; or it has latents, and gcm assumes that there are
            none.
    """
    from dowhy.gcm import StructuralCausalModel

    graph = to_dowhy(declaration)
    if declaration.graph.latents:
        raise DeclarationError(
            declaration.graph.latents[0],
            found=f"a latent of {declaration.name}, and dowhy.gcm assumes that there are none",
            mend=f"Ask {declaration.name} itself, or use to_dowhy for dowhy's identification.",
        )
    return StructuralCausalModel(graph)


def from_dowhy(model: object, support: Support | None = None) -> Imported:
    """What `causalsys.SCM.from_graph` needs to declare the model that dowhy holds.

    Args:
        model: A `dowhy.CausalModel`, a graph made for one, or a causal model of `dowhy.gcm`.
            What dowhy counts as unobserved is a latent.
        support: The support of nodes that name none; by default any real number.

    Raises:
        DeclarationError: It is none of these.
    """
    return imported(_graph_of(model), support or Real())


def _graph_of(model: object) -> nx.DiGraph[str]:
    import networkx as nx

    if isinstance(model, nx.Graph):
        return model
    from dowhy import CausalModel
    from dowhy.causal_graph import CausalGraph
    from dowhy.gcm import ProbabilisticCausalModel

    if isinstance(model, CausalModel):
        model = model._graph
    graph: Any = None
    if isinstance(model, CausalGraph):
        graph = model._graph
    elif isinstance(model, ProbabilisticCausalModel):
        graph = model.graph
    if not isinstance(graph, nx.DiGraph):
        raise DeclarationError(
            "model",
            found=f"a {type(model).__name__}",
            mend="Give a dowhy.CausalModel, a model of dowhy.gcm, or a networkx.DiGraph.",
        )
    return graph
