"""Gaussian priors on chosen slopes of a linear mechanism, in the variables' own units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from causalsys.errors import DeclarationError
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    from causalsys.scm.declaration import Declaration, Node

SlopePriors = tuple[tuple[str, float, float], ...]
"""For each parent that has one: its key (`load`, `load[-1]`), the prior's mean, its deviation."""
_EXAMPLE = 'Write cs.Linear(prior={"payment/latency": (1.0, 0.5)}): a mean and a deviation.'


def slope_priors(given: object) -> SlopePriors:
    """What a user wrote, or a file holds, as sorted triples of parent, mean and deviation.

    Raises:
        DeclarationError: It is neither a mapping of pairs nor a sequence of triples, a number is
            not finite, or a deviation is not positive.

    Example:
        >>> slope_priors({"callee": (1, 0.5)})
        (('callee', 1.0, 0.5),)
    """
    if isinstance(given, Mapping):
        given = tuple((key, *_several(pair)) for key, pair in given.items())
    triples = [_triple(each) for each in _several(given)]
    keys = [key for key, _, _ in triples]
    for key in keys:
        if keys.count(key) > 1:
            raise DeclarationError("Linear", found=f"two priors for {key}", mend="Keep one.")
    return tuple(sorted(triples))


def check_slope_priors(node: Node, declaration: Declaration) -> None:
    """Refuse priors on what has no slope in units of its own.

    Raises:
        DeclarationError: A prior names no parent, or one that is a latent, a category or a
            vector; or the variable is a vector.
    """
    priors: SlopePriors = getattr(node.mechanism, "prior", ())
    parents = {parent.key: declaration.nodes[parent.name] for parent in node.parents}
    for key, _, _ in priors:
        if key not in parents:
            told = ", ".join(parents) or "none"
            raise DeclarationError(
                node.name,
                found=f"a prior for the slope of {key}, which is no parent (parents: {told})",
                mend="Name a parent as the model does, or drop the prior.",
            )
        parent = parents[key]
        reason = ""
        if parent.kind == "latent":
            reason = "a latent: its scale is a convention"
        elif isinstance(parent.support, Categorical):
            reason = "a category: it has an effect per level"
        elif parent.support.size or node.support.size:
            reason = "a vector" if parent.support.size else f"the parent of the vector {node.name}"
        if reason:
            raise DeclarationError(
                node.name,
                found=f"a prior for the slope of {key}, which is {reason}",
                mend="Drop the prior, or declare numbers.",
            )


def _triple(each: object) -> tuple[str, float, float]:
    parts = _several(each)
    if len(parts) != 3 or not isinstance(parts[0], str):
        raise DeclarationError("Linear", found=f"the prior {each!r}", mend=_EXAMPLE)
    key, mean, deviation = parts[0], _finite(parts[1]), _finite(parts[2])
    if mean is None or deviation is None or deviation <= 0:
        raise DeclarationError(
            "Linear",
            found=f"the prior ({parts[1]!r}, {parts[2]!r}) for the slope of {key}",
            mend="Give a finite mean and a positive, finite deviation.",
        )
    return key, mean, deviation


def _finite(number: object) -> float | None:
    plain = isinstance(number, int | float) and math.isfinite(number)
    return float(number) if plain else None  # type: ignore[arg-type]


def _several(value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple | list):
        raise DeclarationError("Linear", found=f"the prior {value!r}", mend=_EXAMPLE)
    return tuple(value)
