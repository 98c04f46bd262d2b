"""Saving a fitted model to one file, and loading it again.

The file holds tensors and JSON. The model's own functions are not in it: they are found by
importing the class that declares them, whose fingerprint must match.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from causalsys.data.schema import Schema
from causalsys.errors import CausalSysError, SavedModelError, brief
from causalsys.fit import archive
from causalsys.fit.diagnostics import Diagnostics
from causalsys.fit.fitted import Fitted
from causalsys.fit.parts import Parts, decode, encode
from causalsys.scm.absorb import absorb
from causalsys.scm.codec import node_from, node_to, support_from
from causalsys.scm.declaration import Declaration, describe
from causalsys.scm.declare import Declared
from causalsys.scm.specs import Custom


def save(fitted: Fitted, path: Path) -> None:
    """Write a fitted model, atomically.

    Raises:
        SavedModelError: The place cannot be written, or the model's functions could not be
            found again by importing them.
    """
    declaration, diagnostics = fitted.declaration, fitted.diagnostics
    if _has_code(declaration) and not declaration.origin:
        raise SavedModelError(
            declaration.name,
            found="equations or mechanisms in a model that was not declared by a class",
            mend="Declare it as a class in a module, so that loading can import it.",
        )
    parts = Parts(fitted.mechanisms, fitted.guides, diagnostics.variables, diagnostics.districts)
    tensors, content = encode(parts)
    content |= {
        "name": declaration.name,
        "origin": declaration.origin,
        "code": _has_code(declaration),
        "doc": declaration.doc,
        "selected": list(declaration.selected),
        "fingerprint": declaration.fingerprint,
        "nodes": [node_to(node) for node in declaration.as_written.nodes.values()],
        "supports": {name: describe(support) for name, support in fitted.schema.supports.items()},
        "members": fitted.members,
        "seed": fitted.seed,
        "rows": diagnostics.rows,
        "notes": list(diagnostics.notes),
    }
    archive.write(path, tensors, content=content)


def load(path: Path, *, model: type[Declared] | None = None) -> Fitted:
    """Read a fitted model.

    Args:
        path: What `save` wrote.
        model: The declaring class; by default it is imported from where it was declared.

    Raises:
        SavedModelError: The file is cut short, altered or too new, or the class cannot be
            imported, or has changed since.
    """
    tensors, content = archive.read(path)
    try:
        declaration = _declaration(path, content, model)
        nodes, written = declaration.nodes, content["supports"]
        supports = {n: support_from(v, declared=nodes[n].support) for n, v in written.items()}
        schema = Schema(declaration, supports)
        parts = decode(tensors, content, schema=schema)
        diagnostics = Diagnostics(
            parts.variables, parts.districts, content["rows"], tuple(content["notes"])
        )
        members, seed = int(content["members"]), int(content["seed"])
    except SavedModelError:
        raise
    except (AttributeError, CausalSysError, KeyError, TypeError, ValueError) as error:
        raise SavedModelError(
            path.name, found="content that is no saved model", mend="Save it again."
        ) from error
    return Fitted(schema, parts.mechanisms, parts.guides, members, seed, diagnostics)


def _declaration(path: Path, content: dict[str, Any], model: type[Declared] | None) -> Declaration:
    if model is None and not content["code"]:
        nodes = {values["name"]: node_from(values) for values in content["nodes"]}
        selected = tuple(content.get("selected", ()))
        written = Declaration(content["name"], nodes, content["doc"], content["origin"], selected)
        declaration = absorb(written)
    else:
        declaration = _declared(path, model or _imported(path, content["origin"])).declaration
    if declaration.fingerprint != content["fingerprint"]:
        raise SavedModelError(
            path.name,
            found=f"a fit of another version of {content['name']}: its declaration has changed",
            mend="Fit the model again, or load with the class as it was.",
        )
    return declaration


def _imported(path: Path, origin: str) -> object:
    module, _, qualified = origin.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualified.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise SavedModelError(
            path.name,
            found=f"the declaring class {origin}, which cannot be imported ({brief(error)})",
            mend="Put its module on the path, or pass it: cs.load(path, model=YourModel).",
        ) from error
    return found


def _declared(path: Path, found: object) -> type[Declared]:
    if isinstance(found, type) and issubclass(found, Declared):
        return found
    label = getattr(found, "__name__", type(found).__name__)
    raise SavedModelError(
        path.name, found=f"{label}, which is no model, to load it as", mend="Pass model=YourModel."
    )


def _has_code(declaration: Declaration) -> bool:
    return any(
        node.function is not None or isinstance(node.mechanism, Custom)
        for node in declaration.nodes.values()
    )
