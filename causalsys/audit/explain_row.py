"""Why was this prediction wrong, and what would have made it right: `audit.explain_row`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from causalsys.audit.attribute_outcome import Outcome
from causalsys.audit.explain_row_candidates import Candidate, candidates
from causalsys.audit.explain_row_judged import verdicts
from causalsys.audit.explain_row_result import RowExplanation
from causalsys.audit.explain_row_search import Found, pairs, single
from causalsys.audit.explain_row_told import changes_of, latents_of, noises_of
from causalsys.audit.explain_row_twin import Twin
from causalsys.audit.subject import Subject
from causalsys.data.read import as_frame, read
from causalsys.data.table import Table
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError, QueryError, brief
from causalsys.query.ask import sample, told_by
from causalsys.query.asked import count

if TYPE_CHECKING:
    import pandas as pd

_USUAL = 1000
"""Rows of the model whose median error is the tolerance."""


@one_thread()
def explain_row(
    subject: Subject, row: object, *, tolerance: float | None = None, seed: int = 0
) -> RowExplanation:
    """Why one prediction was wrong, and what would have made it right; see `Audit.explain_row`."""
    return explain_rows(subject, _one(row), tolerance=tolerance, seed=seed)[0]


def explain_rows(
    subject: Subject, rows: object, *, tolerance: float | None = None, seed: int = 0
) -> list[RowExplanation]:
    """The same of many rows at once.

    Raises:
        QueryError: The tolerance is no positive number.
        EvidenceError: The truth or an input is missing.
        DataError: The rows do not fit the model.
        PredictorError: The predictor fails.
    """
    seed = count(seed, "seed", least=0)
    chosen = usual_error(subject, seed=seed) if tolerance is None else _positive(tolerance)
    table = _table(subject, rows)
    period = subject.period(rows)
    twin = Twin.of(subject, table, seed=seed)
    every, notes = candidates(twin)
    of = verdicts(subject, twin.nodes, told_by(table)[0])
    alone = [single(twin, each, chosen) for each in every]
    right = torch.tensor(period.error <= chosen)
    stuck = ~right & torch.stack([each.size.isinf() for each in alone]).all(0)
    both = _both(twin, every, alone, stuck, chosen)
    answers = []
    for at, changes in enumerate(changes_of(twin, alone, both, stuck, of)):
        answers.append(
            RowExplanation(
                table.index[at],
                subject.predictor.name,
                subject.target,
                subject.loss.name,
                float(period.prediction[at]),
                float(period.truth[at]),
                float(period.error[at]),
                chosen,
                noises_of(twin, at),
                latents_of(twin, at),
                () if right[at] else changes,
                (*notes, *subject.predictor.notes),
            )
        )
    return answers


def usual_error(subject: Subject, *, seed: int) -> float:
    """The median error of rows that the model draws: what is usual of this predictor.

    It is at least a millionth of the target's spread there, so that a predictor that is never
    wrong can be told to be right.

    Raises:
        QueryError: The model cannot draw rows, such as one with a choice whose rule is unknown.
    """
    try:
        answer = sample(subject.fitted, _USUAL, do=None, given=None, steps=1, samples=1, seed=seed)
    except QueryError as error:
        raise QueryError(
            "tolerance",
            found=f"none, and a model that cannot draw what is usual ({brief(error)})",
            mend="Give the largest error that counts as right: tolerance=...",
        ) from error
    outcome = Outcome(subject, "error")
    columns = {name: answer.values[name][0, 0].numpy() for name in outcome.reads}
    truth = np.array(columns[subject.target], dtype=np.float64)
    least = float(subject.loss(truth, truth + 1e-6 * max(float(truth.std()), 1e-300)).mean())
    return max(float(np.median(outcome(columns))), least, 1e-300)


def _both(
    twin: Twin, every: list[Candidate], alone: list[Found], stuck: torch.Tensor, tolerance: float
) -> list[Found]:
    """Changes of two variables, for the rows that no change of one makes right."""
    if not bool(stuck.any()) or len(every) < 2:
        return []
    rows = stuck.nonzero()[:, 0]
    some = [each.take(rows) for each in every]
    close = [Found(each.moves, each.size[rows], each.closest[rows]) for each in alone]
    return pairs(twin.take(rows), some, close, tolerance)


def _one(row: object) -> pd.DataFrame | dict[str, Any]:
    """One row, as a frame, or as it was named.

    Raises:
        EvidenceError: They are several.
    """
    import pandas as pd

    if isinstance(row, pd.Series):
        row = row.to_frame().T.infer_objects()
    elif isinstance(row, Mapping):
        row = {
            key: value if isinstance(value, list | tuple | np.ndarray | pd.Series) else [value]
            for key, value in row.items()
        }
    frame, _ = as_frame(row, what="row")
    if len(frame) != 1:
        raise EvidenceError(
            "row",
            found=f"{len(frame)} rows",
            mend="Give one: rows.iloc[[0]], or rows.loc[[label]].",
        )
    return row if isinstance(row, dict) else frame


def _table(subject: Subject, rows: object) -> Table:
    """The rows, with the truth and all that the predictor reads.

    Raises:
        EvidenceError: Something is missing.
    """
    table = read(subject.fitted.schema, rows, purpose="evidence")
    for name in Outcome(subject, "error").reads:
        gone = table.missing.get(name)
        if name not in table.values or (gone is not None and bool(gone.any())):
            raise EvidenceError(
                name,
                found="no value",
                mend="Give the truth and every input: an error is explained by both. Other "
                "variables may be missing, and are inferred.",
            )
    return table


def _positive(given: Any) -> float:
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float | np.number)
        or not 0 < given < np.inf
    ):
        raise QueryError(
            "tolerance",
            found=repr(given),
            mend="Give the largest error that counts as right, a positive number; or None.",
        )
    return float(given)


__all__ = ["explain_row", "explain_rows", "usual_error"]
