"""The resolved declaration: what the rest of the package reads. Pure, frozen data."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import CodeType
from typing import Any

from causalsys.errors import UnknownNameError
from causalsys.scm.frozen import FrozenDict
from causalsys.scm.graph import Edge, Graph
from causalsys.scm.specs import Custom, MechanismSpec
from causalsys.scm.supports import Support
from causalsys.scm.variables import Function, Kind, Per


@dataclass(frozen=True)
class ParentRef:
    """A parent as a mechanism sees it.

    Attributes:
        name: The variable.
        lag: How many steps ago; 0 is this step.
        initial: Its value before the trace began.
    """

    name: str
    lag: int = 0
    initial: float = 0.0

    @property
    def key(self) -> str:
        """The parent's key in the mapping that a mechanism is given: `load` or `load[-1]`."""
        return f"{self.name}[-{self.lag}]" if self.lag else self.name


@dataclass(frozen=True)
class Node:
    """A variable with its names resolved.

    Attributes:
        name: Its name.
        kind: Latent, observed, decision, arm, state or equation.
        support: Its support.
        parents: Its causes; for a state, those of its transition, one step earlier.
        per: Whether each step or each whole trace has one value.
        mechanism: The family to learn, or None where a function is given.
        function: The equation, or the state's transition.
        initial: A state's value at the first step.
        lasting: Whether its noise may last from step to step: a latent that it reveals, or one
            that its mechanism is said to have a memory of.
        sees: Variables whose noise it sees: a policy that looks at what nobody logs.
        component: The part of the system that it measures, where that was said.
    """

    name: str
    kind: Kind
    support: Support
    parents: tuple[ParentRef, ...] = ()
    per: Per = "step"
    mechanism: MechanismSpec | None = None
    function: Function | None = None
    initial: float = 0.0
    lasting: bool = False
    sees: tuple[str, ...] = ()
    component: str | None = None

    @property
    def learned(self) -> bool:
        """Whether fitting gives this variable a mechanism."""
        return self.mechanism is not None


@dataclass(frozen=True)
class Declaration:
    """A validated structural causal model, before any data.

    Attributes:
        name: The model's name.
        nodes: The variables in a causal order, ties by name. Do not change it.
        doc: What the model's author wrote about it.
        origin: "module:Class" where the declaring class is importable, else empty.
        selected: What decided which rows were logged at all; empty where that was chance.
        absorbed: Latents that are a variable's noise, by their names; see `absorb`.
        written: The declaration as its author wrote it, where that differs.
    """

    name: str
    nodes: Mapping[str, Node]
    doc: str = ""
    origin: str = ""
    selected: tuple[str, ...] = ()
    absorbed: Mapping[str, str] = field(default_factory=FrozenDict)
    written: Declaration | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", FrozenDict(self.nodes))
        object.__setattr__(self, "absorbed", FrozenDict(self.absorbed))

    @property
    def as_written(self) -> Declaration:
        """The declaration as its author wrote it, every latent by its name."""
        return self if self.written is None else self.written

    @cached_property
    def graph(self) -> Graph:
        """The causal graph."""
        return Graph(
            name=self.name,
            kinds={node.name: node.kind for node in self.nodes.values()},
            per={node.name: node.per for node in self.nodes.values()},
            edges=tuple(
                Edge(parent.name, node.name, parent.lag)
                for node in self.nodes.values()
                for parent in node.parents
            ),
        )

    @property
    def temporal(self) -> bool:
        """Whether rows of a trace depend on earlier rows: there are states or lags."""
        return self.graph.longest_lag > 0

    def node(self, name: str) -> Node:
        """The variable `name`.

        Raises:
            UnknownNameError: There is none, with the names it may have been meant for.
        """
        if not isinstance(name, str):
            raise UnknownNameError.among(name, self.nodes, where=f"the model {self.name}")
        if name in self.absorbed:
            child = self.absorbed[name]
            raise UnknownNameError(
                name,
                found=f"a latent that is {child}'s noise, and has no values of its own",
                mend=f"Ask for {child}, which tells it.",
            )
        if name not in self.nodes:
            raise UnknownNameError.among(name, self.nodes, where=f"the model {self.name}")
        return self.nodes[name]

    @cached_property
    def fingerprint(self) -> str:
        """A digest of everything that an answer depends on.

        Names, supports, parents, mechanisms, the text of every function and the constants that
        it finds outside itself; comments and layout do not matter.
        """
        content: list[object] = [_canonical(node) for node in self.as_written.nodes.values()]
        if self.selected:
            content.append({"selected": self.selected})
        canonical = json.dumps(content, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _canonical(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "kind": node.kind,
        "support": describe(node.support),
        "parents": [[parent.name, parent.lag, parent.initial] for parent in node.parents],
        "per": node.per,
        "mechanism": describe(node.mechanism) if node.mechanism else None,
        "function": _source(node.function) if node.function else None,
        "initial": node.initial,
        **({"component": node.component} if node.component else {}),
    }


def describe(spec: Support | MechanismSpec) -> dict[str, Any]:
    """A specification as JSON values: its class name and its fields."""
    values: dict[str, Any] = {"type": type(spec).__name__}
    for item in fields(spec):
        value = getattr(spec, item.name)
        if isinstance(spec, Custom) and item.name == "family":
            value = f"{value.__module__}:{value.__qualname__}"
        values[item.name] = list(value) if isinstance(value, tuple) else value
    return values


def _source(function: Function) -> str:
    """The function's own text, and the constants around it that it uses."""
    try:
        outside = inspect.getclosurevars(function)
    except (TypeError, ValueError):
        return _text(function)
    found = {**outside.globals, **outside.nonlocals}
    constants = {name: found[name] for name in sorted(found) if _is_plain(found[name])}
    return _text(function) + (f"\n{constants}" if constants else "")


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float | str | None)


def _text(function: Function) -> str:
    """The function without comments and layout; its byte code where no source is kept."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        code = getattr(function, "__code__", None)
        return _byte_code(code) if code else repr(function)
    for definition in ast.walk(tree):
        if isinstance(definition, ast.FunctionDef):
            definition.decorator_list = []
    return ast.unparse(tree)


def _byte_code(code: CodeType) -> str:
    constants = [_byte_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()}{code.co_names}{constants}"
