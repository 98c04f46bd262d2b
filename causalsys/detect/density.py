"""`cs.unusual`: is a row's input unusual, or the state of the latents behind it?

These are two alarms, since they call for different things. An input beyond what was seen asks for
care with any predictor. An unusual state is seen in inputs each of which is usual: a rare class, or
a combination that no class explains, for which the normal rows taught nothing either.

`density_judge` has the scores. For their level it does not matter what they are: they are ranked
among those of normal rows held back (see `ranks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from causalsys.data.apart import check_apart
from causalsys.data.read import as_frame, read
from causalsys.data.table import Table
from causalsys.detect.density_judge import Judge
from causalsys.detect.ranks import p_values
from causalsys.detect.unusual import Unusual
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import count, fitted_model, share

if TYPE_CHECKING:
    import pandas as pd


@one_thread()
def unusual(
    fitted: Fitted,
    rows: object,
    *,
    normal: object,
    target: str | None = None,
    level: float = 0.05,
    seed: int = 0,
) -> Unusual:
    """Find rows whose inputs, or whose latent state, normal rows do not have.

    Args:
        fitted: The model; its rows must not depend on each other.
        rows: The rows to judge: a frame or a mapping of columns. Missing cells are left out.
        normal: Rows like those that are usual, best not those the model was fitted to. Half of
            them are a reference, and half are held back to rank among.
        target: What is predicted; it and its effects are no inputs and are not looked at.
        level: The share of normal rows that each alarm may name.
        seed: Splits the normal rows and fixes draws.

    Raises:
        EvidenceError: There are too few normal rows for the level, the two periods share rows, no
            input is known, or the model's rows depend on each other.
        QueryError: The level is not between 0 and 1.
        UnknownNameError: The target is no variable of the model.

    Example:
        >>> import causalsys as cs
        >>> class Ram(cs.SCM):
        ...     a = cs.Observed(cs.Real())
        ...     b = cs.Observed(cs.Real(), parents=[a], mechanism=cs.Linear())
        >>> rng = np.random.default_rng(0)
        >>> a = rng.normal(size=200)
        >>> fitted = Ram.fit({"a": a, "b": a + 0.1 * rng.normal(size=200)})
        >>> new = {"a": [0.0, 1.0], "b": [0.0, -1.0]}
        >>> found = unusual(fitted, new, normal={"a": a, "b": a})
        >>> found.input_alarm
        array([False,  True])
    """
    level, seed = share(level, "level"), count(seed, "seed", least=0)
    fitted = fitted_model(fitted)
    _check_rows_apart(fitted)
    names = _inputs(fitted, target)
    frame, usual = as_frame(rows, what="rows")[0], as_frame(normal, what="normal")[0]
    check_apart(frame, usual, what="rows")
    needed = 2 * int(np.ceil(1 / level - 1 - 1e-9))
    if len(usual) < needed:
        raise EvidenceError(
            "normal",
            found=f"{len(usual)} rows for the level {level:g}",
            mend=f"Give at least {needed}.",
        )
    table, known = (_read(fitted, each, names) for each in (frame, usual))
    names = tuple(name for name in names if name in table.values and name in known.values)
    # What one of the periods lacks is no input of either.
    table, known = (_kept(each, names) for each in (table, known))
    if not names:
        raise EvidenceError(
            "rows", found="no column of an input", mend="Give the inputs' columns, as in fitting."
        )
    order = torch.as_tensor(np.random.default_rng(seed).permutation(known.rows))
    reference, held = known.take(order[: known.rows // 2]), known.take(order[known.rows // 2 :])
    judge = Judge.of(fitted, reference, names, seed=seed)
    calibration, new = judge.scores(held), judge.scores(table)
    return Unusual(
        p_values(new.input, calibration=calibration.input),
        p_values(new.latent, calibration=calibration.latent)
        if judge.districts
        else np.ones(table.rows),
        new.beyond,
        new.states,
        level,
        held.rows,
        frame.index,
        _notes(judge, names, table, target=target),
    )


def _inputs(fitted: Fitted, target: str | None) -> tuple[str, ...]:
    """The observed variables that are no target and no effect of it."""
    left = set()
    if target is not None:
        fitted.node(target)
        left = {target, *fitted.declaration.graph.descendants(target)}
    nodes = fitted.declaration.nodes.values()
    return tuple(n.name for n in nodes if n.learned and n.kind != "latent" and n.name not in left)


def _read(fitted: Fitted, frame: pd.DataFrame, names: Sequence[str]) -> Table:
    """The rows with their inputs, and what follows from them."""
    nodes = fitted.declaration.nodes
    unseen = {n for n in nodes if nodes[n].learned and n not in names}
    return read(
        fitted.schema, frame.drop(columns=[n for n in frame if n in unseen]), purpose="evidence"
    )


def _kept(table: Table, names: Sequence[str]) -> Table:
    """The table without learned variables that are no inputs."""
    nodes = table.schema.declaration.nodes
    values = {
        name: value
        for name, value in table.values.items()
        if name in names or not nodes[name].learned
    }
    missing = {name: gone for name, gone in table.missing.items() if name in values}
    return replace(table, values=values, missing=missing)


def _check_rows_apart(fitted: Fitted) -> None:
    """Refuse models whose rows depend on each other."""
    nodes = fitted.declaration.nodes.values()
    tied = next((node.name for node in nodes if node.per == "trace"), None)
    if fitted.declaration.temporal or tied is not None:
        raise EvidenceError(
            tied or fitted.declaration.name,
            found="states, lags or values of whole traces, which tie rows together",
            mend="Ask it of models whose rows do not depend on each other.",
        )


def _notes(
    judge: Judge, names: Sequence[str], table: Table, *, target: str | None
) -> tuple[str, ...]:
    notes = []
    if not judge.districts:
        notes.append("The inputs tell of no latent: only they are judged.")
    left = [name for name in _inputs(judge.fitted, target) if name not in names]
    if left:
        notes.append(f"Not given, and so not looked at: {', '.join(left)}.")
    nodes = judge.fitted.declaration.nodes
    blind = [
        name
        for name in names
        if any(nodes[ref.name].kind != "latent" and ref.name in left for ref in nodes[name].parents)
    ]
    if blind:
        told = ", ".join(blind)
        notes.append(f"Hardly judged, since a cause of theirs is not given: {told}.")
    gaps = {name: int(table.missing[name].sum()) for name in names if name in table.missing}
    if gaps:
        told = ", ".join(f"{name} ({count})" for name, count in gaps.items())
        notes.append(f"Missing cells are left out, so that these rows look more usual: {told}.")
    return tuple(notes)


__all__ = ["unusual"]
