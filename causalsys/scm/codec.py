"""Specifications to JSON values and back. Reading makes only what is named here: no code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from causalsys.errors import SavedModelError
from causalsys.scm import specs, supports
from causalsys.scm.declaration import Node, ParentRef, describe
from causalsys.scm.specs import Custom, MechanismSpec
from causalsys.scm.structure import Fifo, Structure
from causalsys.scm.supports import Boolean, Categorical, Support

_SUPPORTS: dict[str, type[Support]] = {
    kind.__name__: kind
    for kind in (
        supports.Real,
        supports.Positive,
        supports.Fraction,
        supports.Count,
        supports.Categorical,
        supports.Boolean,
    )
}
_SPECS: dict[str, type[MechanismSpec]] = {
    name: kind
    for name, kind in vars(specs).items()
    if isinstance(kind, type) and issubclass(kind, MechanismSpec) and not name.startswith("_")
}


def support_from(values: Mapping[str, Any], *, declared: Support | None = None) -> Support:
    """The support that `describe` wrote as `values`.

    Args:
        values: What was written.
        declared: What the model declares for this variable; a structure is taken from there, as
            it is code.

    Raises:
        SavedModelError: It names no support.
    """
    if isinstance(declared, Structure):
        return declared
    if values.get("type") == Fifo.__name__:
        return Fifo(values["servers"], str(values.get("unit", "")))
    kind = _SUPPORTS.get(str(values.get("type")))
    if kind is None:
        raise _unknown("support", values)
    unit, size = str(values.get("unit", "")), values.get("size")
    if issubclass(kind, Boolean):
        return kind(unit, size=size)
    if issubclass(kind, Categorical):
        return kind(values.get("levels"), unit, size=size)
    return kind(unit, size)


def spec_from(values: Mapping[str, Any], *, declared: MechanismSpec | None) -> MechanismSpec:
    """The specification that `describe` wrote as `values`.

    Args:
        values: What was written.
        declared: What the model declares for this variable; a family of the user's own is
            taken from there, never from the file.

    Raises:
        SavedModelError: It names no family.
    """
    kind = _SPECS.get(str(values.get("type")))
    if kind is None:
        raise _unknown("mechanism", values)
    if kind is Custom:
        if not isinstance(declared, Custom):
            raise _unknown("mechanism", values)
        return declared
    fields = {key: value for key, value in values.items() if key != "type"}
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def node_to(node: Node) -> dict[str, Any]:
    """A node without functions as JSON values."""
    return {
        "name": node.name,
        "kind": node.kind,
        "support": describe(node.support),
        "parents": [[p.name, p.lag, p.initial] for p in node.parents],
        "per": node.per,
        "mechanism": describe(node.mechanism) if node.mechanism else None,
        "initial": node.initial,
        "component": node.component,
    }


def node_from(values: Mapping[str, Any]) -> Node:
    """The node that `node_to` wrote."""
    mechanism = values["mechanism"]
    return Node(
        values["name"],
        values["kind"],
        support_from(values["support"]),
        tuple(ParentRef(name, lag, initial) for name, lag, initial in values["parents"]),
        per=values["per"],
        mechanism=spec_from(mechanism, declared=None) if mechanism else None,
        initial=values["initial"],
        component=values.get("component"),
    )


def _unknown(what: str, values: Mapping[str, Any]) -> SavedModelError:
    return SavedModelError(
        "file",
        found=f"the {what} {values.get('type')!r}, which this version does not know",
        mend="Load it with the version of causalsys that saved it.",
    )
