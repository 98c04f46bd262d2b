"""What comes out of another library's graph: the arguments of `causalsys.SCM.from_graph`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from causalsys.errors import DeclarationError
from causalsys.scm.edges import as_digraph, lags_of, with_lags
from causalsys.scm.supports import Categorical, Support
from causalsys.scm.variables import (
    Arm,
    Decision,
    Equation,
    Function,
    Kind,
    Latent,
    Observed,
    State,
    Variable,
)

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Imported:
    """The parts of a model that another library's graph holds.

    Attributes:
        graph: The edges, with their lags.
        variables: A handle for each node: its kind, its support, its mechanism.
        transitions: The transition of each state.
    """

    graph: nx.DiGraph[str]
    variables: Mapping[str, Variable]
    transitions: Mapping[str, Function]


def imported(source: nx.DiGraph[str], support: Support) -> Imported:
    """Read a graph whose nodes say what they are, as far as they do.

    Args:
        source: The graph. `to_networkx` says which attributes are read; a latent may also be
            marked as dowhy, y0 or pgmpy do.
        support: The support of nodes that name none.

    Raises:
        DeclarationError: An attribute that is not what its name says.
    """
    import networkx as nx

    source = as_digraph(source)
    graph: nx.DiGraph[str] = nx.DiGraph(name=source.graph.get("name", ""))
    graph.add_nodes_from(source)
    for cause, effect, data in source.edges(data=True):
        graph.add_edge(cause, effect, **with_lags(lags_of(data)))
    variables, transitions = {}, {}
    for name, data in source.nodes(data=True):
        variables[name] = _variable(str(name), data, support=support)
        if isinstance(variables[name], State):
            transitions[name] = _function(name, data)
    return Imported(graph, variables, transitions)


def _variable(name: str, data: Mapping[str, Any], *, support: Support) -> Variable:
    kind = _kind(name, data)
    said = data.get("support", support)
    if not isinstance(said, Support):
        raise DeclarationError(
            name, found=f"the support {said!r}", mend='Give a support, such as cs.Positive("ms").'
        )
    mechanism = data.get("mechanism")
    if kind == "latent":
        return Latent(said, per=data.get("per", "step"), mechanism=mechanism)
    if kind == "arm":
        return Arm(said if isinstance(said, Categorical) else None)
    if kind == "state":
        return State(said, initial=data.get("initial", 0.0))
    if kind == "equation":
        return Equation(said, _function(name, data), parents=data.get("arguments"))
    family = Decision if kind == "decision" else Observed
    return family(said, mechanism=mechanism)


def _kind(name: str, data: Mapping[str, Any]) -> Kind:
    kind = data.get("kind", "observed")
    if kind not in get_args(Kind):
        raise DeclarationError(
            name,
            found=f"the kind {kind!r}",
            mend=f"Use one of {', '.join(get_args(Kind))}, or drop the attribute.",
        )
    marks = (
        data.get("observed", "yes") in ("no", False),  # dowhy
        data.get("hidden", False) is True,  # y0
        "latents" in data.get("roles", ()),  # pgmpy
    )
    return "latent" if kind == "observed" and any(marks) else kind


def _function(name: str, data: Mapping[str, Any]) -> Function:
    function = data.get("function")
    if not callable(function):
        raise DeclarationError(
            name,
            found=f"{data.get('kind')} without its function",
            mend='Give the node its attribute "function", or the kind "observed" to learn it.',
        )
    return function
