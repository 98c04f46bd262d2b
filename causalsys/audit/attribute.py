"""Which variables made a prediction, or its error, what it is: `audit.attribute`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.audit.attribute_game import DoGame
from causalsys.audit.attribute_judged import of_interventions
from causalsys.audit.attribute_outcome import Of, Outcome
from causalsys.audit.attribute_plan import Worlds
from causalsys.audit.attribute_result import RowAttribution
from causalsys.audit.attribute_shap import shap_values
from causalsys.audit.attribute_slope import slopes
from causalsys.audit.explain_row_judged import verdicts
from causalsys.audit.subject import Subject
from causalsys.data.read import as_frame, read
from causalsys.data.schema import columns_of, no_column
from causalsys.data.table import Table
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError, NotIdentifiedError, QueryError
from causalsys.query.ask import sample, told_by
from causalsys.query.asked import count
from causalsys.query.judged import merged
from causalsys.rootcause.attribution_asked import asked_word
from causalsys.rootcause.shapley import Design, every_coalition, some_orders

Method = Literal["do", "shap", "slope"]
_BACKGROUND = 100
_TURNS = 4
"""Independent repetitions, which tell the Monte Carlo error."""
_ORDERS = 64
_EVERY = 8
"""Players up to which every coalition is evaluated: 256 cost about what orders do."""


@one_thread()
def attribute(
    subject: Subject,
    rows: object,
    *,
    of: Of = "prediction",
    method: Method = "do",
    permutations: int | None = None,
    background: object = None,
    seed: int = 0,
) -> RowAttribution:
    """What each variable contributes to the predictions, or to the errors, of rows.

    See `Audit.attribute`.
    """
    asked_word(of, "of", ("prediction", "error"))
    asked_word(method, "method", ("do", "shap", "slope"))
    orders = None if permutations is None else count(permutations, "permutations", least=2)
    seed = count(seed, "seed", least=0)
    outcome = Outcome(subject, of)
    if method == "shap":
        return _by_shap(outcome, rows, permutations=orders, background=background, seed=seed)
    if method == "slope":
        return _by_slope(outcome, rows, permutations=orders, background=background, seed=seed)
    return _by_do(outcome, rows, permutations=orders, background=background, seed=seed)


def _by_do(
    outcome: Outcome,
    rows: object,
    *,
    permutations: int | None,
    background: object,
    seed: int,
) -> RowAttribution:
    subject = outcome.subject
    fitted = subject.fitted
    draws = _draws(background)
    worlds = Worlds.above(outcome.reads, fitted.schema)
    table = _table(subject, rows, (*worlds.players, *outcome.reads))
    verdict = of_interventions(fitted, worlds)
    own = {name: table.values[name][0] for name in worlds.players}
    best = torch.zeros(1, dtype=torch.int64)
    mechanisms = {
        node.name: fitted.mechanisms[node.name].members(best)
        for node in worlds.nodes
        if node.learned
    }
    whole = outcome({name: _column(table, name) for name in outcome.reads}).copy()
    game = DoGame(worlds, outcome, mechanisms, own, whole, -(-draws // _TURNS), seed)
    played = [
        game.play(_design(len(worlds.players), permutations, seed=seed, turn=turn), turn=turn)
        for turn in range(_TURNS)
    ]
    found = torch.stack([values for values, _ in played])
    return RowAttribution(
        "do",
        outcome.of,
        subject.predictor.name,
        subject.target,
        worlds.players,
        found.mean(0).T.numpy(),
        whole,
        float(np.mean([base for _, base in played])),
        (found.std(0) / _TURNS**0.5).T.numpy(),
        table.index,
        permutations is None and len(worlds.players) <= _EVERY,
        verdict,
        (*_of_derived(worlds), *subject.predictor.notes),
    )


def _design(players: int, permutations: int | None, *, seed: int, turn: int) -> Design:
    """Which coalitions a repetition evaluates: all, or those along orders of its own."""
    if permutations is None and players <= _EVERY:
        return every_coalition(players)
    pairs = -(-(permutations or _ORDERS) // (2 * _TURNS))
    return some_orders(players, pairs=pairs, generator=np.random.default_rng([seed, turn]))


def _by_shap(
    outcome: Outcome,
    rows: object,
    *,
    permutations: int | None,
    background: object,
    seed: int,
) -> RowAttribution:
    subject = outcome.subject
    table = _table(subject, rows, outcome.reads)
    columns = {name: _column(table, name) for name in outcome.reads}
    behind = _behind(outcome, background, seed=seed)
    values, base = shap_values(outcome, columns, behind, permutations=permutations, seed=seed)
    return RowAttribution(
        "shap",
        outcome.of,
        subject.predictor.name,
        subject.target,
        outcome.reads,
        values,
        outcome(columns),
        base,
        np.full_like(values, np.nan),
        table.index,
        exact=False,
        notes=subject.predictor.notes,
    )


def _by_slope(
    outcome: Outcome,
    rows: object,
    *,
    permutations: int | None,
    background: object,
    seed: int,
) -> RowAttribution:
    for name, given in (("permutations", permutations), ("background", background)):
        if given is not None:
            raise QueryError(
                name,
                found=f'{given!r} with method="slope", which has none',
                mend="Leave it out: a row is compared with itself.",
            )
    subject = outcome.subject
    worlds = Worlds.above(outcome.reads, subject.fitted.schema)
    table = _table(subject, rows, (*worlds.players, *outcome.reads))
    judged = verdicts(subject, worlds.nodes, told_by(table)[0], reads=outcome.reads)
    verdict = merged([judged((name,)) for name in worlds.players], question="these slopes")
    if not verdict.answerable:
        raise NotIdentifiedError(
            subject.target, found=str(verdict).rstrip("."), mend="Add what would identify it."
        )
    values = slopes(outcome, table, worlds.players, seed=seed)
    none = [name for at, name in enumerate(worlds.players) if np.isnan(values[:, at]).any()]
    notes = (f"{', '.join(none)} have no slope: they are no single numbers.",) if none else ()
    return RowAttribution(
        "slope",
        outcome.of,
        subject.predictor.name,
        subject.target,
        worlds.players,
        values,
        outcome({name: _column(table, name) for name in outcome.reads}).copy(),
        float("nan"),
        np.full_like(values, np.nan),
        table.index,
        exact=True,
        verdict=verdict,
        notes=(*notes, *_of_derived(worlds), *subject.predictor.notes),
    )


def _behind(outcome: Outcome, background: object, *, seed: int) -> dict[str, NDArray[Any]]:
    """The reference population's columns: rows that were given, or that the model draws."""
    subject = outcome.subject
    if background is None or isinstance(background, int | np.integer):
        draws = _BACKGROUND if background is None else count(background, "background", least=2)
        answer = sample(subject.fitted, draws, do=None, given=None, steps=1, samples=1, seed=seed)
        return {name: answer.values[name][0, 0].numpy() for name in outcome.reads}
    table = _table(subject, background, outcome.reads, what="background")
    return {name: _column(table, name) for name in outcome.reads}


