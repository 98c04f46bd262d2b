"""Declaring a model in a class body, or from a graph that comes from elsewhere.

Both give the same thing: a class whose `declaration` is validated and cannot be changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from causalsys.errors import DeclarationError, UnknownNameError
from causalsys.scm.declaration import Declaration
from causalsys.scm.drawing import to_html
from causalsys.scm.edges import as_digraph, lags_of
from causalsys.scm.graph import Graph
from causalsys.scm.resolve import resolve
from causalsys.scm.specs import Auto, StandardNormal
from causalsys.scm.variables import (
    Equation,
    Function,
    Lagged,
    Parent,
    Selected,
    State,
    Transition,
    Variable,
)

if TYPE_CHECKING:
    import networkx as nx


class _Body(dict[str, Any]):
    """The namespace of a class body, in which no variable can be overwritten in silence."""

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(self.get(key), Variable | Transition | Selected):
            raise DeclarationError(
                key,
                found="declared twice in one model",
                mend="Rename one of the two; a function counts as a declaration, too.",
            )
        super().__setitem__(key, value)


class Declaring(type):
    """The metaclass that turns a class body into a declaration."""

    declaration: Declaration

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /) -> _Body:  # type: ignore[override]
        return _Body()

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Declaring:
        made = super().__new__(cls, name, bases, dict(body))
        root = not any(isinstance(base, Declaring) for base in bases)
        abstract = body.get("abstract") is True
        given = isinstance(body.get("declaration"), Declaration)
        if not root and not abstract and not given:
            origin = f"{made.__module__}:{made.__qualname__}"
            declared = _collect(made, bases, body, origin=origin)
            type.__setattr__(made, "declaration", declared)
        return made

    def __setattr__(cls, name: str, value: object) -> NoReturn:
        raise _change(cls, name)

    def __delattr__(cls, name: str) -> NoReturn:
        raise _change(cls, name)

    def __call__(cls, *args: object) -> NoReturn:
        raise DeclarationError(
            cls.__name__,
            found="called like a function",
            mend=f"A model has no instances: write {cls.__name__}.fit(data).",
        )

    @property
    def graph(cls) -> Graph:
        """The causal graph of the model."""
        return cls.declaration.as_written.graph

    def _repr_html_(cls) -> str:
        """The picture of the graph, for notebooks."""
        return to_html(cls.graph)

    def __repr__(cls) -> str:
        declared = cls.__dict__.get("declaration")
        if declared is None:
            return f"<class {cls.__module__}.{cls.__qualname__}>"
        lines = [f"{cls.__name__}:"]
        for node in declared.as_written.nodes.values():
            causes = ", ".join(parent.key for parent in node.parents)
            lines.append(f"  {node.name}: {node.kind}, {node.support} ← {causes or '·'}")
        return "\n".join(lines)


def _change(model: type, name: str) -> DeclarationError:
    return DeclarationError(
        name,
        found=f"an attempt to change the model {model.__name__}",
        mend=f"Declare a subclass instead: class Changed({model.__name__}): ...",
    )


class Declared(metaclass=Declaring):
    """A declared model: the base of `causalsys.SCM`, without its verbs."""

    abstract: ClassVar[bool] = True
    declaration: ClassVar[Declaration]
    graph: ClassVar[Graph]


def from_graph(
    base: type[Declared],
    graph: nx.DiGraph[str] | Mapping[str, Iterable[str]] | Iterable[tuple[str, str]],
    *,
    name: str,
    variables: Mapping[str, Variable] | None,
    default: Variable,
    transitions: Mapping[str, Function] | None,
    selected: Sequence[str],
    doc: str,
) -> type[Declared]:
    """A subclass of `base` declared by a graph; see `causalsys.SCM.from_graph`."""
    edges = as_digraph(graph)
    given = dict(variables or {})
    for label in given:
        if label not in edges:
            raise UnknownNameError.among(label, edges, where="the nodes of the graph")
    steps = {state: Transition(state, step) for state, step in (transitions or {}).items()}
    handles = {
        label: _handle(label, given.get(label, default), edges, steps=steps) for label in edges
    }
    declared = resolve(name, handles, transitions=list(steps.values()), selected=selected, doc=doc)
    namespace = {"declaration": declared, "__doc__": doc, "abstract": False}
    return Declaring(name, (base,), namespace)  # type: ignore[return-value]


def _collect(
    made: type, bases: tuple[type, ...], body: dict[str, Any], *, origin: str
) -> Declaration:
    variables: dict[str, Variable] = {}
    transitions: dict[str, Transition] = {}
    selected: dict[str, tuple[Variable | str, ...]] = {}
    reserved = {name for base in made.__mro__[1:] for name in vars(base)}
    reserved |= {"declaration", *dir(Declaring)}
    inherited = {
        name
        for base in made.__mro__[1:]
        for name, value in vars(base).items()
        if isinstance(value, Variable | Transition)
    }
    for base in [*reversed(made.__mro__[1:]), None]:
        for label, value in (vars(base) if base else body).items():
            if isinstance(value, Variable):
                if label in reserved - inherited:
                    raise DeclarationError(
                        label,
                        found="a name that every model already has",
                        mend=f"Rename the variable, for example to {label}_.",
                    )
                if value.name != label:
                    raise DeclarationError(
                        label,
                        found=f"the variable {value.name} under a second name",
                        mend="Declare each variable on its own.",
                    )
                variables[label] = value
            elif isinstance(value, Transition):
                transitions[label] = value
            elif isinstance(value, Selected):
                selected[label] = value.parents
    return resolve(
        made.__name__,
        variables,
        transitions=list(transitions.values()),
        selected=[parent for parents in selected.values() for parent in parents],
        doc=(body.get("__doc__") or "").strip(),
        origin=origin,
    )


def _handle(
    label: str, given: Variable, edges: nx.DiGraph[str], *, steps: Mapping[str, Transition]
) -> Variable:
    """A handle of the same kind as `given`, with the graph's edges as its parents."""
    if not isinstance(given, Variable):
        raise DeclarationError(
            label, found=f"{given!r}", mend="Describe it by cs.Observed(...), cs.Latent(...), ..."
        )
    handle = object.__new__(type(given))
    handle.__dict__.update(given.__dict__, name=label)
    causes = sorted(edges.pred[label], key=str)
    if isinstance(given, Equation):
        _check_used(label, causes, given.parents, function="its equation")
    elif isinstance(given, State):
        if label in steps:
            _check_used(label, causes, steps[label].parents, function="its transition")
    else:
        handle.parents = tuple(
            Lagged(cause, steps=lag, initial=initial) if lag else cause
            for cause in causes
            for lag, initial in lags_of(edges[cause][label]).items()
        )
        if isinstance(given.mechanism, StandardNormal) and handle.parents:
            handle.mechanism = Auto()
    return handle


def _check_used(
    label: str, causes: Sequence[str], parents: Sequence[Parent], *, function: str
) -> None:
    """The function is the truth about its variable: the graph may not say more than it."""
    variables = [parent.variable if isinstance(parent, Lagged) else parent for parent in parents]
    used = {variable if isinstance(variable, str) else variable.name for variable in variables}
    for cause in causes:
        if cause not in used:
            raise DeclarationError(
                label,
                found=f"the edge {cause} → {label}, which {function} does not use",
                mend="Add the argument, or drop the edge.",
            )
