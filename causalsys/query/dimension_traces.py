"""How many latents last behind a variable of traces: forms fitted, left-out arms foreseen, asked.

Beside sizes there are forms. No lasting latent means that the noise falls anew in every step; one
is the noise that the value reveals, as absorbed latents are, or one that actions weigh differently;
more are of low rank. A size matters as far as the user's own question is answered differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from causalsys.data.read import read
from causalsys.data.traces import Traces, as_traces
from causalsys.errors import (
    DataError,
    DeclarationError,
    EvidenceError,
    FitError,
    InterventionError,
    QueryError,
)
from causalsys.fit.fit import fit
from causalsys.fit.fitted import Fitted
from causalsys.fit.options import FitOptions
from causalsys.query.ask import counterfactual
from causalsys.query.dimension_forms import child_of, formed, kinds
from causalsys.query.dimension_score import Folds, Scored, scored
from causalsys.query.intervention import Do
from causalsys.query.sized import LatentDimension, Size, compared
from causalsys.scm.declaration import Declaration
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    from causalsys.query.draws import Estimate

_ROWS = 60_000
"""Rows beyond which forms are compared on whole traces drawn at random."""


def latents_of_traces(
    declaration: Declaration,
    data: object,
    *,
    latent: str,
    sizes: Sequence[int],
    do: Do | None,
    outcome: str | None,
    evidence: object,
    options: FitOptions,
) -> LatentDimension:
    """See `latent_dimension`, for a latent behind one variable of traces.

    Raises:
        DataError: There are no traces, or too few.
    """
    child = child_of(declaration, latent)
    assert child is not None
    given = as_traces(declaration, data)
    if not isinstance(given, Traces):
        raise DataError(
            "data",
            found="rows that are no traces",
            mend='Give traces: cs.Traces(frame, trace="trace", step="step").',
        )
    some = _some(given, options.seed)
    folds: Folds | None = None
    found: list[tuple[Size, NDArray[np.float64] | None]] = []
    for size in sizes:
        for kind in kinds(declaration, latent, size):
            plain = Size(size, None, None, None, "not fitted", None, form=kind)
            try:
                changed = formed(declaration, latent, size=size, kind=kind)
                fitted = fit(changed, given, options=options)
                folds = folds or _folds(fitted, some, options.seed)
                one = replace(options, ensemble=1)
                score = scored(fitted, child=child, kind=kind, folds=folds, options=one)
            except (DeclarationError, FitError) as error:
                found.append((replace(plain, reason=str(error)), None))
                continue
            rows = given if evidence is None else evidence
            redraw = [child] if kind == "luck" else []
            answer, reason = _answer(fitted, rows, do, outcome, redraw=redraw, seed=options.seed)
            warnings = fitted.diagnostics.variables[child].warnings if kind == "low rank" else ()
            hints = [reason, *warnings]
            reason = "; ".join(filter(None, hints))
            told = replace(plain, test=score.test, answer=answer, reason=reason)
            found.append((told, _seen(score, fitted, folds, child)))
    unit = declaration.node(outcome).support.unit if outcome else ""
    cluster = some.layout.trace.numpy()
    named = () if folds is None else folds.names
    return LatentDimension(latent, compared(found, cluster), outcome or "", unit, left_out=named)


def _answer(
    fitted: Fitted,
    rows: object,
    do: Do | None,
    outcome: str | None,
    *,
    redraw: Sequence[str],
    seed: int,
) -> tuple[Estimate | None, str]:
    """The answer to the question, or why there is none."""
    if do is None or outcome is None:
        return None, ""
    try:
        told = counterfactual(fitted, rows, do=do, outcome=outcome, redraw=redraw, seed=seed)
        return told.average(outcome), ""
    except (EvidenceError, InterventionError):
        raise
    except QueryError as error:
        return None, str(error)


def _seen(score: Scored, fitted: Fitted, folds: Folds, child: str) -> NDArray[np.float64]:
    """The scores, but for rows whose action no other arm ever took: nothing foresees those."""
    table = read(fitted.schema, folds.data)
    fold = folds.fold[table.layout.trace]
    total, action = len(folds.names), torch.zeros(1, table.rows, dtype=torch.int64)
    count = 1
    for key, column in table.parents_of(fitted.node(child)).items():
        support = fitted.schema.parent_supports(fitted.node(child))[key]
        if isinstance(support, Categorical) and not support.size:
            action = action * support.cardinality + column
            count *= support.cardinality
    taken = torch.zeros(total * count, dtype=torch.int64)
    taken.index_add_(0, fold * count + action[0], torch.ones_like(action[0]))
    by_fold = taken.unflatten(0, (total, count))
    elsewhere = (by_fold.sum(0) - by_fold > 0)[fold, action[0]]
    return torch.where(elsewhere, score.density, torch.zeros(())).numpy()


def _some(data: Traces, seed: int) -> Traces:
    """Whole traces, drawn at random until there are enough rows."""
    if len(data.frame) <= _ROWS:
        return data
    sizes = torch.bincount(data.layout.trace)
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    kept = torch.zeros(len(sizes), dtype=torch.bool)
    kept[order[: int((sizes[order].cumsum(0) < _ROWS).sum()) + 1]] = True
    return Traces(data.frame[kept[data.layout.trace].numpy()], data.trace, data.step)


def _folds(fitted: Fitted, data: Traces, seed: int) -> Folds:
    """Each arm a fold; two halves where there are no arms, or only one."""
    table = read(fitted.schema, data)
    first = table.layout.first_rows
    traces = len(first)
    if traces < 4:
        raise DataError("data", found=f"{traces} traces", mend="Give more, to hold some out.")
    arm = next((n.name for n in fitted.declaration.nodes.values() if n.kind == "arm"), None)
    if arm is not None and arm in table.values:
        codes, fold = torch.unique(table.values[arm][0][first], return_inverse=True)
        if len(codes) > 1:
            support = fitted.schema.supports[arm]
            levels = (support.levels if isinstance(support, Categorical) else None) or ()
            named = [str(levels[c]) if c < len(levels) else str(c) for c in codes.tolist()]
            return Folds(data, fold, tuple(named))
    halves = torch.randperm(traces, generator=torch.Generator().manual_seed(seed)) % 2
    return Folds(data, halves, ("one half of the traces", "the other half"))