def _draws(background: object) -> int:
    if background is None:
        return _BACKGROUND
    if isinstance(background, int | np.integer):
        return count(background, "background", least=8)
    raise QueryError(
        "background",
        found=f'a {type(background).__name__} with method="do"',
        mend="Say how many draws of the model's population: a whole number. To explain against "
        "other rows, fit the model to them.",
    )


def _table(subject: Subject, rows: object, names: tuple[str, ...], *, what: str = "rows") -> Table:
    """The rows, with a value of everything that is set or read.

    Raises:
        MissingColumnError: Something has no column.
        EvidenceError: Something is missing in a row.
    """
    frame, _ = as_frame(rows, what=what)
    fitted = subject.fitted
    table = read(fitted.schema, rows, purpose="evidence")
    for name in dict.fromkeys(names):
        node = fitted.node(name)
        for column in columns_of(node) if node.learned else ():
            if column not in frame.columns:
                raise no_column(name, column, frame.columns)
        gone = table.missing.get(name)
        if name not in table.values or (gone is not None and bool(gone.any())):
            raise EvidenceError(
                name,
                found=f"no value in some of the {what}",
                mend="Give it in every row, or leave out the rows without it: an attribution sets "
                "every variable to what it was.",
            )
    return table


def _column(table: Table, name: str) -> NDArray[Any]:
    value: Tensor = table.values[name][0]
    return value.numpy()


def _of_derived(worlds: Worlds) -> tuple[str, ...]:
    follows = [node.name for node in worlds.nodes if node.function is not None]
    if not follows:
        return ()
    return (f"{', '.join(follows)} follow from their causes, which get what they contribute.",)


__all__ = ["Method", "attribute"]
