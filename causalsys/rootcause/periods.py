"""The two periods that are compared: an incident's rows, and normal ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from causalsys.data.apart import check_apart
from causalsys.data.read import as_frame, read
from causalsys.data.table import Layout, Table
from causalsys.errors import EvidenceError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.ask import sample

_FEWEST = 8
"""Normal rows that a scale can be told from."""
_DRAWN = 1024
"""Rows that are drawn from the model where no normal period is given."""


@dataclass(frozen=True)
class Periods:
    """Checked rows.

    Attributes:
        incident: The incident's.
        normal: The normal period's, in their order.
        drawn: Whether the normal rows were drawn from the model, for none were given.
    """

    incident: Table
    normal: Table
    drawn: bool


def read_periods(
    fitted: Fitted, incident: object, *, normal: object, target: str | None, seed: int
) -> Periods:
    """Check both periods.

    Raises:
        QueryError: The model has states or lags, or the target is no number that is logged.
        EvidenceError: The rows do not fit the model, overlap, or say nothing of the target.
        UnknownNameError: The target is not in the model.
    """
    if fitted.declaration.temporal:
        raise QueryError(
            fitted.declaration.name,
            found="a model with states or lags",
            mend="Declare a model of one row at a time: one row per interval, no lags.",
        )
    if target is not None:
        _check_target(fitted, target)
    found = read(fitted.schema, incident, purpose="evidence")
    if normal is None:
        rows = _drawn_from(fitted, seed)
    else:
        check_apart(as_frame(incident)[0], as_frame(normal, what="normal")[0])
        rows = read(fitted.schema, normal, purpose="evidence")
    if rows.rows < _FEWEST:
        raise EvidenceError(
            "normal",
            found=f"{rows.rows} rows",
            mend=f"Give at least {_FEWEST}: scale and drift are told from them.",
        )
    for period, table in (("incident", found), ("normal period", rows)):
        gone = table.missing.get(target) if target else None
        if target and (target not in table.values or (gone is not None and bool(gone.all()))):
            raise EvidenceError(
                target,
                found=f"no value in the {period}",
                mend="Give the target's column in both periods, or choose another target.",
            )
    return Periods(found, rows, normal is None)


def _check_target(fitted: Fitted, target: str) -> None:
    if not isinstance(target, str):
        raise QueryError("target", found=repr(target), mend="Name one variable of the model.")
    node = fitted.node(target)
    support = fitted.schema.supports[node.name]
    if node.kind == "latent" or support.size:
        kind = "a latent" if node.kind == "latent" else "a vector"
        raise QueryError(
            target,
            found=f"{kind} as the target",
            mend="Choose a variable that is one logged number.",
        )


def _drawn_from(fitted: Fitted, seed: int) -> Table:
    """Rows as the model makes them: what is normal, as far as it was learned."""
    answer = sample(fitted, _DRAWN, do=None, given=None, steps=1, samples=1, seed=seed)
    nodes = fitted.declaration.nodes
    values = {
        name: value[0] for name, value in answer.values.items() if nodes[name].kind != "latent"
    }
    weight = torch.ones(_DRAWN, dtype=torch.float64)
    return Table(fitted.schema, values, {}, weight, Layout.single(_DRAWN), answer.index)


__all__ = ["Periods", "read_periods"]
